"""What appears on the terminal: tables, progress, JSON, errors. Results on stdout, all else on stderr.

On a terminal Rich draws; into a pipe goes plain, tab-separated text. NO_COLOR is honoured. With `--json` stdout holds
one JSON document and nothing else.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TextIO

from penstock import errors

if TYPE_CHECKING:
    from rich.console import Console

_COPIED = frozenset({"UUID", "TASK", "OBJECT", "FIELD"})
"""Columns that people copy from: never broken over two lines."""

_CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}
"""Events are written by attackers: on a terminal their control characters would move the cursor or set its title."""

Update = Callable[[int, int | None], None]
"""Called with (done, total); total None while unknown."""


@functools.lru_cache(maxsize=2)
def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def is_terminal() -> bool:
    """Does a person read stdout?"""
    return sys.stdout.isatty()


def say(text: str = "", style: str = "") -> None:
    """A line of the result."""
    _write(text, style, stderr=False)


def note(text: str = "", style: str = "") -> None:
    """A line beside the result, on stderr."""
    _write(text, style, stderr=True)


def _write(text: str, style: str, *, stderr: bool) -> None:
    stream = sys.stderr if stderr else sys.stdout
    if style and stream.isatty():
        _console(stderr=stderr).print(text.translate(_CONTROLS), style=style, markup=False)
    else:
        _put(text, stream)


def _put(text: str, stream: TextIO) -> None:
    """A line; if whoever reads it has seen enough (`| head`), the command ends there, and well."""
    try:
        print(text.translate(_CONTROLS) if stream.isatty() else text, file=stream, flush=True)
    except BrokenPipeError as error:
        import typer

        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # or the interpreter trips over it at exit
        raise typer.Exit(0) from error


def emit_json(value: Any) -> None:
    """One JSON document on stdout."""
    indent = 2 if is_terminal() else None
    _put(json.dumps(value, ensure_ascii=False, indent=indent, default=_json_default), sys.stdout)


def _json_default(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, frozenset | set):
        return sorted(value)
    return str(value)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, numbers: Sequence[str] = ()) -> None:
    """A table; columns named in `numbers` are right-aligned. Into a pipe: a header and tab-separated lines."""
    texts = [[_cell(value) for value in row] for row in rows]
    if not is_terminal():
        for line in [list(columns), *texts]:
            _put("\t".join(line), sys.stdout)
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for column in columns:
        justify: Literal["left", "right"] = "right" if column in numbers else "left"
        drawn.add_column(column, justify=justify, overflow="fold", no_wrap=column in _COPIED)
    for line in texts:
        drawn.add_row(*[Text(text.translate(_CONTROLS)) for text in line])
    _console(stderr=False).print(drawn, soft_wrap=False)


def facts(pairs: Sequence[tuple[str, Any]]) -> None:
    """Names and values, one a line; empty values are left out."""
    shown = [(name, _cell(value)) for name, value in pairs if value not in (None, "", ())]
    width = max((len(name) for name, _ in shown), default=0)
    for name, text in shown:
        if is_terminal():
            from rich.text import Text

            shown_text = text.translate(_CONTROLS)
            _console(stderr=False).print(Text.assemble((f"{name + ':':<{width + 1}} ", "bold"), shown_text))
        else:
            _put(f"{name}: {text}", sys.stdout)


def _cell(value: Any) -> str:
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


@contextlib.contextmanager
def progress(title: str, *, unit: str, total: int | None = None) -> Iterator[Update]:
    """A bar with rate and time left, on stderr; a line at most every 10 % where stderr is no terminal.

    Args:
        unit: `events` or `bytes`.
    """
    if sys.stderr.isatty():
        with _bar(title, unit, total) as update:
            yield update
    else:
        yield _Lines(title, unit)


@contextlib.contextmanager
def _bar(title: str, unit: str, total: int | None) -> Iterator[Update]:
    from rich import progress as bars

    count: list[bars.ProgressColumn | str]
    if unit == "bytes":
        count = [bars.DownloadColumn(), bars.TransferSpeedColumn()]
    else:
        count = ["{task.completed:>12,} events", "{task.fields[rate]:>14}"]
    columns: list[bars.ProgressColumn | str] = [
        "[bold]{task.description}",
        bars.BarColumn(bar_width=28),
        bars.TaskProgressColumn(),
        *count,
        bars.TimeRemainingColumn(compact=True),
    ]
    with bars.Progress(*columns, console=_console(stderr=True), transient=True, refresh_per_second=8) as drawn:
        task = drawn.add_task(title, total=total, rate="")
        began = time.monotonic()

        def update(done: int, total: int | None) -> None:
            rate = f"{done / max(0.001, time.monotonic() - began):,.0f}/s" if done else ""
            drawn.update(task, completed=done, total=total, rate=rate)

        yield update


class _Lines:
    """Progress where nobody can see a bar move: a line each tenth, and not more than one a second."""

    def __init__(self, title: str, unit: str) -> None:
        self._title = title
        self._unit = unit
        self._tenth = 0
        self._last = time.monotonic()

    def __call__(self, done: int, total: int | None) -> None:
        tenth = done * 10 // total if total else 0
        if tenth > self._tenth and time.monotonic() - self._last >= 1.0:
            self._tenth, self._last = tenth, time.monotonic()
            told = (
                f"{size(done)} of {size(total or 0)}" if self._unit == "bytes" else f"{done:,} of {total or 0:,} events"
            )
            note(f"{self._title}: {tenth * 10} % ({told})")


def show_key(key: str, *, stderr: bool) -> None:
    """The box with the customer key. It is shown once and is nowhere else."""
    stream = sys.stderr if stderr else sys.stdout
    line = "═" * 78
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
    if stream.isatty():
        _console(stderr=stderr).print(text, style="yellow", markup=False, soft_wrap=True)
    else:
        _put(text, stream)


def report_error(error: Exception) -> int:
    """Says what went wrong, and what to do, on stderr; the exit code."""
    import typer

    if isinstance(error, errors.PenstockError):
        _print_error(error.code, error.detail, error.hint, error.extra)
        return 2 if isinstance(error, errors.ConfigurationError) else 1
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, typer.Abort):
        _print_error("aborted", "Nothing was done.", "", {})
        return 1
    usage = getattr(error, "format_message", None)
    if usage is not None:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "penstock"
        if type(error).__name__ != "NoArgsIsHelpError":  # that one has shown the help when it was made
            _print_error("usage", usage().rstrip(".") + ".", f"See `{command} --help`.", {})
        return 2
    _print_error(
        "internal_error",
        f"{type(error).__name__}: {error}".rstrip(".") + ".",
        "This is a fault of Penstock. Run it again with PENSTOCK_DEBUG=1 and report what it shows.",
        {},
    )
    return 1


def _print_error(code: str, detail: str, hint: str, extra: Mapping[str, Any]) -> None:
    note(f"Error [{code}]: {detail}", "bold red")
    if extra.get("caret"):
        note(_caret(extra["caret"]))
    if hint:
        note(f"Hint: {hint}", "yellow")


def _caret(caret: Any) -> str:
    lines = caret if isinstance(caret, list | tuple) else str(caret).splitlines()
    return "\n".join(f"  {line}" for line in lines)
