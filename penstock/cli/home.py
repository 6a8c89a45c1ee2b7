"""The home folder as the terminal sees it: PENSTOCK_HOME, the stored client, the running service.

HOME/client.json    the first API key, for commands on this machine; mode 0600; made by `penstock init`
HOME/service.json   where the service listens while `penstock serve` runs
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from typing import Any

from penstock.base import durable_files


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredClient:
    """What `penstock init` keeps for commands on this machine.

    Attributes:
        api_key: the first API key.
        community_uuid: the first community.
        community: its name.
    """

    api_key: str
    community_uuid: str
    community: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunningService:
    """A service that was started from this home and still runs.

    Attributes:
        url: where it listens.
        ca_file: its CA; None without TLS.
        pid: its process.
    """

    url: str
    ca_file: str | None
    pid: int


def path() -> pathlib.Path:
    """PENSTOCK_HOME, or `.penstock` in the working directory."""
    return pathlib.Path(os.environ.get("PENSTOCK_HOME") or ".penstock")


def stored_client() -> StoredClient | None:
    """What `penstock init` kept; None if nothing."""
    value = _read(path() / "client.json")
    if value is None or not isinstance(value.get("api_key"), str):
        return None
    return StoredClient(
        api_key=value["api_key"],
        community_uuid=str(value.get("community_uuid", "")),
        community=str(value.get("community", "")),
    )


def store_client(client: StoredClient) -> None:
    """Keeps the first API key, readable by its owner only."""
    durable_files.replace(path() / "client.json", json.dumps(dataclasses.asdict(client), indent=1).encode())


def running_service() -> RunningService | None:
    """The service that runs from this home; None if none does."""
    value = _read(path() / "service.json")
    if value is None or not isinstance(value.get("url"), str) or not _lives(value.get("pid")):
        return None
    return RunningService(url=value["url"], ca_file=value.get("ca_file"), pid=value["pid"])


class Announcement:
    """Lets other commands find the service, from `make` until the block ends."""

    def __init__(self) -> None:
        self._made: RunningService | None = None

    def make(self, service: RunningService) -> None:
        """Says where the service listens."""
        durable_files.replace(path() / "service.json", json.dumps(dataclasses.asdict(service), indent=1).encode())
        self._made = service

    def __enter__(self) -> Announcement:
        return self

    def __exit__(self, *_: object) -> None:
        found = _read(path() / "service.json")
        # Only one's own: a service that was started meanwhile has written its file over ours.
        if self._made is not None and found is not None and found.get("pid") == self._made.pid:
            (path() / "service.json").unlink(missing_ok=True)


def _lives(pid: Any) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        # Signal 0 is never sent; the call only says whether the process is there. A killed service leaves its file
        # behind.
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # There, but another user's.
    except PermissionError:
        return True
    return True


def _read(file: pathlib.Path) -> dict[str, Any] | None:
    try:
        value = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
