"""An ingest in shards: whatever order they come back in, it ends as an ingest of one process does."""

from __future__ import annotations

import collections
import gzip
import os
import pathlib
import random
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from penstock import errors, query, settings, testing
from penstock.cli.commands import ingest_child, ingest_children
from penstock.fields import values
from penstock.intake import ingest
from penstock.intake.shards import coordinator, taking
from penstock.lake import files, table, upkeep
from penstock.lake.read import newest, plan
from penstock.process import child_processes

COMMUNITY = "11111111-2222-3333-4444-555555555555"
EVERYTHING = query.Predicate(expression=None, columns=frozenset())
LIMITS = ingest.Limits(batch_bytes=2_000)


class Pool:
    """Takes shards in in this process, in an order of chance among those that would be under way."""

    def __init__(self, event_table: table.EventTable, chance: random.Random) -> None:
        self.most = chance.choice([1, 2, 3])
        self.is_stopped = False
        self._table = event_table
        self._chance = chance
        self._shards: collections.deque[taking.Shard] = collections.deque()

    def submit(self, shard: taking.Shard) -> None:
        self._shards.append(shard)

    def next(self, timeout_seconds: float) -> tuple[int, taking.Taken | errors.PenstockError] | None:
        place = self._chance.randrange(min(self.most, len(self._shards)))
        shard = self._shards[place]
        del self._shards[place]
        try:
            return shard.number, taking.take(self._table, shard, clock=testing.ManualClock(), limits=LIMITS)
        except errors.PenstockError as error:
            return shard.number, error

    def stop(self) -> None:
        self.is_stopped = True


def lines(file: int, events: int, bad: Sequence[int] = ()) -> bytes:
    """Events of one file, some of them no events; a field of one file alone; some without a time."""
    made = []
    for n in range(events):
        name = f'"only{file}":{n},' if n % 2 else ""
        moment = f'"@timestamp":{1_700_000_000 + n},' if n % 5 else ""
        made.append(b"{broken\n" if n in bad else f'{{{moment}{name}"n":{file * 1000 + n},"s":"x{n}"}}\n'.encode())
    return b"".join(made)


KINDS: Mapping[str, Any] = {
    "good": lambda file: lines(file, 40),
    "long": lambda file: lines(file, 900),
    "with rejects": lambda file: lines(file, 30, bad=(3, 17)),
    "only rejects": lambda file: lines(file, 3, bad=(0, 1, 2)),
    "empty": lambda file: b"",
    "broken": lambda file: gzip.compress(lines(file, 900), 1)[:-2_000],
}


def everything(event_table: table.EventTable) -> list[str]:
    found = newest.events(event_table.snapshot(), plan.TimeRange.ever(), EVERYTHING, 100_000)
    # With names in order: which of them lie in the overflow depends on the files that events share.
    return sorted(values.dumps(dict(sorted(event.items()))) for event in found)


def outcome(
    event_table: table.EventTable, how: Any, sources: list[str], rejects: pathlib.Path, batch_id: str | None
) -> tuple[Any, ...]:
    """What an ingest says, and what there is afterwards."""
    said: Any
    try:
        report = how(event_table, sources, clock=testing.ManualClock(), batch_id=batch_id, rejects_path=rejects)
        said = (report.accepted, report.untimed, report.rejected, report.rejects, report.bytes, report.skipped)
        said += (dict(report.formats), report.rejects_file is not None)
    except errors.IngestError as error:
        said = (error.code, error.detail, error.hint, error.extra)
    kept = rejects.read_bytes() if rejects.exists() else None
    rejects.unlink(missing_ok=True)
    return said, kept, everything(event_table)


@hypothesis.settings(max_examples=12, deadline=None)
@hypothesis.given(
    kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=5),
    batch_id=st.sampled_from([None, "b"]),
    shard_bytes=st.sampled_from([1, 4_000, 10**9]),
    seed=st.integers(0, 2**32),
)
def test_shards_take_in_what_one_process_takes_in(
    kinds: list[str], batch_id: str | None, shard_bytes: int, seed: int
) -> None:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as made, pytest.MonkeyPatch.context() as patch:
        folder = pathlib.Path(made)
        patch.setattr(coordinator, "SHARD_BYTES", shard_bytes)
        sources = [str(folder / f"{place}.jsonl") for place in range(len(kinds))]
        for place, kind in enumerate(kinds):
            pathlib.Path(sources[place]).write_bytes(KINDS[kind](place))
        one, many = (table.EventTable(str(folder / name), COMMUNITY) for name in ("one", "many"))
        pool = Pool(many, chance)

        def alone(*args: Any, **options: Any) -> ingest.IngestReport:
            return ingest.ingest(*args, limits=LIMITS, **options)

        def in_shards(event_table: table.EventTable, files: list[str], **options: Any) -> ingest.IngestReport:
            return coordinator.take(event_table, files, pool, **options)

        rejects = folder / "rejects.jsonl"
        expected = outcome(one, alone, sources, rejects, batch_id)
        assert outcome(many, in_shards, sources, rejects, batch_id) == expected
        assert pool.is_stopped
        # What is not committed is not left behind either.
        on_disk = {path.name for path in (folder / "many" / COMMUNITY).glob("*.parquet")}
        assert on_disk == {file.path for file in many.snapshot().files}
        if batch_id is not None:  # run again: nothing is taken in twice
            again = outcome(many, in_shards, sources, rejects, batch_id)
            assert again[2] == expected[2]
            assert again == outcome(one, alone, sources, rejects, batch_id)


def test_a_batch_that_another_ingest_commits_meanwhile_is_skipped(tmp_path: pathlib.Path) -> None:
    own = table.EventTable(str(tmp_path / "lake"), COMMUNITY)
    sources = [str(tmp_path / name) for name in ("a.jsonl", "b.jsonl")]
    for place, source in enumerate(sources):
        pathlib.Path(source).write_bytes(lines(place, 10))

    class Late(Pool):
        def next(self, timeout_seconds: float) -> Any:
            came = super().next(timeout_seconds)
            if came is not None and came[0] == 0:
                ingest.ingest(own, sources[:1] + sources[:1], clock=testing.ManualClock(), batch_id="b")
            return came

    report = coordinator.take(own, sources, Late(own, random.Random(1)), clock=testing.ManualClock(), batch_id="b")
    assert (report.accepted, report.skipped) == (10, (sources[0],))
    assert len(everything(own)) == 20


def test_small_files_share_a_shard_and_each_process_has_some() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sources = [f"{folder}/{place}" for place in range(40)]
        for source in sources:
            pathlib.Path(source).write_bytes(b"x" * 100)
        assert [len(shard.sources) for shard in coordinator.cut(sources, at_once=2)] == [5] * 8
        assert [len(shard.sources) for shard in coordinator.cut(sources, at_once=2, batch_id="b")] == [1] * 40
        assert not coordinator.suits([*sources, "-"])
        os.mkfifo(f"{folder}/pipe")
        assert not coordinator.suits([*sources, f"{folder}/pipe"])


def test_a_process_that_is_killed_costs_its_shard_only_and_upkeep_takes_what_it_left(tmp_path: pathlib.Path) -> None:
    lake = tmp_path / "lake"
    sources = [str(tmp_path / f"{place}.jsonl") for place in range(4)]
    for place, source in enumerate(sources):
        pathlib.Path(source).write_bytes(lines(place, 20_000))
    own = table.EventTable(str(lake), COMMUNITY)
    heard: set[str] = set()
    pool = ingest_children.Children(
        settings.Settings(home=tmp_path, lake_path=str(lake), ingest_batch_bytes=100_000),
        COMMUNITY,
        most=2,
        progress=lambda progress: heard.add(progress.source),
    )
    victims: list[int] = []

    def kill() -> None:
        deadline = time.monotonic() + 30
        while not heard and time.monotonic() < deadline:  # it has read some of a file
            time.sleep(0.01)
        victims.append(pool.pids[0])
        os.kill(victims[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    report = coordinator.take(own, sources, pool, clock=testing.ManualClock())
    killer.join()
    assert victims
    assert (report.accepted, report.rejected) == (80_000, 0)
    assert own.snapshot().rows == 80_000
    assert heard == set(sources)
    assert pool.pids == []
    upkeep.vacuum(own, keep_seconds=0, pinned_versions=[])
    assert {path.name for path in (lake / COMMUNITY).glob("*.parquet")} == {file.path for file in own.snapshot().files}


def test_a_process_whose_parent_died_while_it_started_ends() -> None:
    command = child_processes.command(ingest_child.__name__, 1)
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.wait(60) == 1  # though more may come on standard input


def test_a_commit_that_fails_leaves_no_file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = table.EventTable(str(tmp_path / "lake"), COMMUNITY)
    sources = [str(tmp_path / name) for name in ("a.jsonl", "b.jsonl")]
    for place, source in enumerate(sources):
        pathlib.Path(source).write_bytes(lines(place, 10))

    def fail(*args: Any, **options: Any) -> None:
        raise errors.NoRoom("no_room", "No.", "")

    monkeypatch.setattr(files, "refresh", fail)
    with pytest.raises(errors.NoRoom):
        coordinator.take(own, sources, Pool(own, random.Random(1)), clock=testing.ManualClock())
    assert list((tmp_path / "lake").rglob("*.parquet")) == []
