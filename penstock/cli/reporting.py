"""What a command says when it fails, on stderr: code, sentence, hint; and its exit code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from penstock import errors
from penstock.cli import hints, output


def report(error: Exception) -> int:
    """Says what went wrong, and what to do; the exit code."""
    if isinstance(error, errors.PenstockError):
        _print(error.code, error.detail, hints.of(error), error.extra)
        return 2 if isinstance(error, errors.ConfigurationError) else 1
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.Abort):
        _print("aborted", "Nothing was done.", "", {})
        return 1
    if isinstance(error, click.exceptions.NoArgsIsHelpError):  # no words at all: its message is the whole help
        output.note(error.format_message().rstrip())
        return 2
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "penstock"
        _print("usage", _sentence(error.format_message()), f"See `{command} --help`.", {})
        return 2
    _print(
        "internal_error",
        _sentence(f"{type(error).__name__}: {error}"),
        "This is a fault of Penstock. Run it again with PENSTOCK_DEBUG=1 and report what it shows.",
        {},
    )
    return 1


def _sentence(text: str) -> str:
    if (suggestion := text.rfind("(Did you mean")) >= 0:  # Click writes it in brackets
        text = text[:suggestion] + text[suggestion:].replace("(", "", 1).replace("?)", "?")
    return text if text.endswith(("?", "!")) else text.rstrip(".") + "."


def _print(code: str, detail: str, hint: str, extra: Mapping[str, Any]) -> None:
    output.note(f"Error [{code}]: {detail}", "bold red")
    if extra.get("caret"):
        output.note(_caret(extra["caret"]))
    if hint:
        output.note(f"Hint: {hint}", "yellow")


def _caret(caret: Any) -> str:
    lines = caret if isinstance(caret, list | tuple) else str(caret).splitlines()
    return "\n".join(f"  {line}" for line in lines)
