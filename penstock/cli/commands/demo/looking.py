"""Looks at an exported file with the tools that everybody has: each command line shown, then really run."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shlex
import shutil
import subprocess

_LONGEST_SECONDS = 60
_LONGEST_LINE = 160


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """One command line over an exported file.

    Attributes:
        why: what it finds out.
        command: for a POSIX shell; `FILE` stands for the file.
        tools: programs it needs.
    """

    why: str
    command: str
    tools: tuple[str, ...]


LOOKS = (
    Look(why="How many events?", command="zcat FILE | wc -l", tools=("zcat", "wc")),
    Look(why="What do they look like?", command="zcat FILE | head -n 2", tools=("zcat", "head")),
    Look(
        why="How much failed?",
        command="""zcat FILE | grep -c '"event.outcome":"failure"'""",
        tools=("zcat", "grep"),
    ),
    Look(
        why="Who is busiest?",
        command="""zcat FILE | grep -o '"user.name":"[^"]*"' | sort | uniq -c | sort -rn | head -n 5""",
        tools=("zcat", "grep", "sort", "uniq", "head"),
    ),
    Look(
        why="Which addresses fail to log in over SSH?",
        command="""zcat FILE | grep '"ssh_login"' | jq -r 'select(."event.outcome" == "failure") | ."source.ip"' """
        """| sort | uniq -c | sort -rn | head -n 5""",
        tools=("zcat", "grep", "jq", "sort", "uniq", "head"),
    ),
)


def missing_tools(look: Look) -> list[str]:
    """Programs of the look that are not on this machine."""
    return [tool for tool in look.tools if shutil.which(tool) is None]


def shown(look: Look, file: pathlib.Path) -> str:
    """The command line as a person would type it."""
    return look.command.replace("FILE", shlex.quote(str(file)))


def run(look: Look, file: pathlib.Path) -> list[str]:
    """Runs the command line; its lines, long ones cut.

    Bytes are compared, not letters (`LC_ALL=C`): sorting is several times faster so.
    """
    done = subprocess.run(
        ["/bin/sh", "-c", shown(look, file)],
        stdout=subprocess.PIPE,
        env={**os.environ, "LC_ALL": "C"},
        timeout=_LONGEST_SECONDS,
        check=False,
    )
    return [_cut(line) for line in done.stdout.decode(errors="replace").splitlines()]


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 1]}…"
