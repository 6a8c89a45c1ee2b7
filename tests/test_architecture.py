"""The law of the house (docs/design.md §3): every file has a room, and rooms import exactly what is listed here.

A room is a folder of penstock, or a module or folder inside one that leans another way than the rest of it. The list is
exact in both directions: an arrow that nobody uses any more must leave it, or the law would be wider than the practice.
"""

from __future__ import annotations

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent / "penstock"

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "error_codes": {
        "errors",
    },
    "settings": {
        "base",
        "errors",
    },
    "base": {
        "errors",
    },
    "fields": {
        "errors",
    },
    "query": {
        "base",
        "errors",
        "fields",
    },
    "kernels": set(),
    "intake": {
        "base",
        "errors",
        "fields",
        "kernels",
        "lake",
        "settings",
    },
    "lake": {
        "base",
        "errors",
        "fields",
        "kernels",
        "lake.location",
        "lake.needles",
    },
    "lake.location": {
        "base",
        "errors",
        "fields",
        "storage.s3",
    },
    "lake.read": {
        "base",
        "errors",
        "fields",
        "kernels",
        "lake",
        "lake.location",
        "lake.needles",
        "query",
    },
    "lake.needles": {
        "base",
        "fields",
        "kernels",
        "query",
    },
    "samples": {
        "base",
        "fields",
        "lake",
    },
    "encode": {
        "errors",
        "fields",
    },
    "storage": {
        "base",
        "errors",
        "settings",
        "storage.embedded",
        "storage.s3",
    },
    "storage.s3": {
        "base",
        "errors",
        "storage",
    },
    "storage.embedded": {
        "base",
        "errors",
        "storage",
    },
    "export": {
        "base",
        "encode",
        "errors",
        "evidence",
        "fields",
        "lake",
        "lake.read",
        "process",
        "query",
        "storage",
    },
    "export.engines": {
        "base",
        "error_codes",
        "errors",
        "evidence",
        "export",
        "fields",
        "intake",
        "lake",
        "lake.read",
        "process",
        "query",
        "settings",
        "storage",
    },
    "evidence": {
        "base",
        "errors",
    },
    "control": {
        "base",
        "errors",
        "settings",
    },
    "search": {
        "base",
        "errors",
        "fields",
        "lake",
        "lake.read",
        "process",
        "query",
        "settings",
    },
    "usecases": {
        "base",
        "control",
        "encode",
        "errors",
        "fields",
        "lake",
        "lake.read",
        "process",
        "process.services",
        "query",
        "search",
        "storage",
    },
    "worker": {
        "base",
        "control",
        "errors",
        "evidence",
        "export",
        "export.engines",
        "fields",
        "lake",
        "lake.read",
        "process",
        "process.services",
        "query",
        "search",
        "settings",
        "storage",
        "usecases",
    },
    "api": {
        "base",
        "console",
        "control",
        "errors",
        "fields",
        "intake",
        "process.services",
        "query",
        "settings",
        "storage",
        "storage.embedded",
        "usecases",
    },
    "process": {
        "base",
        "errors",
        "lake",
        "lake.location",
        "settings",
    },
    "process.server": {
        "api",
        "base",
        "errors",
        "process",
        "process.certificates",
        "process.services",
        "query",
        "settings",
        "worker",
    },
    "process.services": {
        "base",
        "control",
        "evidence",
        "lake",
        "process",
        "settings",
        "storage",
    },
    "process.certificates": {
        "base",
        "errors",
    },
    "console": set(),
    "client": {
        "base",
        "client.download",
        "client.http",
        "errors",
        "evidence",
        "fields",
        "storage",
    },
    "client.http": {
        "base",
        "error_codes",
        "errors",
    },
    "client.download": {
        "base",
        "client",
        "client.http",
        "errors",
        "evidence",
        "storage",
    },
    "cli": {
        "base",
        "cli.options",
        "errors",
        "process",
    },
    "cli.options": set(),
    "cli.commands": {
        "base",
        "cli",
        "cli.options",
        "control",
        "errors",
        "export",
        "export.engines",
        "fields",
        "intake",
        "lake",
        "lake.read",
        "process",
        "process.services",
        "query",
        "samples",
        "settings",
    },
    "cli.commands.operate": {
        "base",
        "cli",
        "cli.commands",
        "cli.options",
        "control",
        "errors",
        "fields",
        "lake",
        "lake.read",
        "process",
        "process.server",
        "process.services",
        "query",
        "settings",
        "storage",
        "storage.s3",
        "worker",
    },
    "cli.commands.service": {
        "base",
        "cli",
        "cli.commands",
        "cli.options",
        "client",
        "client.http",
        "errors",
        "evidence",
        "storage",
    },
    "cli.commands.demo": {
        "cli",
        "cli.commands",
        "cli.commands.operate",
        "cli.commands.service",
        "cli.options",
        "client",
        "errors",
        "evidence",
        "process",
        "process.server",
        "process.services",
    },
    "testing": {
        "base",
        "errors",
        "fields",
        "intake",
        "lake",
        "storage",
    },
}
"""Room -> rooms it imports, imports inside functions and cimports included."""

FILES = sorted(path for ending in ("*.py", "*.pyx", "*.pyi") for path in ROOT.rglob(ending))
MOST_FILES = 13
"""In one folder, `__init__` included: what one looks through."""

LARGER_FOLDERS: dict[str, int] = {}
"""Folders that are still to be divided, with the most files they may have until then."""


def module_of(path: pathlib.Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str | None:
    """The most exact room that holds a module (dotted, without `penstock.`)."""
    parts = module.split(".")
    names = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((name for name in names if name in MAY_IMPORT), None)


def modules_imported(path: pathlib.Path) -> set[str]:
    """Modules of penstock that a file imports, without `penstock.`, wherever the import stands."""
    if path.suffix == ".pyx":
        return set(re.findall(r"(?:from|import|cimport)\s+penstock\.([\w.]+)", path.read_text()))
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write it out"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("penstock.") for name in names if name.startswith("penstock.")}


def rooms_imported(path: pathlib.Path) -> set[str]:
    rooms = {room_of(name) for name in modules_imported(path)}
    return {room for room in rooms if room is not None}


def arrows_of(room: str) -> set[str]:
    """Rooms that a room's files import, itself left out."""
    files = [path for path in FILES if room_of(module_of(path)) == room]
    assert files, "no such room"
    return {one for path in files for one in rooms_imported(path)} - {room}


def name(path: pathlib.Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_file_has_a_room(path: pathlib.Path) -> None:
    assert room_of(module_of(path)) or (path.parent == ROOT and path.name in {"__init__.py", "__main__.py"})


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_room_imports_exactly_what_the_law_lists(room: str) -> None:
    assert arrows_of(room) == MAY_IMPORT[room], "python scripts/house.py law writes the arrows in use into this file"


def whole(room: str) -> str:
    """The room at the top that a room belongs to. What `process` opens lies at the bottom, its server at the top."""
    return room if room.startswith("process.") else room.split(".")[0]


def test_rooms_have_no_circle() -> None:
    left: dict[str, set[str]] = {}
    for room, imported in MAY_IMPORT.items():
        left.setdefault(whole(room), set()).update({whole(one) for one in imported} - {whole(room)})
    while left:
        free = [room for room, imported in left.items() if not imported & left.keys()]
        assert free, f"a circle among {sorted(left)}"
        for room in free:
            del left[room]


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in FILES} - {ROOT}), ids=lambda f: str(f.relative_to(ROOT))
)
def test_folder_can_be_looked_through(folder: pathlib.Path) -> None:
    files = [path for path in folder.iterdir() if path.suffix in {".py", ".pyx", ".h"}]
    assert len(files) <= LARGER_FOLDERS.get(name(folder), MOST_FILES)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_module_says_what_it_is_for(path: pathlib.Path) -> None:
    if path.suffix == ".py":
        assert ast.get_docstring(ast.parse(path.read_text())), "a module's first line says its one reason to exist"


@pytest.mark.parametrize("package", sorted(ROOT.rglob("__init__.py")), ids=lambda path: path.parent.name)
def test_a_rooms_docstring_lists_modules_that_are_there(package: pathlib.Path) -> None:
    """Lines `name  what it is for`, as in penstock/api/__init__.py: the longest name has one space behind it."""
    text = ast.get_docstring(ast.parse(package.read_text())) or ""
    rows = re.findall(r"^([a-z_]+)( +)\S", text, re.MULTILINE)
    width = max((len(name) + len(gap) for name, gap in rows if len(gap) > 1), default=0)
    listed = {name for name, gap in rows if len(name) + len(gap) == width}
    assert listed <= {path.stem for path in package.parent.iterdir() if path.is_dir() or path.suffix in (".py", ".pyx")}
