"""The cutter: legal sizes, the same cut after a resume, one readable gzip file."""

from __future__ import annotations

import gzip as standard_gzip
import hashlib
import random

import hypothesis
import pytest
from hypothesis import strategies as st

from penstock.encode import gzip
from penstock.evidence.facts import PartFacts
from penstock.export import parts


def segment_of(lines: list[bytes]) -> gzip.Segment:
    segment = gzip.deflate(b"".join(line + b"\n" for line in lines), "fast")
    return gzip.Segment(data=segment.data, raw_bytes=segment.raw_bytes, crc32=segment.crc32, events=len(lines))


def cut_all(segments: list[gzip.Segment], part_bytes: int, done: list[PartFacts] | None = None) -> list[parts.Part]:
    cutter = parts.PartCutter(part_bytes=part_bytes, done=done or [])
    cut = [part for segment in segments[cutter.next_slice :] if (part := cutter.add(segment))]
    return [*cut, cutter.finish()]


slices = st.lists(st.lists(st.binary(max_size=40).filter(lambda b: b"\n" not in b), max_size=6), max_size=12)


@hypothesis.given(slices, st.integers(1, 120), st.integers(0, 20))
def test_a_resumed_export_is_cut_to_the_same_bytes(lines: list[list[bytes]], part_bytes: int, after: int) -> None:
    segments = [segment_of(of_slice) for of_slice in lines]
    whole = cut_all(segments, part_bytes)
    after = min(after, len(whole) - 1)
    kept = whole[:after]
    resumed = kept + cut_all(segments, part_bytes, [part.facts for part in kept])
    assert [part.body for part in resumed] == [part.body for part in whole]
    assert [part.facts for part in resumed] == [part.facts for part in whole]


@hypothesis.given(slices, st.integers(1, 120))
def test_the_parts_are_one_gzip_member_with_every_line_in_order(lines: list[list[bytes]], part_bytes: int) -> None:
    cut = cut_all([segment_of(of_slice) for of_slice in lines], part_bytes)
    plain = b"".join(line + b"\n" for of_slice in lines for line in of_slice)
    assert standard_gzip.decompress(b"".join(part.body for part in cut)) == plain
    assert sum(part.facts.events for part in cut) == plain.count(b"\n")
    assert sum(part.facts.raw_bytes for part in cut) == len(plain)


def test_every_part_but_the_last_has_the_least_size_and_names_its_digest() -> None:
    noise = random.Random(5)
    segments = [segment_of([noise.randbytes(300).replace(b"\n", b"") for _ in range(9)]) for _ in range(40)]
    cut = cut_all(segments, 8_000)
    assert len(cut) > 5
    for part in cut[:-1]:
        assert len(part.body) >= 8_000
        assert not part.facts.is_last
    for part in cut:
        assert part.facts.size == len(part.body)
        assert part.facts.sha256 == hashlib.sha256(part.body).hexdigest()
    assert cut[-1].facts.is_last


def test_an_export_of_nothing_is_one_valid_empty_gzip() -> None:
    cut = cut_all([], 5 << 20)
    assert len(cut) == 1
    assert standard_gzip.decompress(cut[0].body) == b""


@pytest.mark.parametrize(("ordinal", "factor"), [(0, 1), (1_999, 1), (2_000, 2), (4_000, 4), (9_999, 16)])
def test_parts_grow_so_that_ten_thousand_hold_any_export(ordinal: int, factor: int) -> None:
    assert parts.least_bytes(ordinal, 5 << 20) == factor * (5 << 20)


def test_nine_thousand_parts_of_the_smallest_size_hold_more_than_the_largest_export() -> None:
    held = sum(parts.least_bytes(ordinal, 5 << 20) for ordinal in range(9_000))
    assert held > 100_000_000 * 2_400  # 2.4 KB compressed for each of 100 M events
