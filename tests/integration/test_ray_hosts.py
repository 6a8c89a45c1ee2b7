"""Hosts of their own: two workers, a Ray cluster of two nodes, PostgreSQL and Ceph behind links that are cut."""

from __future__ import annotations

import base64
import os
import pathlib
import sys
import time
import urllib.parse
from collections.abc import Iterator

import psycopg
import pytest
from support import hosts, house, ray_cluster
from support.waiting import until

from penstock import worker
from penstock.control import exports
from penstock.export.engines import threads

pytestmark = [pytest.mark.ray, pytest.mark.ceph, pytest.mark.postgresql, pytest.mark.soak, pytest.mark.timeout(900)]

SIZES = {"events": 800_000, "slice_rows": 20_000, "part_bytes": 5 << 20}
CUT_SECONDS = 12


@pytest.fixture
def database_of_its_own() -> Iterator[str]:
    url = os.environ.get("PENSTOCK_TEST_POSTGRESQL", "")
    if not url:
        pytest.skip("no PostgreSQL: scripts/postgresql.sh start")
    name = f"hosts_{os.getpid()}"
    plain = url.replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield urllib.parse.urlsplit(url)._replace(path=f"/{name}").geturl()
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_exports_are_exact_though_a_link_is_cut_and_a_worker_is_killed(
    tmp_path: pathlib.Path, database_of_its_own: str
) -> None:
    ray_cluster.needed()
    if not hosts.possible():
        pytest.skip("making hosts needs root and iproute2")
    more = {
        **house.ceph_settings(),
        "PENSTOCK_ENGINE_SECRET": base64.b64encode(os.urandom(32)).decode(),
        "PENSTOCK_SHARD_SLICES": "8",
        "PENSTOCK_LAKE_PATH": str(tmp_path / "home" / "lake"),
        "PENSTOCK_ACTIVE_EXPORTS_PER_COMMUNITY": "3",
        "PENSTOCK_LEASE_SECONDS": "5",
    }
    ports = [urllib.parse.urlsplit(url).port or 0 for url in (database_of_its_own, more["PENSTOCK_S3_ENDPOINT_URL"])]
    with (
        house.opened_house(tmp_path / "home", database_of_its_own, SIZES, more) as made,
        hosts.Hosts("ab", ports) as net,
    ):
        first = made.start()
        worker.Worker(made.opened, engine=threads.Threads(threads=2, upload_threads=2)).run_export()
        expected = made.content(first)
        environment = made.environment | {"RAY_USAGE_STATS_ENABLED": "0", "PENSTOCK_ENGINE": "ray"}
        environment["PENSTOCK_RAY_ADDRESS"] = f"ray://{net.address('a')}:10001"
        _start_ray(net, environment, tmp_path)
        command = [sys.executable, "-m", "penstock", "worker"]
        of_a = net.start("a", command, environment, tmp_path / "worker-a")
        net.start("b", command, environment, tmp_path / "worker-b")
        tasks = [made.start(), made.start()]

        def recorded() -> int:
            with made.opened.database.read() as tx:
                return sum(len(exports.list_parts(tx, task)) for task in tasks)

        until(lambda: recorded() >= 3, 300)
        net.cut("b")
        time.sleep(CUT_SECONDS)
        net.restore("b")
        before = recorded()
        until(lambda: recorded() > before or all(made.export(task).status.is_final for task in tasks), 300)
        of_a.kill()
        until(lambda: all(made.export(task).status.is_final for task in tasks), 300)
        print([(made.export(task).status, made.export(task).attempts, made.export(task).waits) for task in tasks])
        assert [made.export(task).status for task in tasks] == ["FINISHED", "FINISHED"]
        assert [made.content(task) == expected for task in tasks] == [True, True]


def _start_ray(net: hosts.Hosts, environment: dict[str, str], folder: pathlib.Path) -> None:
    ray = str(pathlib.Path(sys.executable).with_name("ray"))
    same = [
        "--num-cpus",
        "1",
        "--object-store-memory",
        str(ray_cluster.NODE_MEMORY),
        "--block",
        "--disable-usage-stats",
    ]
    # Nodes know neither database nor master key.
    nodes = {name: value for name, value in environment.items() if "DATABASE" not in name and "HOME" not in name}
    nodes |= {"HOME": str(folder), "PENSTOCK_HOME": "/nonexistent"}
    head = ["--head", "--port", "6379", "--ray-client-server-port", "10001", "--include-dashboard", "false"]
    net.start("a", [ray, "start", *head, "--node-ip-address", net.address("a"), *same], nodes, folder / "ray-a")
    until(lambda: "Ray runtime started" in (folder / "ray-a").read_text(), 300)
    other = ["--address", f"{net.address('a')}:6379", "--node-ip-address", net.address("b")]
    net.start("b", [ray, "start", *other, *same], nodes, folder / "ray-b")
    until(lambda: "Ray runtime started" in (folder / "ray-b").read_text(), 300)
