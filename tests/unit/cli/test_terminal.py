"""What reaches the screen: UTF-8 whatever the locale, the help once, no control characters of an attacker's events."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import Any

import pytest

from penstock import cli
from penstock.cli import output

ATTACK = "login \x1b]0;owned\x07\x1b[2J\x9b31m failed"


def shown_on_a_terminal(script: str) -> str:
    """What a Python script writes to stdout when that is a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "PYTHONIOENCODING": "utf-8"}
    subprocess.run([sys.executable, "-c", script], env=environment, stdout=theirs, timeout=60, check=True)
    os.close(theirs)
    text = os.read(ours, 100_000).decode()
    os.close(ours)
    return text


@pytest.mark.parametrize(
    "call",
    [
        f"output.say({ATTACK!r})",
        f"output.say({ATTACK!r}, 'bold')",
        f"tables.table(['MESSAGE'], [[{ATTACK!r}]])",
        f"output.facts([('Message', {ATTACK!r})])",
    ],
)
def test_events_cannot_steer_the_terminal(call: str) -> None:
    text = shown_on_a_terminal(f"from penstock.cli import output, tables; {call}")
    assert "login" in text
    assert "failed" in text
    for control in ("\x1b]", "\x1b[2J", "\x07", "\x9b"):
        assert control not in text


def test_text_for_a_pipe_is_left_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    output.say(ATTACK)
    assert capsys.readouterr().out == f"{ATTACK}\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_key_is_shown_and_json_is_whole_whatever_the_locale(encoding: str) -> None:
    """Were the box to fail on its frame, an export would run whose key nobody has seen."""
    script = (
        "from penstock import cli; from penstock.cli import output\n"
        "def run(arguments):\n"
        "    output.show_key('c2VjcmV0', stderr=False)\n"
        "    output.emit_json({'event': 'é 😀 \\ud800'})\n"
        "    return 0\n"
        "cli.run = run\n"
        "cli.main()\n"
    )
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    *box, document = ran.stdout.decode().splitlines()
    assert "Encryption Key: c2VjcmV0" in box
    assert json.loads(document) == {"event": "é 😀 \ud800"}


@pytest.mark.parametrize("arguments", [[], ["lake"], ["community"]])
def test_help_for_nothing_is_shown_once(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert cli.run(arguments) == 2
    out, err = capsys.readouterr()
    assert (out + err).count("Usage: ") == 1


def test_a_missing_argument_is_named_as_the_help_names_it(capsys: Any) -> None:
    assert cli.run(["search"]) == 2
    assert "QUERY" in capsys.readouterr().err
