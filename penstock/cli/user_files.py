"""Files of the user, outside of any home: what `export` started, and the services that `login` knows.

They lie where the XDG rules say: XDG_STATE_HOME (~/.local/state) and XDG_CONFIG_HOME (~/.config), each in `penstock`.
Folders are made 0700, files 0600, and a file is replaced whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import tempfile
from typing import Any


def state_folder() -> pathlib.Path:
    """Where what was started is kept."""
    return _folder("XDG_STATE_HOME", ".local/state")


def config_folder() -> pathlib.Path:
    """Where what was set up is kept."""
    return _folder("XDG_CONFIG_HOME", ".config")


def read(file: pathlib.Path) -> dict[str, Any] | None:
    """A JSON object of a file; None if there is none that can be read."""
    try:
        value = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def write(file: pathlib.Path, value: dict[str, Any]) -> None:
    """Replaces a file, whole and on the disk before it returns. `mkstemp` makes it 0600.

    Raises:
        OSError: it cannot be written.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}")
    try:
        with os.fdopen(handle, "w") as fresh:
            json.dump(value, fresh, indent=1)
            fresh.flush()
            os.fsync(fresh.fileno())
        os.replace(temporary, file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _folder(variable: str, default: str) -> pathlib.Path:
    """The XDG rules say that a relative path in the variable is to be ignored."""
    named = pathlib.Path(os.environ.get(variable, ""))
    return (named if named.is_absolute() else pathlib.Path.home() / default) / "penstock"
