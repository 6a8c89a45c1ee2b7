"""However a search is cut into shards, and in whatever order they come back, what is found is what one scan finds."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import json
import pathlib
import random
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import hypothesis
import polars as pl
import pytest
from hypothesis import strategies as st
from support import attached

from penstock import errors, testing
from penstock.base import findings
from penstock.export.shards import coordinator
from penstock.lake import table
from penstock.lake.needles import sidecar
from penstock.lake.read import shards
from penstock.search import found, question, results
from penstock.worker.searches import wide

START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
TERMS = ["", "user:alice", "port:>2", "alice OR 10.0.0.1", "note:rare7", "rare3", "port:oops", "nobody", "NOT user:bob"]
FILES, ROWS = 7, 40


def event(chance: random.Random, file: int, row: int) -> dict[str, Any]:
    """Times overlap between files, with many ties; values do not all fit their columns."""
    seconds = chance.choice([0, file * 3600, file * 3600 + row // 4, chance.randrange(86_400)])
    made: dict[str, Any] = {
        "@timestamp": (START + dt.timedelta(seconds=seconds)).isoformat(),
        "user": chance.choice(["alice", "bob"]),
        "port": chance.choice([1, 2, 3, 4, "oops", 1.5]),
        "number": file * ROWS + row,
        "note": f"rare{file * ROWS + row}",
    }
    if file % 3 == 0:
        made["only.here"] = ["10.0.0.1", "é", None][row % 3]
    return made


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, table.EventTable]:
    """Two communities with tables of their own, and one whose events are somebody else's table."""
    folder, chance = tmp_path_factory.mktemp("lake"), random.Random(5)
    made: dict[str, table.EventTable] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sidecar, "SMALLEST_BYTES", 1)
        for community, file in itertools.product(("a", "b"), range(FILES)):
            events = [event(chance, file, row) for row in range(ROWS)]
            made[community] = testing.tiny_lake(str(folder / "own"), events, community_uuid=community)
    others = folder / "others"
    others.mkdir()
    for file in range(4):
        times = [START + dt.timedelta(seconds=chance.choice([5, chance.randrange(86_400)])) for _ in range(ROWS)]
        frame = pl.DataFrame({"time": times, "user": ["alice", "bob"] * (ROWS // 2), "number": range(ROWS)})
        frame.write_parquet(others / f"{file}.parquet")
    made["c"] = attached.Lake(folder / "own").attach(others, time="time")
    return made


class Pool:
    """Shards looked at in this process, through the bytes that nodes are sent, in an order of chance. Some are lost."""

    def __init__(self, table_of: Callable[[str], table.EventTable], chance: random.Random, lost: float = 0.0) -> None:
        self.most = chance.choice([1, 2, 5])
        self.answered = 0
        self.is_stopped = False
        self._table_of = table_of
        self._chance = chance
        self._lost = lost
        self._numbers = itertools.count()
        self._given: dict[Hashable, tuple[shards.Shard, shards.Question]] = {}

    def submit(self, shard: shards.Shard, question: shards.Question) -> Hashable:
        assert len(self._given) < self.most
        sent = json.loads(json.dumps([dataclasses.asdict(shard), shards.question_to_json(question)]))
        ticket = next(self._numbers)
        self._given[ticket] = shards.shard_from_json(sent[0]), shards.question_from_json(sent[1])
        return ticket

    def wait(self, tickets: Iterable[Hashable], timeout_seconds: float) -> Sequence[Hashable]:
        given = list(tickets)
        return self._chance.sample(given, self._chance.randint(0, len(given)))

    def take(self, ticket: Hashable) -> shards.Answer:
        shard, question = self._given.pop(ticket)
        if self._chance.random() < self._lost:
            raise coordinator.Lost("a node")
        self.answered += 1
        snapshot = self._table_of(shard.community_uuid).snapshot(shard.version)
        answer = shards.answer(snapshot, shard, question)
        return shards.answer_from_json(json.loads(json.dumps(dataclasses.asdict(answer))))

    def stop(self) -> None:
        self.is_stopped = True


def asked_of(term: str, communities: Sequence[str], hours: tuple[int, int] = (-1, 30)) -> question.Question:
    return question.Question(
        term=term,
        filters=(),
        earliest=START + dt.timedelta(hours=hours[0]),
        latest=START + dt.timedelta(hours=hours[1]),
        community_uuids=tuple(communities),
        max_last_events=1000,
    )


def nothing() -> None: ...


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(
    term=st.sampled_from(TERMS),
    communities=st.sampled_from([("a",), ("a", "b"), ("c",), ("a", "b", "c")]),
    hours=st.sampled_from([(-1, 30), (2, 5), (0, 1)]),
    shard_rows=st.integers(1, 200),
    newest=st.sampled_from([1, 7, 60, 1000]),
    pruned_files=st.sampled_from([0, 1000]),
    seed=st.integers(0, 2**32),
)
def test_shards_find_what_one_scan_finds(
    tables: Mapping[str, table.EventTable],
    term: str,
    communities: tuple[str, ...],
    hours: tuple[int, int],
    shard_rows: int,
    newest: int,
    pruned_files: int,
    seed: int,
) -> None:
    asked, told = asked_of(term, communities, hours), list[findings.SoFar]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "MAX_EVENTS", newest)
        patch.setattr(shards, "PRUNED_FILES", pruned_files)
        expected = found.find(asked, tables.__getitem__)
        cut = found.find_or_cut(asked, tables.__getitem__, told.append, shard_rows=shard_rows)
        if isinstance(cut, found.Found):  # so little to look at that no shard is worth it
            assert cut == expected
            assert told[-1].share == 1.0
            return
        places = [(shard.community_uuid, n) for shard in cut.shards for span in shard.spans for n in range(*span)]
        assert len(places) == len(set(places))
        pool = Pool(tables.__getitem__, random.Random(seed), lost=0.1)
        with pytest.MonkeyPatch.context() as tries:
            tries.setattr(coordinator, "TRIES", 1000)
            assert wide.find(asked, cut, pool, nothing, told.append, job_uuid="a job", patience_seconds=60) == expected
    shares = [each.share for each in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert pool.is_stopped


def test_a_rare_value_is_looked_for_where_the_index_says_and_on_the_worker(
    tables: Mapping[str, table.EventTable],
) -> None:
    cut = found.find_or_cut(asked_of("note:rare7", ["a"]), tables.__getitem__, print, shard_rows=ROWS)
    assert isinstance(cut, found.Found)
    assert isinstance(found.find_or_cut(asked_of("", ["a"]), tables.__getitem__, print, shard_rows=ROWS), found.Wide)


def test_only_shards_that_may_hold_the_newest_are_asked_for_them(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "MAX_EVENTS", 10)
    for day in range(6):
        events = [{"@timestamp": (START + dt.timedelta(days=day, minutes=n)).isoformat()} for n in range(20)]
        made = testing.tiny_lake(str(tmp_path), events)
    asked = asked_of("", ["x"], (0, 6 * 24))
    cut = found.find_or_cut(asked, lambda name: made, print, shard_rows=20)
    assert isinstance(cut, found.Wide)
    assert len(cut.shards) == 6
    pool = Pool(lambda name: made, random.Random(1))
    assert wide.find(asked, cut, pool, nothing, job_uuid="a job", patience_seconds=60).results.sampled_events == 10
    assert pool.answered == 6 + 1


def test_a_shard_of_another_version_of_the_lake_is_refused(tables: Mapping[str, table.EventTable]) -> None:
    asked = asked_of("", ["a"])
    cut = found.find_or_cut(asked, tables.__getitem__, print, shard_rows=ROWS)
    assert isinstance(cut, found.Wide)
    for_shards = shards.Question(term="", filters=(), time_range=asked.time_range, buckets=60)
    with pytest.raises(shards.Differs):
        shards.answer(tables["b"].snapshot().only(()), cut.shards[-1], for_shards)


def test_a_cluster_that_loses_a_shard_again_and_again_or_says_nothing_is_given_up(
    tables: Mapping[str, table.EventTable],
) -> None:
    asked = asked_of("", ["a"])
    cut = found.find_or_cut(asked, tables.__getitem__, print, shard_rows=ROWS)
    assert isinstance(cut, found.Wide)
    losing = Pool(tables.__getitem__, random.Random(1), lost=1.0)
    with pytest.raises(errors.NotReady) as lost:
        wide.find(asked, cut, losing, nothing, job_uuid="a job", patience_seconds=60)
    assert lost.value.code == "shard_lost"
    silent = Pool(tables.__getitem__, random.Random(1))
    silent.wait = lambda tickets, timeout_seconds: ()  # type: ignore[method-assign]
    with pytest.raises(errors.NotReady) as away:
        wide.find(asked, cut, silent, nothing, job_uuid="a job", patience_seconds=0)
    assert away.value.code == "engine_unavailable"
    assert losing.is_stopped
    assert silent.is_stopped


def test_values_as_common_as_one_another_come_in_the_order_in_which_they_are_seen() -> None:
    """Not in that of a set, which differs from process to process."""
    names = [f"{number}@example.org" for number in (4, 1, 9, 3, 7, 2)]
    made = results.of_events(asked_of("", ["a"]), [{"@timestamp": "2026-01-05T00:00:00Z", "names": names}])
    (found_names,) = (one for one in made.fields if one.name == "names")
    assert [json.loads(text) for text, _ in found_names.values] == names
