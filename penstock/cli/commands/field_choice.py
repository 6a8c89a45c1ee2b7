"""The fields that a command line names, for every command that writes events."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable, Sequence

from penstock import errors
from penstock.cli.options import shared
from penstock.fields import presets


def chosen(choice: shared.FieldChoice) -> Sequence[str] | None:
    """The fields that options and EXPORT_FIELDS name; None for the service's default, and for --all-fields.

    Raises:
        UsageError: `fields_and_preset` for more than one of the options, `fields_file_not_readable`,
            `no_fields`.
        InvalidRequest: `unknown_preset`.
    """
    named = [option for option in (choice.fields, choice.fields_file, choice.preset) if option is not None]
    if len(named) + choice.all_fields > 1:
        raise errors.UsageError(
            "fields_and_preset",
            "More than one of --fields, --fields-file, --preset and --all-fields was given.",
            "Give one of them.",
        )
    if choice.all_fields:
        return None
    if choice.preset is not None:
        return presets.fields_of(choice.preset)
    if choice.fields_file is not None:
        return _some(_read_fields(choice.fields_file), f"{choice.fields_file} names no field.")
    if choice.fields is not None:
        return _some(_split(choice.fields), "--fields names no field.")
    return _split(os.environ.get("EXPORT_FIELDS", "")) or None


def ordered(names: Iterable[str]) -> list[str]:
    """All fields in the order in which they are written: the time first, then by name."""
    return sorted(set(names), key=lambda name: (name != "@timestamp", name))


def _split(text: str) -> list[str]:
    return [field.strip() for field in text.split(",") if field.strip()]


def _some(fields: list[str], detail: str) -> list[str]:
    if not fields:
        raise errors.UsageError("no_fields", detail, "Name at least one field, or leave the option out.")
    return fields


def _read_fields(file: pathlib.Path) -> list[str]:
    """One name a line, whatever it holds: a name may have `#`, a comma or a space inside.

    A line that begins with `# ` is a comment (LogScale's fields begin with `#` and no space). Commas separate names
    only in --fields and EXPORT_FIELDS.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise errors.UsageError(
            "fields_file_not_readable", f"{file} cannot be read: {error}.", "Give a text file with one field a line."
        ) from error
    names = (line.strip() for line in lines)
    return [name for name in names if name and name != "#" and not name.startswith("# ")]
