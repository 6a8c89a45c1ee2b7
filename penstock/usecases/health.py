"""How the service is, in parts: database, lake, file store, workers. For operators; `readyz` is for machines."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import enum
import os
import pathlib
import shutil
from collections.abc import Callable

from penstock import errors
from penstock.base import disk
from penstock.control import communities, workload
from penstock.process import lakes
from penstock.process import services as services_module

FULL_DISK_SHARE = 0.9
"""Used share of a disk from which on it is worth a look."""

WAITING_SECONDS = 30.0
"""An export or a search that no worker has taken for so long is worth a look."""

_GIGABYTE = 1e9


def disks(services: services_module.Services) -> dict[str, disk.Space]:
    """The disks that the service writes to, by what lies there; those of other machines are theirs to watch.

    `database` only with SQLite, `storage` only with the embedded store, `lake_cache` instead of `lake` where the lake
    is in S3. A disk that cannot be asked is left out.
    """
    settings = services.settings
    if settings.lake_bucket is None:
        folders = {"lake": pathlib.Path(settings.resolved_lake_path)}
    else:
        folders = {"lake_cache": pathlib.Path(settings.resolved_lake_cache_path)}
    if settings.storage == "embedded":
        folders["storage"] = settings.home
    if services.database.file is not None:
        folders["database"] = services.database.file.parent
    found = {}
    for name, folder in folders.items():
        with contextlib.suppress(OSError):
            found[name] = disk.Room(folder, settings.disk_keep_bytes).space()
    return found


class State(enum.StrEnum):
    """How a part is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One part of the service.

    Attributes:
        name: `database`, `lake`, `storage` or `workers`.
        state: how it is.
        detail: a sentence with what was seen, and what to do where something is to be done.
    """

    name: str
    state: State
    detail: str


def look(services: services_module.Services) -> list[Part]:
    """Looks at every part; one that cannot be read is FAILED and hides no other. May take seconds: use a thread."""
    looks: dict[str, Callable[[services_module.Services], tuple[State, str]]] = {
        "database": _database,
        "lake": _lake,
        "storage": _storage,
        "workers": _workers,
    }
    return [_part(name, look_at, services) for name, look_at in looks.items()]


def _part(
    name: str, look_at: Callable[[services_module.Services], tuple[State, str]], services: services_module.Services
) -> Part:
    try:
        state, detail = look_at(services)
    except errors.PenstockError as error:
        state, detail = State.FAILED, f"{error.detail} {error.hint}".strip()
    except OSError as error:
        state, detail = State.FAILED, f"{error.strerror or error}: {error.filename or name}."
    return Part(name=name, state=state, detail=detail)


def _database(services: services_module.Services) -> tuple[State, str]:
    begun = services.clock.monotonic()
    services.database.check()
    milliseconds = (services.clock.monotonic() - begun) * 1000
    kind = "SQLite" if services.database.is_sqlite else "PostgreSQL"
    return State.OK, f"{kind} answers in {milliseconds:.0f} ms; its tables are up to date."


def _lake(services: services_module.Services) -> tuple[State, str]:
    with services.database.read() as tx:
        number = len(communities.list_all(tx, None))
    what = f"Events of {number} {'community' if number == 1 else 'communities'}"
    place = services.settings.lake_bucket
    if place is None:
        return _folder(services, pathlib.Path(services.settings.resolved_lake_path), what)
    begun = services.clock.monotonic()
    lakes.check_lake(services.settings)
    milliseconds = (services.clock.monotonic() - begun) * 1000
    what = f"{what} in the bucket {place[0]}, which answers in {milliseconds:.0f} ms; copies are cached"
    return _folder(services, pathlib.Path(services.settings.resolved_lake_cache_path), what)


def _storage(services: services_module.Services) -> tuple[State, str]:
    if services.settings.storage == "embedded":
        return _folder(services, pathlib.Path(services.settings.home), "Exports are kept in the home folder")
    begun = services.clock.monotonic()
    # The cheapest question that needs the network, the credentials and the bucket; no upload has this prefix.
    next(iter(services.store.list_unfinished("health-check/")), None)
    milliseconds = (services.clock.monotonic() - begun) * 1000
    return State.OK, f"The bucket {services.settings.s3_bucket} answers in {milliseconds:.0f} ms."


def _workers(services: services_module.Services) -> tuple[State, str]:
    now = services.clock.now()
    with services.database.read() as tx:
        load = workload.read(tx, now)
    busy = f"{load.running} running on {load.busy_workers} worker{'' if load.busy_workers == 1 else 's'}"
    if load.waiting_since is None:
        return State.OK, f"{busy}, nothing waits."
    waited = max(dt.timedelta(), now - load.waiting_since).total_seconds()
    if waited < WAITING_SECONDS:
        return State.OK, f"{busy}, {load.waiting} waiting."
    hint = "Start more workers: penstock worker." if load.running else "No worker takes it. Start one: penstock worker."
    return State.WARNING, f"{busy}, {load.waiting} waiting, the oldest for {waited:,.0f} s. {hint}"


def _folder(services: services_module.Services, folder: pathlib.Path, what: str) -> tuple[State, str]:
    """A folder that must be writable, and its disk; one that is not made yet stands for the one above it."""
    # A fresh service has made neither folder yet, and is well.
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        return State.FAILED, f"{what}; {folder} cannot be written. Give the service's user the right to write there."
    usage = shutil.disk_usage(folder)
    share = 1 - usage.free / usage.total if usage.total else 1.0
    seen = f"{what}; {usage.free / _GIGABYTE:,.1f} GB free, {share:.0%} of the disk used"
    if disk.Room(folder, services.settings.disk_keep_bytes).space().is_full:
        return State.FAILED, f"{seen}. Nothing is taken in and no export goes on until there is room: add space."
    if share < FULL_DISK_SHARE:
        return State.OK, f"{seen}."
    return State.WARNING, f"{seen}. Add space, or keep less."
