"""What is attached: kept as one small file in the community's folder, so that every process that opens it knows."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

import orjson

from penstock import errors
from penstock.lake.attached import faults
from penstock.lake.location import Location

NAME = "_attached.json"
"""In the community's folder of the lake. Where it is, the community's events are somebody else's table."""

_DETACHED = {"detached": True}
"""What stands there once the table was taken off. With no file, whoever looks next would make a table of our own."""


class TableType(enum.StrEnum):
    """How the table says which files it has."""

    PARQUET = "parquet"
    DELTA = "delta"
    ICEBERG = "iceberg"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Definition:
    """An attached table.

    Attributes:
        table: a folder, an `s3://` prefix, a file; with a catalogue, a name in it.
        type: what it is.
        time: the column that holds an event's time, by its dotted name; None: `@timestamp`, else `time`.
        catalog: name of pyiceberg's catalogue (`iceberg` only); None: `table` says where the metadata lies.
        names: dotted column -> field it is mapped to.
    """

    table: str
    type: TableType
    time: str | None = None
    catalog: str | None = None
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def called(self) -> str:
        """For people."""
        where = f"{self.catalog}:{self.table}" if self.catalog else self.table
        return f"{self.type} {where}"


def write(folder: Location, definition: Definition) -> None:
    """Makes the community's folder one of an attached table. StorageError."""
    _write(folder, dataclasses.asdict(definition))


def write_detached(folder: Location) -> None:
    """Replaces the definition: from now on `read` raises `community_detached`. Idempotent. StorageError."""
    _write(folder, _DETACHED)


def _write(folder: Location, content: Mapping[str, Any]) -> None:
    try:
        folder.write(NAME, orjson.dumps(content))
    except OSError as error:
        raise errors.StorageError(
            "lake_failed", f"{folder.root} cannot be written: {error.strerror}.", "Look at the disk's space and rights."
        ) from error


def read(folder: Location) -> Definition | None:
    """The definition in a community's folder; None where the events are Penstock's own.

    Raises:
        Conflict: `community_detached`.
        StorageError: it is there and cannot be read (`lake_failed`), or nobody can say whether it is there. Never
            taken for a table of our own.
    """
    try:
        stored = orjson.loads(folder.read(NAME))
        if stored == _DETACHED:
            raise faults.detached()
        return Definition(**{**stored, "type": TableType(stored["type"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise errors.StorageError(
            "lake_failed",
            f"{folder.root}/{NAME} cannot be read: {error}.",
            "Restore it from a backup, or attach the table again.",
        ) from error
