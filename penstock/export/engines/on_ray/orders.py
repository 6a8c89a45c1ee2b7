"""What a node is told to do, and what it answers: plain values, so that neither end unpickles the other's classes."""

from __future__ import annotations

import base64
import dataclasses
import json
import struct
from typing import Any

from penstock import storage
from penstock.evidence.facts import PartFacts, SegmentFacts
from penstock.export import work as works
from penstock.export.engines import contract
from penstock.export.shards import cut, plan, shard

PROTOCOL = 1
"""Rises when an older node could not understand an order, or answers what a newer coordinator does not."""

_HEAD = struct.Struct(">III")


def order_of(work: works.Work, target: contract.Target, assignment: plan.Assignment, service: dict[str, str]) -> bytes:
    """The order to compute a shard.

    Args:
        service: settings that the node must share, see `node`.
    """
    assert work.recipe is not None, "the planner gives one"
    order: dict[str, Any] = {
        "service": service,
        "recipe": dataclasses.asdict(work.recipe),
        "snapshot_version": work.snapshot.version,
        "fields": list(work.fields),
        "compression": work.compression,
        "part_bytes": work.part_bytes,
        "assignment": dataclasses.asdict(assignment),
        "slices": [work.slices[number].to_json() for number in assignment.slices],
        "upload": {"key": target.upload.key, "upload_id": target.upload.upload_id},
        "customer_key": _text(None if target.customer_key is None else target.customer_key.raw),
        "bucket": _text(None if target.bucket is None else target.bucket.seal_bytes()),
    }
    return json.dumps(order).encode()


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode()


def assignment_of(order: dict[str, Any]) -> plan.Assignment:
    """The assignment of an order."""
    given = order["assignment"]
    return plan.Assignment(
        shard=plan.Shard(**given["shard"]),
        slices_a_part=given["slices_a_part"],
        head=tuple(given["head"]),
        rest=tuple(given["rest"]),
        last_number=given["last_number"],
    )


def customer_key_of(order: dict[str, Any]) -> storage.CustomerKey | None:
    """The customer key of an order."""
    text = order["customer_key"]
    return None if text is None else storage.CustomerKey(base64.b64decode(text))


def bucket_of(order: dict[str, Any]) -> storage.CustomerBucket | None:
    """The customer's bucket of an order."""
    text = order["bucket"]
    return None if text is None else storage.CustomerBucket.from_bytes(base64.b64decode(text))


def answer_of(computed: shard.Computed) -> bytes:
    """What a node answers."""
    head, head_data = _loose(computed.head)
    rest, rest_data = _loose(computed.rest)
    parts = [
        {"facts": dataclasses.asdict(facts), "receipt": dataclasses.asdict(receipt)}
        for facts, receipt in computed.parts
    ]
    about = json.dumps({"head": head, "rest": rest, "parts": parts}).encode()
    return b"".join([_HEAD.pack(len(about), len(head_data), len(rest_data)), about, head_data, rest_data])


def _loose(loose: cut.Loose | None) -> tuple[dict[str, Any] | None, bytes]:
    return (None, b"") if loose is None else loose.to_wire()


def computed_of(answer: bytes) -> shard.Computed:
    """What a node has answered."""
    about_size, head_size, rest_size = _HEAD.unpack_from(answer)
    at = _HEAD.size + about_size
    about = json.loads(answer[_HEAD.size : at])
    head, rest = answer[at : at + head_size], answer[at + head_size : at + head_size + rest_size]
    return shard.Computed(
        head=None if about["head"] is None else cut.Loose.from_wire(about["head"], head),
        rest=None if about["rest"] is None else cut.Loose.from_wire(about["rest"], rest),
        parts=tuple((_facts(part["facts"]), storage.Receipt(**part["receipt"])) for part in about["parts"]),
    )


def _facts(given: dict[str, Any]) -> PartFacts:
    return PartFacts(**{**given, "segments": tuple(SegmentFacts(**segment) for segment in given["segments"])})
