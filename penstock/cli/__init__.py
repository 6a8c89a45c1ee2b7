"""The terminal: what people type. Chooses nothing but how to present; imports what it needs when it needs it.

Exit codes: 0 done, 1 error, 2 configuration or usage, 130 interrupted.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence


def main() -> None:
    """The `penstock` command. It writes UTF-8 whatever the locale: a key must not fail to be shown."""
    from penstock.process import environment

    environment.prepare()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Runs one command line; its exit code. Nothing escapes but with PENSTOCK_DEBUG=1."""
    from penstock.cli import app, output

    try:
        code = app.app(args=list(arguments), prog_name="penstock", standalone_mode=False)
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        if os.environ.get("PENSTOCK_DEBUG") == "1":
            raise
        return output.report_error(error)
    if code == 130:
        print("\nInterrupted by user. Exiting.", file=sys.stderr)
    return code if isinstance(code, int) else 0
