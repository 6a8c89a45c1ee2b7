"""Writes penstock/query/syntax/grammar_table.json: the tables that Lark makes of grammar.lark, which takes 0.1 s each time.

    python scripts/grammar_table.py

A test compares the file with the grammar.
"""

from __future__ import annotations

import pathlib

from penstock.query.syntax import grammar


def main() -> None:
    path = pathlib.Path(grammar.__file__).parent / "grammar_table.json"
    path.write_text(grammar.table_text(), "utf-8")


if __name__ == "__main__":
    main()
