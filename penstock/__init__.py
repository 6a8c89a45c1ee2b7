"""Penstock takes security events out of an event lake: chosen fields, one encrypted file, provably complete."""

import os

# Polars' allocator (jemalloc) gives pages back at once and keeps many arenas, so that each slice is read into fresh
# pages: a third of a scan's CPU went into page faults. Read when Polars is first imported, hence here.
os.environ.setdefault(
    "_RJEM_MALLOC_CONF", f"narenas:{max(1, (os.cpu_count() or 1) // 2)},dirty_decay_ms:1000,muzzy_decay_ms:0"
)

# Nothing here multiplies matrices; the threads that NumPy starts for it spin for a tenth of a second.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"
