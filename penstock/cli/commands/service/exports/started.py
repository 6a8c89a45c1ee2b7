"""What is kept of each export before it is started: its key above all. One file each, readable by the user only.

Whatever fails later (a full disk, a closed terminal, Ctrl-C while the request is on its way), the key is there, and
`penstock download TASK` finds it. Files are dropped after a week; a download window is a day by default.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import pathlib
import time
from typing import Any

from penstock.cli import user_files
from penstock.client import CustomerKey

_KEEP_SECONDS = 7 * 86_400


@dataclasses.dataclass(kw_only=True)
class Record:
    """What is kept of one export.

    Attributes:
        file: where; None if nothing could be written.
        facts: what the file says.
    """

    file: pathlib.Path | None
    facts: dict[str, Any]

    def started(self, task_uuid: str) -> None:
        """Adds the task, now that it is known."""
        self.facts["task_uuid"] = task_uuid
        if self.file is not None:
            with contextlib.suppress(OSError):  # the key is in the file already
                user_files.write(self.file, self.facts)

    def forget(self) -> None:
        """Nothing was started."""
        if self.file is not None:
            self.file.unlink(missing_ok=True)


def keep(key: CustomerKey, *, service: str, job_uuid: str) -> Record:
    """Keeps the key of an export that is about to be started."""
    _drop_old()
    facts = {
        "service": service,
        "job_uuid": job_uuid,
        "started_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "sse_customer_key": key.base64,
        "sse_customer_key_md5": key.md5,
    }
    file = _file_of(key.md5)
    try:
        user_files.write(file, facts)
    except OSError:
        return Record(file=None, facts=facts)
    return Record(file=file, facts=facts)


def key_of(md5: str | None) -> CustomerKey | None:
    """The kept key with this MD5 (base64); None if none is kept."""
    found = user_files.read(_file_of(md5)) if md5 else None
    if found is None or found.get("sse_customer_key_md5") != md5:
        return None
    return CustomerKey.parse(str(found["sse_customer_key"]))


def _file_of(md5: str) -> pathlib.Path:
    # base64 may hold a slash, which would be a folder.
    safe = md5.translate(str.maketrans("/+", "_-", "="))
    return user_files.state_folder() / "exports" / f"{safe}.json"


def _drop_old() -> None:
    oldest = time.time() - _KEEP_SECONDS
    with contextlib.suppress(OSError):
        for file in (user_files.state_folder() / "exports").glob("*.json"):
            if file.stat().st_mtime < oldest:
                file.unlink(missing_ok=True)
