"""How many random examples a claim about the kernels is tried with.

A sanitized kernel, with Python's objects from the system's allocator, takes four times as long over each of them. So
`scripts/kernel_sanitized.sh` asks for a quarter; each run draws others, and `PENSTOCK_TEST_EXAMPLES=1` tries all.
"""

from __future__ import annotations

import os

SHARE = float(os.environ.get("PENSTOCK_TEST_EXAMPLES", "1"))


def some(number: int) -> int:
    """So many, or the share of them that is asked for."""
    return max(10, round(number * SHARE))
