"""What a node's answer says: what was computed, or why it was not."""

from __future__ import annotations

import json

from penstock import errors
from penstock.error_codes import CODES
from penstock.export.engines.on_ray import node, sealing


def opened(box: sealing.Box, number: int, kind: str, answer: bytes) -> bytes:
    """What shard `number` came to.

    Raises:
        NotReady: `engine_node_differs`.
        The error that the shard ended with.
    """
    if kind == node.DIFFERS:
        raise errors.NotReady(
            "engine_node_differs",
            f"A node of the cluster cannot work with this worker: {answer.decode()}.",
            "Give all nodes and workers the same version and the same settings; then the export goes on by itself.",
        )
    plain = box.open(answer, f"answer {number}")
    if kind == node.FAILED:
        told = json.loads(plain)
        known = CODES[told["code"]].error if told["code"] in CODES else errors.StorageError
        raise known(told["code"], told["detail"], told["hint"], **told["extra"])
    return plain
