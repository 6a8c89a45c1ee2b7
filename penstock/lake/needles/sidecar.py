"""The sidecar of a data file: Bloom filters of all its row groups, with a checksum for each page.

Layout, all integers little-endian:

    8 bytes   magic          4 bytes  length of the header     4 bytes  CRC-32 of the header
    header    JSON: format, unicode, file, rows, blocks, without (see `_Header`)
    checksums CRC-32 of each page of the filters, and behind them the CRC-32 of these
    zeros     up to a multiple of PAGE_BYTES
    filters   block by block, each for all row groups, 32 bytes a row group
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import polars as pl

from penstock.fields import types
from penstock.fields.types import FieldType
from penstock.lake.needles import keys
from penstock.query import words

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FORMAT = 1
"""Changes with the layout, the keys or their hashes."""

PAGE_BYTES = 4096
"""A checksum for each: what a disk reads at once. A bit that is lost would be an event that is lost."""

BITS_A_KEY = 12
"""0.5 % of the row groups without a value are read in vain; 10 bits: 1.3 %, 16 bits: 0.1 %."""

SMALLEST_BYTES = 16 * 1024 * 1024
"""Weight of a data file from which on it gets a sidecar. Smaller ones are joined soon, and reading them costs little
more than asking."""

MOST_HEADER_BYTES = 4 * 1024 * 1024
_HEAD_BYTES = 65_536
"""Read at once at the beginning: header and checksums of nearly every sidecar."""

_MAGIC = b"PKneedle"
_START = struct.Struct("<8sII")
_CRC = struct.Struct("<I")

ReadRange: TypeAlias = Callable[[int, int], bytes]
"""(offset, length) → those bytes of the sidecar, fewer at its end."""


class Damaged(Exception):
    """The sidecar is not what was written; nothing it says can be used."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Header:
    """What a sidecar says of itself.

    Attributes:
        format: FORMAT.
        unicode: the version of Unicode that words were made with.
        file: base name of the data file.
        rows: rows of each row group.
        blocks: blocks of each row group's filter.
        without: for each row group, its columns whose values have no field keys.
    """

    format: int
    unicode: str
    file: str
    rows: list[int]
    blocks: int
    without: list[list[str]]


def path_of(data_path: str) -> str:
    """Where the sidecar of a data file lies: beside it. Foreign readers and vacuums leave names with `_` alone."""
    folder, name = os.path.split(data_path)
    return os.path.join(folder, f"_{name.removesuffix('.parquet')}.needles")


def content(row_groups: Iterable[pl.DataFrame], columns: Mapping[str, FieldType], name: str) -> bytes:
    """The sidecar of a data file whose row groups are these frames; the same bytes for the same file.

    Args:
        row_groups: the file's rows in order, cut as its row groups are; one is in memory at a time.
        columns: field types of all columns but the overflow.
        name: base name of the data file.

    Raises:
        ValueError: an overflow or a json column holds text that is no compact JSON: let the file have no sidecar.
    """
    rows, found, without = [], [], []
    for frame in row_groups:
        group_keys, group_without = keys.of_frame(frame, columns)
        rows.append(frame.height)
        found.append(group_keys)
        without.append(sorted(group_without))
    # One number for all row groups, by the fullest: only so are the blocks of one key neighbours in the file.
    blocks = 1 + max((len(group_keys) for group_keys in found), default=0) * BITS_A_KEY // (8 * keys.kernel.BLOCK_BYTES)
    header = _Header(format=FORMAT, unicode=words.table_version(), file=name, rows=rows, blocks=blocks, without=without)
    return _packed(header, _filters(found, blocks))


def of_frame(
    frame: pl.DataFrame, weight: int, group_rows: int, columns: Mapping[str, FieldType], name: str
) -> bytes | None:
    """The sidecar of a data file of this name that holds `frame`, of this weight, in row groups of so many rows.

    None for small files, and for text that is no JSON: then the file has no sidecar.
    """
    if weight < SMALLEST_BYTES:
        return None
    groups = (frame.slice(start, group_rows) for start in range(0, frame.height, group_rows))
    try:
        return content(groups, columns, name)
    except ValueError:
        return None


def content_of_file(location: str, rows: Sequence[int], columns: Mapping[str, FieldType]) -> bytes:
    """The sidecar of a data file that exists, whose row groups have so many rows. Raises as `content` does."""
    scan = pl.scan_parquet(location, glob=False, hive_partitioning=False)
    known = [name for name in scan.collect_schema() if name in columns or name == types.OVERFLOW]
    starts = itertools.accumulate(rows, initial=0)
    frames = (scan.select(known).slice(start, count).collect() for start, count in zip(starts, rows, strict=False))
    return content(frames, columns, os.path.basename(location))


def _filters(found: Sequence[npt.NDArray[np.uint64]], blocks: int) -> bytearray:
    filters = bytearray(blocks * len(found) * keys.kernel.BLOCK_BYTES)
    for group, group_keys in enumerate(found):
        keys.kernel.filter_add(filters, blocks, len(found), group, group_keys)
    return filters


def _packed(header: _Header, filters: bytearray) -> bytes:
    text = json.dumps(dataclasses.asdict(header), ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )
    sums = b"".join(
        _CRC.pack(zlib.crc32(filters[start : start + PAGE_BYTES])) for start in range(0, len(filters), PAGE_BYTES)
    )
    head = _START.pack(_MAGIC, len(text), zlib.crc32(text)) + text + sums + _CRC.pack(zlib.crc32(sums))
    # The filters begin at a page, so that a probe reads and checks one page and not two.
    return head.ljust(_aligned(len(head)), b"\0") + filters


def _aligned(size: int) -> int:
    return -(-size // PAGE_BYTES) * PAGE_BYTES


class Sidecar:
    """What a sidecar says. Reads only the pages that are asked for, and checks each. Not safe from several threads.

    Attributes:
        rows: rows of each row group.
        without_field_keys: for each row group, the columns whose values have no field keys.
    """

    def __init__(self, header: _Header, sums: bytes, start: int, read_range: ReadRange) -> None:
        self.rows = header.rows
        self.without_field_keys = [frozenset(names) for names in header.without]
        self._blocks = header.blocks
        self._sums = sums
        self._start = start
        self._read_range = read_range
        self._pages: dict[int, bytes] = {}

    def has(self, key: int) -> list[bool]:
        """For each row group whether it may hold the key.

        Raises:
            Damaged: a page is not what was written.
        """
        size, groups = keys.kernel.BLOCK_BYTES, len(self.rows)
        # As `bl_block_of` in the kernel: the upper half of the key chooses the block.
        offset = (key >> 32) * self._blocks // 2**32 * groups * size
        blocks = self._bytes(offset, groups * size)
        return [bool(keys.kernel.block_has(blocks[at : at + size], key)) for at in range(0, groups * size, size)]

    def _bytes(self, offset: int, length: int) -> bytes:
        first, last = offset // PAGE_BYTES, (offset + length - 1) // PAGE_BYTES
        joined = b"".join(self._page(number) for number in range(first, last + 1))
        return joined[offset - first * PAGE_BYTES :][:length]

    def _page(self, number: int) -> bytes:
        if number not in self._pages:
            whole = self._blocks * len(self.rows) * keys.kernel.BLOCK_BYTES
            length = min(PAGE_BYTES, whole - number * PAGE_BYTES)
            page = self._read_range(self._start + number * PAGE_BYTES, length)
            if len(page) != length or zlib.crc32(page) != _CRC.unpack_from(self._sums, 4 * number)[0]:
                raise Damaged
            self._pages[number] = page
        return self._pages[number]


def read(read_range: ReadRange, name: str, rows: int) -> Sidecar | None:
    """The sidecar that `read_range` reads; None if nothing in it can be used.

    `name` and `rows` are the data file's base name and its number of rows: a sidecar of another file is of no use.

    What `read_range` raises is the caller's.
    """
    try:
        found = _read(read_range, name)
    except (Damaged, ValueError, TypeError):  # UnicodeDecodeError and JSON's errors are ValueErrors
        return None
    # A file restored from a backup may stand beside the sidecar of another.
    return found if sum(found.rows) == rows else None


def _read(read_range: ReadRange, name: str) -> Sidecar:
    head = read_range(0, _HEAD_BYTES)
    magic, length, crc = _START.unpack_from(head.ljust(_START.size, b"\0"))
    # Bounded before it is read: the length of a damaged file may be anything.
    if magic != _MAGIC or length > MOST_HEADER_BYTES:
        raise Damaged
    head = _at_least(head, _START.size + length, read_range)
    text = head[_START.size : _START.size + length]
    if zlib.crc32(text) != crc:
        raise Damaged
    header = _Header(**json.loads(text.decode("utf-8", "surrogatepass")))
    if header.format != FORMAT or header.unicode != words.table_version() or header.file != name:
        raise Damaged
    pages = -(-header.blocks * len(header.rows) * keys.kernel.BLOCK_BYTES // PAGE_BYTES)
    end = _START.size + length + 4 * pages
    head = _at_least(head, end + 4, read_range)
    sums = head[_START.size + length : end]
    if zlib.crc32(sums) != _CRC.unpack_from(head, end)[0]:
        raise Damaged
    return Sidecar(header, sums, _aligned(end + 4), read_range)


def _at_least(head: bytes, size: int, read_range: ReadRange) -> bytes:
    if len(head) < size:
        head = read_range(0, size)
    if len(head) < size:
        raise Damaged
    return head


@contextlib.contextmanager
def read_file(location: str, name: str, rows: int) -> Iterator[Sidecar | None]:
    """The sidecar in a local file, as `read`; None also where the file is not there or cannot be read.

    The sidecar can be asked inside the `with` only.
    """
    try:
        descriptor = os.open(location, os.O_RDONLY)
    except OSError:
        yield None
        return
    try:
        yield read(lambda offset, length: _pread(descriptor, offset, length), name, rows)
    finally:
        os.close(descriptor)


def _pread(descriptor: int, offset: int, length: int) -> bytes:
    """Fewer bytes where the disk fails: a sidecar is damaged then, and nothing else."""
    try:
        return os.pread(descriptor, length, offset)
    except OSError:
        return b""
