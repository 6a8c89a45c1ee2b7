"""Engines: one file whatever runs it, an export that moves between engines, and shards over deaths."""

from __future__ import annotations

import json
import pathlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from support import house

from penstock import worker
from penstock.control import exports, limits
from penstock.evidence import manifest
from penstock.export import engines
from penstock.export.engines import threads
from penstock.lake.read import scan

pytestmark = pytest.mark.sqlite_suffices


class Died(BaseException):
    """What happens to a process that dies."""


class Sharding(threads.Threads):
    """Threads, whose plans are those of a cluster."""

    shard_slices = 3


def sharding() -> engines.Engine:
    return Sharding(threads=2, upload_threads=2)


def plain() -> engines.Engine:
    return threads.Threads(threads=2, upload_threads=2)


@pytest.fixture
def small_house(tmp_path: pathlib.Path, database_url: str) -> Iterator[house.House]:
    with house.opened_house(tmp_path / "home", database_url, house.SMALL, {}) as made:
        yield made


def parts_of(made: house.House, task_uuid: str) -> tuple[exports.Part, ...]:
    with made.opened.database.read() as tx:
        return exports.list_parts(tx, task_uuid)


def manifest_of(made: house.House, task_uuid: str) -> dict[str, Any]:
    key = made.export(task_uuid).object_key
    assert key is not None
    customer_key = house.storage.CustomerKey(house.MARK.encode())
    return manifest.loads(b"".join(made.opened.store.read(house.storage.manifest_key(key), customer_key)))


def run(made: house.House, engine: engines.Engine, died_at: str = "") -> None:
    def step(name: str) -> None:
        if name == died_at:
            raise Died

    services = made.late if died_at == "" else made.opened
    worker.Worker(services, engine=engine, step=step).run_export()


def finished(made: house.House, engine: engines.Engine) -> tuple[str, bytes]:
    task_uuid = made.start()
    run(made, engine)
    return task_uuid, made.content(task_uuid)


def test_shards_make_the_file_and_the_segments_of_one_stream(small_house: house.House, tmp_path: pathlib.Path) -> None:
    stream_uuid, expected = finished(small_house, plain())
    shards_uuid, content = finished(small_house, sharding())
    assert content == expected
    stream, shards = manifest_of(small_house, stream_uuid), manifest_of(small_house, shards_uuid)
    assert shards["segments"] == stream["segments"]
    assert [part["number"] for part in shards["parts"]] == list(range(1, len(shards["parts"]) + 1))
    numbers = [part.number for part in parts_of(small_house, shards_uuid)]
    assert numbers != list(range(1, len(numbers) + 1))  # the store's own have gaps
    file = tmp_path / "file.gz"
    file.write_bytes(content)
    assert manifest.verify(file, shards).events == house.SMALL["events"]


def test_an_export_of_shards_dies_at_every_record_and_ends_with_the_same_parts(small_house: house.House) -> None:
    undisturbed, expected = finished(small_house, sharding())
    clean = [(part.number, part.sha256) for part in parts_of(small_house, undisturbed)]
    assert len(clean) >= 4
    for number, _ in clean:
        for engine in (sharding(), plain()):  # the second has never heard of shards, and goes on by the plan
            task_uuid = small_house.start()
            used_before = small_house.used_bytes()
            with pytest.raises(Died):
                run(small_house, sharding(), f"record {number} done")
            before = {part.number: part.etag for part in parts_of(small_house, task_uuid)}
            assert number in before
            run(small_house, engine)
            small_house.assert_exact(task_uuid, expected, used_before)
            after = parts_of(small_house, task_uuid)
            assert [(part.number, part.sha256) for part in after] == clean
            # What was recorded was not put again.
            assert before.items() <= {part.number: part.etag for part in after}.items()


def test_slices_that_a_recorded_part_holds_are_not_read_again(
    small_house: house.House, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [part.number for part in parts_of(small_house, finished(small_house, sharding())[0])]
    task_uuid = small_house.start()
    with pytest.raises(Died):
        run(small_house, sharding(), f"record {numbers[-2]} done")
    held = {
        number
        for part in parts_of(small_house, task_uuid)
        for number in range(json.loads(part.segments_json)["first_slice"], part.next_slice)
    }
    read: list[int] = []
    read_slice = scan.read_slice

    def reading(snapshot: Any, piece: Any, *more: Any) -> Any:
        read.append(piece.number)
        return read_slice(snapshot, piece, *more)

    monkeypatch.setattr(scan, "read_slice", reading)
    run(small_house, sharding())
    assert len(held) >= 4
    assert sorted(read) == sorted(set(range(8)) - held)


def test_a_plan_of_one_stream_stays_so_when_the_engine_changes(small_house: house.House) -> None:
    _, expected = finished(small_house, plain())
    task_uuid = small_house.start()
    with pytest.raises(Died):
        run(small_house, plain(), "record 2 done")
    run(small_house, sharding())
    assert small_house.content(task_uuid) == expected
    plan = json.loads(small_house.export(task_uuid).plan_json or "{}")
    assert sorted(plan) == ["max_bytes", "max_rows"]  # what a worker of an earlier version understands


def test_a_worker_drives_as_many_exports_at_once_as_it_is_told(tmp_path: pathlib.Path, database_url: str) -> None:
    together = threading.Barrier(2, timeout=30)

    class Meeting(threads.Threads):
        def run(self, *given: Any, **more: Any) -> Any:
            together.wait()
            return super().run(*given, **more)

    more = {"PENSTOCK_EXPORT_THREADS": "2", "PENSTOCK_ACTIVE_EXPORTS_PER_COMMUNITY": "2"}
    with house.opened_house(tmp_path / "home", database_url, house.SMALL, more) as made:
        tasks = [made.start(), made.start()]
        working = worker.Worker(made.opened, engine=Meeting(threads=1, upload_threads=1))
        working.start()
        deadline = time.monotonic() + 60
        while not all(made.export(task).status.is_final for task in tasks):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        working.stop()
        assert [made.export(task).status for task in tasks] == ["FINISHED", "FINISHED"]


def test_shards_that_the_quota_has_no_room_for_end_the_export_and_leave_nothing(small_house: house.House) -> None:
    whole = finished(small_house, sharding())[1]
    with small_house.opened.database.begin() as tx:
        own = limits.Overrides(quota_bytes_per_month=int(2.5 * len(whole)))
        limits.set_for_community(tx, small_house.community_uuid, own)
    assert small_house.content(finished(small_house, sharding())[0]) == whole
    task_uuid = small_house.start()
    run(small_house, sharding())
    export = small_house.export(task_uuid)
    assert (export.status, export.error_code) == ("FAILED", "monthly_quota_exceeded")
    assert small_house.used_bytes() == 2 * len(whole)
    assert list(small_house.opened.store.list_unfinished()) == []
