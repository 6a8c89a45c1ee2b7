"""Which row groups of a data file a query must read, by what its sidecar says."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping

from penstock.lake.needles import keys, sidecar
from penstock.query import needles


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RowGroup:
    """A row group of a data file.

    Attributes:
        offset: its first row, 0-based.
        rows: number of rows.
    """

    offset: int
    rows: int


def rows_to_read(requirement: needles.Requirement, found: sidecar.Sidecar) -> list[RowGroup]:
    """The row groups that may hold a match, in the file's order. All of them where the sidecar turns out damaged."""
    groups = [
        RowGroup(offset=offset, rows=rows)
        for offset, rows in zip(itertools.accumulate(found.rows, initial=0), found.rows, strict=False)
    ]
    try:
        answers = {holds: _answer(holds, found) for holds in dict.fromkeys(needles.holds_of(requirement))}
    # All of them: what a damaged sidecar has already said may be wrong as well.
    except sidecar.Damaged:
        return groups
    return [group for n, group in enumerate(groups) if needles.is_met(requirement, _of_group(answers, n))]


def _of_group(answers: Mapping[needles.Holds, list[bool]], group: int) -> Callable[[needles.Holds], bool]:
    return lambda holds: answers[holds][group]


def _answer(holds: needles.Holds, found: sidecar.Sidecar) -> list[bool]:
    """For each row group whether it may hold the needle.

    A column that is not among those without field keys has one for every value, or is absent from the row group: then
    only the overflow can hold the field, and all its values have field keys.
    """
    key = keys.of_needle(holds.needle)
    may_hold = found.has(key)
    # The second probe reads another page; it is spared where the first has said no everywhere.
    if holds.field is None or not any(may_hold):
        return may_hold
    in_field = found.has(int(keys.kernel.field_key(key, keys.salt(holds.field))))
    return [
        may and (is_in_field or holds.field in without)
        for may, is_in_field, without in zip(may_hold, in_field, found.without_field_keys, strict=True)
    ]
