"""Importing the client brings what a client needs, and changes nothing in the program that imports it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

NOT_FOR_CLIENTS = {"polars", "deltalake", "pyarrow", "numpy", "boto3", "sqlalchemy", "fastapi", "pydantic", "structlog"}


@pytest.mark.parametrize("module", ["penstock.client", "penstock.evidence.manifest"])
def test_import_starts_fast_and_leaves_the_process_alone(module: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("_RJEM", "OPENBLAS"))}
    program = (
        "import os, sys, json; before = dict(os.environ); "
        f"import {module}; print(json.dumps([sorted(sys.modules), dict(os.environ) == before]))"
    )

    run = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, check=True, timeout=60, text=True
    )

    modules, unchanged = json.loads(run.stdout)
    assert not NOT_FOR_CLIENTS & set(modules)
    assert unchanged
