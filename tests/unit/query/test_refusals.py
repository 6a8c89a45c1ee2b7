"""Broken queries: what is said, where, what was expected, and how the caret line looks."""

from __future__ import annotations

import pytest

from penstock import errors, query

A_BOUND = "a number, a date or an address"

BROKEN: list[tuple[str, int, str, list[str]]] = [
    # query, position, part of the detail, expected
    ("a AND", 5, "The query ends", ["a term"]),
    ("AND a", 0, "Found AND", ["a term"]),
    ("a AND OR b", 6, "Found OR", ["a term"]),
    ("a OR", 4, "The query ends", ["a term"]),
    ("NOT", 3, "The query ends", ["a term"]),
    ("NOT AND a", 4, "Found AND", ["a term"]),
    ("a NOT", 5, "The query ends", ["a term"]),
    ("user.name:", 10, "The query ends", ["a value"]),
    ("user.name:)", 10, "Found ')'", ["a value"]),
    ("user.name: AND b", 11, "Found AND", ["a term"]),
    ("(a", 2, "The query ends", ["AND", "OR", '")"']),
    ("a)", 1, "Found ')'", ["AND", "OR", "the end"]),
    ("()", 1, "Found ')'", ["a term"]),
    ("f:()", 3, "Found ')'", ["a value"]),
    ("f:(a OR", 7, "The query ends", ["a value"]),
    ("f:(a", 4, "The query ends", ["AND", "OR", '")"']),
    ('"abc', 0, "never closed", ['a closing "']),
    ('f:"abc\\"', 2, "never closed", ['a closing "']),
    ('f:"a"b', 5, "right behind a closing quote", ["a space"]),
    ('f:a"b"', 3, "a quote inside a word", []),
    ("f:/abc", 2, "never closed", ["a closing /"]),
    ("f:/etc/passwd", 7, "right behind a regular expression", ["a space"]),
    ("f:/ab(?=c)/", 5, "look-around", []),
    (r"f:/(a)\1/", 6, "backreferences are not supported", []),
    ("f:/a)(b/", 4, "unopened group", []),
    ("f:/[a/", 3, "unclosed character class", []),
    ("f:/\\w{100000}/", 3, "size limit", []),
    ("f:/(?x)a#b/", 3, "unclosed group", []),
    ("https://example.com/a", 8, "right behind a regular expression", ["a space"]),
    ("f:>", 3, "The query ends", [A_BOUND]),
    ("f:>abc", 3, "Found 'abc'", [A_BOUND]),
    ("f:>=10.0.0.0/8", 4, "Found '10.0.0.0/8'", [A_BOUND]),
    ("f:<*", 3, "Found '*'", [A_BOUND]),
    ("f:(>5 AND <x)", 11, "Found 'x'", [A_BOUND]),
    ("f:[1 TO", 7, "The query ends", [A_BOUND]),
    ("f:[1 2]", 5, "Found '2]'", ["TO"]),
    ("f:[1 TO 2", 9, "The query ends", ['"]"']),
    ("f:[1 TO abc]", 8, "Found 'abc'", [A_BOUND]),
    ("f:[TO TO 5]", 3, "Found 'TO'", [A_BOUND]),
    ("f:[5 TO 1]", 3, "upside down", []),
    ("f:[2024-02-01 TO 2024-01-01]", 3, "upside down", []),
    ("f:[2024-01-01 TO 10.0.0.1]", 17, "from '2024-01-01' to '10.0.0.1'", ["two bounds of one kind"]),
    ("f:[10.0.0.1 TO ::1]", 15, "from '10.0.0.1' to '::1'", ["two bounds of one kind"]),
    ("source.ip:10.0.0.0/33", 10, "an IPv4 network has a length from 0 to 32, not 33", []),
    ("kw:10.0.0.0/33", 3, "an IPv4 network has a length from 0 to 32, not 33", []),
    ("10.0.0.0/33", 0, "an IPv4 network has a length from 0 to 32, not 33", []),
    ("f:(10.0.0.0/33 OR a)", 3, "an IPv4 network has a length from 0 to 32, not 33", []),
    ("source.ip:fe80::/129", 10, "an IPv6 network has a length from 0 to 128, not 129", []),
    ("source.ip:::ffff:10.0.0.0/8", 10, "in IPv6 notation has a length from 96 to 128, not 8", []),
    ("source.ip:fe80::1%eth0/64", 10, "the network fe80::1%eth0/64 has a zone", []),
    ("source.ip:10.0.0/8", 10, "no address and no network", []),
    ("source.ip:999.1.1.1", 10, "no address and no network", []),
    ("host.ip:1.2.3", 8, "no address and no network", []),
    ("source.ip:fe80:::1", 10, "no address and no network", []),
    ("f:{1 TO 2}", 2, "Found '{1'", ["a value"]),
    ("f:]x", 2, "Found ']", ["a value"]),
    ("<5", 0, "Found '<", ["a term"]),
    ("-user.name:root", 0, "Found '-user.name:root'", ["a term"]),
    ("!a", 0, "Found '!a'", ["a term"]),
    ("a && b", 2, "Found &&", ["AND"]),
    ("a || b", 2, "Found ||", ["OR"]),
    ("2001:db8::1", 0, "an address or a field", []),
    ("x 2001:db8::/32", 2, "an address or a field", []),
    ("fe80::1", 5, 'Found ":"', ["a value"]),
    ("us*r:x", 4, "a wildcard in a field's name", []),
    (r"f:C:\Windows", 4, r"Found \W", []),
    (r'f:"C:\Windows"', 5, r"Found \W", []),
    ("a\\", 1, "a lone backslash", []),
    ("a \ud800", 2, "surrogate", []),
]


@pytest.mark.parametrize(("text", "position", "detail", "expected"), BROKEN, ids=[ascii(row[0]) for row in BROKEN])
def test_broken_query_is_refused_with_its_position(text: str, position: int, detail: str, expected: list[str]) -> None:
    with pytest.raises(errors.QuerySyntaxError) as caught:
        query.parse(text)
    error = caught.value
    assert error.code == "query_syntax"
    assert error.extra["position"] == position
    assert error.extra["expected"] == expected
    assert detail in error.detail
    assert f"at position {position}" in error.detail
    assert error.hint


def test_caret_stands_below_the_mistake() -> None:
    with pytest.raises(errors.QuerySyntaxError) as caught:
        query.parse("a AND\tf:>abc OR x")
    assert caught.value.extra["caret"] == "a AND f:>abc OR x\n         ^"


def test_caret_shows_only_the_line_of_the_mistake() -> None:
    with pytest.raises(errors.QuerySyntaxError) as caught:
        query.parse("first\nAND f:>abc\nOR third")
    assert caught.value.extra["caret"] == "AND f:>abc\n       ^"


def test_caret_line_of_a_long_query_is_cut_around_the_mistake() -> None:
    text = "word " * 90 + "f:>abc " + "word " * 50
    with pytest.raises(errors.QuerySyntaxError) as caught:
        query.parse(text)
    line, caret = caught.value.extra["caret"].split("\n")
    assert len(line) == 102
    assert line.startswith("…")
    assert line.endswith("…")
    assert line[caret.index("^") :].startswith("abc ")


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("a " * 501, "more than 500 terms"),
        ("f:(" + "a " * 501 + ")", "more than 500 terms"),
        ("(a b) OR " * 300 + "c", "more than 500 terms"),
        ("a " * 32_000, "more than 500 terms"),
        ("NOT " * 101 + "a", "nested more than 100 deep"),
        ("NOT " * 16_000 + "a", "nested more than 100 deep"),
        ("a (b OR " * 60 + "c" + ")" * 60, "nested more than 100 deep"),
        ("f:(" + "(NOT " * 101 + "a" + ")" * 102, "nested more than 100 deep"),
        ("a" * 65_537, "65,537 bytes"),
        (" " * 65_537, "65,537 bytes"),
        ("é" * 32_769, "65,538 bytes"),
    ],
    ids=lambda value: value[:12],
)
def test_size_of_a_query_is_bounded(text: str, detail: str) -> None:
    with pytest.raises(errors.QuerySyntaxError, match=detail) as caught:
        query.parse(text)
    assert 0 <= caught.value.extra["position"] <= len(text)


@pytest.mark.parametrize(
    "text",
    ["a " * 500, "NOT " * 100 + "a", "(" * 30_000 + "a" + ")" * 30_000, "a" * 65_534, "f:(" + "a OR " * 499 + "a)"],
    ids=["terms", "depth", "parentheses", "bytes", "group"],
)
def test_largest_queries_are_read(text: str) -> None:
    node = query.parse(text)
    assert query.compile(node, {}).expression is not None
    assert query.parse(query.unparse(node)) == node


@pytest.mark.parametrize(
    "text",
    [
        'source.ip:"999.1.1.1"',
        'source.ip:"10.0.0.0/33"',
        "source.ip:unknown",
        "source.ip:10.*",
        "kw:10.0.0/8",
        "kw:999.1.1.1",
    ],
)
def test_what_is_no_address_can_still_be_looked_for(text: str) -> None:
    query.parse(text)
