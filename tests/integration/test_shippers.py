"""Claims about real shippers, configured as docs/shippers.md says, against a service that is killed under them."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pathlib
import subprocess

import pytest
from support import published, shippers

KILLS = 2
WORKERS = {"rsyslog": 1, "syslog-ng": 4}
"""Requests that each has under way at once, as its configuration says."""

SHIPPERS = {"rsyslog": shippers.rsyslog, "syslog-ng": shippers.syslog_ng}

BULK = """
import json, sys
from elasticsearch import Elasticsearch, helpers
url, ca_file, key = sys.argv[1:]
ways = {"api_key": ("shipper", key)}, {"api_key": key}, {"basic_auth": ("shipper", key)}, {"bearer_auth": key}
for credentials in ways:
    client = Elasticsearch(url, ca_certs=ca_file, http_compress=True, **credentials)
    assert client.ping() and client.info()["tagline"]
    events = [{"_op_type": "create", "_index": "acme", "message": f"event {n}"} for n in range(2500)]
    taken, _ = helpers.bulk(client, events)
    assert taken == 2500
wrong = [{"_index": "acme", "_id": "1", "a": 1}, {"_op_type": "delete", "_index": "acme", "_id": "1"}]
taken, errors = helpers.bulk(client, wrong, raise_on_error=False)
print(json.dumps([taken, errors]))
"""


def ship(folder: pathlib.Path, lines: int, batch_lines: int, seconds: float) -> dict[str, int]:
    """Ships so many lines with each shipper, killing the service meanwhile; duplicates by shipper."""
    root = shippers.programs()
    wanted = {f'line {n} says "yes" \u2014 and\\goes on' for n in range(lines)}
    service = shippers.Service(folder / "home", *SHIPPERS)
    with contextlib.ExitStack() as stack:
        stack.callback(service.kill)
        service.start()
        for name, run in SHIPPERS.items():
            source = folder / name / "lines.log"
            source.parent.mkdir()
            source.write_text("".join(f"{line}\n" for line in wanted))
            stack.enter_context(run(root, service, name, source, batch_lines))
        for kill in range(KILLS):
            # By then something is committed whose answer is on its way, and more is coming.
            rows = service.rows() + kill * lines // 4
            shippers.until(seconds, functools.partial(_has_more, service, rows), f"something comes before kill {kill}")
            service.kill()
            service.start()
        duplicates = {}
        for name in SHIPPERS:
            shippers.until(
                seconds, functools.partial(_has_all, service, name, lines), f"{name} ships all", pause_seconds=0.25
            )
            found = service.messages(name)
            assert set(found) == wanted
            duplicates[name] = found.total() - lines
        return duplicates


def _has_more(service: shippers.Service, rows: int) -> bool:
    return service.rows() > rows


def _has_all(service: shippers.Service, name: str, lines: int) -> bool:
    # Duplicates may be counted in the rows: only all messages are all.
    return service.tables[name].snapshot().rows >= lines and len(service.messages(name)) >= lines


def test_nothing_is_lost_when_the_service_is_killed_and_only_what_was_in_flight_comes_twice(
    tmp_path: pathlib.Path,
) -> None:
    for name, count in ship(tmp_path, 10_000, 100, 120).items():
        assert count <= KILLS * WORKERS[name] * 100, name


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_million_lines(tmp_path: pathlib.Path) -> None:
    lines = int(os.environ.get("PENSTOCK_TEST_SHIPPED_LINES", 1_000_000))
    duplicates = ship(tmp_path, lines // len(SHIPPERS), 1000, 3000)
    print(json.dumps({"lines": lines, "kills": KILLS, "duplicates": duplicates}))
    for name, count in duplicates.items():
        assert count <= KILLS * WORKERS[name] * 1000, name


def test_elasticsearchs_own_client_ships(tmp_path: pathlib.Path) -> None:
    client = published.installed("elasticsearch", "elasticsearch==9.5.1")
    service = shippers.Service(tmp_path / "home", "acme")
    service.start()
    try:
        command = [*published.command(client, BULK), service.url, str(service.ca_file), service.keys["acme"]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    finally:
        service.kill()
    assert done.returncode == 0, done.stderr
    taken, errors = json.loads(done.stdout)
    assert taken == 1
    assert [error["delete"]["status"] for [error] in [errors]] == [400]
    assert service.rows() == 4 * 2500 + 1
