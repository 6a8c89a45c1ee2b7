"""What passes of an ingest: shards and what came of them, as plain values. Exports need none of it."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import struct
from typing import Any

from penstock.fields.types import FieldType
from penstock.intake import readers, rejects
from penstock.intake.shards import taking
from penstock.lake import catalog, files

_HEAD = struct.Struct(">I")


def shard_to_json(shard: taking.Shard) -> dict[str, Any]:
    """A shard of an ingest as JSON values; of its rejects' file only whether there is to be one."""
    return {**dataclasses.asdict(shard), "rejects": shard.rejects is not None}


def shard_from_json(value: dict[str, Any], rejects_file: pathlib.Path) -> taking.Shard:
    """The shard that `shard_to_json` wrote, with a file of this machine for its rejects if they are wanted."""
    return taking.Shard(
        number=value["number"],
        sources=tuple(value["sources"]),
        batch_ids=tuple(value["batch_ids"]),
        time_field=value["time_field"],
        format=None if value["format"] is None else readers.Format(value["format"]),
        rejects=rejects_file if value["rejects"] else None,
    )


def answer_of(taken: taking.Taken, kept: bytes) -> bytes:
    """What a node answers that has taken in a shard.

    Args:
        kept: content of the file of its rejects.
    """
    about = {
        **{name: getattr(taken, name) for name in ("accepted", "untimed", "bytes", "skipped", "rejected")},
        "written": [
            {
                "file": dataclasses.asdict(each.file),
                "modified_ms": each.modified_ms,
                "columns": sorted(each.fields.columns),
                "overflow": sorted(each.fields.overflow),
            }
            for each in taken.written
        ],
        "columns": taken.columns,
        "formats": taken.formats,
        "rejects": [dataclasses.asdict(each) for each in taken.rejects],
        "broken": None if taken.broken is None else dataclasses.asdict(taken.broken),
    }
    text = json.dumps(about).encode()
    return b"".join([_HEAD.pack(len(text)), text, kept])


def taken_of(answer: bytes, rejects_file: pathlib.Path | None) -> taking.Taken:
    """What a node has answered; its rejects are put into `rejects_file`."""
    (about_size,) = _HEAD.unpack_from(answer)
    about = json.loads(answer[_HEAD.size : _HEAD.size + about_size])
    if rejects_file is not None and (kept := answer[_HEAD.size + about_size :]):
        rejects_file.write_bytes(kept)
    return taking.Taken(
        written=tuple(
            files.Written(
                file=files.DataFile(**each["file"]),
                modified_ms=each["modified_ms"],
                fields=catalog.Fields(columns=frozenset(each["columns"]), overflow=frozenset(each["overflow"])),
            )
            for each in about["written"]
        ),
        columns={name: FieldType(kind) for name, kind in about["columns"].items()},
        accepted=about["accepted"],
        untimed=about["untimed"],
        bytes=about["bytes"],
        formats={readers.Format(name): number for name, number in about["formats"].items()},
        skipped=tuple(about["skipped"]),
        rejected=about["rejected"],
        rejects=tuple(rejects.Reject(**each) for each in about["rejects"]),
        broken=None if about["broken"] is None else taking.Broken(**about["broken"]),
    )
