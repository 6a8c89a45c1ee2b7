"""What a query probably did not mean: notes for people who found nothing, or something else than they looked for.

A note never changes what a query matches. It says what was understood and what was probably meant. Where that can be
written down, `replacement` is the whole query as it was probably meant.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from penstock import errors
from penstock.fields import registry, selection
from penstock.fields.types import FieldType
from penstock.query import ast, literals
from penstock.query.syntax import parser

MOST_NOTES = 10
"""Notes of one query."""

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_WORD = r"[^\s()\"]+"
_NAME = r"[A-Za-z_@#][\w.@#-]*"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """A remark on a query.

    Attributes:
        code: `unknown_field`, `empty_field`, `looks_like_operator`, `looks_like_wildcard`, `looks_like_path`,
            `not_an_address`, `not_a_number`, `not_a_date` or `not_a_boolean`.
        detail: how the query was understood.
        hint: what was probably meant, and how to write it.
        field: the field it is about, if any.
        suggestions: fields that were probably meant, the closest first.
        replacement: the query as it was probably meant.
    """

    code: str
    detail: str
    hint: str
    field: str | None = None
    suggestions: tuple[str, ...] = ()
    replacement: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The members that say something, as plain JSON values."""
        members = {**dataclasses.asdict(self), "suggestions": list(self.suggestions)}
        return {name: value for name, value in members.items() if value not in (None, [])}


def field_names(node: ast.Node) -> list[str]:
    """The fields that a query names, each once, in order."""
    return list(dict.fromkeys(term.field for term in ast.terms(node) if term.field is not None))


def of_query(
    text: str, filters: ast.Node, columns: Mapping[str, FieldType], known: Container[str] = frozenset()
) -> list[Note]:
    """Notes on a query text, which can be parsed, and on a search's filters; the most telling first.

    Args:
        text: the query.
        filters: the tree of the filters.
        columns: fields of the events searched, and their types.
        known: further fields that some of the events have (those in the overflow).
    """
    terms = list(ast.terms(parser.parse(text)))
    found = [
        *_operators(text, terms),
        *_words_that_look_like_more(text, terms),
        *_fields(text, [*terms, *ast.terms(filters)], columns, known),
        *_values([*terms, *ast.terms(filters)], columns),
    ]
    return list({(note.code, note.detail): note for note in found}.values())[:MOST_NOTES]


def _operators(text: str, terms: list[ast.Term]) -> Iterator[Note]:
    """Operators of other languages, which this one takes for words."""
    bare = [_written(text, term) for term in terms if term.field is None]
    for sign in dict.fromkeys(word for word in bare if word.lower() in ("and", "or", "not")):
        better = _outside_quotes(text, lambda part: re.sub(r"(?i)(?<![^\s()])(and|or|not)(?![^\s()])", _upper, part))
        yield _operator(
            f"`{sign}` is looked for as a word.", f"Operators are written in capitals: {sign.upper()}.", text, better
        )
    # One note and no more: every word of the statement would give another.
    if re.match(r"(?is)\s*select\s.*\sfrom\s", text):
        yield _operator(
            "SQL is looked for word by word.", "Write what stands behind WHERE: field:value AND …", text, None
        )
        return
    if any(word == "|" or word.startswith("|") for word in bare):
        better = _before_pipe(text)
        hint = "A query only says which events match: leave out what stands behind the |."
        yield _operator("What stands behind | is looked for, too.", hint, text, better)
    if (equals := next((word for word in bare if re.search(r"[=]", word)), None)) is not None:
        better = _with_colons(text)
        if better != text:
            yield _operator(
                f"`{equals}` is looked for as a word.", "A field and its value are joined by a colon.", text, better
            )


def _words_that_look_like_more(text: str, terms: list[ast.Term]) -> Iterator[Note]:
    for term in terms:
        value = term.test.text if isinstance(term.test, ast.Equals) else ""
        written = _written(text, term)
        if term.field in ("_exists_", "_missing_", "exists", "missing") and value:
            test = f"{'NOT ' if 'missing' in term.field else ''}{value}:*"
            better = text.replace(written, test, 1)
            yield _operator(f"`{term.field}` is looked for as a field.", f"Write {test}.", text, better)
        elif term.field and value.endswith(",") and not written.endswith('"'):
            better = _outside_quotes(text, lambda part: re.sub(r",\s+", " OR ", part))
            yield _operator(
                f"The comma belongs to the value `{value}`.", "Join values with OR: field:(a OR b).", text, better
            )
        elif term.field and (ends := re.fullmatch(r"(-?[\w.:]+?)\.\.(-?[\w.:]+)", value)):
            range_ = f"[{ends[1]} TO {ends[2]}]"
            better = text.replace(value, range_, 1)
            yield _operator(f"`{value}` is looked for as a value.", f"A range is written {range_}.", text, better)
        elif value.startswith("'") and '"' not in written[:1]:
            better = re.sub(r"'([^'\"\\]*)'", r'"\1"', text)
            yield _operator(
                "' is looked for as a character.", 'A phrase stands in double quotes, "like this".', text, better
            )
        elif _is_path(term):
            yield _path(text, written)
        elif "*" in value and written.endswith('"'):
            hint = f"Without quotes * stands for any characters; a space is then written {chr(92)}and a space."
            yield Note(code="looks_like_wildcard", detail="Between quotes * is a plain character.", hint=hint)


def _is_path(term: ast.Term) -> bool:
    """Whether `C:\\\\Windows` was read as the field `C`."""
    return (
        term.field is not None
        and len(term.field) == 1
        and isinstance(term.test, ast.Equals)
        and term.test.text[:1] == "\\"
    )


def _path(text: str, written: str) -> Note:
    return Note(
        code="looks_like_path",
        detail=f"`{written[0]}` is looked for as a field.",
        hint="A path stands in quotes, each backslash twice.",
        replacement=_sound(text.replace(written, f'"{written}"', 1), text),
    )


def _fields(
    text: str, terms: list[ast.Term], columns: Mapping[str, FieldType], known: Container[str]
) -> Iterator[Note]:
    for name in dict.fromkeys(term.field for term in terms if term.field is not None and not _is_path(term)):
        if name in columns or name in known or name in ("_exists_", "_missing_", "exists", "missing"):
            continue
        if name in registry.ECS:
            detail = f"None of the events searched has the field `{name}`."
            yield Note(
                code="empty_field", detail=detail, hint="`penstock fields` lists those that they have.", field=name
            )
            continue
        close = tuple(selection.close_to(name, columns))
        better = text.replace(f"{name}:", f"{close[0]}:") if len(close) == 1 else None
        yield Note(
            code="unknown_field",
            detail=f"No event has a field `{name}`.",
            hint=selection.hint_for(name, close),
            field=name,
            suggestions=close,
            replacement=None if better is None else _sound(better, text),
        )


_NEEDS: Mapping[FieldType, tuple[str, str, str]] = {
    FieldType.IP: ("not_an_address", "addresses", "Write 10.0.0.1, 10.0.0.0/8, 2001:db8::1 or 10.* for a part of one."),
    FieldType.LONG: ("not_a_number", "numbers", "Write 443, >1024 or [100 TO 200]."),
    FieldType.DOUBLE: ("not_a_number", "numbers", "Write 0.5, >0.5 or [0 TO 1]."),
    FieldType.DATE: ("not_a_date", "times", "Write 2026-01-31 or 2026-01-31T08:00:00Z, or compare: >=2026-01-31."),
    FieldType.BOOLEAN: ("not_a_boolean", "true or false", "Write true or false."),
}


def _values(terms: Iterable[ast.Term], columns: Mapping[str, FieldType]) -> Iterator[Note]:
    """Literals that no value of the field's type equals."""
    for term in terms:
        field_type = None if term.field is None else columns.get(term.field)
        if field_type is None or field_type not in _NEEDS or not isinstance(term.test, ast.Equals):
            continue
        if _suits(term.test.text, field_type):
            continue
        code, plural, hint = _NEEDS[field_type]
        detail = f"The field `{term.field}` holds {plural}, and `{term.test.text[:80]}` is not one of those."
        yield Note(code=code, detail=detail, hint=hint, field=term.field)


def _suits(text: str, field_type: FieldType) -> bool:
    match field_type:
        case FieldType.IP:
            return literals.address(text) is not None or literals.network(text) is not None
        case FieldType.DATE:
            return literals.day_or_instant(text) is not None
        case FieldType.BOOLEAN:
            return text in ("true", "false")
    return literals.number(text) is not None


def _operator(detail: str, hint: str, text: str, better: str | None) -> Note:
    replacement = None if better is None else _sound(better, text)
    return Note(code="looks_like_operator", detail=detail, hint=hint, replacement=replacement)


def _sound(better: str, text: str) -> str | None:
    """A query that can be parsed and says something else; None for any other."""
    try:
        # Suggestions are made by replacing text; one that does not parse, or says the same, would only confuse.
        return better if parser.parse(better) != parser.parse(text) else None
    except errors.QuerySyntaxError:
        return None


def _written(text: str, term: ast.Term) -> str:
    """The term as it stands in the text, up to its end."""
    found = re.compile(rf"(?:{_QUOTED}|{_WORD})+").match(text, term.position)
    return found[0] if found else ""


def _outside_quotes(text: str, change: Any) -> str:
    return "".join(part if part.startswith('"') else change(part) for part in re.split(f"({_QUOTED})", text))


def _upper(found: re.Match[str]) -> str:
    return found[0].upper()


def _before_pipe(text: str) -> str:
    quoted_or_pipe = re.compile(rf"{_QUOTED}|\|")
    return text[: next((m.start() for m in quoted_or_pipe.finditer(text) if m[0] == "|"), len(text))].strip()


def _with_colons(text: str) -> str:
    """`a = b`, `a == "b c"` and `a != b` with colons."""
    value = rf"({_QUOTED}|{_WORD})"
    text = re.sub(rf"({_NAME})\s*(?:!=|<>)\s*{value}", r"NOT \1:\2", text)
    return re.sub(rf"({_NAME})\s*={{1,3}}\s*{value}", r"\1:\2", text)
