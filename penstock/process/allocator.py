"""Has the C allocator keep what an export frees: the next segments then lie in pages that are there already."""

from __future__ import annotations

import ctypes
import functools

# M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's malloc.h. To set one also stops glibc from moving it by itself.
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3

KEPT_BYTES = 256 * 1024 * 1024
"""Free memory at the top of the heap beyond which pages are given back."""

LARGEST_BYTES = 32 * 1024 * 1024
"""Larger blocks come from the system and go back to it; the most that glibc allows. Segments and parts are smaller."""


@functools.cache
def keep() -> bool:
    """Tells glibc, once; False where the C library is another one.

    Without it every segment and every part is a fresh mapping: 150,000 page faults per 4 M events, 7 % of the CPU.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(_TRIM_THRESHOLD, KEPT_BYTES)) and bool(mallopt(_MMAP_THRESHOLD, LARGEST_BYTES))
