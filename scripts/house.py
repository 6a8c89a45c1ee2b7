"""The house as the code has it: writes its arrows into the law, or draws its picture.

python scripts/house.py law          the arrows in use, into tests/test_architecture.py
python scripts/house.py picture      docs/house.svg
"""

from __future__ import annotations

import ast
import html
import pathlib
import sys
from collections.abc import Iterable

ROOT = pathlib.Path(__file__).resolve().parent.parent
LAW = ROOT / "tests" / "test_architecture.py"
PICTURE = ROOT / "docs" / "house.svg"
sys.path.insert(0, str(ROOT / "tests"))

import test_architecture as law  # noqa: E402  the tests' folder is no package

BASIS = ("errors", "error_codes", "settings", "base")
"""Rooms that nearly all rooms know: drawn as the ground, without arrows."""

WAY = ("intake", "lake", "encode", "storage", "export", "evidence")
"""Rooms that an event passes; drawn in colour."""

BOX_WIDTH, BOX_HEIGHT, GAP, ROW = 132, 44, 18, 86


def write_law() -> None:
    """Replaces the arrows of the law by those in use. The rooms themselves are kept."""
    table = ""
    for room in law.MAY_IMPORT:
        arrows = "".join(f'        "{one}",\n' for one in sorted(law.arrows_of(room)))
        table += f'    "{room}": {{\n{arrows}    }},\n' if arrows else f'    "{room}": set(),\n'
    text = LAW.read_text()
    opening = "MAY_IMPORT: dict[str, set[str]] = {\n"
    start = text.index(opening) + len(opening)
    end = text.index('}\n"""Room -> rooms it imports', start)
    LAW.write_text(text[:start] + table + text[end:])


def rooms() -> dict[str, set[str]]:
    """The rooms at the top and whom each imports, the ground left out."""
    found: dict[str, set[str]] = {}
    for room, imported in law.MAY_IMPORT.items():
        top = law.whole(room)
        found.setdefault(top, set()).update(law.whole(one) for one in imported)
    return {room: arrows - {room, *BASIS} for room, arrows in sorted(found.items()) if room not in BASIS}


def reachable(arrows: dict[str, set[str]], start: Iterable[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        room = waiting.pop()
        if room not in found:
            found.add(room)
            waiting += arrows[room]
    return found


def without_what_follows(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """Only the arrows that no other way of arrows implies."""
    return {
        room: {one for one in targets if one not in reachable(arrows, {x for t in targets - {one} for x in (t,)})}
        for room, targets in arrows.items()
    }


def heights(arrows: dict[str, set[str]]) -> dict[str, int]:
    """How many rooms lie one above the other below each room, at most."""
    found: dict[str, int] = {}

    def height(room: str) -> int:
        if room not in found:
            found[room] = 1 + max((height(one) for one in arrows[room]), default=-1)
        return found[room]

    for room in arrows:
        height(room)
    return found


def purpose(room: str) -> str:
    """The first words of what the room says it is for."""
    path = law.ROOT / room.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    line = (ast.get_docstring(ast.parse(file.read_text())) or "").splitlines()[0]
    return line.split(":")[0].split(".")[0]


def picture() -> str:
    """The drawing, as SVG. Rooms that know more stand higher; an arrow leads to whom a room imports."""
    arrows = rooms()
    level = heights(arrows)
    by_level = [[room for room in arrows if level[room] == n] for n in range(max(level.values()) + 1)]
    most = max(len(row) for row in by_level)
    width, height = most * (BOX_WIDTH + GAP) + GAP, (len(by_level) + 1) * ROW
    place: dict[str, tuple[float, float]] = {}
    for n, row in enumerate(by_level):
        left = (width - len(row) * (BOX_WIDTH + GAP) + GAP) / 2
        for at, room in enumerate(row):
            place[room] = (left + at * (BOX_WIDTH + GAP), height - (n + 2) * ROW + 20)
    lines = [
        _arrow(place[room], place[one]) for room, all_ in without_what_follows(arrows).items() for one in sorted(all_)
    ]
    boxes = [_box(*place[room], room, "way" if room in WAY else "room") for room in arrows]
    ground = f'<rect class="ground" x="{GAP}" y="{height - ROW + 30}" width="{width - 2 * GAP}" height="34" rx="6"/>'
    words = f'<text x="{width / 2}" y="{height - ROW + 52}">{" · ".join(BASIS)}: known to nearly all</text>'
    return "\n".join([_head(width, height), *lines, *boxes, ground, words, "</svg>", ""])


def _head(width: float, height: float) -> str:
    style = (
        "text{font:13px system-ui,sans-serif;text-anchor:middle;fill:#1d2733}"
        ".room{fill:#fff;stroke:#8795a5}.way{fill:#dcebfa;stroke:#0b62a8}.ground{fill:#eceff3;stroke:#8795a5}"
        "path{fill:none;stroke:#8795a5;marker-end:url(#tip)}"
    )
    tip = '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">'
        f"<title>The rooms of Penstock and their arrows; blue: the way of an event</title><style>{style}</style>"
        f'<defs>{tip}<path d="M0 0L8 4L0 8z" style="fill:#8795a5;stroke:none;marker-end:none"/></marker></defs>'
        f'<rect width="{width}" height="{height}" fill="#fff"/>'
    )


def _box(x: float, y: float, room: str, kind: str) -> str:
    return (
        f'<g><title>{html.escape(purpose(room))}</title><rect class="{kind}" x="{x}" y="{y}" width="{BOX_WIDTH}" '
        f'height="{BOX_HEIGHT}" rx="6"/><text x="{x + BOX_WIDTH / 2}" y="{y + 27}">{room}</text></g>'
    )


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    x1, y1 = start[0] + BOX_WIDTH / 2, start[1] + BOX_HEIGHT
    x2, y2 = end[0] + BOX_WIDTH / 2, end[1]
    middle = (y1 + y2) / 2
    return f'<path d="M{x1} {y1}C{x1} {middle} {x2} {middle} {x2} {y2 - 2}"/>'


if __name__ == "__main__":
    if sys.argv[1:] == ["law"]:
        write_law()
    elif sys.argv[1:] == ["picture"]:
        PICTURE.write_text(picture())
    else:
        sys.exit(__doc__)
