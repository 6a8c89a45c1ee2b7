"""What is not documented is not there: every setting stands in docs/operations.md, as it is; and no page names what
is not there: a command, a file of the project."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import runpy
import tomllib

import pytest

from penstock import settings
from penstock.base import secret
from penstock.cli import table

DOCS = pathlib.Path(__file__).parent.parent / "docs"
SETTINGS = {field.name: field for field in dataclasses.fields(settings.Settings)}
PAGES = [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))]


def row_of(name: str) -> str:
    """The line of the settings table that documents a setting."""
    field = SETTINGS[name]
    default = field.default
    if isinstance(default, secret.Secret):
        default = default.reveal()
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


DEPLOY = sorted(path for path in (DOCS.parent / "deploy").rglob("*") if path.is_file())


@pytest.mark.parametrize("path", DEPLOY, ids=lambda path: path.name)
def test_what_is_deployed_is_there(path: pathlib.Path) -> None:
    """Settings, and the first words of the commands that units, containers and comments run."""
    text = path.read_text()
    assert {name.lower() for name in re.findall(r"PENSTOCK_([A-Z0-9_]+)", text)} - {"site"} <= set(SETTINGS)
    started = re.findall(r"bin/penstock ([a-z]+)", text) + re.findall(
        r"(?:args:|command:|CMD) \[\"?([a-z]+)\"?(?=[\],])", text
    )
    started += re.findall(r"(?:args:|command:) \[\"?(serve|worker)\"?, \"?--", text)
    assert set(started) - {"caddy"} <= COMMANDS, started
    if path.suffix in {".service", ".yaml"} or path.name == "Containerfile":
        assert started
    assert f"deploy/{path.name}" in (DOCS / "deploy.md").read_text() or path.name in (DOCS / "deploy.md").read_text()


def test_each_benchmark_has_one_section_of_the_figures() -> None:
    sections = (DOCS / "performance.md").read_text().split("\n## ")[1:]
    opened = [re.findall(r"`python (benchmarks/[^ `]+)", section.split("\n\n")[1]) for section in sections]
    named = [name for names in opened for name in names]
    assert "benchmarks/task_reads.py" in named
    assert sorted(named) == sorted(set(named))


DESIGN = (DOCS / "design.md").read_text()


def test_design_names_exactly_the_rooms_that_are_there() -> None:
    block = DESIGN.partition("<!-- tree")[2].split("```")[1]
    named = set(re.findall(r"(?m)^  ([a-z_]+(?:/|\.py)) ", block))
    package = DOCS.parent / "penstock"
    folders = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert named == folders | {path.name for path in package.glob("[a-z]*.py")}


def test_design_names_exactly_the_dependencies_that_are_there() -> None:
    table = DESIGN.partition("<!-- dependencies")[2].partition("\n\n")[2].partition("\n\n")[0]
    named = {
        name for row in re.findall(r"(?m)^\| ([^|]+) \|", table)[1:] if "---" not in row for name in row.split(", ")
    }
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(one for name in extras if name != "dev" for one in extras[name])]
    assert {name.lower() for name in named} == {re.split(r"[\[>=<]", one)[0].lower() for one in wanted}


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    pinned = {line.split("==")[0].lower() for line in (DOCS.parent / "constraints.txt").read_text().split()}
    assert {name for one in wanted if (name := re.split(r"[\[>=<]", one)[0].lower()) not in pinned} == set()


def test_picture_of_the_house_is_that_of_the_code() -> None:
    script = DOCS.parent / "scripts" / "house.py"
    drawn = runpy.run_path(str(script))["picture"]()
    assert drawn == (DOCS / "house.svg").read_text(), "python scripts/house.py picture"
