"""The house's law: which room may import which, and that no file lacks a room (docs/design.md §3)."""

from __future__ import annotations

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent / "penstock"

BASE = {"errors", "clock", "settings"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "clock": set(),
    "settings": {"errors"},
    "fields": {"errors"},
    "query": {"errors", "fields"},
    "lake": BASE | {"fields", "query"},
    "encode": {"errors", "fields"},
    "storage": BASE,
    "control": BASE | {"fields", "storage"},
    "pipeline": BASE | {"fields", "query", "lake", "encode", "storage"},
    "services": BASE | {"fields", "lake", "storage", "control", "pipeline"},
    "worker": BASE | {"fields", "query", "lake", "encode", "storage", "control", "pipeline", "services"},
    "api": BASE | {"fields", "query", "lake", "storage", "control", "pipeline", "services", "worker"},
    "console": BASE | {"api", "client"},
    "client": {"errors", "fields", "storage", "pipeline"},
    "cli": BASE
    | {
        "fields",
        "query",
        "lake",
        "encode",
        "storage",
        "control",
        "pipeline",
        "services",
        "worker",
        "api",
        "console",
        "client",
    },
    "testing": BASE | {"fields", "lake", "storage"},
}
"""Room -> rooms it may import. `storage` knows nothing of the lake or of `encode`, and the other way round."""

FILES = sorted(ROOT.rglob("*.py")) + sorted(ROOT.rglob("*.pyx"))


def room_of(path: pathlib.Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def rooms_imported(path: pathlib.Path) -> set[str]:
    """Rooms of penstock that a file imports, imports inside functions included."""
    rooms: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "penstock" else [module]
        elif isinstance(node, ast.ImportFrom):
            raise AssertionError(f"{path}: relative import; write it out")
        else:
            continue
        rooms |= {name.split(".")[1] for name in names if name.startswith("penstock.")}
    return rooms - {"__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_file_has_a_room(path: pathlib.Path) -> None:
    assert room_of(path) in MAY_IMPORT or path.name in {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("path", [p for p in FILES if p.suffix == ".py"], ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_follow_the_arrows(path: pathlib.Path) -> None:
    room = room_of(path)
    if room in {"__init__", "__main__"}:
        return
    wrong = rooms_imported(path) - MAY_IMPORT[room] - {room}
    assert not wrong, f"{room} may not import {sorted(wrong)}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_module_says_what_it_is_for(path: pathlib.Path) -> None:
    if path.suffix == ".py" and path.read_text().strip():
        assert ast.get_docstring(ast.parse(path.read_text())), "a module's first line says its one reason to exist"
