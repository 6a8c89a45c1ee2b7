"""The program `penstock`: its commands are made from the table when they are called; help is plain text.

Click, not Typer on top of it: Typer builds a Pydantic validator for each option, which took longer than the rest of a
start.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import Any

import click

import penstock
from penstock.cli import signature, table
from penstock.process import environment

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def program() -> Commands:
    """The whole program."""
    return Commands(
        "penstock",
        callback=_before,
        help="Penstock: events out of an event lake, chosen fields, one encrypted file, provably complete.",
        no_args_is_help=True,
        context_settings=_SETTINGS,
        params=[
            signature.Option(
                ["home_folder", "--home"],
                metavar="DIR",
                help="The home folder. Default: PENSTOCK_HOME, else ./.penstock.",
            ),
            signature.Option(
                ["--version", "-V"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_version,
                help="Show the version and exit.",
            ),
        ],
    )


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(f"penstock {penstock.__version__}")
        context.exit()


def _before(home_folder: str | None) -> None:
    if home_folder is not None:
        os.environ["PENSTOCK_HOME"] = home_folder  # settings read it, and so do processes that a command starts


class Commands(click.Group):
    """A group whose commands are made when they are asked for.

    Args:
        prefix: what stands before its commands' names in the table; empty for the program itself.
    """

    def __init__(self, name: str, *, prefix: str = "", **more: Any) -> None:
        super().__init__(name, **more)
        self._prefix = prefix
        self._lines = _lines(prefix)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The words that may follow."""
        return list(self._lines)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this word; None if there is none."""
        if not self._prefix and cmd_name in table.GROUPS:
            return Commands(
                cmd_name,
                prefix=f"{cmd_name} ",
                help=table.GROUPS[cmd_name][1],
                no_args_is_help=True,
                context_settings=_SETTINGS,
            )
        # Made only when called: to load the options of all commands would be paid by every start.
        return next((_command(one) for one in table.COMMANDS if one.name == f"{self._prefix}{cmd_name}"), None)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As Click does; it looks for words that are close to a mistyped one in `commands`."""
        # Empty shells: Click compares words only, and the real ones would have to be loaded.
        self.commands = {word: click.Command(word) for word in self._lines}
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands under their headings, then the options."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for word, (panel, line) in self._lines.items():
            panels.setdefault("Commands" if self._prefix else panel, []).append((word, line))
        width = max(len(word) for word in self._lines)
        for panel, rows in panels.items():
            with formatter.section(panel):
                formatter.write_dl([(word.ljust(width), line) for word, line in rows])
        _write_options(self, ctx, formatter)


def _lines(prefix: str) -> dict[str, tuple[str, str]]:
    """Heading and line of each word that may follow the prefix."""
    found: dict[str, tuple[str, str]] = {}
    for command in table.COMMANDS:
        if command.name.startswith(prefix):
            first, *rest = command.name.removeprefix(prefix).split()
            found[first] = table.GROUPS[first] if rest else (command.panel, command.help)
    return found


class _Command(click.Command):
    """A command whose help ends with examples, and lists options under their headings."""

    examples: Sequence[str] = ()

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """`FILE MANIFEST [OPTIONS]`, as the reference writes it."""
        words = [str(one.metavar) for one in self.get_params(ctx) if isinstance(one, signature.Argument)]
        return [*words, "[OPTIONS]"]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the sections behind the first line of the help."""
        if self.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"  {line}\n" for line in self.examples))
        _write_options(self, ctx, formatter)


def _command(command: table.Command) -> _Command:
    """A command of the table. Its options are loaded here, its work when it is called."""
    module = importlib.import_module(f"penstock.cli.options.{command.options}")
    options: type[Any] = getattr(module, command.options_class)

    def call(**values: Any) -> None:
        # After parsing: `--help` and a mistyped option never load what the command works with.
        work = importlib.import_module(f"penstock.cli.commands.{command.work}")
        environment.loaded()
        getattr(work, command.function)(signature.assemble(options, values))

    made = _Command(
        command.name.split()[-1],
        callback=call,
        params=list(signature.parameters(options)),
        help=command.help,
        short_help=command.help,
        context_settings=_SETTINGS,
    )
    made.examples = command.examples
    return made


def _write_options(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
    for parameter in command.get_params(ctx):
        if isinstance(parameter, signature.Argument):
            sections["Arguments"].append((str(parameter.metavar), parameter.line))
        elif (record := parameter.get_help_record(ctx)) is not None:
            sections.setdefault(getattr(parameter, "panel", "Options"), []).append(record)
    for heading, records in sections.items():
        if records:
            with formatter.section(heading):
                formatter.write_dl(records, col_max=26)
