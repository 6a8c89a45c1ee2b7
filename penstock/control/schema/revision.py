"""Which revision the tables are at, read without Alembic: to load it takes longer than most commands have."""

from __future__ import annotations

import functools
import pathlib

VERSIONS = pathlib.Path(__file__).parent.parent / "migrations" / "versions"

QUERY = "SELECT version_num FROM alembic_version"
"""Alembic keeps the revision there; no row, or no such table, means that nothing was ever migrated."""


@functools.cache
def newest() -> str:
    """The revision of this version of Penstock: the number that the last migration's file begins with."""
    return max(file.name.partition("_")[0] for file in VERSIONS.glob("[0-9]*_*.py"))
