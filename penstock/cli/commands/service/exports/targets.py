"""Where a file is to go, checked before an export is started: a started export counts against the quota."""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Sequence

from penstock import errors
from penstock.cli import output
from penstock.cli.options import shared
from penstock.client import SearchJob

_AMPLE_BYTES = 10_000_000_000
"""With this much free, no export of the published quota can fill the disk, and nothing needs to be estimated."""


def check(options: shared.Download) -> None:
    """Refuses a target, or a place for the manifest, that cannot be written.

    Raises:
        StorageError: `file_not_writable`.
    """
    for file in (options.target, options.manifest):
        if file is not None and not shared.is_stdout(file):
            _check(file)


def check_space(job: SearchJob, fields: Sequence[str] | None, options: shared.Download) -> None:
    """Refuses an export that will hardly fit; estimates it only where the disk is not ample.

    Raises:
        StorageError: `disk_full`.
    """
    if options.target is not None and shared.is_stdout(options.target):
        return
    folder = (options.target or pathlib.Path()).absolute().parent if options.target else pathlib.Path.cwd()
    free = shutil.disk_usage(folder).free
    if free >= _AMPLE_BYTES:
        return
    size = job.estimate(fields).estimated_size_compressed
    if size is not None and size > free:
        raise errors.StorageError(
            "disk_full",
            f"The export takes about {output.size(size)}, and {folder} has {output.size(free)} left.",
            "Make room, choose another place with -o, or --no-download.",
        )


def _check(file: pathlib.Path) -> None:
    folder = file.absolute().parent
    reason = None
    if file.is_dir():
        reason = "it is a folder"
    elif not folder.is_dir():
        reason = f"there is no folder {folder}"
    # A file that is there is replaced; for a new one the folder must be writable.
    elif not os.access(file if file.exists() else folder, os.W_OK):
        reason = "permission denied"
    if reason is not None:
        raise errors.StorageError(
            "file_not_writable", f"{file} cannot be written: {reason}.", "Choose another place. Nothing was started."
        )
