"""Many readers are not native speakers: the pages, the docstrings and the messages use plain words."""

from __future__ import annotations

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PLAIN = {
    "to the letter": "exactly",
    "as it is": "unchanged",
    "afresh": "again",
    "anew": "again",
    "mend": "correct, repair",
    "mends": "helps",
    "mended": "repaired",
    "foretell": "predict",
    "told of": "called with",
    "near by": "local",
    "save for": "except",
    "lest": "so that not",
    "whence": "from where",
}
"""Word -> what to write instead."""

_FOUND = re.compile(r"\b(" + "|".join(PLAIN) + r")\b", re.IGNORECASE)
FILES = sorted(
    path
    for pattern in ("penstock/**/*.py", "penstock/**/*.pyx", "penstock/**/*.h", "docs/*.md", "*.md")
    for path in ROOT.glob(pattern)
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_page_uses_plain_words(path: pathlib.Path) -> None:
    text = re.sub(r"```.*?```|`[^`]*`", lambda code: "\n" * code[0].count("\n"), path.read_text(), flags=re.DOTALL)
    lines = text.splitlines()
    found = {
        f"line {n}: {one[0]!r}; write {PLAIN[one[0].lower()]!r}"
        for n, line in enumerate(lines, 1)
        for one in _FOUND.finditer(line)
    }
    assert not found
