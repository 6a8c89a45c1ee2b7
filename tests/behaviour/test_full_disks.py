"""A disk that fills at any point: nothing half written stays, the control plane lives on, and all goes on by itself."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import pathlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
import structlog
from support import house
from support.tenants import tenant

from penstock import errors, settings
from penstock.base import disk
from penstock.control import secrets
from penstock.intake import ingest
from penstock.lake import files, table, upkeep
from penstock.process import logs, server, services
from penstock.storage.keys import CustomerKey
from penstock.worker import tidying

pytestmark = pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting needs root on Linux")

DISK_BYTES = 24 << 20
KEPT_BACK = int(DISK_BYTES * disk.SMALL_DISK_SHARE)
LINE = b'{"@timestamp":"2026-03-01T00:00:00Z","message":"%d"}\n'


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file system of DISK_BYTES of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", place]
    mounted = subprocess.run(command, capture_output=True)
    if mounted.returncode:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must be able to mount: {mounted.stderr.decode().strip()}")
        pytest.skip(f"cannot mount here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(place: pathlib.Path, leave_bytes: int = 0) -> pathlib.Path:
    """Ballast that leaves so much room on a disk."""
    ballast = place / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while disk.Room(place, 0).space().free_bytes > leave_bytes:
            file.write(bytes(4096))
    return ballast


def everything_in(folder: pathlib.Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != "ballast"}


def take(events: table.EventTable, clock: services.clocks.Clock, count: int = 1) -> ingest.IngestReport:
    body = io.BytesIO(b"".join(LINE % n for n in range(count)))
    return ingest.ingest_stream(events, body, clock=clock, limits=ingest.Limits())


@pytest.mark.parametrize("keep_bytes", [0, 1 << 30], ids=["nothing kept back", "some kept back"])
@pytest.mark.parametrize("at", ["before", "between two files", "at the commit"])
def test_an_intake_that_meets_a_full_disk_leaves_nothing_and_succeeds_when_there_is_room(
    small_disk: pathlib.Path, keep_bytes: int, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = table.EventTable(str(small_disk), "c", keep_bytes=keep_bytes)
    clock = services.clocks.SystemClock()
    take(events, clock)
    before = everything_in(small_disk)
    written: list[str] = []
    if at == "before":
        fill(small_disk)
    elif at == "between two files":
        write_file = files.write_file

        def write_and_fill(*arguments: object) -> files.Written:
            made: files.Written = write_file(*arguments)  # type: ignore[arg-type]
            written.append(made.file.path)
            fill(small_disk)
            return made

        monkeypatch.setattr(files, "write_file", write_and_fill)
    else:
        monkeypatch.setattr(files, "refresh", lambda root, written: fill(small_disk) and None)
    with pytest.raises(errors.NoRoom) as caught:
        take(events, clock, 200_000)
    assert (caught.value.code, caught.value.status, caught.value.retriable) == ("no_room", 507, True)
    assert caught.value.extra["free_bytes"] < 4096
    assert len(written) == (at == "between two files")
    assert everything_in(small_disk) == before
    monkeypatch.undo()
    (small_disk / "ballast").unlink()
    assert take(events, clock, 200_000).accepted == 200_000
    assert sum(file.rows for file in events.snapshot().files) == 200_001


def test_the_service_says_that_its_disk_is_full_and_serves_what_needs_none(small_disk: pathlib.Path) -> None:
    home = small_disk / "home"
    home.mkdir()
    secrets.MasterKeys.create(home)
    with server.running(settings.Settings(home=home, port=0), worker=False) as listening:
        owner, token = tenant(listening.services)
        with httpx.Client(base_url=listening.url, headers={"Authorization": f"Bearer {token}"}, timeout=120) as http:
            post = lambda: http.post(f"/v1/communities/{owner}/events", content=LINE % 1)  # noqa: E731
            assert post().status_code == 200
            assert http.get("/readyz").json() == {"status": "ok"}
            ballast = fill(small_disk, KEPT_BACK // 2)

            refused = post()
            problem = refused.json()
            assert (refused.status_code, problem["code"], problem["retriable"]) == (507, "no_room", True)
            assert problem["kept_back_bytes"] == KEPT_BACK
            assert 0 < problem["free_bytes"] < KEPT_BACK
            assert f"{problem['free_bytes']:,} bytes are free" in problem["detail"]
            assert int(refused.headers["Retry-After"]) > 0
            assert str(small_disk) not in refused.text
            ready = http.get("/readyz")
            disks = ["lake", "storage", "database"]
            assert (ready.status_code, ready.json()) == (200, {"status": "degraded", "full_disks": disks})
            measured = dict(re.findall(r'penstock_disk_(\w+)_bytes{disk="lake"} (\S+)', http.get("/metrics").text))
            assert float(measured["free"]) < float(measured["kept_back"]) == KEPT_BACK
            assert [part["status"] for part in http.get("/v1/health").json()["parts"]][1:3] == ["failed", "failed"]
            times = {"earliest_time": "-1d", "latest_time": "now"}
            assert http.post("/v1/sic/conf/events/search/jobs", json=times).status_code == 200  # in what is kept back

            ballast.unlink()
            assert post().status_code == 200
            assert http.get("/readyz").json() == {"status": "ok"}


def test_an_exports_part_leaves_free_what_is_kept_back(small_disk: pathlib.Path) -> None:
    with house.opened_house(small_disk / "home", "", house.SMALL, {}) as made:
        store, key = made.opened.store, CustomerKey(bytes(32))
        upload = store.begin("a/b", key, content_type="a/b", filename="f")
        fill(small_disk, KEPT_BACK + (64 << 10))
        first = store.put_part(upload, 1, bytes(1000), key)
        before = everything_in(small_disk)
        with pytest.raises(errors.NoRoom):
            store.put_part(upload, 2, bytes(128 << 10), key)
        assert everything_in(small_disk) == before
        fill(small_disk, KEPT_BACK // 2)
        store.complete(upload, [first], key)  # what has come so far may end


def test_a_full_disk_is_tidied_of_what_nobody_needs(small_disk: pathlib.Path) -> None:
    with house.opened_house(small_disk / "home", "", house.SMALL, {}) as made:
        events = made.opened.table(made.community_uuid)
        for _ in range(4):
            take(events, made.opened.clock)
        old = {file.path for file in events.snapshot().files}
        upkeep.compact(events, min_files=2)
        gone = old - {file.path for file in events.snapshot().files}
        assert gone
        long_ago = time.time() - 2 * tidying.KEEP_SECONDS
        for path in gone:
            os.utime(os.path.join(events.root, path), (long_ago, long_ago))
        for _ in range(8):
            take(events, made.opened.clock)
        rows = sum(file.rows for file in events.snapshot().files)
        fill(small_disk)
        tidying.Tidying(made.opened, should_stop=lambda: False).tidy()
        there = set(os.listdir(events.root))
        assert not gone & there
        assert there >= {file.path for file in events.snapshot().files}
        assert sum(file.rows for file in events.snapshot().files) == rows


def test_a_full_disk_of_the_log_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    with io.TextIOWrapper(io.FileIO("/dev/full", "w"), write_through=True) as full:
        with pytest.raises(OSError, match="No space"):
            full.write("x")
        monkeypatch.setattr(sys, "stderr", full)
        try:
            logs.configure(settings.Settings())
            structlog.get_logger("penstock.tests").error("a line that finds no room", number=1)
        finally:
            root.handlers = handlers
            root.setLevel(level)
            structlog.reset_defaults()
            monkeypatch.undo()
