"""What is not documented is not there: every setting stands in docs/operations.md, as it is."""

from __future__ import annotations

import pathlib

import pytest

from penstock import settings

DOCS = pathlib.Path(__file__).parent.parent / "docs"


def row_of(name: str) -> str:
    """The line of the settings table that documents a setting."""
    field = settings.Settings.model_fields[name]
    default = field.default
    if hasattr(default, "get_secret_value"):
        default = default.get_secret_value()
    shown = "the number of cores" if name == "encoding_threads" else _shown(default)
    return f"| `{name}` | {shown} | {field.description} |"


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, int):
        return f"{default:_}" if default >= 10_000 else str(default)
    return str(default) if default not in ("", ()) else ""


@pytest.mark.parametrize("name", settings.Settings.model_fields)
def test_setting_is_documented(name: str) -> None:
    assert row_of(name) in (DOCS / "operations.md").read_text().splitlines(), row_of(name)
