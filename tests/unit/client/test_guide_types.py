"""The guide's Python examples pass `mypy --strict` for a user's script."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest

GUIDE = pathlib.Path(__file__).parents[3] / "docs" / "user-guide.md"
PRELUDE = """
def save_somewhere_safe(text: str) -> None: ...
api_key = "pst_…"
"""


def test_the_examples_of_the_guide_are_typed(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("mypy")
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    blocks += re.findall(r"<<'PYTHON'\n(.*?)\nPYTHON", GUIDE.read_text(), re.DOTALL)
    assert len(blocks) >= 3
    examples = [block for block in blocks if "penstock" in block]
    script = tmp_path / "script.py"
    script.write_text(PRELUDE + "\n".join(examples))

    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", str(script)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": str(GUIDE.parents[1])},
    )

    assert checked.returncode == 0, checked.stdout
