"""Whole lines of a text that comes in pieces."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from penstock.fields import refused


@dataclasses.dataclass(frozen=True, slots=True)
class Lines:
    """JSON texts, each of which should be an event.

    Attributes:
        numbers: line number of each text (1-based; of its first line where it has several), or its row number.
        texts: the texts; any of them may go over several lines.
        refused: what cannot even be written as such a text: its number, why, and its bytes if there are any.
    """

    numbers: Sequence[int]
    texts: Sequence[bytes]
    refused: Sequence[tuple[int, refused.EventRefused, bytes]] = ()


def whole(pieces: Iterable[bytes], max_bytes: int) -> Iterator[tuple[int, list[bytes]]]:
    """Lines without their ends, and the number of the first of them, for every piece.

    A line longer than `max_bytes` comes cut to one byte more, which whoever reads it refuses for its length.
    """
    number = 1
    rest = b""
    for piece in pieces:
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()[: max_bytes + 1]
        if lines:
            yield number, lines
            number += len(lines)
    if rest:
        yield number, [rest]
