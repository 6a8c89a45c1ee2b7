"""What libraries read from the environment when they are first imported. Set by programs of ours, never by an import:
a script that uses `penstock.client` keeps its own NumPy and Polars as they are."""

from __future__ import annotations

import os
from collections.abc import MutableMapping


def prepare(environment: MutableMapping[str, str] = os.environ) -> None:
    """Call first thing in a program, before Polars or NumPy is imported. What the user has set stays."""
    # Polars' allocator (jemalloc) gives pages back at once and keeps many arenas, so that each slice is read into
    # fresh pages: a third of a scan's CPU went into page faults.
    arenas = max(1, (os.cpu_count() or 1) // 2)
    environment.setdefault("_RJEM_MALLOC_CONF", f"narenas:{arenas},dirty_decay_ms:1000,muzzy_decay_ms:0")
    # Nothing here multiplies matrices; the threads that NumPy starts for it spin for a tenth of a second.
    environment.setdefault("OPENBLAS_NUM_THREADS", "1")
