"""Random events, queries and frames for the property tests of the query room."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from hypothesis import strategies as st

from penstock.fields import types, values
from penstock.query import ast, literals

TYPES: dict[str, types.FieldType] = {
    "kw": types.FieldType.KEYWORD,
    "text.of-it": types.FieldType.TEXT,
    "source.ip": types.FieldType.IP,
    "port": types.FieldType.LONG,
    "score": types.FieldType.DOUBLE,
    "is_ok": types.FieldType.BOOLEAN,
    "@timestamp": types.FieldType.DATE,
    "list": types.FieldType.KEYWORD_LIST,
    "json": types.FieldType.JSON,
}
FIELDS = (*TYPES, "new", 'odd "name"\\é')
DTYPES: dict[types.FieldType, pl.DataType] = {
    types.FieldType.LONG: pl.Int64(),
    types.FieldType.DOUBLE: pl.Float64(),
    types.FieldType.BOOLEAN: pl.Boolean(),
    types.FieldType.DATE: pl.Datetime("us", "UTC"),
    types.FieldType.KEYWORD_LIST: pl.List(pl.String),
}
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

WORDS = (
    "a", "b", "A", "failed", "Failed", "FAILED password", "failed password", "failed, password!", "xfailed", "failed_x",
    "password failed", "", " ", "-", "->", "a.b*c", "a?b", "(a|b)", "x\ny", "C:\\Windows\\cmd.exe", "/etc/passwd", '"',
    "straße", "STRASSE", "STRAßE", "ſ", "S", "s", "K", "k", "Σ", "ς", "σ", "İ", "i", "I", "ı", "É", "é", "e\u0301",
    "日本", "日本語", "ⓐ", "Ⓐ", "²", "Ⅷ", "ⅷ", "a\u200db", "😀", "\x00", "null", "true", "false",
    "True", "a,b", "[]", "{}",
)  # fmt: skip
NUMBERS = (
    "0", "-0", "1", "-1", "443", "443.0", "443.5", "0443", "4.43e2", "1e3", "1000", "9007199254740992",
    "9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
    "18446744073709551616",
    "0.1", "0.10", "1e400", "-1e400", "1e-400", "1e22", "1e16", "123456789012345678901234567890", "1E3", "1.5", "-1.5",
)  # fmt: skip
DATES = (
    "2024-01-01", "2024-01-02", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00.123Z", "2024-01-01T00:00:00.123456Z",
    "2024-01-01T00:00:00.1234567Z", "2024-01-01T02:00:00+02:00", "2024-01-01 00:00", "2024-01-01T00:00", "0001-01-01",
    "9999-12-31T23:59:59.999999Z", "9999-12-31", "2024-02-30", "2024-01-01T23:59:60Z", "2023-12-31T23:59:59Z",
    "0001-01-01T00:00:00+14:00",
)  # fmt: skip
ADDRESSES = (
    "10.0.0.1", "10.0.0.2", "10.1.2.3", "10.255.255.255", "11.0.0.0", "0.0.0.0", "255.255.255.255", "192.168.1.77",
    "::ffff:10.0.0.1", "::FFFF:10.0.0.1", "::fFfF:10.0.0.1", "::ffff:a00:1", "::1", "0:0:0:0:0:0:0:1", "::", "fe80::1",
    "FE80::1", "fe80::1%eth0", "2001:db8::1", "2001:db8:0:0::1", "2001:db8:ffff::", "010.0.0.1", "10.0.0", "10.0.0.256",
    "::10.0.0.1", "1::ffff:10.0.0.1",
)  # fmt: skip
NETWORKS = (
    "10.0.0.0/8", "10.0.0.1/8", "10.0.0.0/9", "10.0.0.0/31", "10.0.0.1/32", "0.0.0.0/0", "192.168.1.64/26", "::/0",
    "fe80::/10", "2001:db8::/32", "::1/128", "10.0.0.0/33", "fe80::/129", "::ffff:10.0.0.0/8", "10.0.0.0/", "/8",
    "10.0.0.0/08", "1.2.3.4/20",
)  # fmt: skip
PIECES = (
    "failed",
    "pass",
    "a",
    "A",
    "é",
    "É",
    "ß",
    "->",
    " ",
    ".",
    "10.",
    "4",
    "e",
    "Z",
    "K",
    "日",
    "\n",
    "1",
    ":",
    "t",
)
PATTERNS = (
    "a", "A|b", ".*", ".+", "[a-z]+", r"\d+", r"(?i)FAILED.*", r"(?s).*y", r"10\..*", "", r"\w+", "a|", r"^a$", r".{3}",
    r"4{2}3", r"true", r"2024-.*Z", "é", r"\p{Lu}.*", r"(?x) a b", r"[^\/]*",
)  # fmt: skip

unicode_text = st.text(st.characters(max_codepoint=0x24FF, exclude_categories=("Cs", "Cn")), max_size=6).filter(
    lambda text: not set(text) & set("\u0390\u1fd3\u03b0\u1fe3")
)
"""Characters that Python and Rust know alike; the four have been folded in pairs only since Unicode 15.1."""

literal_text = st.one_of(st.sampled_from(WORDS + NUMBERS + DATES + ADDRESSES + NETWORKS), unicode_text)
instants = st.one_of(
    st.sampled_from(DATES).map(literals.instant).filter(lambda us: us is not None),
    st.integers(-62135596800_000_000, 253402300799_999_999),
).filter(lambda us: -62135596800_000_000 <= us <= 253402300799_999_999)
json_numbers = st.one_of(
    st.sampled_from(NUMBERS).filter(lambda text: text != "0443").map(values.loads),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
)
scalars = st.one_of(
    literal_text, literal_text, json_numbers, st.booleans(), st.none(), instants.map(values.render_timestamp)
)
anything = st.one_of(
    scalars,
    scalars,
    st.lists(literal_text, max_size=3),
    st.lists(scalars, max_size=3),
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(literal_text, inner, max_size=2),
        max_leaves=4,
    ),
)
FITTING: dict[types.FieldType, st.SearchStrategy[Any]] = {
    types.FieldType.LONG: json_numbers,
    types.FieldType.DOUBLE: json_numbers,
    types.FieldType.BOOLEAN: st.booleans(),
    types.FieldType.DATE: instants.map(values.render_timestamp),
    types.FieldType.KEYWORD_LIST: st.lists(literal_text, max_size=3),
    types.FieldType.JSON: anything,
}
"""Values that a column of the type can often hold; all others are strings."""


def usual(field: str) -> st.SearchStrategy[Any]:
    """Values that the field's column can often hold."""
    return FITTING.get(TYPES[field], literal_text) if field in TYPES else anything


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    event = {}
    for field in draw(st.lists(st.sampled_from(FIELDS), unique=True, max_size=6)):
        event[field] = draw(st.one_of(usual(field), usual(field), usual(field), anything))
    return event


def frame_of(batch: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """The events as the lake keeps them: typed columns, and an overflow for what does not fit."""
    rows: dict[str, list[Any]] = {field: [] for field in (*TYPES, types.OVERFLOW)}
    for event in batch:
        overflow = {}
        for field, value in event.items():
            if field not in TYPES or not values.fits(TYPES[field], value):
                overflow[field] = value
        for field, field_type in TYPES.items():
            held = event[field] if field in event and field not in overflow else None
            rows[field].append(_column_value(field_type, held, is_held=field in event and field not in overflow))
        rows[types.OVERFLOW].append(values.dumps(overflow) if overflow else None)
    schema = {field: DTYPES.get(field_type, pl.String()) for field, field_type in TYPES.items()}
    return pl.DataFrame(rows, schema={**schema, types.OVERFLOW: pl.String()})


def _column_value(field_type: types.FieldType, value: Any, *, is_held: bool) -> Any:
    if not is_held:
        return None
    if field_type is types.FieldType.JSON:
        return values.dumps(value)
    if field_type is types.FieldType.DATE:
        microseconds = literals.instant(value)
        assert microseconds is not None
        return EPOCH + dt.timedelta(microseconds=microseconds)
    return value


def _ranges(texts: Sequence[str]) -> st.SearchStrategy[ast.Test]:
    bounds = st.sampled_from([text for text in texts if literals.bound(text) is not None])
    compare = st.builds(lambda op, bound: ast.Compare(operator=op, bound=bound), st.sampled_from(ast.Operator), bounds)
    closed = st.tuples(st.none() | bounds, st.none() | bounds).map(_ordered).filter(lambda test: test is not None)
    return compare | closed  # type: ignore[return-value]


def _ordered(ends: tuple[str | None, str | None]) -> ast.Test | None:
    low, high = ends
    if low is None and high is None:
        return None
    if low is not None and high is not None:
        one, other = literals.bound(low), literals.bound(high)
        assert one is not None
        assert other is not None
        if not literals.is_comparable(one, other):
            return None
        if literals.is_after(one, other):
            low, high = high, low
    return ast.Range(low=low, high=high)


equals = literal_text.map(lambda text: ast.Equals(text=text))
like = st.lists(st.one_of(st.sampled_from(PIECES), st.sampled_from(ast.Wild)), min_size=1, max_size=5).map(ast.like)
regexes = st.sampled_from(PATTERNS).map(lambda pattern: ast.Regex(pattern=pattern))
tests = st.one_of(
    equals,
    equals,
    equals,
    like,
    like,
    regexes,
    st.just(ast.Exists()),
    _ranges(NUMBERS),
    _ranges(DATES),
    _ranges(ADDRESSES),
)


def _term(field: str | None, test: ast.Test) -> ast.Node:
    if field is None and isinstance(test, ast.Exists):
        return ast.Everything()
    if field is None and isinstance(test, (ast.Compare, ast.Range)):
        field = "port"
    return ast.Term(field=field, test=test)


terms = st.builds(_term, st.one_of(st.sampled_from(FIELDS), st.sampled_from(FIELDS), st.none()), tests)
nodes: st.SearchStrategy[ast.Node] = st.recursive(
    terms,
    lambda inner: st.one_of(
        inner.map(lambda item: ast.Not(item=item)),
        st.lists(inner, min_size=2, max_size=3).map(ast.all_of),
        st.lists(inner, min_size=2, max_size=3).map(ast.any_of),
    ),
    max_leaves=6,
)
