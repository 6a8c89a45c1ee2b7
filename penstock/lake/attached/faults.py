"""Faults of attached tables, and the border where foreign libraries' become ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import polars as pl
from deltalake import exceptions as delta_errors

from penstock import errors

REFUSAL_HINT = "Write to the table with what it belongs to; Penstock only reads it."


def refused() -> errors.ReadOnly:
    """Of everything that would write."""
    return errors.ReadOnly(
        "community_attached", "The community's events are an attached table, which is read only.", REFUSAL_HINT
    )


def detached() -> errors.Conflict:
    """Of a community whose table was taken off."""
    return errors.Conflict(
        "community_detached",
        "The community's table was detached: it has no events now.",
        "The operator can attach a table under the same name: penstock community attach.",
    )


def gone(uri: str) -> errors.Conflict:
    """A file of a pinned snapshot is not there any more."""
    return errors.Conflict(
        "attached_file_changed",
        f"The file {_name(uri)} is gone since the snapshot was pinned.",
        "Run the search again: it reads the newest table. Keep deleted files for as long as exports run.",
    )


def changed(uri: str) -> errors.Conflict:
    """A file of a pinned snapshot is another one now."""
    return errors.Conflict(
        "attached_file_changed",
        f"The file {_name(uri)} was changed since the snapshot was pinned.",
        "Run the search again: it reads the newest table.",
    )


def _name(uri: str) -> str:
    # Its name alone: where tables lie is the operator's business, and tenants read this sentence.
    return uri.rsplit("/", 1)[-1]


def unsupported(what: str, hint: str) -> errors.ConfigurationError:
    """A table that cannot be read rightly is not read at all."""
    return errors.ConfigurationError("attached_table_unsupported", what, hint)


def elsewhere(uri: str) -> errors.ConfigurationError:
    """A table says that its files lie where none of its can lie."""
    return unsupported(
        f"The table names {uri} as a file of its own, which is a file of this machine or of Penstock's lake.",
        "Ask those who write the table what they mean; make a copy that has its files with it.",
    )


def unreadable(table: str, error: BaseException) -> errors.StorageError:
    """The table does not answer, or is none."""
    reason = (str(error).splitlines() or [""])[0]
    return errors.StorageError(
        "attached_table_unreadable",
        f"The table {table} cannot be read: {type(error).__name__}: {reason}",
        "Look at its address, at --type, and at the rights and credentials of this process.",
    )


@contextlib.contextmanager
def translated(table: str) -> Iterator[None]:
    """What foreign libraries raise while an attached table is looked at becomes `attached_table_unreadable`."""
    try:
        yield
    except (delta_errors.DeltaError, pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise unreadable(table, error) from error
