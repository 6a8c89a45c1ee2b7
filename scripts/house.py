"""The house as the code has it: prints its arrows for the law, or draws docs/house.svg.

python scripts/house.py law          writes the arrows in use into tests/test_architecture.py
python scripts/house.py picture      draws docs/house.svg
"""

from __future__ import annotations

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LAW = ROOT / "tests" / "test_architecture.py"
sys.path.insert(0, str(ROOT / "tests"))


def write_law() -> None:
    """Replaces the arrows of the law by those in use. The rooms themselves are kept."""
    import test_architecture as law

    table = ""
    for room in law.MAY_IMPORT:
        arrows = "".join(f'        "{one}",\n' for one in sorted(law.arrows_of(room)))
        table += f'    "{room}": {{\n{arrows}    }},\n' if arrows else f'    "{room}": set(),\n'
    text = LAW.read_text()
    start = text.index("MAY_IMPORT: dict[str, set[str]] = {\n") + len("MAY_IMPORT: dict[str, set[str]] = {\n")
    end = text.index('}\n"""Room -> rooms it imports', start)
    LAW.write_text(text[:start] + table + text[end:])


if __name__ == "__main__":
    if sys.argv[1:] == ["law"]:
        write_law()
    else:
        sys.exit(__doc__)
