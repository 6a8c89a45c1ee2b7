"""The terminal: what people type. Chooses nothing but how to present; a command's work is loaded when it is called.

Exit codes: 0 done, 1 error, 2 configuration or usage, 130 interrupted.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from penstock.process import environment


def main() -> None:
    """The `penstock` command. It writes UTF-8 whatever the locale: a key must not fail to be shown."""
    environment.prepare()
    environment.loading()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Runs one command line; its exit code. Nothing escapes but with PENSTOCK_DEBUG=1."""
    try:
        # Here, not at the top: a Ctrl-C while modules are loaded is an interrupt like any other.
        from penstock.cli import program

        code = program.program().main(args=list(arguments), prog_name="penstock", standalone_mode=False)
    except KeyboardInterrupt:
        return _interrupted()
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # Click's Abort
            return _interrupted()
        if os.environ.get("PENSTOCK_DEBUG") == "1":
            raise
        from penstock.cli import reporting

        return reporting.report(error)
    return code if isinstance(code, int) else 0


def _interrupted() -> int:
    print("Interrupted by user. Exiting.", file=sys.stderr)
    return 130
