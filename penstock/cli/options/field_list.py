"""Which fields a line holds: the options that say so, for every command that writes events."""

from __future__ import annotations

import os
import pathlib
from typing import Annotated

import typer

from penstock import errors

_FIELDS = "Fields"
Fields = Annotated[
    str | None,
    typer.Option(
        "--fields",
        metavar="A,B",
        help="Fields of each line, in this order. Default: EXPORT_FIELDS, else @timestamp,message.",
        rich_help_panel=_FIELDS,
    ),
]
FieldsFile = Annotated[
    pathlib.Path | None,
    typer.Option("--fields-file", metavar="FILE", help="Fields, one a line; # comments.", rich_help_panel=_FIELDS),
]
Preset = Annotated[
    str | None,
    typer.Option("--preset", metavar="NAME", help="network, identity or endpoint.", rich_help_panel=_FIELDS),
]


def chosen(fields: str | None, fields_file: pathlib.Path | None, preset: str | None) -> list[str] | None:
    """The fields that options and EXPORT_FIELDS name; None for a preset, or the service's default.

    Raises:
        UsageError: `fields_and_preset` for more than one of the options, `fields_file_not_readable`,
            `no_fields`.
    """
    named = [option for option in (fields, fields_file, preset) if option is not None]
    if len(named) > 1:
        raise errors.UsageError(
            "fields_and_preset",
            "More than one of --fields, --fields-file and --preset was given.",
            "Give one of the three.",
        )
    if preset is not None:
        return None
    if fields_file is not None:
        return _some(_read_fields(fields_file), f"{fields_file} names no field.")
    if fields is not None:
        return _some(_split(fields), "--fields names no field.")
    return _split(os.environ.get("EXPORT_FIELDS", "")) or None


def _split(text: str) -> list[str]:
    return [field.strip() for field in text.split(",") if field.strip()]


def _some(fields: list[str], detail: str) -> list[str]:
    if not fields:
        raise errors.UsageError("no_fields", detail, "Name at least one field, or leave the option out.")
    return fields


def _read_fields(file: pathlib.Path) -> list[str]:
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise errors.UsageError(
            "fields_file_not_readable", f"{file} cannot be read: {error}.", "Give a text file with one field a line."
        ) from error
    return [field for line in lines for field in _split(line.partition("#")[0])]
