"""README's commands, run as a newcomer would; and no link of any page that leads nowhere."""

from __future__ import annotations

import gzip
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
AMBIENT = ("API_KEY", "API_HOST", "EXPORT_FIELDS", "S3_SSE_C_KEY", "S3_BUCKET", "PENSTOCK_HOME", "REQUESTS_CA_BUNDLE")


def five_minutes() -> list[str]:
    """The commands of the block, without their remarks."""
    block = README.partition("## Five minutes")[2].partition("```sh\n")[2].partition("```")[0]
    return [line.partition("  #")[0].rstrip() for line in block.splitlines()]


def recipe(target: str) -> str:
    """What `make TARGET` runs after its set-up."""
    found = re.search(rf"(?m)^{target}:.*\n\t(.+)$", (ROOT / "Makefile").read_text())
    assert found, target
    return found[1].replace("$(BIN)/", "")


def as_a_script() -> str:
    """The block for one shell instead of two terminals: the service behind, fewer events, JOB put in."""
    serve, activate, *rest = five_minutes()
    assert serve == "make serve"
    assert activate == "source .venv/bin/activate"
    lines = [
        "set -eux -o pipefail",
        "trap 'kill $(jobs -p); wait' EXIT",
        f"({recipe('serve').replace('&& penstock', '&& exec penstock')}) > service.log 2>&1 &",
        "until penstock quota; do sleep 0.2; done",
    ]
    for line in rest:
        if line.startswith("penstock search"):
            line += " | tee found"
        line = line.replace("--events 1000000", "--events 30000").replace("export JOB", 'export "$(head -n 1 found)"')
        lines.append(line)
    return "\n".join(lines)


def test_five_minutes_do_what_they_say(tmp_path: pathlib.Path) -> None:
    for tool in ("bash", "zcat", "jq"):
        if shutil.which(tool) is None and not os.environ.get("CI"):
            pytest.skip(f"{tool} is not installed")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "penstock").write_text(f'#!/bin/sh\nexec {sys.executable} -m penstock "$@"\n')
    (tmp_path / "bin" / "penstock").chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name not in AMBIENT}
    environment |= {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PENSTOCK_PORT": "0"}
    ran = subprocess.run(
        ["bash", "-c", as_a_script()],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "Traceback" not in ran.stderr + (tmp_path / "service.log").read_text()
    total = int(re.findall(r"([\d,]+) events match", ran.stdout)[0].replace(",", ""))
    (file,) = tmp_path.glob("export_*.json.gz")
    events = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    assert len(events) == total > 100
    assert ran.stdout.count("Encryption Key: ") == 1
    users = re.findall(r"(?m)^ +(\d+) (\S+)$", ran.stdout)
    assert sum(int(count) for count, _ in users) == total, "every event of the table at the end has its user"


@pytest.mark.parametrize("target", re.findall(r"(?m)^make (\w+)", README))
def test_tasks_of_the_readme_are_tasks_of_make(target: str) -> None:
    assert recipe(target)
    assert re.search(rf"(?m)^\.PHONY:.*\b{target}\b", (ROOT / "Makefile").read_text())


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: pathlib.Path) -> None:
    text = re.sub(r"(?s)```.*?```", "", page.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        name, _, fragment = target.partition("#")
        leads_to = page.parent / name if name else page
        assert leads_to.exists(), target
        if fragment:
            assert fragment in {anchor(one) for one in re.findall(r"(?m)^#+ (.+)$", leads_to.read_text())}, target
