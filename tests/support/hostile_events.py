"""Hypothesis strategies for events that no sane shipper would send."""

from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import strategies as st

NAMES = (
    "@timestamp",
    "@timestamp.original",
    "message",
    "source.ip",
    "source.port",
    "Source.IP",
    "event.category",
    "event.created",
    "event.risk_score",
    "event.duration",
    "file.code_signature.exists",
    "dns.answers",
    "tags",
    "labels",
    "labels.x",
    "process.args",
    "host",
    "host.name",
    "_overflow",
    "_day",
    "vendor.x",
    "vendor.X",
    "vendor.x.y",
    "vendor",
    "ProcessId",
    "ProcessID",
    "a b",
    "a,b",
    "a=b",
    "é",
    "É",
    "ß",
    "ẞ",
    "İ",
    "",
    ".",
    "a.",
    ".a",
    "a..b",
    "\x00",
    '"',
    "\\",
    "`q`",
    "x" * 300,
    "\u2028",
    "日本",
    "*",
    "^.$",
    "^.*$",
    "source.*",
    "?",
    "Ω",
    "ω",
)
TEXTS = (
    "",
    "a",
    "443",
    "10.0.0.1",
    "::1",
    "\x00",
    "\x1f\x7f",
    '"\\/\b\f\n\r\t',
    "\u2028\u2029",
    "é",
    "😀",
    "\ud800",
    "x\udfffy",
    "2024-01-01T00:00:00Z",
    "2024-01-01T00:00:00.000Z",
    "2024-01-01T00:00:00.123Z",
    "2024-01-01T00:00:00.123456Z",
    "2024-01-01T00:00:00.123456789Z",
    "2024-01-01T01:00:00+01:00",
    "2024-01-01 00:00:00",
    "9999-12-31T23:59:59.999998Z",
    "0001-01-01T00:00:00Z",
    "2016-12-31T23:59:60Z",
    "2024-02-30T00:00:00Z",
    "null",
    "true",
    "{}",
    "[]",
)
TOKENS = (
    "0",
    "-0",
    "1",
    "-1",
    "22",
    "443",
    "1.0",
    "1.5",
    "-0.0",
    "0.10",
    "1e5",
    "1E5",
    "1e+16",
    "1e16",
    "1e-7",
    "1e-07",
    "1e400",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "0.1234567890",
    "123456789.123456789123",
    "1700000000",
    "1700000000123",
    "1700000000.5",
    "9" * 700,
)
"""JSON numbers, as they are written."""


class Token(str):
    """A number as it shall be written."""

    __slots__ = ()


_SCALARS = st.one_of(
    st.sampled_from(TEXTS),
    st.sampled_from(TOKENS).map(Token),
    st.sampled_from([None, True, False]),
    st.text(st.characters(codec=None), max_size=6),
    st.integers().map(lambda number: Token(str(number))),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda number: Token(repr(number))),
)
_NAMES = st.sampled_from(NAMES) | st.text(st.characters(codec="utf-8"), max_size=5)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=5,
)
EVENTS = st.dictionaries(_NAMES, _SCALARS | _VALUES, max_size=7)
"""Events as Python has them, numbers as Token."""


def render(value: Any, style: random.Random | None = None) -> str:
    """JSON text of an event; with `style`, spaces and escapes as they may come."""
    ascii_only = style is not None and style.random() < 0.3
    space = style.choice(["", "", " ", "\t"]) if style is not None else ""

    def write(value: Any) -> str:
        if isinstance(value, Token):
            return str(value)
        if isinstance(value, dict):
            members = (f"{write(name)}{space}:{space}{write(member)}" for name, member in value.items())
            return f"{{{space}{f',{space}'.join(members)}{space}}}"
        if isinstance(value, list):
            return f"[{space}{f',{space}'.join(map(write, value))}]"
        text = json.dumps(value, ensure_ascii=ascii_only)
        return "".join(f"\\u{ord(c):04x}" if 0xD800 <= ord(c) < 0xE000 else c for c in text)

    return write(value)
