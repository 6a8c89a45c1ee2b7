"""Everything a home holds, opened for the operator's commands that take events in or serve."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from penstock.cli.commands import local
from penstock.process import services as services_module


@contextlib.contextmanager
def services(**values: Any) -> Iterator[services_module.Services]:
    """Database, keys, lake and store of the home."""
    with services_module.opened(local.settings(**values)) as opened:
        yield opened
