"""How long commands take to start, as whole processes: ratios against what they could not do without, in one run.

    python benchmarks/start_up.py            a home in a temporary folder, a service beside it, best of 7

- `import polars, deltalake` is the floor of `penstock dump`; `python -c pass` that of `--help` and `--version`.
- Client commands are measured beside the same requests by a client that runs already: the rest is start.

Exit code 1 if a threshold is not kept. Why the thresholds are what they are: docs/performance.md.
"""

from __future__ import annotations

import argparse
import compileall
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence

import penstock
from penstock.client import Penstock

PENSTOCK = [sys.executable, "-m", "penstock"]
FLOOR_OF_A_START = [sys.executable, "-c", "pass"]
FLOOR_OF_A_DUMP = [sys.executable, "-c", "import polars, deltalake"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One command.

    Attributes:
        name: what people type.
        seconds: best wall time of the rounds.
        floor: best wall time of what it is compared with.
        most: the largest ratio, or the most seconds beyond the floor.
        is_ratio: `most` is a ratio.
    """

    name: str
    seconds: float
    floor: float
    most: float
    is_ratio: bool

    @property
    def value(self) -> float:
        """What is held against `most`."""
        return self.seconds / self.floor if self.is_ratio else self.seconds - self.floor


def main() -> int:
    """Measures, prints a table, says whether the thresholds hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PENSTOCK_HOME": f"{folder}/home", "XDG_STATE_HOME": f"{folder}/state"}
        environment = as_installed(environment)
        rows = measured(pathlib.Path(folder), environment, rounds)
    print(f"{'command':<34}{'seconds':>9}{'floor':>9}{'':>4}{'measured':>10}{'at most':>9}")
    for row in rows:
        unit = "x" if row.is_ratio else "s"
        print(f"{row.name:<34}{row.seconds:>9.3f}{row.floor:>9.3f}{'':>4}{row.value:>9.2f}{unit}{row.most:>8.2f}{unit}")
    return int(any(row.value > row.most for row in rows))


def as_installed(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment, and Penstock's modules compiled, as an installation leaves them.

    Where PYTHONDONTWRITEBYTECODE is set each start would compile them anew: up to 0.2 s that no user waits.
    """
    compileall.compile_dir(str(pathlib.Path(penstock.__file__).parent), quiet=1)
    return {name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"}


def measured(folder: pathlib.Path, environment: dict[str, str], rounds: int) -> list[Row]:
    """All rows; the commands take turns, so that each round sees the same machine."""
    run([*PENSTOCK, "init"], environment)
    dump = [*PENSTOCK, "dump", "-o", str(folder / "x.gz"), "--latest", "1971-01-01"]
    helps = {
        "penstock --version": ["--version"],
        "penstock --help": ["--help"],
        "penstock export --help": ["export", "-h"],
    }
    with open(folder / "log", "w") as log:
        service = subprocess.Popen([*PENSTOCK, "serve", "--port", "0"], env=environment, stdout=log, stderr=log)
        try:
            url, key = wait_for_service(folder / "home")
            with Penstock(url, key) as client:
                job = client.search("", earliest="-1h")
                clients = {
                    "penstock quota": (["quota"], lambda: (client.communities(), client.quota())),
                    "penstock exports": (["exports", job.uuid], job.exports),
                    "penstock tasks": (["tasks"], client.tasks),
                }
                best: dict[str, float] = {}
                for _ in range(rounds):
                    commands = {
                        "pass": FLOOR_OF_A_START,
                        "libraries": FLOOR_OF_A_DUMP,
                        "penstock dump (0 events)": dump,
                        **{name: [*PENSTOCK, *words] for name, words in helps.items()},
                        **{name: [*PENSTOCK, *words] for name, (words, _) in clients.items()},
                    }
                    for name, command in commands.items():
                        best[name] = min(best.get(name, 1e9), run(command, environment))
                    for name, (_, ask) in clients.items():
                        began = time.perf_counter()
                        ask()
                        best[f"answer of {name}"] = min(best.get(f"answer of {name}", 1e9), time.perf_counter() - began)
        finally:
            service.terminate()
            service.wait()
    rows = [Row(name=name, seconds=best[name], floor=best["pass"], most=5.0, is_ratio=True) for name in helps]
    name = "penstock dump (0 events)"
    rows.append(Row(name=name, seconds=best[name], floor=best["libraries"], most=1.8, is_ratio=True))
    for name in clients:
        floor = best[f"answer of {name}"]
        rows.append(Row(name=name, seconds=best[name], floor=floor, most=0.25, is_ratio=False))
    return rows


def run(command: Sequence[str], environment: dict[str, str]) -> float:
    """Wall seconds of a whole process."""
    began = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def wait_for_service(home: pathlib.Path) -> tuple[str, str]:
    """URL and API key of the service, once it has announced itself."""
    deadline = time.monotonic() + 120
    while not (home / "service.json").is_file():
        if time.monotonic() > deadline:
            raise SystemExit("The service does not start.")
        time.sleep(0.1)
    url = json.loads((home / "service.json").read_text())["url"]
    return url, json.loads((home / "client.json").read_text())["api_key"]


if __name__ == "__main__":
    sys.exit(main())
