"""The `Range` header of HTTP, as far as S3 honours it: one range of bytes."""

from __future__ import annotations

import re

_ONE_RANGE = re.compile(r"bytes=\s*(\d{0,19})-(\d{0,19})\s*", re.ASCII)


class Unsatisfiable(Exception):
    """The range is well-formed and holds no byte of the object."""


def parse(header: str, size: int) -> tuple[int, int] | None:
    """The half-open range [start, end) that `header` asks of an object of `size` bytes; None: the whole object.

    Absent, malformed and multiple ranges mean the whole object (RFC 9110 §14.2 allows it, and S3 does it).

    Raises:
        Unsatisfiable: no byte of the object is in the range.
    """
    match = _ONE_RANGE.fullmatch(header)
    if not match or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first and last and int(last) < int(first):
        return None
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1 if last else size, size)
    if start >= end:
        raise Unsatisfiable
    return start, end
