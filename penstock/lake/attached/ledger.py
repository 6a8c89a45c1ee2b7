"""What was found out about files of an attached table, kept for other processes: only a copy of what footers say."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
import polars as pl

from penstock import errors
from penstock.lake import location
from penstock.lake.attached import columns, footers, stores

NAME = "_facts"
"""Its file in the community's folder."""

_FORMAT = 1


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RowGroup:
    """A row group, or all of a small file.

    Attributes:
        start, end: its rows.
        first_us, last_us: no event of it lies outside.
    """

    start: int
    end: int
    first_us: int
    last_us: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What files of equal columns share.

    Attributes:
        schema: Polars types of the file's own columns.
        nodes: the same as the footer has them, with ids.
        leaves: of the schema, in order.
    """

    schema: Mapping[str, pl.DataType]
    nodes: tuple[footers.Node, ...]
    leaves: tuple[columns.Leaf, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """Of one file.

    Attributes:
        rows: events.
        shape: its columns.
        bytes: uncompressed, of each of the shape's leaves.
        groups: its row groups.
    """

    rows: int
    shape: Shape
    bytes: tuple[int, ...]
    groups: tuple[RowGroup, ...]


ShapeOf = Callable[[Mapping[str, pl.DataType], tuple[footers.Node, ...]], Shape]
"""The one shape of these columns."""


class Ledger:
    """Facts of files in a file. Damaged, deleted or of another version, it is empty.

    Args:
        folder: the community's.
        time: the column of the time; by another one, row groups would lie elsewhere.
    """

    def __init__(self, folder: location.Location, time: str | None) -> None:
        self._folder = folder
        # Polars may read a column as another type in another version.
        self._format = [_FORMAT, pl.__version__, time]

    def load(self, wanted: Sequence[stores.Found], shape_of: ShapeOf) -> dict[stores.Found, Facts]:
        """What is known of these files. A file of another size or tag is another file."""
        try:
            packed = self._folder.read(NAME)
            content = orjson.loads(zlib.decompress(packed))  # its checksum tells damage
            if content["format"] != self._format:
                return {}
            shapes = [shape_of(_schema(bytes.fromhex(text)), _nodes(nodes)) for text, nodes in content["shapes"]]
            asked = set(wanted)
            found = {}
            for uri, size, tag, rows, number, weights, groups in content["files"]:
                file = stores.Found(uri, size, tag)
                if file in asked:
                    found[file] = Facts(
                        rows=rows,
                        shape=shapes[number],
                        bytes=tuple(weights),
                        groups=tuple(RowGroup(start=s, end=e, first_us=f, last_us=t) for s, e, f, t in groups),
                    )
            return found
        except (
            OSError,
            errors.StorageError,
            ValueError,
            KeyError,
            TypeError,
            IndexError,
            zlib.error,
            pl.exceptions.PolarsError,
        ):
            return {}

    def store(self, known: Mapping[stores.Found, Facts]) -> None:
        """Writes it, in place of the one there; never raises for want of room or rights."""
        shapes: dict[int, tuple[int, Shape]] = {}
        files = []
        for file, facts in known.items():
            number, _ = shapes.setdefault(id(facts.shape), (len(shapes), facts.shape))
            groups = [[each.start, each.end, each.first_us, each.last_us] for each in facts.groups]
            files.append([file.uri, file.bytes, file.tag, facts.rows, number, facts.bytes, groups])
        content = {
            "format": self._format,
            "shapes": [[_text(shape.schema), [_as_json(node) for node in shape.nodes]] for _, shape in shapes.values()],
            "files": files,
        }
        # It can be made again.
        with contextlib.suppress(OSError, errors.StorageError):
            self._folder.write(NAME, zlib.compress(orjson.dumps(content), 1), durable=False)


def _text(schema: Mapping[str, pl.DataType]) -> str:
    target = io.BytesIO()
    pl.DataFrame(schema=dict(schema)).write_ipc(target)
    return target.getvalue().hex()


def _schema(packed: bytes) -> dict[str, pl.DataType]:
    return dict(pl.read_ipc_schema(io.BytesIO(packed)))


def _as_json(node: footers.Node) -> list[Any]:
    return [node.name, node.field_id, node.unit, [_as_json(child) for child in node.children]]


def _nodes(stored: Sequence[Any]) -> tuple[footers.Node, ...]:
    return tuple(
        footers.Node(name=name, field_id=field_id, unit=unit, children=_nodes(children))
        for name, field_id, unit, children in stored
    )
