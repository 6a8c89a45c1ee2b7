"""How long the user has waited: from the start of the process, the interpreter's own start included."""

from __future__ import annotations

import os
import pathlib
import time

_IMPORTED = time.monotonic()


def seconds() -> float:
    """Seconds since the process started; where the system does not tell, since this module was loaded.

    On Linux to the hundredth of a second, the clock tick of /proc.
    """
    try:
        behind_name = pathlib.Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        ticks = int(behind_name[19])  # field 22 of proc(5), `starttime`: clock ticks since boot
        started = ticks / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started)
    except (OSError, ValueError, IndexError, AttributeError):
        return time.monotonic() - _IMPORTED
