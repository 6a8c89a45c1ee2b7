"""Shards cut apart and joined: the bytes of one stream, parts that S3 takes, the same after any crash."""

from __future__ import annotations

import gzip as standard_gzip
import hashlib
import random

import hypothesis
import pytest
from hypothesis import strategies as st

from penstock import errors
from penstock.encode import gzip
from penstock.evidence.facts import PartFacts
from penstock.export import parts
from penstock.export.shards import cut, plan
from penstock.storage import contract

LEAST = 400
"""What a store of these tests wants of a part. `head_bytes` is this where `part_bytes` is no more."""


def segment_of(size: int, number: int) -> gzip.Segment:
    """About `size` bytes that do not shrink; none for 0."""
    lines = random.Random(number).randbytes(size).replace(b"\n", b"") + b"\n" if size else b""
    made = gzip.deflate(lines, "fast")
    return gzip.Segment(data=made.data, raw_bytes=made.raw_bytes, crc32=made.crc32, events=bool(size))


class Store:
    """What is put stays; what is recorded is what a crash leaves."""

    def __init__(self) -> None:
        self.bodies: dict[int, bytes] = {}
        self.recorded: dict[int, PartFacts] = {}
        self.puts: list[int] = []

    def put(self, part: parts.Part) -> None:
        number = part.facts.ordinal + 1
        # Whoever puts a part again puts the same bytes: else a zombie's part would spoil the file.
        assert self.bodies.setdefault(number, part.body) == part.body
        self.puts.append(number)

    def record(self, part: parts.Part) -> None:
        self.recorded[part.facts.ordinal + 1] = part.facts


def computed(assignment: plan.Assignment, segments: list[gzip.Segment]) -> tuple[cut.Cutter, list[parts.Part]]:
    cutter = cut.Cutter(assignment, part_bytes=LEAST)
    body = [part for number in assignment.slices if (part := cutter.add(segments[number]))]
    return cutter, body


class Crash(Exception):
    """The coordinator dies."""


def attempt(store: Store, segments: list[gzip.Segment], shard_slices: int, order: random.Random, steps: int) -> bytes:
    """One coordinator's run: shards come back in any order; it dies after so many records."""
    whole_plan = plan.plan_shards(len(segments), shard_slices)
    left = plan.Left(whole_plan, store.recorded.values())

    def record(part: parts.Part) -> None:
        nonlocal steps
        store.put(part)
        if not steps:
            raise Crash
        steps -= 1
        store.record(part)

    joiner = cut.Joiner(whole_plan, part_bytes=LEAST)
    given: dict[int, cut.Cutter] = {}
    waiting = list(whole_plan.shards)
    joined = 0
    while joined < len(whole_plan.shards):
        # Not too far ahead, as the coordinator.
        shard = waiting.pop(order.randrange(min(3, len(waiting)))) if waiting else None
        if shard is not None:
            cutter, body = computed(left.of(shard), segments)
            for part in body:
                record(part)
            given[shard.number] = cutter
        while joined in given:
            cutter = given.pop(joined)
            for part in joiner.add(whole_plan.shards[joined], cutter.head, cutter.rest):
                record(part)
            joined += 1
    if not left.is_whole():
        before = [store.recorded[number] for number in sorted(store.recorded)]
        record(joiner.finish(len(segments), before))
    facts = [store.recorded[number] for number in sorted(store.recorded)]
    plan.check_whole(whole_plan, len(segments), facts)
    return b"".join(store.bodies[number] for number in sorted(store.recorded))


sizes = st.lists(st.sampled_from([0, 0, 1, 40, 150, 300, 399, 400, 500, 900]), max_size=40)


@hypothesis.given(sizes, st.integers(1, 9), st.randoms(use_true_random=False), st.lists(st.integers(0, 12), max_size=4))
@hypothesis.settings(deadline=None)
def test_shards_in_any_order_and_over_any_crashes_make_the_one_stream(
    of_slices: list[int], shard_slices: int, order: random.Random, crashes: list[int]
) -> None:
    segments = [segment_of(size, number) for number, size in enumerate(of_slices)]
    stream = parts.PartCutter(part_bytes=1_000_000)
    assert not [part for segment in segments if (part := stream.add(segment))]
    expected = stream.finish()
    store = Store()
    for steps in crashes:
        try:
            attempt(store, segments, shard_slices, order, steps)
        except Crash:
            continue
    file = attempt(store, segments, shard_slices, order, 10**6)
    assert file == expected.body
    assert standard_gzip.decompress(file).count(b"\n") == sum(map(bool, of_slices))
    facts = [store.recorded[number] for number in sorted(store.recorded)]
    assert all(part.size >= LEAST for part in facts[:-1])
    assert [segment for part in facts for segment in part.segments] == list(expected.facts.segments)
    for part in facts:
        body = store.bodies[part.ordinal + 1]
        assert (part.size, part.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    # A clean run cuts alike: where a part ends does not depend on who died when.
    clean = Store()
    attempt(clean, segments, shard_slices, random.Random(1), 10**6)
    assert clean.recorded == store.recorded


def test_a_finished_shard_is_not_computed_again_but_for_its_ends() -> None:
    segments = [segment_of(300, number) for number in range(40)]
    whole_plan = plan.plan_shards(40, 20)
    second = whole_plan.shards[1]
    _, body = computed(plan.Left(whole_plan, []).of(second), segments)
    left = plan.Left(whole_plan, [part.facts for part in body])
    assert left.of(second).slices == (20, 21)  # the head; its 18 other slices are 9 parts
    assert left.of(whole_plan.shards[0]).slices == tuple(range(20))


def test_many_small_shards_do_not_make_one_huge_part() -> None:
    segments = [segment_of(30, number) for number in range(200)]
    store = Store()
    attempt(store, segments, 1, random.Random(3), 10**6)
    assert all(LEAST <= len(store.bodies[number]) < 2 * LEAST for number in sorted(store.recorded)[:-1])
    assert len(store.recorded) > 10


@hypothesis.given(st.integers(0, 60_000), st.integers(1, 5_000))
def test_a_plan_holds_each_slice_once_and_never_more_numbers_than_s3_has(slices: int, shard_slices: int) -> None:
    made = plan.plan_shards(slices, shard_slices)
    at, number = 0, 1
    for shard in made.shards:
        assert (shard.first_slice, shard.first_number) == (at, number)
        assert shard.end_slice > shard.first_slice
        # A head of one slice, and every part behind it as small as it may be.
        assert shard.end_number - shard.first_number - 1 == (shard.end_slice - at - 1) // made.slices_a_part
        at, number = shard.end_slice, shard.end_number
    assert (at, number) == (slices, made.last_number)
    assert made.last_number <= contract.MAX_PARTS
    assert len(made.shards) <= plan.MOST_SHARDS


def test_ten_thousand_slices_have_parts_of_more_than_one() -> None:
    assert plan.plan_shards(9_999, 16).slices_a_part == 1
    assert plan.plan_shards(10_000, 16).slices_a_part == 2


@pytest.mark.parametrize("lost", [0, 1, -1])
def test_a_lost_part_is_noticed_before_the_file_is_made(lost: int) -> None:
    segments = [segment_of(300, number) for number in range(12)]
    store = Store()
    attempt(store, segments, 4, random.Random(1), 10**6)
    facts = [store.recorded[number] for number in sorted(store.recorded)]
    del facts[lost]
    with pytest.raises(errors.InvalidPart):
        plan.check_whole(plan.plan_shards(12, 4), 12, facts)
