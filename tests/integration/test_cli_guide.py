"""The user guide's commands, run in order, as a reader would; and its list of codes, whole."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

import penstock

GUIDE = pathlib.Path(__file__).parents[2] / "docs" / "user-guide.md"
README = pathlib.Path(__file__).parents[2] / "README.md"
PACKAGE = pathlib.Path(penstock.__file__).parent
BLOCK = re.compile(r"<!-- run(?: if (\w+))? -->\n```sh\n(.*?)```", re.DOTALL)
RAISED = re.compile(r'errors\.[A-Z]\w+\(\s*"([a-z_]+)"')
OF_THE_DEMO_AND_THE_LIBRARY = {"demo_folder_taken", "demo_folder_not_writable", "demo_incomplete", "invalid_parallel"}


def blocks() -> list[str]:
    """The blocks marked to be run, those left out whose module is not installed."""
    found = BLOCK.findall(GUIDE.read_text())
    return [text for module, text in found if not module or importlib.util.find_spec(module)]


def test_guide_does_what_it_says(tmp_path: pathlib.Path) -> None:
    for tool in ("bash", "zcat", "jq", "curl", "openssl"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    (tmp_path / "bin").mkdir()
    for name, line in (("penstock", "-m penstock "), ("python3", "")):
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\nexec {sys.executable} {line}"$@"\n')
        (tmp_path / "bin" / name).chmod(0o755)
    ambient = ("API_KEY", "API_HOST", "EXPORT_FIELDS", "S3_SSE_C_KEY", "PENSTOCK_HOME", "REQUESTS_CA_BUNDLE")
    environment = {name: value for name, value in os.environ.items() if name not in ambient}
    environment |= {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PENSTOCK_PORT": "0"}
    script = "set -eux\ntrap 'kill $(jobs -p); wait' EXIT\n" + "\n".join(blocks())
    ran = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "Traceback" not in ran.stderr
    assert "is exactly what was exported" in ran.stdout
    assert "events streamed" in ran.stdout
    assert (tmp_path / "later.jsonl.gz").exists()
    assert "Note [unknown_field]: " in ran.stderr, "a mistyped field is answered with those that were meant"
    assert "Error [wait_timeout]" in ran.stderr
    assert (tmp_path / "hour.jsonl.gz").exists(), "what was interrupted is fetched with the key that was kept"


def test_guide_has_blocks_to_run() -> None:
    assert len(BLOCK.findall(GUIDE.read_text())) >= 15


def test_troubleshooting_lists_every_code_of_client_and_command_line() -> None:
    raised: set[str] = set()
    for room in ("client", "cli"):
        for path in sorted((PACKAGE / room).rglob("*.py")):
            raised |= set(RAISED.findall(path.read_text()))
    listed = set(re.findall(r"`([a-z_]+)`", GUIDE.read_text().partition("## Troubleshooting")[2]))
    assert len(raised) > 30
    assert raised - OF_THE_DEMO_AND_THE_LIBRARY <= listed


@pytest.mark.parametrize("document", [README, *sorted(GUIDE.parent.glob("*.md"))], ids=lambda path: path.name)
def test_links_of_documents_lead_somewhere(document: pathlib.Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", document.read_text()):
        if re.match("https?:", target):
            continue
        name, _, heading = target.partition("#")
        there = document.parent / name if name else document
        assert there.exists(), target
        assert not heading or heading in _headings(there.read_text()), target


def _headings(text: str) -> set[str]:
    return {re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"(?m)^#+ (.+)$", text)}
