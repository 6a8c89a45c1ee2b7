"""How a program of ours begins: what libraries read from the environment when they are first imported, and the garbage
collector. Never done by an import: a script that uses `penstock.client` keeps its process unchanged."""

from __future__ import annotations

import gc
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


def loading() -> None:
    """Call before the modules are loaded, and `loaded` behind that: the garbage collector rests meanwhile.

    Modules make a hundred thousand objects and no garbage: looking for it took a tenth of a command's start.
    """
    gc.disable()


def loaded() -> None:
    """Ends `loading`; without it, does nothing. What is there stays for good: no later round looks at it."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
