"""What appears on the terminal: lines, facts, JSON. Results on stdout, all else on stderr.

A terminal gets colours unless NO_COLOR is set; a pipe gets plain, tab-separated text. With `--json` stdout holds one
JSON document and nothing else.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import click

from penstock.base import exact_json, instants

_CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}
"""Events are written by attackers: on a terminal their control characters would move the cursor or set its title."""

_STYLES = {"bold": "1", "dim": "2", "red": "31", "yellow": "33", "cyan": "36"}


def is_terminal() -> bool:
    """Does a person read stdout?"""
    return sys.stdout.isatty()


def width() -> int:
    """Columns of the terminal."""
    return shutil.get_terminal_size().columns


def say(text: str = "", style: str = "") -> None:
    """A line of the result."""
    write(text, style, sys.stdout)


def note(text: str = "", style: str = "") -> None:
    """A line beside the result, on stderr."""
    write(text, style, sys.stderr)


def write(text: str, style: str, stream: TextIO) -> None:
    """A line; if whoever reads it has seen enough (`| head`), the command ends there, and well."""
    if stream.isatty():
        text = styled(text.translate(_CONTROLS), style)
    with _reader_may_leave(stream):
        # Flushed: a reader at the other end of a pipe sees each line when it is written, and a broken pipe shows here.
        print(text, file=stream, flush=True)


class Stdout:
    """Stdout for bytes of the result; a reader that has seen enough ends the command, as with `write`."""

    def write(self, data: bytes) -> int:
        """Writes all of it."""
        with _reader_may_leave(sys.stdout):
            sys.stdout.buffer.write(data)
        return len(data)

    def flush(self) -> None:
        """Hands over what is buffered."""
        with _reader_may_leave(sys.stdout):
            sys.stdout.flush()


@contextlib.contextmanager
def _reader_may_leave(stream: TextIO) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # or the interpreter trips over it at exit
        raise click.exceptions.Exit(0) from error


def styled(text: str, style: str) -> str:
    """The text with terminal codes for words like `bold red`; unchanged with NO_COLOR or on a dumb terminal."""
    # https://no-color.org: any value that is not empty counts.
    if not style or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    codes = ";".join(_STYLES[word] for word in style.split())
    return f"\x1b[{codes}m{text}\x1b[0m"


def harmless(text: str) -> str:
    """The text without control characters, on one line."""
    return text.replace("\n", " ").replace("\t", " ").translate(_CONTROLS)


def emit_json(value: Any) -> None:
    """One JSON document on stdout."""
    # One line in a pipe, so that tools can take a document a line.
    indent = 2 if is_terminal() else None
    write(exact_json.dumps(value, indent=indent, default=_json_default), "", sys.stdout)


def _json_default(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return instants.render(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    return str(value)


def facts(pairs: Sequence[tuple[str, Any]]) -> None:
    """Names and values, one a line; empty values are left out."""
    shown = [(name, cell(value)) for name, value in pairs if value not in (None, "", ())]
    longest = max((len(name) for name, _ in shown), default=0)
    for name, text in shown:
        if is_terminal():
            print(f"{styled(f'{name}:'.ljust(longest + 1), 'bold')} {text.translate(_CONTROLS)}", flush=True)
        else:
            write(f"{name}: {text}", "", sys.stdout)


def cell(value: Any) -> str:
    """A value for people: numbers with commas, times in UTC, lists joined."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, dt.datetime):
        return f"{value.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, list | tuple | frozenset | set):
        return ", ".join(str(item) for item in (sorted(value) if isinstance(value, frozenset | set) else value))
    return str(value).replace("\t", " ").replace("\n", " ")


def size(count: float) -> str:
    """Bytes for people, decimal: `1.5 MB`."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """`0.4s`, `12s`, `2m 30s`, `1h 15m`."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60}s"
    return f"{whole // 3600}h {whole % 3600 // 60}m"


def show_key(key: str, *, stderr: bool) -> None:
    """The box with the customer key. It is shown once and is nowhere else."""
    line = "═" * min(78, max(40, width() - 1))
    text = (
        f"{line}\n"
        "⚠  ENCRYPTION KEY OF THIS EXPORT (SSE-C), SHOWN ONCE\n"
        f"{line}\n"
        f"Encryption Key: {key}\n\n"
        "⚠  IMPORTANT: Save this key securely!\n"
        "   • You will need it to download this export later\n"
        "   • If you lose this key, nobody can decrypt the export, the service included\n"
        f"{line}"
    )
    write(text, "yellow", sys.stderr if stderr else sys.stdout)
