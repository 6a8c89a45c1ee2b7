"""The embedded store killed before every single step that touches the disk: nothing half-made is ever seen."""

from __future__ import annotations

import json
import os
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import pytest

from penstock import errors, testing
from penstock.storage import CustomerKey, Receipt, Upload
from penstock.storage.embedded.store import EmbeddedStore

KEY = CustomerKey(bytes(range(32)))
NAME = "a/export.gz"
OLD, PARTS = b"the old content", [b"first part,", b"second part"]
NEW = b"".join(PARTS)

TOUCHING = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate"}


def make(root: pathlib.Path) -> EmbeddedStore:
    return EmbeddedStore(
        root, signing_key=b"k" * 32, public_url="http://h", clock=testing.ManualClock(), min_part_bytes=1
    )


def write(store: EmbeddedStore, report: Callable[[Any], None] = lambda word: None) -> None:
    upload = store.begin(NAME, KEY, content_type="application/gzip", filename="export.gz")
    report(["upload", upload.upload_id])
    receipts = []
    for number, body in enumerate(PARTS, start=1):
        receipts.append(store.put_part(upload, number, body, KEY))
        report(["receipt", number, receipts[-1].etag, receipts[-1].size])
    store.complete(upload, receipts, KEY)
    report(["complete"])


def killed_before_step(number: int, root: pathlib.Path, work: Callable[..., None]) -> tuple[bool, list[Any]]:
    """Does `work` in a child process that is killed before its step `number`; whether it was, and what it reported."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _count_down(number, root)
        try:
            work(make(root), lambda word: os.write.real(writer, json.dumps(word).encode() + b"\n"))  # type: ignore[attr-defined]
        except BaseException as error:
            os.write.real(2, repr(error).encode())  # type: ignore[attr-defined]
            os._exit(3)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as lines:
        reported = [json.loads(line) for line in lines]
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 137), code
    return code == 137, reported


def _count_down(number: int, root: pathlib.Path) -> None:
    """Has this process vanish before its step `number` under `root`; no `finally` runs, as with kill -9."""
    left = [number]

    def step() -> None:
        left[0] -= 1
        if left[0] == 0:
            os._exit(137)

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event in TOUCHING and str(root) in str(arguments):
            step()

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            step()
            return real(*arguments)

        call.real = real  # type: ignore[attr-defined]
        return call

    sys.addaudithook(audit)
    os.write = counted(os.write)
    os.fsync = counted(os.fsync)


def every_kill(tmp_path: pathlib.Path, prepare: Callable[..., None], work: Callable[..., None]) -> Any:
    """Yields (root, reports) after a kill before step 1, before step 2 …, and after the work was done."""
    was_killed, number = True, 0
    while was_killed:
        number += 1
        root = tmp_path / str(number)
        prepare(make(root))
        was_killed, reported = killed_before_step(number, root, work)
        yield root, reported
    assert number > 8, "the kills missed the work"


def content(store: EmbeddedStore) -> bytes | None:
    try:
        return b"".join(store.read(NAME, KEY))
    except errors.ObjectMissing:
        return None


def files(root: pathlib.Path) -> list[str]:
    """What is left, scratch files of a kill aside: those are swept a day later."""
    return [
        str(path.relative_to(root))
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "lock" and path.parent.name != "tmp"
    ]


def sweep(store: EmbeddedStore) -> None:
    for upload in list(store.list_unfinished()):
        store.abort(upload)


def nothing(store: EmbeddedStore) -> None:
    """No preparation."""


def write_old(store: EmbeddedStore) -> None:
    store.put(NAME, OLD, KEY, content_type="application/gzip", filename="export.gz")


def test_a_killed_upload_is_whole_or_unfinished_and_every_receipt_holds(tmp_path: pathlib.Path) -> None:
    for root, reported in every_kill(tmp_path, nothing, write):
        store = make(root)
        receipts = [Receipt(number=r[1], etag=r[2], size=r[3]) for r in reported if r[0] == "receipt"]
        seen = content(store)
        assert seen in (None, NEW)
        if ["complete"] in reported:
            assert seen == NEW
        if len(receipts) == len(PARTS):
            upload = Upload(key=NAME, upload_id=reported[0][1])
            assert store.complete(upload, receipts, KEY).size == len(NEW)
            assert content(store) == NEW
        elif seen is None and reported:
            assert [upload.upload_id for upload in store.list_unfinished()] == [reported[0][1]]
        sweep(store)
        store.delete(NAME)
        assert files(root) == []


def test_a_killed_replacement_shows_the_old_object_or_the_new_one(tmp_path: pathlib.Path) -> None:
    for root, _ in every_kill(tmp_path, write_old, write):
        store = make(root)
        before = content(store)
        assert before in (OLD, NEW)
        sweep(store)
        assert content(store) == before
        assert list(store.list_unfinished()) == []
        store.delete(NAME)
        assert files(root) == []


def test_a_killed_delete_can_be_repeated_and_leaves_nothing(tmp_path: pathlib.Path) -> None:
    def delete(store: EmbeddedStore, report: Any) -> None:
        store.delete(NAME)

    for root, _ in every_kill(tmp_path, write_old, delete):
        store = make(root)
        assert content(store) in (OLD, None)
        store.delete(NAME)
        sweep(store)
        assert content(store) is None
        assert files(root) == []


def test_a_killed_abort_can_be_repeated_and_leaves_nothing(tmp_path: pathlib.Path) -> None:
    def prepare(store: EmbeddedStore) -> None:
        upload = store.begin(NAME, KEY, content_type="application/gzip", filename="export.gz")
        store.put_part(upload, 1, OLD, KEY)

    def abort(store: EmbeddedStore, report: Any) -> None:
        for upload in list(store.list_unfinished()):
            store.abort(upload)

    for root, _ in every_kill(tmp_path, prepare, abort):
        store = make(root)
        sweep(store)
        assert list(store.list_unfinished()) == []
        assert files(root) == []


def test_scratch_files_of_a_kill_are_swept_after_a_day(tmp_path: pathlib.Path) -> None:
    store = make(tmp_path)
    write_old(store)
    stale, fresh = tmp_path / "tmp" / ".stale.tmp", tmp_path / "tmp" / ".fresh.tmp"
    now = testing.ManualClock().now().timestamp()
    for path, age_seconds in ((stale, 90_000), (fresh, 3_600)):
        path.write_bytes(b"x")
        os.utime(path, (now - age_seconds, now - age_seconds))
    list(store.list_unfinished())
    assert not stale.exists()
    assert fresh.exists()


def test_a_receipt_is_given_only_for_what_is_durable(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file's content, then its name, then the folder that holds the name."""
    store = make(tmp_path)
    upload = store.begin(NAME, KEY, content_type="application/gzip", filename="export.gz")
    steps: list[str] = []
    real_fsync, real_rename = os.fsync, pathlib.Path.rename

    def fsync(fd: int) -> None:
        steps.append("sync folder" if os.path.isdir(f"/proc/self/fd/{fd}") else "sync file")
        real_fsync(fd)

    def rename(path: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
        steps.append("rename")
        return real_rename(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(pathlib.Path, "rename", rename)
    receipt = store.put_part(upload, 1, OLD, KEY)
    assert steps == ["sync file", "rename", "sync folder"]
    steps.clear()
    store.complete(upload, [receipt], KEY)
    assert steps == ["sync file", "rename", "sync folder"]
