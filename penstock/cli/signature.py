"""A command's options as a dataclass: its fields become what Click parses, and what Click has parsed its fields.

A field whose type is itself a dataclass is a group of options that several commands share: its own fields stand in its
place on the command line.
"""

from __future__ import annotations

import dataclasses
import pathlib
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import click

from penstock.cli.options import declare

T = TypeVar("T")


class Option(click.Option):
    """An option that knows its heading in the help."""

    panel = "Options"


class Argument(click.Argument):
    """An argument with a line about it."""

    line = ""


def parameters(options: type[Any]) -> Iterator[click.Parameter]:
    """What the command line of these options takes, in the order of the fields."""
    hints = typing.get_type_hints(options, include_extras=True)
    for field in dataclasses.fields(options):
        kind = hints[field.name]
        if _is_group(kind):
            yield from parameters(kind)
            continue
        value_type, declared = typing.get_args(kind)
        default = None if field.default is dataclasses.MISSING else field.default
        yield _parameter(field.name, value_type, declared, default, required=field.default is dataclasses.MISSING)


def assemble(options: type[T], values: Mapping[str, Any]) -> T:
    """The object of `options` with these values, its groups filled."""
    hints = typing.get_type_hints(options)
    given = {
        field.name: assemble(hints[field.name], values) if _is_group(hints[field.name]) else values[field.name]
        for field in dataclasses.fields(options)  # type: ignore[arg-type]
    }
    return options(**given)


def _is_group(kind: Any) -> bool:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


def _parameter(
    name: str, value_type: Any, declared: declare.Declared, default: Any, *, required: bool
) -> click.Parameter:
    # `X | None` says that the option may be absent; Click has no such type.
    kind = _without_none(value_type)
    is_list = typing.get_origin(kind) is list
    if declared.panel == "Arguments":
        argument = Argument(
            [name],
            metavar=declared.metavar,
            type=_click_type(kind, declared),
            nargs=-1 if is_list else 1,
            required=required,
            **({} if required else {"default": default}),
        )
        argument.line = declared.help
        return argument
    option = Option(
        [name, *(declared.names or (f"--{name.replace('_', '-')}",))],
        metavar=declared.metavar or None,
        help=declared.help,
        type=None if kind is bool else _click_type(kind, declared),
        is_flag=kind is bool,
        multiple=is_list,
        required=required,
        **({} if required else {"default": default}),
        show_default=kind is not bool and default not in (None, ""),
    )
    option.panel = declared.panel
    return option


def _without_none(kind: Any) -> Any:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return next(one for one in typing.get_args(kind) if one is not type(None))
    return kind


def _click_type(kind: Any, declared: declare.Declared) -> click.ParamType[Any]:
    if kind is int:
        return click.IntRange(_whole(declared.least), _whole(declared.most))
    if kind is float:
        return click.FloatRange(declared.least, declared.most)
    if kind is pathlib.Path:
        return click.Path(path_type=pathlib.Path)
    return click.STRING


def _whole(bound: float | None) -> int | None:
    return None if bound is None else int(bound)
