"""Tests that share a server or a port run in one process: pytest-xdist keeps their group together."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("of_this_test")
def test_a_group_is_kept_together(request: pytest.FixtureRequest) -> None:
    """xdist goes by a suffix of the id. pytest 9.2 does not show it: all groups were run apart, in silence."""
    assert _group(request) == "of_this_test"


@pytest.mark.ceph
def test_whatever_uses_the_ceph_is_in_its_group(request: pytest.FixtureRequest) -> None:
    """A cluster's test read Ceph while another process' test killed it."""
    assert _group(request) == "ceph"


def _group(request: pytest.FixtureRequest) -> str:
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("one process runs all tests: no group can be torn")
    return str(request.node.nodeid.rpartition("@")[2])
