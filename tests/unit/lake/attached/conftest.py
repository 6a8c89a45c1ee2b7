"""A folder into which tests attach tables."""

from __future__ import annotations

import pathlib

import pytest
from support import attached


@pytest.fixture
def lake(tmp_path: pathlib.Path) -> attached.Lake:
    folder = tmp_path / "lake"
    folder.mkdir()
    return attached.Lake(folder)
