"""Tells a fault of a query from one of the lake, in what Polars raises while it filters."""

from __future__ import annotations

import polars as pl

from penstock import errors

_OF_QUERIES = ("regex error", "expression nesting", "maximum recursion")
"""Beginnings of Polars' messages about a predicate; it has no class of its own for them."""


def fault_of(error: Exception) -> errors.InvalidRequest | None:
    """The error to raise where the predicate is to blame; None where it is the data, the disk or anything else."""
    message = str(error)
    # Only beginnings count: an event's own text could appear anywhere else in a message.
    if not isinstance(error, pl.exceptions.PolarsError) or not message.startswith(_OF_QUERIES):
        return None
    return errors.InvalidRequest(
        "query_not_computable",
        f"The query cannot be computed: {message.splitlines()[0]}",
        "Split the query, or look for a shorter value. The events are not to blame.",
    )
