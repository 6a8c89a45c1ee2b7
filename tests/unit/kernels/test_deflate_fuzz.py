"""A standing fuzz of the deflater against zlib: another seed in every run, which a failure names.

    PENSTOCK_FUZZ_SECONDS=3600 pytest tests/unit/kernels/test_deflate_fuzz.py        as long as you like

Lines as the kernel writes them, out of columns of every habit (constant, few values, counters, random, templates with
values in them, free text), and marks that lie: the lines come back whatever the marks say.
"""

from __future__ import annotations

import os
import random
import struct
import time
import zlib

import polars as pl
import pytest

from penstock import encode

deflate = pytest.importorskip("penstock.kernels.deflate")

SECONDS = float(os.environ.get("PENSTOCK_FUZZ_SECONDS", "2"))
KINDS = 5  # of marks (kernels/include/marks.h)
COLUMNS = 64
WORDS = [
    *(
        "user",
        "session",
        "opened",
        "failed",
        "password",
        "for",
        "from",
        "port",
        "ssh2",
        "=",
        ":",
        "/",
        "é",
        "日本",
        "\n",
    ),
    *('"', "\\", "{", "}", "->", "GET", "HTTP/1.1", "10.0.0.", "C:\\Windows\\", "CN=", "\U0001f600"),
]


def text(chance: random.Random, words: int) -> str:
    return " ".join(chance.choice(WORDS) + str(chance.randrange(10 ** chance.randrange(8))) for _ in range(words))


def column(chance: random.Random, rows: int) -> pl.Series:
    habit = chance.randrange(8)
    if habit == 0:
        return pl.Series([text(chance, 3)] * rows)
    if habit == 1:
        pool = [text(chance, chance.randrange(9)) for _ in range(chance.randrange(1, 500))]
        return pl.Series([chance.choice(pool) for _ in range(rows)])
    if habit == 2:
        start = chance.randrange(2**50)
        return pl.Series(range(start, start + rows))
    if habit == 3:
        return pl.Series([chance.randbytes(chance.randrange(1, 40)).hex() for _ in range(rows)])
    if habit == 4:
        template = [text(chance, 2) for _ in range(chance.randrange(1, 30))]
        return pl.Series(["|".join(f"{part}{chance.randrange(1000)}" for part in template) for _ in range(rows)])
    if habit == 5:
        us = [1_700_000_000_000_000 + n * chance.randrange(1, 99) for n in range(rows)]
        return pl.Series(us).cast(pl.Datetime("us", "UTC"))
    if habit == 6:
        return pl.Series(
            [[text(chance, 1) for _ in range(chance.randrange(4))] for _ in range(rows)], dtype=pl.List(pl.String)
        )
    return pl.Series(
        [text(chance, chance.randrange(60)) if chance.random() < 0.7 else None for _ in range(rows)], dtype=pl.String
    )


def lying_marks(chance: random.Random, size: int) -> bytes:
    """Ascending, not overlapping, and otherwise anything."""
    ends = sorted(chance.randrange(size + 1) for _ in range(2 * chance.randrange(1, 2000)))
    pairs = [(start, end) for start, end in zip(ends[::2], ends[1::2], strict=True) if start < end]
    return b"".join(
        struct.pack("<IIHH", start, end, chance.randrange(COLUMNS), chance.randrange(KINDS)) for start, end in pairs
    )


@pytest.mark.parametrize("level", ["fastest", "fast"])
def test_whatever_comes_in_comes_out(level: str) -> None:
    until, seed = time.monotonic() + SECONDS, random.SystemRandom().randrange(2**48)
    while time.monotonic() < until:
        seed += 1
        chance = random.Random(seed)
        rows = chance.choice([1, 30, 900, 6000])
        frame = pl.DataFrame({f"field.{n}": column(chance, rows) for n in range(chance.randrange(1, 9))})
        encoder = encode.LineEncoder(frame.columns, {})
        lines = bytes(encoder.encode(frame).data)
        segment = encode.gzip.encode_slice(encoder, frame, level).data
        assert zlib.decompressobj(-15).decompress(segment) == lines, f"seed {seed}"

        deflater = deflate.Deflater(level)
        deflater.add(lines, lying_marks(chance, len(lines)))
        assert zlib.decompressobj(-15).decompress(deflater.finish()) == lines, f"seed {seed}, marks that lie"
