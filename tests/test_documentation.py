"""What is not documented is not there: every setting stands in docs/operations.md, as it is; and no page names what
is not there: a command, a file of the project."""

from __future__ import annotations

import dataclasses
import pathlib
import re

import pytest

from penstock import settings
from penstock.cli import table

DOCS = pathlib.Path(__file__).parent.parent / "docs"
SETTINGS = {field.name: field for field in dataclasses.fields(settings.Settings)}
PAGES = [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))]


def row_of(name: str) -> str:
    """The line of the settings table that documents a setting."""
    field = SETTINGS[name]
    default = field.default
    if hasattr(default, "get_secret_value"):
        default = default.get_secret_value()
    shown = "the number of cores" if name == "encoding_threads" else _shown(default)
    return f"| `{name}` | {shown} | {field.metadata['help']} |"


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, int):
        return f"{default:_}" if default >= 10_000 else str(default)
    return str(default) if default not in ("", ()) else ""


@pytest.mark.parametrize("name", SETTINGS)
def test_setting_is_documented(name: str) -> None:
    assert row_of(name) in (DOCS / "operations.md").read_text().splitlines(), row_of(name)


COMMANDS = {command.name for command in table.COMMANDS}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_a_page_names_are_there(page: pathlib.Path) -> None:
    text = page.read_text()
    code = re.findall(r"`(penstock [^`]+)`", text) + re.findall(r"(?m)^(?:\w+=\$\()?(penstock .+)$", text)
    for line in code:
        words = [word for word in line.split()[1:] if not word.startswith("-")]
        if re.fullmatch("[a-z]+", words[0] if words else "X") is None:
            continue
        assert words[0] in COMMANDS or words[0] in table.GROUPS, line
        if words[0] in table.GROUPS and len(words) > 1:
            assert f"{words[0]} {words[1].strip(',:')}" in COMMANDS, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page: pathlib.Path) -> None:
    for name in re.findall(r"`((?:scripts|benchmarks|tests|docs)/[\w./-]+\.(?:sh|py|md))`", page.read_text()):
        assert (DOCS.parent / name).exists(), name


def test_each_benchmark_has_one_section_of_the_figures() -> None:
    sections = (DOCS / "performance.md").read_text().split("\n## ")[1:]
    opened = [re.findall(r"`python (benchmarks/[^ `]+)", section.split("\n\n")[1]) for section in sections]
    named = [name for names in opened for name in names]
    assert "benchmarks/task_reads.py" in named
    assert sorted(named) == sorted(set(named))
