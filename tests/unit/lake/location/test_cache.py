"""The cache of a lake's files: bounded, checked, shared by processes, and none the worse for a kill."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import BinaryIO

import pytest

from penstock import errors
from penstock.lake.location import cache

MANY = 1 << 30


class Remote:
    """Files somewhere else, and how often each was fetched."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.fetched: list[str] = []

    def download(self, name: str) -> cache.Download:
        def fetch(empty: Callable[[int], BinaryIO]) -> int:
            self.fetched.append(name)
            if name not in self.files:
                raise FileNotFoundError(name)
            content = self.files[name]
            with empty(len(content)) as file:
                file.write(content)
            return cache.crc32(content)

        return fetch


@pytest.fixture
def remote() -> Remote:
    made = Remote()
    made.files = {f"f{n}": bytes([n]) * 1000 for n in range(10)}
    return made


def read(copies: cache.Cache, remote: Remote, name: str) -> bytes:
    held = copies.hold(name, remote.download(name))
    try:
        return os.pread(held, MANY, 0)
    finally:
        copies.release([held])


def size_of(folder: pathlib.Path) -> int:
    return sum(path.stat().st_size for path in (folder / "files").iterdir() if path.suffix != ".sum")


def names_in(folder: pathlib.Path) -> set[str]:
    return {path.name for path in (folder / "files").iterdir()}


def test_a_file_is_fetched_once_for_all_processes(tmp_path: pathlib.Path, remote: Remote) -> None:
    for copies in (cache.Cache(tmp_path, MANY, 0), cache.Cache(tmp_path, MANY, 0)):
        assert read(copies, remote, "f1") == remote.files["f1"]
    assert remote.fetched == ["f1"]


def test_threads_that_want_one_file_at_once_fetch_it_once(tmp_path: pathlib.Path, remote: Remote) -> None:
    begun = threading.Barrier(4)

    def one() -> None:
        copies = cache.Cache(tmp_path, MANY, 0)
        begun.wait()
        assert read(copies, remote, "f1") == remote.files["f1"]

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert remote.fetched == ["f1"]


@pytest.mark.parametrize("damage", ["flipped", "cut", "without its sum", "the sum"])
@pytest.mark.parametrize("who", ["the process that fetched it", "another"])
def test_a_damaged_copy_is_noticed_and_fetched_again(
    tmp_path: pathlib.Path, remote: Remote, damage: str, who: str
) -> None:
    copies = cache.Cache(tmp_path, MANY, 0)
    read(copies, remote, "f1")
    place = pathlib.Path(copies.path("f1"))
    if damage == "flipped":
        place.write_bytes(b"\xff" + place.read_bytes()[1:])
    elif damage == "cut":
        os.truncate(place, 10)
    else:
        # What this process has checked it believes as long as the file is the same one.
        os.utime(place)
        sums = pathlib.Path(f"{place}.sum")
        sums.unlink() if damage == "without its sum" else sums.write_text("nonsense")
    if who == "another":
        copies = cache.Cache(tmp_path, MANY, 0)
    assert read(copies, remote, "f1") == remote.files["f1"]
    assert remote.fetched == ["f1", "f1"]


def test_the_bound_holds_and_what_was_not_used_for_longest_goes_first(tmp_path: pathlib.Path, remote: Remote) -> None:
    copies = cache.Cache(tmp_path, 3000, 0)
    for name in ("f0", "f1", "f2", "f0", "f3"):
        read(copies, remote, name)
        assert size_of(tmp_path) <= 3000
    assert remote.fetched == ["f0", "f1", "f2", "f3"]
    assert names_in(tmp_path) == {f"{name}{end}" for name in ("f0", "f2", "f3") for end in ("", ".sum")}


def test_what_is_held_stays_and_the_bound_holds_again_when_it_is_released(
    tmp_path: pathlib.Path, remote: Remote
) -> None:
    copies, other = cache.Cache(tmp_path, 2000, 0), cache.Cache(tmp_path, 2000, 0)
    held = [copies.hold(name, remote.download(name)) for name in ("f0", "f1", "f2")]
    read(other, remote, "f3")
    assert {"f0", "f1", "f2"} <= names_in(tmp_path)
    copies.release(held)
    assert size_of(tmp_path) <= 2000


def test_a_file_larger_than_the_bound_is_read_and_goes(tmp_path: pathlib.Path, remote: Remote) -> None:
    copies = cache.Cache(tmp_path, 10, 0)
    assert read(copies, remote, "f1") == remote.files["f1"]
    assert names_in(tmp_path) == set()


def test_a_file_that_is_not_there_leaves_nothing(tmp_path: pathlib.Path, remote: Remote) -> None:
    copies = cache.Cache(tmp_path, MANY, 0)
    with pytest.raises(FileNotFoundError):
        copies.hold("none", remote.download("none"))
    assert names_in(tmp_path) == set()


def test_the_disk_keeps_what_is_kept_back(
    tmp_path: pathlib.Path, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A disk of 100,000 bytes, 5,000 of them kept back, of which the cache's files take what they take.
    def of_disk(folder: object) -> os.statvfs_result:
        taken = size_of(tmp_path) if (tmp_path / "files").exists() else 0
        free = 10_000 - taken
        return os.statvfs_result((1, 1, 100_000, free, free, 0, 0, 0, 0, 255))

    monkeypatch.setattr("penstock.base.disk.os.statvfs", of_disk)
    copies = cache.Cache(tmp_path, MANY, 5_000)
    for n in range(10):
        read(copies, remote, f"f{n}")
    assert size_of(tmp_path) == 5_000
    remote.files["large"] = bytes(6_000)
    with pytest.raises(errors.NoRoom):
        copies.hold("large", remote.download("large"))


KILLED = """
import os, pathlib, signal, sys
from penstock.lake.location import cache
copies = cache.Cache(pathlib.Path(sys.argv[1]), 1 << 30, 0)
def fetch(empty):
    with empty(1000) as file:
        file.write(b"half")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
held = copies.hold("f2", lambda empty: empty(0).close() or 0)
copies.hold("f1", fetch)
"""


def test_a_kill_in_the_middle_of_fetching_leaves_nothing_that_stays(tmp_path: pathlib.Path, remote: Remote) -> None:
    """Nor a lock: what the killed process held can be removed."""
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, timeout=60)
    assert names_in(tmp_path) == {"f1.part", "f2", "f2.sum"}
    copies = cache.Cache(tmp_path, 2500, 0)
    read(copies, remote, "f3")
    assert names_in(tmp_path) == {"f2", "f2.sum", "f3", "f3.sum"}
    assert read(copies, remote, "f1") == remote.files["f1"]
    read(copies, remote, "f4")
    assert names_in(tmp_path) == {f"{name}{end}" for name in ("f1", "f4") for end in ("", ".sum")}


def test_a_file_written_here_is_a_copy_once_it_is_stored_and_gone_if_that_fails(
    tmp_path: pathlib.Path, remote: Remote
) -> None:
    copies = cache.Cache(tmp_path, MANY, 0)
    with copies.writing("new") as writing:
        pathlib.Path(writing.path).write_bytes(b"content")
        read(copies, remote, "f1")  # its looking for leftovers leaves a file alone that is being written
        writing.adopt(writing.crc())
    assert read(copies, remote, "new") == b"content"
    with contextlib.suppress(ZeroDivisionError), copies.writing("other") as writing:
        pathlib.Path(writing.path).write_bytes(b"content")
        raise ZeroDivisionError
    assert not any("other" in name for name in names_in(tmp_path))
    assert remote.fetched == ["f1"]
