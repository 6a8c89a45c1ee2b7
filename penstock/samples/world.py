"""The made-up company behind the sample events: its machines, people, programs and what lies outside, with odds."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy import typing as npt

Index = npt.NDArray[np.int64]

Columns = dict[str, pl.Series | str | int | list[str]]
"""Field -> column, or one value for all events."""

_QUANTILES = 65_536


def _words(text: str) -> list[str]:
    return text.split()


_FIRST = _words(
    "alice bruno chloe david emma felix grace hugo iris jonas karim lea marco nadia oscar paula quentin rosa"
)
_LAST = _words("martin bernard dubois petit moreau laurent garcia roux fontaine girard lopez meyer faure rossi weber")
_SITES = _words("par lyo nyc sin ber")
_ROLES = (("wks", 0.72), ("srv", 0.16), ("web", 0.07), ("dc", 0.02), ("bas", 0.03))
_WORDS = _words(
    "cloud static assets login update metrics cdn api mail files media portal docs track events sync data edge push "
    "images secure img app auth store news video search maps beacon telemetry config downloads status forms pay"
)
_BRANDS = _words(
    "contoso northwind fabrikam adatum tailspin woodgrove litware proseware wingtip fourthcoffee lucerne margie "
    "alpineski relecloud vanarsdel treyresearch graphicdesign humongous blueyonder cohowinery nodpublishers"
)
_SUFFIXES = ("com", "com", "com", "net", "org", "io", "fr", "de", "co.uk", "example")
_PROGRAMS = (
    ("chrome.exe", r"C:\Program Files\Google\Chrome\Application", "--type=renderer --field-trial-handle={n} --lang=fr"),
    ("svchost.exe", r"C:\Windows\System32", "-k netsvcs -p -s Schedule"),
    (
        "powershell.exe",
        r"C:\Windows\System32\WindowsPowerShell\v1.0",
        "-NoProfile -ExecutionPolicy Bypass -File C:\\it\\task{n}.ps1",
    ),
    ("cmd.exe", r"C:\Windows\System32", "/c echo {n} > C:\\Temp\\state.txt"),
    ("msedge.exe", r"C:\Program Files (x86)\Microsoft\Edge\Application", "--single-argument https://intranet/page/{n}"),
    ("outlook.exe", r"C:\Program Files\Microsoft Office\root\Office16", "/recycle /session {n}"),
    ("excel.exe", r"C:\Program Files\Microsoft Office\root\Office16", "/dde C:\\Users\\Public\\report-{n}.xlsx"),
    ("teams.exe", r"C:\Program Files\WindowsApps\MSTeams", "--process-start-args --profile={n}"),
    ("conhost.exe", r"C:\Windows\System32", "0x{n} -ForceV1"),
    ("wmiprvse.exe", r"C:\Windows\System32\wbem", "-secured -Embedding"),
    ("backgroundtaskhost.exe", r"C:\Windows\System32", "-ServerName:App.{n}.mca"),
    ("msiexec.exe", r"C:\Windows\System32", "/i C:\\Packages\\tool-{n}.msi /qn"),
    ("python.exe", r"C:\Python312", "-m jobs.collect --shard {n}"),
    ("git.exe", r"C:\Program Files\Git\cmd", "fetch origin --depth={n}"),
    ("rundll32.exe", r"C:\Windows\System32", "shell32.dll,Control_RunDLL desk.cpl,,{n}"),
    ("taskhostw.exe", r"C:\Windows\System32", "Install $(Arg{n})"),
)
_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{v}.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{v}.0) Gecko/20100101 Firefox/{v}.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.{v} Safari",
    "Microsoft-CryptoAPI/10.{v}",
    "curl/8.{v}.0",
)


class World:
    """Everything that sample events name, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        # 0 here and 1 for events: what is drawn for the world never shifts what is drawn for them.
        rng = np.random.default_rng([seed, 0])
        self.hosts = _hosts(240)
        self.users = [f"{a}.{b}" for a in _FIRST for b in _LAST]
        self.inside = [f"10.{20 + i % 5}.{i // 250 % 16}.{i % 250 + 2}" for i in range(len(self.hosts) * 8)]
        self.outside = _outside(rng, 40_000)
        self.domains = _domains(rng, 6_000)
        self.paths = _paths(rng, 4_000)
        self.agents = [agent.format(v=v) for v in (128, 131, 133, 134, 9, 4) for agent in _AGENTS]
        self.programs = [(n, f"{d}\\{n}", f"{d}\\{n} {a.format(n=i)}") for i in range(40) for n, d, a in _PROGRAMS]
        self.hashes = [hashlib.sha256(f"{seed}-{i}".encode()).hexdigest() for i in range(8_000)]
        self.hex4 = pl.Series([f"{i:04x}" for i in range(_QUANTILES)])


class Draw:
    """Random columns of one length: numbers, and picks from lists in which the first are the likeliest."""

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        self.rng = rng
        self.size = size

    def integers(self, low: int, high: int) -> pl.Series:
        """Even integers in [low, high)."""
        return pl.Series(self.rng.integers(low, high, self.size))

    def index(self, count: int, steepness: float = 1.0) -> Index:
        """Positions in a list of `count` by Zipf's law: position k with odds 1 / (k + 1) ** steepness."""
        # By a table of quantiles: a draw is one look-up, where a search among the odds would be one for each event.
        return _zipf(count, steepness)[self.rng.integers(0, _QUANTILES, self.size)]

    def pick(self, values: Sequence[str], steepness: float = 1.0) -> pl.Series:
        """Values by Zipf's law."""
        return take(values, self.index(len(values), steepness))

    def weighted(self, odds: Sequence[float]) -> Index:
        """Positions with the given odds."""
        total = np.cumsum(odds)
        return np.searchsorted(total / total[-1], self.rng.random(self.size), side="right").astype(np.int64)

    def sizes(self, median: float, spread: float) -> pl.Series:
        """Log-normal whole numbers, as bytes and durations are."""
        return pl.Series(np.exp(self.rng.normal(np.log(median), spread, self.size)).astype(np.int64) + 1)

    def hexadecimal(self, world: World, quads: int) -> pl.Series:
        """Random hexadecimal text of 4 x `quads` digits."""
        parts = [world.hex4.gather(self.rng.integers(0, _QUANTILES, self.size)) for _ in range(quads)]
        return join(*parts)


@functools.cache
def _zipf(count: int, steepness: float) -> Index:
    """Positions whose frequencies follow Zipf's law; an even draw from them is a draw by that law."""
    odds = np.cumsum(1.0 / np.arange(1, count + 1) ** steepness)
    return np.searchsorted(odds / odds[-1], (np.arange(_QUANTILES) + 0.5) / _QUANTILES).astype(np.int64)


def take(values: Sequence[str] | pl.Series, index: Index) -> pl.Series:
    """The values at the positions."""
    series = values if isinstance(values, pl.Series) else pl.Series(values, dtype=pl.String)
    return series.gather(index)


def join(*parts: str | pl.Series) -> pl.Series:
    """Text put together of constants and columns, row by row."""
    columns = {f"{i}": part for i, part in enumerate(parts) if isinstance(part, pl.Series)}
    pieces = [pl.col(f"{i}") if isinstance(part, pl.Series) else pl.lit(part) for i, part in enumerate(parts)]
    return pl.DataFrame(columns).select(pl.concat_str(pieces).alias("text")).to_series()


def text(template: str, **columns: pl.Series) -> pl.Series:
    """The template with each `<name>` replaced by that column's value, row by row."""
    places = re.split(f"<({'|'.join(columns)})>", template)
    return join(*(columns[part] if at % 2 else part for at, part in enumerate(places) if at % 2 or part))


def take_lists(values: Sequence[Sequence[str]], index: Index) -> pl.Series:
    """The lists at the positions."""
    return pl.Series(values, dtype=pl.List(pl.String)).gather(index)


def where(mask: npt.NDArray[np.bool_], column: pl.Series) -> pl.Series:
    """The column, null where the mask does not hold."""
    return column.set(pl.Series(~mask), None)


def lists(*parts: pl.Series) -> pl.Series:
    """Lists of the columns' values, row by row."""
    frame = pl.DataFrame([part.alias(str(i)) for i, part in enumerate(parts)])
    return frame.select(pl.concat_list(pl.all())).to_series()


def guid(world: World, draw: Draw) -> pl.Series:
    """Random GUIDs, without braces."""
    return join(*(part for quads in (2, 1, 1, 1, 3) for part in (draw.hexadecimal(world, quads), "-"))).str.slice(0, 36)


def _hosts(count: int) -> list[str]:
    roles = [role for role, share in _ROLES for _ in range(round(share * count))]
    return [f"{role}-{_SITES[i % len(_SITES)]}-{i:03d}" for i, role in enumerate(roles)]


def _outside(rng: np.random.Generator, count: int) -> list[str]:
    # Public first octets: private ones are the company's own.
    first = rng.choice([23, 31, 45, 52, 64, 81, 91, 104, 142, 151, 162, 185, 193, 203, 212], count)
    rest = rng.integers(1, 255, (count, 3))
    return [f"{a}.{b}.{c}.{d}" for a, (b, c, d) in zip(first.tolist(), rest.tolist(), strict=True)]


def _domains(rng: np.random.Generator, count: int) -> list[str]:
    parts = zip(
        rng.integers(0, len(_WORDS), count).tolist(),
        rng.integers(0, len(_BRANDS), count).tolist(),
        rng.integers(0, len(_SUFFIXES), count).tolist(),
        rng.integers(0, 99, count).tolist(),
        strict=True,
    )
    return [f"{_WORDS[w]}{n if n > 40 else ''}.{_BRANDS[b]}.{_SUFFIXES[s]}" for w, b, s, n in parts]


def _paths(rng: np.random.Generator, count: int) -> list[str]:
    words = rng.integers(0, len(_WORDS), (count, 3)).tolist()
    tails = rng.choice(["", ".js", ".css", ".png", ".json", ".html", "/"], count).tolist()
    return [f"/{_WORDS[a]}/{_WORDS[b]}-{_WORDS[c]}{t}" for (a, b, c), t in zip(words, tails, strict=True)]
