"""Prometheus metrics of the API and of the control plane it stands before."""

from __future__ import annotations

from collections.abc import Mapping

import prometheus_client
from prometheus_client import exposition

from penstock.base import disk
from penstock.control import states

CONTENT_TYPE = exposition.CONTENT_TYPE_PLAIN_0_0_4


class Measures:
    """All metrics of one app, in a registry of their own (several apps can live in one process)."""

    def __init__(self) -> None:
        # The library's global registry refuses a second metric of the same name, and with it a second app.
        self.registry = prometheus_client.CollectorRegistry()
        self._requests = prometheus_client.Counter(
            "penstock_http_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self._seconds = prometheus_client.Histogram(
            "penstock_http_request_seconds",
            "Time from a request's first byte to its answer's last.",
            ["method", "route"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
            registry=self.registry,
        )
        self._ingested = prometheus_client.Counter(
            "penstock_ingested_events", "Events taken in over HTTP.", ["result"], registry=self.registry
        )
        self._active = prometheus_client.Gauge(
            "penstock_active_exports", "Exports that wait or run, by status.", ["status"], registry=self.registry
        )
        self._free = prometheus_client.Gauge(
            "penstock_disk_free_bytes", "Free on the disk, by what lies there.", ["disk"], registry=self.registry
        )
        self._kept_back = prometheus_client.Gauge(
            "penstock_disk_kept_back_bytes",
            "With less free than this, nothing is taken in and exports wait.",
            ["disk"],
            registry=self.registry,
        )

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one request. Labels are bounded: route templates, not paths."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)

    def ingested(self, accepted: int, rejected: int) -> None:
        """Counts the events of one ingest request."""
        self._ingested.labels("accepted").inc(accepted)
        self._ingested.labels("rejected").inc(rejected)

    def active_exports(self, counts: Mapping[states.ExportStatus, int]) -> None:
        """Sets how many exports wait and run now."""
        for status, count in counts.items():
            self._active.labels(status.value.lower()).set(count)

    def disks(self, spaces: Mapping[str, disk.Space]) -> None:
        """Sets how much room the disks have."""
        for name, space in spaces.items():
            self._free.labels(name).set(space.free_bytes)
            self._kept_back.labels(name).set(space.kept_back_bytes)

    def page(self) -> bytes:
        """The exposition text."""
        return prometheus_client.generate_latest(self.registry)
