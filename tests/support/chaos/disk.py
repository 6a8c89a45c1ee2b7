"""A small disk, where this machine may have one, and what fills it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def small(place: pathlib.Path, size_bytes: int) -> Iterator[bool]:
    """Mounts a file system of its own at a new folder; False, and a plain folder, where that is not allowed."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(place)]
    may = sys.platform == "linux" and os.geteuid() == 0
    mounted = may and subprocess.run(command, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", place], check=True)


def is_half_full(place: pathlib.Path) -> bool:
    """Whether what was taken in is enough."""
    usage = shutil.disk_usage(place)
    return usage.used > usage.total / 2


@contextlib.contextmanager
def filled(place: pathlib.Path) -> Iterator[None]:
    """Nothing is left of a disk, to the last byte."""
    ballast = place / "ballast"
    try:
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 18))
        yield
    finally:
        ballast.unlink(missing_ok=True)
