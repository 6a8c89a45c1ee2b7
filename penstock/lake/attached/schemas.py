"""The fields of an attached table: which column of which file holds each, and as what."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import polars as pl

from penstock import errors
from penstock.fields import types
from penstock.fields.types import FieldType
from penstock.lake.attached import columns, definition, facts, faults, footers, ledger, times
from penstock.lake.attached.columns import Path
from penstock.lake.attached.formats import listing

TIMES = (types.TIMESTAMP, "time")
"""Columns taken for the time where none is named: ours, then OCSF's."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """How files of one shape give the table's columns.

    Attributes:
        leaves: path in the table -> the leaf of the file; those that the file lacks are left out.
        time: where their time is; None: they have none.
    """

    leaves: Mapping[Path, columns.Leaf]
    time: facts.Time | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Schema:
    """The fields.

    Attributes:
        types: field -> type, in the table's order; without @timestamp.
        paths: field -> path in the table.
    """

    types: Mapping[str, FieldType]
    paths: Mapping[str, Path]


class Views:
    """Views of shapes, each made once.

    Args:
        defined: what is attached.
        named: the table's own columns; None: the files' are the table's.
        constants: types of columns that are constant in a file (`listing.DTYPES`).
    """

    def __init__(
        self,
        defined: definition.Definition,
        named: Sequence[listing.Named] | None,
        constants: Mapping[str, str],
    ) -> None:
        self._defined = defined
        self._named = named
        self._constants = {name: listing.DTYPES[kind] for name, kind in constants.items()}
        self._known: dict[int, tuple[ledger.Shape, View]] = {}

    def of(self, shape: ledger.Shape) -> View:
        """The view of a shape. Raises ConfigurationError `attached_table_unsupported`."""
        known = self._known.get(id(shape))
        if known is None:
            leaves = self._leaves(shape)
            known = (shape, View(leaves=leaves, time=self._time(leaves)))
            self._known[id(shape)] = known
        return known[1]

    def time_of(self, shape: ledger.Shape) -> facts.Time | None:
        """Where files of a shape have their time."""
        return self.of(shape).time

    def _leaves(self, shape: ledger.Shape) -> dict[Path, columns.Leaf]:
        if self._named is None:
            found = {leaf.path: leaf for leaf in shape.leaves}
        else:
            # Where files have ids, these say which column is which, whatever it was called then.
            has_ids = any(node.field_id is not None for node in shape.nodes)
            found = dict(_matched(self._named, shape.schema, shape.nodes, has_ids))
        for name, dtype in self._constants.items():
            # What the folder or the log says goes before what the file holds, as in all readers.
            found = {path: leaf for path, leaf in found.items() if path[0] != name}
            found[(name,)] = columns.Leaf((name,), dtype)
        return found

    def _time(self, leaves: Mapping[Path, columns.Leaf]) -> facts.Time | None:
        dotted = {".".join(path): leaf for path, leaf in leaves.items()}
        wanted = (self._defined.time,) if self._defined.time else TIMES
        leaf = next((dotted[name] for name in wanted if name in dotted), None)
        return None if leaf is None else facts.Time(path=leaf.path, dtype=leaf.dtype)


def _matched(
    named: Sequence[listing.Named],
    schema: Mapping[str, pl.DataType],
    nodes: Sequence[footers.Node],
    has_ids: bool,
    above: Path = (),
    inside: Path = (),
) -> list[tuple[Path, columns.Leaf]]:
    """The leaves of a file, under the table's names for them. `above`: in the table, `inside`: in the file."""
    found: list[tuple[Path, columns.Leaf]] = []
    for column in named:
        node = next((one for one in nodes if _is_same(one, column, has_ids)), None)
        if node is None:
            if column.is_held:
                name = ".".join((*above, column.name))
                raise faults.unsupported(
                    f"Some files lack the column {name!r}, which the table is partitioned by.",
                    "Rewrite these files so that they hold it.",
                )
            continue
        if column.inner and has_ids:
            _check_inside(node, column)
        dtype = schema[node.name]
        if column.members and isinstance(dtype, pl.Struct):
            members = {field.name: columns.instance(field.dtype) for field in dtype.fields}
            found += _matched(
                column.members, members, node.children, has_ids, (*above, column.name), (*inside, node.name)
            )
        else:
            for leaf in columns.leaves({node.name: dtype}):
                path = (*inside, *leaf.path)
                found.append(((*above, column.name, *leaf.path[1:]), columns.Leaf(path, leaf.dtype)))
    return found


def _is_same(node: footers.Node, column: listing.Named, has_ids: bool) -> bool:
    if has_ids and column.field_id is not None:
        return node.field_id == column.field_id
    return node.name in (column.names or (column.name,))


def _check_inside(node: footers.Node, column: listing.Named) -> None:
    """Members inside lists and maps are written by their names in the file; others' would be wrong ones."""
    for child in node.children:
        # What a list calls its items is its writer's choice; a member's name is not.
        is_member = child.field_id is not None and column.inner.get(child.field_id, "") != ""
        if child.field_id is not None and child.field_id not in column.inner:
            raise _evolved(column.name)
        if is_member and child.name != column.inner[child.field_id or 0]:
            raise _evolved(column.name)
        _check_inside(child, column)


def _evolved(column: str) -> errors.ConfigurationError:
    return faults.unsupported(
        f"Members inside the list or map {column!r} were renamed or dropped, and some files are as before.",
        "Rewrite the files with the table's present schema, or drop the column.",
    )


def of(views: Sequence[View], named: Sequence[listing.Named] | None, defined: definition.Definition) -> Schema:
    """The fields of a table whose files are seen so, in order of first appearance or of the table's own schema."""
    paths = list(dict.fromkeys(path for view in views for path in view.leaves))
    if named is not None:
        known = set(paths)
        order = {path: place for place, path in enumerate(_paths(named))}
        paths = [path for path in order if path in known or not _is_above(path, known)]
        paths += [path for path in known if path not in order]
        paths.sort(key=lambda path: (order.get(path, len(order)), path))
    own = next((path for path in paths if path == (types.TIMESTAMP,)), None)
    is_time = own is not None and all(_is_exact(view, own) for view in views if own in view.leaves)
    names = columns.named(paths, defined.names, own if is_time and defined.time in (None, types.TIMESTAMP) else None)
    found = {
        name: columns.type_of(
            name,
            [kinds for view in views if path in view.leaves and (kinds := columns.kinds_of(view.leaves[path].dtype))]
            or [(FieldType.KEYWORD, False)],
        )
        for path, name in names.items()
    }
    return Schema(types=found, paths={name: path for path, name in names.items()})


def _paths(named: Sequence[listing.Named], above: Path = ()) -> list[Path]:
    found: list[Path] = []
    for column in named:
        path = (*above, column.name)
        found += _paths(column.members, path) if column.members else [path]
    return found


def _is_above(path: Path, known: set[Path]) -> bool:
    """Whether leaves below the path are known: files have a struct where the schema was not looked into."""
    return any(other[: len(path)] == path for other in known if len(other) > len(path))


def _is_exact(view: View, own: Path) -> bool:
    """Whether the column `@timestamp` is the event's time without any loss."""
    dtype = view.leaves[own].dtype
    return isinstance(dtype, pl.Datetime) and dtype.time_unit != "ns"


def check(views: Sequence[View], schema: Schema, defined: definition.Definition) -> None:
    """Refuses a definition that does not suit the table: before it is attached.

    Raises:
        InvalidRequest: `attached_time_missing`, `attached_time_unusable`, `unknown_column`, `duplicate_target`,
            `unknown_target`.
    """
    # The schema's too: a table without files has columns all the same.
    dotted = {".".join(path) for view in views for path in view.leaves} | {".".join(p) for p in schema.paths.values()}
    _check_time(views, defined, dotted)
    _check_names(schema, defined, dotted)


def _check_time(views: Sequence[View], defined: definition.Definition, dotted: set[str]) -> None:
    names = (defined.time,) if defined.time else TIMES
    if dotted.isdisjoint(names):
        wanted = repr(defined.time) if defined.time else "'@timestamp' or 'time'"
        raise errors.InvalidRequest(
            "attached_time_missing",
            f"The table has no column {wanted}.",
            f"Name the one that holds an event's time with --time. There are: {_some(dotted)}.",
        )
    for view in views:
        if view.time is not None and times.expression(pl.lit(None), view.time.dtype) is None:
            raise errors.InvalidRequest(
                "attached_time_unusable",
                f"The column {'.'.join(view.time.path)!r} holds {view.time.dtype}, which is no time.",
                "Name another one with --time: of times, dates, numbers since 1970, or texts in RFC 3339.",
            )


def _check_names(schema: Schema, defined: definition.Definition, dotted: set[str]) -> None:
    for source in defined.names:
        if source not in dotted:
            raise errors.InvalidRequest(
                "unknown_column",
                f"The table has no column {source!r}, which the map names.",
                f"Correct or remove the line. There are: {_some(dotted)}.",
            )
    for source, target in defined.names.items():
        if target in dotted and target not in defined.names:
            raise errors.InvalidRequest(
                "duplicate_target",
                f"{source!r} is mapped to {target!r}, which is another column of the table.",
                "Map that column to something else, too, or choose another field.",
            )


def _some(names: set[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:30]) + (f" and {len(shown) - 30} more" if len(shown) > 30 else "")
