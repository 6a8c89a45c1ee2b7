"""Reads single tokens of a query: escapes, wildcards, phrases, bounds; and refuses what the user cannot have meant."""

from __future__ import annotations

import re
from collections.abc import Iterable

from penstock.fields import registry, types
from penstock.query import ast, globs, literals, patterns
from penstock.query.syntax import driver, refusals

_OPERATORS = frozenset({"AND", "OR", "NOT"})
_FOREIGN = {"&&": "AND", "||": "OR", "!": "NOT"}
_QUOTES = 'Put quotes around it: "{}".'
_ESCAPES = r"\\ is a backslash, \" a quote, and \ takes the meaning from any character but a letter or digit."


class Mistake(Exception):
    """A query that the grammar lets through and the callbacks do not."""

    def __init__(self, position: int, detail: str, *, expected: Iterable[str] = (), hint: str = "") -> None:
        super().__init__(detail)
        self.position = position
        self.detail = detail
        self.expected = expected
        self.hint = hint


def pieces(token: driver.Token, raw: str, position: int) -> list[str | ast.Wild]:
    """Characters and wildcards of a raw text that begins at `position`, escapes resolved."""
    pieces: list[str | ast.Wild] = []
    index = 0
    while index < len(raw):
        character = raw[index]
        if character == "\\":
            index += 1
            escaped = raw[index : index + 1]
            if not escaped or escaped.isalnum():
                found = f"\\{escaped}" if escaped else "a lone backslash"
                raise Mistake(position + index - 1, f"Found {found}, which escapes nothing,", hint=_ESCAPES)
            pieces.append(escaped)
        elif character in "*?" and token.type == "WORD":
            pieces.append(ast.Wild(character))
        else:
            pieces.append(character)
        index += 1
    return pieces


def field_name(token: driver.Token) -> str:
    """The name before the colon, escapes resolved."""
    return "".join(map(str, pieces(token, str(token)[:-1], token.start_pos)))


def phrase_text(token: driver.Token) -> str:
    """What stands between the quotes, escapes resolved."""
    start = token.start_pos
    closed = re.fullmatch(r'"((?:[^"\\]|\\.)*)"(.*)', token, re.DOTALL)
    if not closed:
        raise Mistake(start, 'Found a " that is never closed', expected=['a closing "'])
    body, glued = closed.groups()
    if glued:
        raise Mistake(
            start + len(body) + 2,
            f"Found {refusals.quoted(glued)} right behind a closing quote",
            expected=["a space"],
            hint=r'Inside "quotes", write \" for a quote.',
        )
    return "".join(map(str, pieces(token, body, start + 1)))


def regex_pattern(token: driver.Token) -> str:
    """What stands between the slashes; known to compile."""
    start = token.start_pos
    hint = f'A value that begins with / is a regular expression. A path needs quotes: "{token}".'
    # An address pasted without quotes: `url:https://…` leaves `//…` as the value.
    if token.startswith("//"):
        hint = 'A value that holds :// needs quotes, as in "https://example.com".'
    closed = re.fullmatch(r"/((?:[^/\\]|\\.)*)/(.*)", token, re.DOTALL)
    if not closed:
        raise Mistake(start, "Found a / that is never closed", expected=["a closing /"], hint=hint)
    pattern, glued = closed.groups()
    if glued:
        detail = f"Found {refusals.quoted(glued)} right behind a regular expression"
        raise Mistake(start + len(pattern) + 2, detail, expected=["a space"], hint=hint)
    if (wrong := patterns.regex_mistake(pattern)) is not None:
        raise Mistake(
            start + 1 + wrong.position,
            f"Found a regular expression that cannot be used ({wrong.reason})",
            hint="The syntax is that of RE2 and of Rust's regex crate: no look-around, no back-references.",
        )
    return pattern


def check_word(token: driver.Token) -> None:
    """Refuses words that look like something else."""
    start, text = token.start_pos, str(token)
    # Only in capitals: `and` is an ordinary word of messages; `notes` says so.
    if text in _OPERATORS:
        raise Mistake(start, f"Found {text}", expected=["a term"], hint=f'To look for the word, write "{text}".')
    if quote := re.match(r'(?:[^"\\]|\\.)+(?=")', text, re.DOTALL):
        raise Mistake(start + quote.end(), "Found a quote inside a word", hint=_ESCAPES)
    if text.startswith(":") and not text.startswith("::"):
        raise Mistake(start, 'Found ":"', expected=["a value"], hint=_QUOTES.format(text))


def check_pattern(token: driver.Token, test: ast.Test) -> None:
    """Refuses a pattern that would cost too much to compare."""
    if isinstance(test, ast.Like) and globs.too_long(test.parts):
        raise Mistake(
            token.start_pos,
            f"Found more than {globs.LONGEST_MIXED} characters with ? between them and no *",
            hint="Put * where the text may be anything, or look for a part of it.",
        )


def check_network(token: driver.Token) -> None:
    """Refuses an address with a length that does not suit it."""
    if (mistake := literals.network_mistake(str(token))) is not None:
        raise Mistake(
            token.start_pos,
            f"Found {refusals.quoted(str(token))}, but {mistake},",
            hint=f"Networks are written 10.0.0.0/8 or 2001:db8::/32. {_QUOTES.format(token)}",
        )


def holds_addresses(field: str) -> bool:
    """Whether the field holds addresses by ECS, one or, as `host.ip`, a list."""
    spec = registry.ECS.get(field)
    return spec is not None and (spec.type is types.FieldType.IP or field.endswith(".ip"))


def check_address(field: str, token: driver.Token, test: ast.Test) -> None:
    """Refuses a word that was meant as an address and is none, in a field that holds addresses by ECS."""
    if not isinstance(test, ast.Equals) or not holds_addresses(field):
        return
    is_address = literals.address(test.text) is not None or literals.network(test.text) is not None
    if is_address or not literals.resembles_address(test.text):
        return
    raise Mistake(
        token.start_pos,
        f"Found {refusals.quoted(test.text)}, which is no address and no network,",
        hint=f"Write 10.0.0.1, 10.0.0.0/8, 2001:db8::1 or 2001:db8::/32. {_QUOTES.format(token)}",
    )


def check_bare_word(token: driver.Token) -> None:
    """Refuses words without a field that were meant to have one, or to be an operator."""
    start, text = token.start_pos, str(token)
    if text in _FOREIGN:
        raise Mistake(start, f"Found {text}", expected=[_FOREIGN[text]], hint="Operators are AND, OR and NOT.")
    if re.match("!=|<>", text):
        raise Mistake(
            start, f"Found {refusals.quoted(text)}", expected=["a term"], hint='For "is not", write NOT field:value.'
        )
    if text[0] in "-+!":
        raise Mistake(
            start,
            f"Found {refusals.quoted(text)}",
            expected=["a term"],
            hint=f'For "not", write NOT {text[1:]}. {_QUOTES.format(text)}',
        )
    if colon := re.match(r"(?:[^:\\]|\\.)*(?=:)", text, re.DOTALL):
        name = text[: colon.end()]
        problem = "a wildcard in a field's name" if re.search(r"[*?]", name) else 'a ":" in a word without a field'
        raise Mistake(start + colon.end(), f"Found {problem}", hint=_QUOTES.format(text))


def check_address_without_field(field: driver.Token, value: driver.Token) -> None:
    """Refuses `2001:db8::1` as a term: it would be read as the field `2001`."""
    # With a space between them it can only be meant as field and value.
    if value.type != "WORD" or value.start_pos != field.end_pos:
        return
    whole = f"{field}{value}"
    if literals.address(whole.partition("/")[0]) is not None:
        raise Mistake(
            field.start_pos,
            f"Found {whole}, which may be an address or a field with a value,",
            hint=f'For the address, write "{whole}"; for the field, write {field}"{value}".',
        )


def kind(bound: driver.Token) -> literals.Bound:
    """What a bound is; refuses one that has no order."""
    found = literals.bound(str(bound))
    if found is None:
        raise Mistake(
            bound.start_pos,
            f"Found {refusals.quoted(str(bound))}",
            expected=["a number, a date or an address"],
            hint="Compare with 1024, 2026-01-31, 2026-01-31T08:00:00Z or 10.0.0.1.",
        )
    return found


def check_order(low_token: driver.Token, high_token: driver.Token, low: literals.Bound, high: literals.Bound) -> None:
    """Refuses a range whose bounds are of two kinds, or upside down."""
    written = refusals.quoted(str(low_token)), refusals.quoted(str(high_token))
    if not literals.is_comparable(low, high):
        raise Mistake(
            high_token.start_pos,
            f"Found a range from {written[0]} to {written[1]}",
            expected=["two bounds of one kind"],
        )
    if literals.is_after(low, high):
        raise Mistake(
            low_token.start_pos,
            f"Found a range upside down: {written[0]} lies above {written[1]}",
            hint=f"Write [{high_token} TO {low_token}].",
        )
