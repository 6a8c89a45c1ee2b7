"""Claims about the process that runs a search: it starts fast, since one that was ended is followed by a new one."""

from __future__ import annotations

import json
import subprocess
import sys

from penstock.search import child


def test_it_loads_what_reads_the_lake_and_nothing_else() -> None:
    """With what the worker needs beside, its start took more than twice the CPU."""
    program = f"import json, sys, {child.__name__}; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout)
    roots = {name.partition(".")[0] for name in loaded}
    assert {"polars", "deltalake"} <= roots
    assert not roots & {"sqlalchemy", "structlog", "pydantic", "fastapi", "boto3", "cryptography", "numpy", "lark"}
    unneeded = ("penstock.control", "penstock.worker", "penstock.lake.attached.snapshots")
    assert not {name for name in loaded if name.startswith(unneeded)}
