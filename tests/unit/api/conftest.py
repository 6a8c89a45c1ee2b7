"""Fixtures: one service for the session (SQLite, embedded store, event tables), two fresh tenants for each test."""

from __future__ import annotations

import importlib.util
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

import anyio.from_thread
import pytest

from penstock import settings, worker
from penstock.api import app as app_module
from penstock.control import apikeys, communities, exports, secrets
from penstock.process import services


def _load(name: str) -> Any:
    """Makes a module beside this file importable by name: pytest's importlib mode does not."""
    spec = importlib.util.spec_from_file_location(name, pathlib.Path(__file__).parent / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


api_world = _load("api_world")


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[services.Services]:
    home: pathlib.Path = tmp_path_factory.mktemp("home")
    secrets.MasterKeys.create(home)
    values = settings.Settings(
        home=home, public_url="http://penstock.test", request_max_bytes=2_000_000, slice_rows=1000, encoding_threads=1
    )
    with services.opened(values, clock=api_world.HeldClock(api_world.NOON)) as found:
        yield found


@pytest.fixture(scope="session")
def http(opened: services.Services) -> Iterator[Any]:
    with anyio.from_thread.start_blocking_portal() as portal:
        yield api_world.Http(app_module.create_app(opened), portal)


@pytest.fixture
def world(opened: services.Services, http: Any) -> Iterator[Any]:
    clock: Any = opened.clock
    clock.reset()
    found = []
    with opened.database.begin() as tx:
        for _ in range(2):
            count = len(communities.list_all(tx))
            community = communities.create(tx, name=f"community {count}", now=clock.now())
            key, token = apikeys.create(
                tx, communities=[community.uuid], permissions=api_world.EVERYTHING, name="everything", now=clock.now()
            )
            found.append(api_world.Tenant(uuid=community.uuid, token=token, key=key))
    yield api_world.World(
        services=opened,
        clock=clock,
        http=http,
        worker=worker.Worker(opened, worker_id="w"),
        acme=found[0],
        other=found[1],
    )
    with opened.database.begin() as tx:  # what a test left waiting is no work for the worker of the next
        for export in exports.list_tasks(tx, [tenant.uuid for tenant in found])[0]:
            if not export.status.is_final:
                exports.request_cancel(tx, export.task_uuid, None, by="tests", now=clock.now())
