"""Files written past the cache: every byte, in order, whatever the pieces; and where the system refuses."""

from __future__ import annotations

import errno
import fcntl
import os
import pathlib
import random
from typing import Any

import pytest

from penstock.base import direct

BUFFER = 64 * 1024


@pytest.fixture(autouse=True)
def small_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "BUFFER_BYTES", BUFFER)


def is_direct(fd: int) -> bool:
    return bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT)


@pytest.mark.parametrize(
    "sizes",
    [
        [],
        [0],
        [1],
        [BUFFER - 1, 1],
        [BUFFER],
        [BUFFER, 1],
        [BUFFER + 1],
        [3 * BUFFER],
        [7, 5 * BUFFER + 3, 0, BUFFER - 10, 1],
    ],
)
def test_file_holds_what_was_written(sizes: list[int], tmp_path: pathlib.Path) -> None:
    pieces = [random.Random(size).randbytes(size) for size in sizes]
    with direct.DirectFile(tmp_path / "file") as file:
        for piece in pieces:
            file.write(piece)
    assert (tmp_path / "file").read_bytes() == b"".join(pieces)


def test_an_older_longer_file_is_replaced(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 3 * BUFFER)
    with direct.DirectFile(tmp_path / "file") as file:
        file.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_whole_buffers_go_past_the_cache_and_the_rest_through_it(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[bool, int]] = []
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, piece: seen.append((is_direct(fd), len(piece))) or write(fd, piece))
    with direct.DirectFile(tmp_path / "file") as file:
        if not is_direct(file._fd):
            pytest.skip("this file system has no direct writing")
        file.write(bytes(2 * BUFFER + 5))
    assert seen == [(True, BUFFER), (True, BUFFER), (False, 5)]


@pytest.mark.parametrize("reason", [errno.EINVAL, errno.EOPNOTSUPP])
@pytest.mark.parametrize("where", ["open", "write"])
def test_file_system_that_refuses_is_written_the_usual_way(
    where: str, reason: int, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = []
    original = getattr(os, where)

    def call(first: Any, second: Any, *rest: Any) -> Any:
        wants = second & os.O_DIRECT if where == "open" else is_direct(first)
        if wants:
            refused.append(where)
            raise OSError(reason, "no")
        return original(first, second, *rest)

    monkeypatch.setattr(os, where, call)
    body = random.Random(1).randbytes(3 * BUFFER + 100)
    with direct.DirectFile(tmp_path / "file") as file:
        file.write(body)
    assert (tmp_path / "file").read_bytes() == body
    assert refused == [where]


def test_short_writes_are_gone_on_with(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, piece: write(fd, piece[:4096]))
    body = random.Random(2).randbytes(2 * BUFFER + 4097)
    with direct.DirectFile(tmp_path / "file") as file:
        file.write(body)
    assert (tmp_path / "file").read_bytes() == body


def test_full_disk_is_told(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, piece: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="No space"), direct.DirectFile(tmp_path / "file") as file:
        file.write(bytes(BUFFER))
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_descriptor_that_is_given_stays_open_and_goes_through_the_cache_again(tmp_path: pathlib.Path) -> None:
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    try:
        with direct.DirectFile(fd) as file:
            file.write(b"x" * (2 * BUFFER + 5))
        assert not is_direct(fd)
        assert os.pread(fd, 3 * BUFFER, 0) == b"x" * (2 * BUFFER + 5)
    finally:
        os.close(fd)
