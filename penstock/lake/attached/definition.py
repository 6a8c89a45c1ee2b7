"""What is attached: kept as one small file in the community's folder, so that every process that opens it knows."""

from __future__ import annotations

import dataclasses
import enum
import os
import pathlib
from collections.abc import Mapping

import orjson

from penstock import errors
from penstock.base import durable_files

NAME = "_attached.json"
"""In the community's folder of the lake. Where it is, the community's events are somebody else's table."""


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


def write(root: str, definition: Definition) -> None:
    """Makes the community's folder one of an attached table. StorageError `lake_failed`."""
    try:
        pathlib.Path(root).mkdir(parents=True, exist_ok=True)
        durable_files.replace(pathlib.Path(root, NAME), orjson.dumps(dataclasses.asdict(definition)))
    except OSError as error:
        raise errors.StorageError(
            "lake_failed", f"{root} cannot be written: {error.strerror}.", "Look at the disk's space and rights."
        ) from error


def read(root: str) -> Definition | None:
    """The definition in a community's folder; None where the events are Penstock's own.

    Raises:
        StorageError: `lake_failed`: it is there and cannot be read. Never taken for a table of our own.
    """
    place = os.path.join(root, NAME)
    try:
        with open(place, "rb") as file:
            stored = orjson.loads(file.read())
        return Definition(**{**stored, "type": TableType(stored["type"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise errors.StorageError(
            "lake_failed", f"{place} cannot be read: {error}.", "Restore it from a backup, or attach the table again."
        ) from error
