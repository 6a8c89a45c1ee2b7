"""JSON with exact numbers: what an event brought is what a script sees, and what it writes again.

An integer is `int`, a number with a fraction `float` where that is the very number; whatever neither holds exactly
(`0.12345678901234567890`, 1e400, 5,000 digits) is a `decimal.Decimal`.
"""

from __future__ import annotations

import decimal
import json
import re
import secrets
from collections.abc import Callable
from typing import Any

MAX_INTEGER_DIGITS = 640
"""A longer integer is a Decimal: Python may refuse to convert it (640 is the least limit it can be given)."""


def loads(text: str | bytes) -> Any:
    """The JSON value of a text. Raises ValueError."""
    return json.loads(text, parse_int=_integer, parse_float=_fraction)


def dumps(value: Any, *, indent: int | None = None, default: Callable[[Any], Any] | None = None) -> str:
    """JSON text of a value that `loads` gave, Decimals as the numbers they are; UTF-8 unescaped.

    `default` gives a JSON value for what is none, as in `json.dumps`; without it such a value is a TypeError.
    """
    # `json` cannot write a Decimal: each goes through as a text that no event can hold, and then loses its quotes.
    mark = secrets.token_hex(8)

    def marked(one: Any) -> Any:
        if isinstance(one, decimal.Decimal) and one.is_finite():
            return f"{mark}{one}"
        if default is not None:
            return default(one)
        raise TypeError(f"{type(one).__name__} is no JSON value")

    separators = None if indent is not None else (",", ":")
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators, default=marked)
    return re.sub(f'"{mark}([^"]*)"', r"\1", text)


def _integer(digits: str) -> int | decimal.Decimal:
    return int(digits) if len(digits) <= MAX_INTEGER_DIGITS else decimal.Decimal(digits)


def _fraction(token: str) -> float | decimal.Decimal:
    # `value - value` is 0 for finite numbers only. The digits of `repr` are compared: a float's exact value is hardly
    # ever the decimal that was written.
    value, exact = float(token), decimal.Decimal(token)
    return value if value - value == 0 and decimal.Decimal(repr(value)) == exact else exact
