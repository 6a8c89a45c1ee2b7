"""How an option or an argument is declared: `Annotated[str, option("--query", metavar="Q", help="…")]`."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Declared:
    """What the help and the parser need to know beside the type and the default.

    Attributes:
        names: `--output`, `-o`; `--verify/--no-verify` for a flag with two sides; none for an argument.
        metavar: what stands for the value.
        help: one or two sentences.
        panel: heading in the help.
        least: smallest number.
        most: largest number.
    """

    names: tuple[str, ...]
    metavar: str
    help: str
    panel: str
    least: float | None
    most: float | None


def option(
    *names: str,
    help: str,
    metavar: str = "",
    panel: str = "Options",
    min: float | None = None,
    max: float | None = None,
) -> Declared:
    """An option. Without `names` it is called as its field: `--keep-hours` for `keep_hours`."""
    return Declared(names=names, metavar=metavar, help=help, panel=panel, least=min, most=max)


def argument(*, metavar: str, help: str) -> Declared:
    """An argument. `[NAME]` may be left out, `NAME…` may be repeated."""
    return Declared(names=(), metavar=metavar, help=help, panel="Arguments", least=None, most=None)
