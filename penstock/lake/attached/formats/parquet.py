"""A folder of Parquet files, or the objects below a prefix of a bucket: the files there are, pinned one by one."""

from __future__ import annotations

import hashlib

from penstock import errors
from penstock.lake.attached import faults, stores
from penstock.lake.attached.formats import listing

_VERSION_BITS = 53
"""What JSON's readers keep of an integer."""


def read(table: str, access: stores.Access) -> listing.Listing:
    """The files there are now.

    Raises:
        ConfigurationError: `attached_table_empty`.
        StorageError: `attached_table_unreadable`.
    """
    with faults.translated(table):
        found = stores.list_files(table, access)
    if not found:
        raise errors.ConfigurationError(
            "attached_table_empty",
            f"{table} holds no Parquet file.",
            "Name the folder or prefix whose files end in .parquet; --type delta or iceberg for tables of those.",
        )
    types, constants = listing.hive_constants([file.uri for file in found])
    entries = tuple(listing.Entry(file=file, constants=own) for file, own in zip(found, constants, strict=True))
    return listing.Listing(version=_version(found), entries=entries, by_tag=True, constants=types, columns=None)


def _version(found: list[stores.Found]) -> int:
    """A number for these very files: all processes on all hosts find the same one, and other files give another."""
    digest = hashlib.sha256()
    for file in found:
        digest.update(f"{file.uri}\0{file.bytes}\0{file.tag}\n".encode("utf-8", "surrogateescape"))
    return int.from_bytes(digest.digest()[:8]) >> (64 - _VERSION_BITS)
