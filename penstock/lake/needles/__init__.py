"""The needle index: beside each data file a sidecar that says which values its row groups may hold (docs/lake.md).

    made = needles.of_frame(frame, weight, rows, columns, name)  when a data file is written
    with needles.read_file(path, name, rows) as sidecar:      None: missing, damaged or foreign: read all
        rows = needles.rows_to_read(requirement, sidecar)     what of the file may match

A sidecar can only save work. Every doubt, and every sidecar that is not there, means: read the row group.
"""

from __future__ import annotations

from penstock.lake.needles.keys import FEW_VALUES, kind_of
from penstock.lake.needles.pruning import RowGroup, rows_to_read
from penstock.lake.needles.sidecar import (
    Sidecar,
    content,
    content_of_file,
    of_frame,
    path_of,
    read,
    read_file,
)

__all__ = [
    "FEW_VALUES",
    "RowGroup",
    "Sidecar",
    "content",
    "content_of_file",
    "kind_of",
    "of_frame",
    "path_of",
    "read",
    "read_file",
    "rows_to_read",
]
