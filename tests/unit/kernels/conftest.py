"""Shared by the kernels' tests: hand-made Arrow arrays."""

from __future__ import annotations

import types

import pytest
from support import raw_arrow


@pytest.fixture(scope="session")
def raw() -> types.ModuleType:
    """The module `raw_arrow`."""
    return raw_arrow
