"""Checks of the receipts an upload is completed with, the same for every store."""

from __future__ import annotations

from collections.abc import Sequence

from penstock import errors
from penstock.storage.contract import MAX_PARTS, Receipt


def checked(receipts: Sequence[Receipt], min_part_bytes: int, *, gaps: bool = False) -> tuple[Receipt, ...]:
    """The receipts in order of their numbers, when an object can be made of them.

    Raises:
        StorageError: `invalid_part`: none, too many, a gap, a number twice, or a part but the last that is too small.
    """
    parts = tuple(sorted(receipts, key=lambda receipt: receipt.number))
    if not 1 <= len(parts) <= MAX_PARTS:
        raise refused(f"an object has 1 to {MAX_PARTS} parts, not {len(parts)}")
    numbers = [part.number for part in parts]
    if len(set(numbers)) < len(numbers):
        raise refused("two parts have one number")
    # S3 itself allows gaps; ours are a sign of a lost part, and the file would be short without anybody noticing.
    if not gaps and numbers != list(range(1, len(parts) + 1)):
        raise refused("the parts' numbers do not run from 1 without a gap")
    for part in parts[:-1]:
        if part.size < min_part_bytes:
            raise refused(f"part {part.number} has {part.size} bytes; all but the last need {min_part_bytes}")
    return parts


def refused(why: str) -> errors.InvalidPart:
    """The error of a part or a receipt that the store does not take."""
    return errors.InvalidPart(
        "invalid_part",
        f"The upload cannot go on: {why}.",
        "Put the parts again, or abort the upload and begin a new one.",
    )
