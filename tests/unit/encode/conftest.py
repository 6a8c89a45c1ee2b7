"""Shared by the encoder's tests: hand-made Arrow arrays as a fixture (test files cannot import each other)."""

from __future__ import annotations

import importlib.util
import pathlib
import sys
import types

import pytest


@pytest.fixture(scope="session")
def raw() -> types.ModuleType:
    """The module `raw_arrow`."""
    spec = importlib.util.spec_from_file_location("raw_arrow", pathlib.Path(__file__).parent / "raw_arrow.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["raw_arrow"] = module
    spec.loader.exec_module(module)
    return module
