"""LineEncoder: one selection of fields, ready to turn frames into JSON Lines by the kernel or the reference."""

from __future__ import annotations

import dataclasses
import importlib
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from penstock import errors
from penstock.encode import reference
from penstock.fields.types import OVERFLOW, RESERVED, FieldType

logger = logging.getLogger(__name__)

CHUNK_BYTES = 512 * 1024
"""Lines handed to the deflater at once. Small enough that they never leave the core's cache (docs/encoding.md)."""

_NEWLINE = re.compile(b"\n")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Lines:
    """JSON Lines of one frame.

    Attributes:
        data: bytes-like (buffer protocol), one line an event, each ended by a newline; a memoryview copies nothing.
        events: how many lines there are.
    """

    data: Any
    events: int


class Chunk(NamedTuple):
    """Some whole lines.

    Attributes:
        lines: bytes-like.
        events: how many lines.
        marks: where their values begin and end, for `kernels.deflate`; empty where that is not known.
    """

    lines: Any
    events: int
    marks: Any


def cut(data: Any, chunk_bytes: int = CHUNK_BYTES) -> Iterator[memoryview]:
    """Whole lines of `data`, each piece ending with the first line that brings it to `chunk_bytes` or more.

    Where the pieces end depends on the lines alone, which keeps the deflated bytes the same however they were made.
    """
    view = memoryview(data)
    start = 0
    while start < len(view):
        # A regular expression, since a memoryview has no `find`, and bytes of it would be a copy.
        newline = _NEWLINE.search(view, start + chunk_bytes - 1)
        end = newline.end() if newline else len(view)
        yield view[start:end]
        start = end


class LineEncoder:
    """Turns frames into JSON Lines of the chosen fields, in the order asked. Holds no state between frames.

    Safe to share between threads. The compiled kernel does the work without the GIL; where it was not built, a
    RuntimeWarning says so once and the reference encoder (about fifty times slower) takes over.
    """

    def __init__(self, fields: Sequence[str], types: Mapping[str, FieldType], *, kernel: bool = True) -> None:
        """Prepare for `fields`.

        Args:
            fields: names to write, without duplicates, in this order.
            types: type of each typed column; a field without one is rendered as its Arrow type says.
            kernel: False forces the reference encoder.

        Raises:
            ValueError: a field is named twice.
        """
        self.fields = tuple(fields)
        if len(set(self.fields)) != len(self.fields):
            raise ValueError(f"a field is named twice: {self.fields}")
        self.types = dict(types)
        module = compiled_module("penstock.kernels.lines") if kernel else None
        # Their column is text in Arrow, as a keyword's is; only the field's type says that it must not be quoted again.
        json_fields = frozenset(name for name in self.fields if self.types.get(name) is FieldType.JSON)
        self._layout = module.Layout(self.fields, json_fields, OVERFLOW, RESERVED) if module else None

    @property
    def compiled(self) -> bool:
        """Whether the kernel does the work."""
        return self._layout is not None

    def encode(self, frame: Any) -> Lines:
        """All lines of a frame at once.

        Args:
            frame: anything with `__arrow_c_stream__`, such as a Polars DataFrame.

        Raises:
            TypeError: a column's Arrow type has no JSON form here.
            ExportFailed: `corrupt_event`: a stored value cannot have come from ingest.
        """
        try:
            if self._layout is None:
                data = reference.encode(frame, self.fields, self.types)
                return Lines(data=data, events=data.count(b"\n"))
            data, events = self._layout.encode(frame)
            return Lines(data=data, events=events)
        except ValueError as error:
            raise _corrupt(error) from error

    def chunks(self, frame: Any, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
        """The same lines piece by piece, each piece cut as `cut` does.

        The memory of a piece is used again once nobody holds it, so a frame of any size needs about two pieces.

        Raises:
            TypeError, ExportFailed: as `encode`.
        """
        if self._layout is None:
            for piece in cut(self.encode(frame).data, chunk_bytes):
                yield Chunk(piece, bytes(piece).count(b"\n"), b"")
            return
        try:
            yield from map(Chunk._make, self._layout.chunks(frame, chunk_bytes))
        except ValueError as error:
            raise _corrupt(error) from error


def _corrupt(error: ValueError) -> errors.ExportFailed:
    return errors.ExportFailed(
        "corrupt_event",
        f"An event of the lake cannot be written as JSON: {error}.",
        "Another program than Penstock wrote or changed the table. Correct or remove that event, then export again.",
    )


def compiled_module(name: str) -> Any:
    """A compiled module of this room, or None after one warning for all of them."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        _warn_once(str(error))
        return None


_warned: list[str] = []


def _warn_once(reason: str) -> None:
    # `warnings` filters could show it once for each place; threads of one export would log it many times.
    if _warned:
        return
    _warned.append(reason)
    logger.warning("encode kernel missing, the slow reference encoder takes over", extra={"reason": reason})
    warnings.warn(
        f"Penstock's compiled encoder is missing ({reason}); exports run about fifty times slower. "
        "Build it with `python setup.py build_ext --inplace`.",
        RuntimeWarning,
        stacklevel=4,
    )
