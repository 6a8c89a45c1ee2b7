"""Published packages, each installed beside nothing of ours: with its own dependencies, once, under `build/`."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Sequence

import pytest

FOLDER = pathlib.Path(__file__).parents[2] / "build" / "clients"


def installed(name: str, *requirements: str) -> pathlib.Path:
    """The folder that holds the packages; without a network the test is skipped, in CI it fails."""
    folder = FOLDER / name
    if folder.exists():
        return folder
    made = folder.with_name(f"{name}.{os.getpid()}")
    options = ("-q", "--disable-pip-version-check", "--target", str(made))
    pip = [sys.executable, "-m", "pip", "install", *options, *requirements]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=300)
    if done.returncode:
        shutil.rmtree(made, ignore_errors=True)
        if os.environ.get("CI") == "true":
            pytest.fail(done.stderr)
        pytest.skip(f"{', '.join(requirements)} cannot be installed here")
    with contextlib.suppress(OSError):  # another process was first
        made.rename(folder)
    return folder


def command(folder: pathlib.Path, program: str) -> Sequence[str]:
    """Runs a Python program with the packages of `folder` and nothing else.

    -I and -S: neither PYTHONPATH nor the packages of this environment.
    """
    start = f"import sys; sys.path.insert(0, {str(folder)!r}); "
    return sys.executable, "-X", "utf8", "-I", "-S", "-c", start + program
