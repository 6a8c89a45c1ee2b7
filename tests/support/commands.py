"""Every command of the program, made as a call would make it."""

from __future__ import annotations

from typing import Any

import click

from penstock.cli import program, table


def of(name: str) -> Any:
    """The command of this name, like `community list`."""
    group: Any = program.program()
    for word in name.split():
        group = group.get_command(click.Context(group), word)
    return group


ALL = {command.name: of(command.name) for command in table.COMMANDS}
"""By name, those of groups included."""
