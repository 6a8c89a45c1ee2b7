"""Prometheus metrics of the API and of the control plane it stands before."""

from __future__ import annotations

from collections.abc import Mapping

import prometheus_client
from prometheus_client import exposition

CONTENT_TYPE = exposition.CONTENT_TYPE_PLAIN_0_0_4


class Measures:
    """All metrics of one app, in a registry of their own (several apps can live in one process)."""

    def __init__(self) -> None:
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
        self._exports = prometheus_client.Gauge(
            "penstock_exports", "Exports the service knows, by status.", ["status"], registry=self.registry
        )
        self._search_jobs = prometheus_client.Gauge(
            "penstock_search_jobs", "Search jobs the service knows, by status.", ["status"], registry=self.registry
        )

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one request. Labels are bounded: route templates, not paths."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)

    def ingested(self, accepted: int, rejected: int) -> None:
        """Counts the events of one ingest request."""
        self._ingested.labels("accepted").inc(accepted)
        self._ingested.labels("rejected").inc(rejected)

    def state(self, exports: Mapping[str, int], search_jobs: Mapping[str, int]) -> None:
        """Sets what the control plane holds now."""
        for status, count in exports.items():
            self._exports.labels(status).set(count)
        for status, count in search_jobs.items():
            self._search_jobs.labels(status).set(count)

    def page(self) -> bytes:
        """The exposition text."""
        return prometheus_client.generate_latest(self.registry)
