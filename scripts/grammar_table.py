"""Writes penstock/query/syntax/grammar_table.json: the tables of grammar.lark, made by Lark, run by `driver`.

    python scripts/grammar_table.py

A test compares the file with the grammar.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
from typing import Any

import lark

FOLDER = pathlib.Path(__file__).parent.parent / "penstock" / "query" / "syntax"


def main() -> None:
    (FOLDER / "grammar_table.json").write_text(table_text(), "utf-8")


def made() -> lark.Lark:
    """The grammar as Lark reads it. LALR: time linear to the text."""
    return lark.Lark((FOLDER / "grammar.lark").read_text("utf-8"), parser="lalr", lexer="contextual")


def table_text() -> str:
    """What grammar_table.json holds."""
    grammar = made()
    parser: Any = grammar.parser
    table = parser.parser.parser.parse_table  # as the numbers of states are shared with all tools of Lark
    numbers = {state: number for number, state in enumerate(table.states)}
    rules = list(grammar.rules)
    root = parser.lexer.root_lexer
    kept = {
        "made_of": table_source(),
        "terminals": [[terminal.name, terminal.pattern.to_regexp()] for terminal in root.terminals],
        "ignored": sorted(root.ignore_types),
        "rules": [_rule(rule) for rule in rules],
        "states": [
            {symbol: _action(action, numbers, rules) for symbol, action in actions.items()}
            for actions in table.states.values()
        ],
        "start": numbers[table.start_states["start"]],
        "end": numbers[table.end_states["start"]],
    }
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")) + "\n"


def table_source() -> str:
    """What the tables are made of: the grammar."""
    return hashlib.sha256((FOLDER / "grammar.lark").read_bytes()).hexdigest()


def _rule(rule: Any) -> list[Any]:
    kept = [place for place, symbol in enumerate(rule.expansion) if not (symbol.is_term and symbol.filter_out)]
    is_single = rule.options.expand1 and not rule.alias
    return [str(rule.origin.name), len(rule.expansion), kept, str(rule.alias or rule.origin.name), bool(is_single)]


def _action(action: Any, numbers: dict[Any, int], rules: list[Any]) -> int:
    """The next state, or -1 - the rule that ends here."""
    kind, target = action
    return numbers[target] if kind.name == "Shift" else -1 - rules.index(target)


if __name__ == "__main__":
    main()
