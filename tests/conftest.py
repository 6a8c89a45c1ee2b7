"""For all tests: Hypothesis does not measure time, and a soak run ends with its counts.

On a busy machine Hypothesis' deadline fails claims that hold. What commands keep for their user (keys of exports,
profiles) goes to a folder of this run, not to the developer's own.
"""

from __future__ import annotations

import os
import tempfile

import hypothesis
import pytest
from support import examples, kills

hypothesis.settings.register_profile(
    "penstock",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    max_examples=examples.some(100),
)
hypothesis.settings.load_profile("penstock")

KILLS = pytest.StashKey[kills.Counts]()


USERS_FILES = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[KILLS] = kills.Counts()
    config.stash[USERS_FILES] = folder = tempfile.TemporaryDirectory(prefix="penstock-user-")
    os.environ.update(XDG_STATE_HOME=f"{folder.name}/state", XDG_CONFIG_HOME=f"{folder.name}/config")


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[USERS_FILES].cleanup()


@pytest.hookimpl(tryfirst=True)  # before xdist writes the groups into the ids
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests that use the Ceph run in one process, one after the other: some of them kill it."""
    for item in items:
        if item.get_closest_marker("ceph"):
            item.add_marker(pytest.mark.xdist_group("ceph"))


@pytest.fixture
def kill_counts(request: pytest.FixtureRequest) -> kills.Counts:
    """Of the whole run, printed when it ends."""
    return request.config.stash[KILLS]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = config.stash[KILLS].lines()
    if lines:
        terminalreporter.section("soak")
    for line in lines:
        terminalreporter.write_line(line)
