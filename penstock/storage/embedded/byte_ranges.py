"""The `Range` header of HTTP, as far as S3 honours it: one range of bytes."""

from __future__ import annotations

import re

# 19 digits hold every size a file can have; Python refuses to read an integer of more than 4,300. ASCII: `\d` alone
# takes the digits of other scripts.
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
    # Not valid, and so ignored, which is not the same as unsatisfiable (RFC 9110 §14.1.1).
    if first and last and int(last) < int(first):
        return None
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1 if last else size, size)
    # `bytes=-0` too: the last no bytes are no range that could be sent (RFC 9110 §14.1.2).
    if start >= end:
        raise Unsatisfiable
    return start, end
