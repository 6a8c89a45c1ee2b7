"""A Ray cluster of a few nodes on loopback, whose processes have the settings of nodes and no others."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

NODE_MEMORY = 80 << 20
"""Bytes of a node's object store; Ray wants 75 MB."""

NEEDED_ON_NODES = ("LAKE_", "STORAGE", "S3_", "ATTACH_S3_", "ENGINE_SECRET", "PART_BYTES")
"""Beginnings of the settings that a node has; neither database nor master key is among them."""


def needed() -> None:
    """Skips where Ray is not installed; in CI that is a failure."""
    try:
        import ray  # noqa: F401
    except ImportError:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must install the extra `ray` (it belongs to `dev`)")
        pytest.skip("Ray is not installed: pip install 'penstock[ray]'")


class Cluster:
    """The cluster; `add` and `remove` nodes.

    Attributes:
        address: for `ray_address`.
        nodes: those that were added. The head computes nothing, so that each of them may be lost.
    """

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self.address: str = cluster.address
        self.nodes: list[Any] = []

    def add(self, cpus: int = 1) -> Any:
        node = self._cluster.add_node(num_cpus=cpus, object_store_memory=NODE_MEMORY, include_dashboard=False)
        self.nodes.append(node)
        return node

    def remove(self, node: Any) -> None:
        """As a power cut does it."""
        self._cluster.remove_node(node, allow_graceful=False)

    def shards(self, node: Any = None) -> list[int]:
        """Processes that compute a shard just now, on one node or on all."""
        found = [pid for pid, line in _processes() if line.startswith("ray::penstock shard") and _is_ours(pid)]
        if node is None:
            return found
        raylet = node.all_processes["raylet"][0].process.pid
        return [pid for pid in found if _parent_of(pid) == raylet]

    def search_shards(self) -> list[int]:
        """Processes that look at a shard of a search just now."""
        return [pid for pid, line in _processes() if line.startswith("ray::penstock search") and _is_ours(pid)]

    def ingest_shards(self) -> list[int]:
        """Processes that take in a shard of an ingest just now."""
        return [pid for pid, line in _processes() if line.startswith("ray::penstock ingest") and _is_ours(pid)]

    def servers(self) -> list[int]:
        """The processes of Ray itself: each node's raylet with its object store, and the head."""
        return [pid for pid, line in _processes() if re.search(r"/(raylet|gcs_server)\b", line) and _is_ours(pid)]

    def logs(self) -> pathlib.Path:
        return pathlib.Path(self._cluster.head_node.get_session_dir_path())


@contextlib.contextmanager
def started(environment: Mapping[str, str]) -> Iterator[Cluster]:
    """A head without nodes; the nodes' settings are those of `environment` that nodes need."""
    needed()
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("PENSTOCK_") and not name.startswith("PENSTOCK_TEST"):
                patch.delenv(name)
        for name, value in environment.items():
            if name.removeprefix("PENSTOCK_").startswith(NEEDED_ON_NODES):
                patch.setenv(name, value)
        patch.setenv("PENSTOCK_HOME", "/nonexistent")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        # Of this process: that Ray's processes are of this very cluster.
        patch.setenv("PENSTOCK_TEST_RAY", str(os.getpid()))
        from ray.cluster_utils import Cluster as RayCluster

        made = RayCluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "object_store_memory": NODE_MEMORY, "include_dashboard": False},
        )
        try:
            yield Cluster(made)
        finally:
            import ray

            ray.shutdown()
            made.shutdown()


def memory_of(pid: int) -> Iterator[bytes]:
    """All that a process has in memory that may be written, in pieces."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            start, end = (int(text, 16) for text in span.split("-"))
            with contextlib.suppress(OSError, ValueError, OverflowError):
                memory.seek(start)
                yield memory.read(end - start)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def until(found: Callable[[], Any], seconds: float = 20) -> Any:
    """What `found` gives once it is something."""
    deadline = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return result


def _processes() -> Iterator[tuple[int, str]]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                line = pathlib.Path(entry.path, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                yield int(entry.name), line


def _parent_of(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _is_ours(pid: int) -> bool:
    with contextlib.suppress(OSError):
        mark = f"PENSTOCK_TEST_RAY={os.getpid()}".encode()
        return mark in pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False
