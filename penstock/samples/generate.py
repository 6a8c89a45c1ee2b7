"""Makes sample events: seeded, realistic, fast; the same arguments make the same events."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import itertools
import math
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import numpy as np
import polars as pl
from numpy import typing as npt

from penstock.base import instants
from penstock.fields import types, values
from penstock.lake import layout, table
from penstock.samples import kinds as sample_kinds
from penstock.samples import world as sample_world

CHUNK_EVENTS = 131_072
"""Most events made at once, and of one data file. Two are in the making at any time."""

COMMIT_CHUNKS = 32
"""Chunks of one commit: what a crash can cost."""

_THREADS = 2

_OVERFLOW_SHARE = 0.001

_US = 1_000_000


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GenerateReport:
    """What was generated.

    Attributes:
        events: number of events.
        version: the table's version afterwards.
        first, last: earliest and latest @timestamp made; None when there are no events.
        kinds: events by kind (`firewall`, `sshd`, ...).
        bytes: compressed bytes written.
    """

    events: int
    version: int
    first: dt.datetime | None
    last: dt.datetime | None
    kinds: dict[str, int]
    bytes: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Chunk:
    """A stretch of consecutive events: its number, how many, and the time they share out (microseconds)."""

    number: int
    events: int
    first_us: int
    end_us: int


def generate(
    events_table: table.EventTable,
    *,
    events: int,
    seed: int = 1,
    start: dt.datetime,
    days: float = 7.0,
    progress: Callable[[int], None] | None = None,
) -> GenerateReport:
    """Fills the table with sample events over `days` from `start`; `progress(events so far)` after each file.

    Files come in time order and do not overlap. Memory is that of a few chunks, whatever the number of events.
    Commits every `COMMIT_CHUNKS` files.
    """
    events_table.check_writable()
    rhythm = _Rhythm(start, days)
    chunks = _chunks(events, rhythm)
    kinds: collections.Counter[str] = collections.Counter()
    # The table may hold other events; the report is about those made here.
    before = {file.path for file in events_table.snapshot().files}
    done = 0

    def counted(frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        nonlocal done
        for frame in frames:
            names, counts = frame["event.dataset"].value_counts(sort=True).iter_columns()
            kinds.update(dict(zip(names.to_list(), counts.to_list(), strict=True)))
            yield frame
            done += frame.height
            if progress is not None:
                progress(done)

    with futures.ThreadPoolExecutor(_THREADS) as pool:
        frames = _in_order(pool, sample_world.World(seed), rhythm, seed, chunks)
        for position in range(0, len(chunks), COMMIT_CHUNKS):
            batch = itertools.islice(frames, len(chunks[position : position + COMMIT_CHUNKS]))
            events_table.append(counted(batch), types=sample_kinds.TYPES)
    snapshot = events_table.snapshot()
    made = [file for file in snapshot.files if file.path not in before]
    return GenerateReport(
        events=done,
        version=snapshot.version,
        first=_moment(min(file.first_us for file in made)) if made else None,
        last=_moment(max(file.last_us for file in made)) if made else None,
        kinds=dict(kinds),
        bytes=sum(file.bytes for file in made),
    )


def sample_events(n: int, seed: int = 1, *, start: dt.datetime | None = None) -> list[dict[str, Any]]:
    """`n` flat sample events of one day as plain JSON values, the same for the same arguments."""
    begin = start or dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
    world, rhythm = sample_world.World(seed), _Rhythm(begin, 1.0)
    made = (_make(world, rhythm, seed, chunk) for chunk in _chunks(n, rhythm))
    return [_plain(row) for frame in made for row in frame.iter_rows(named=True)]


def _in_order(
    pool: futures.ThreadPoolExecutor, world: sample_world.World, rhythm: _Rhythm, seed: int, chunks: list[_Chunk]
) -> Iterator[pl.DataFrame]:
    """The chunks' frames in order, at most `_THREADS` of them made ahead."""
    ahead: collections.deque[futures.Future[pl.DataFrame]] = collections.deque()
    for chunk in chunks:
        ahead.append(pool.submit(_make, world, rhythm, seed, chunk))
        if len(ahead) == _THREADS:
            yield ahead.popleft().result()
    while ahead:
        yield ahead.popleft().result()


def _chunks(events: int, rhythm: _Rhythm) -> list[_Chunk]:
    """Cuts the events into stretches that lie in one day each."""
    chunks: list[_Chunk] = []
    for low_us, high_us in rhythm.days():
        # Differences of rounded sums, so that the days' events add up to exactly what was asked for.
        first, end = round(events * rhythm.share(low_us)), round(events * rhythm.share(high_us))
        if first == end:
            continue
        steps = [*range(first, end, CHUNK_EVENTS), end]
        edges = [low_us, *(rhythm.instant(step / events) for step in steps[1:-1]), high_us]
        for (a, b), (low, high) in zip(itertools.pairwise(steps), itertools.pairwise(edges), strict=True):
            chunks.append(_Chunk(number=len(chunks), events=b - a, first_us=low, end_us=high))
    return chunks


class _Rhythm:
    """How events spread over time: busy by day, quiet at night and on weekends; a minute's rate is even."""

    def __init__(self, start: dt.datetime, days: float) -> None:
        self._start_us = instants.to_microseconds(start)
        self._end_us = self._start_us + max(1, round(days * 86_400 * _US))
        minutes = math.ceil((self._end_us - self._start_us) / (60 * _US))
        self._edges = np.minimum(self._start_us + np.arange(minutes + 1) * 60 * _US, self._end_us).astype(np.float64)
        of_day = (self._edges[:-1] / (60 * _US)) % 1440
        of_week = (self._edges[:-1] / (1440 * 60 * _US) + 3) % 7  # 1970 began on a Thursday
        day = 0.25 + np.exp(-(((of_day - 630) / 110) ** 2)) + 0.9 * np.exp(-(((of_day - 900) / 130) ** 2))
        rates = np.where(of_week < 5, day, 0.25 + 0.25 * day) * np.diff(self._edges)
        self._shares = np.concatenate([[0.0], np.cumsum(rates) / rates.sum()])

    def days(self) -> list[tuple[int, int]]:
        """The UTC days of the span, as [first, end) microseconds."""
        day_us = 86_400 * _US
        midnights = range((self._start_us // day_us + 1) * day_us, self._end_us, day_us)
        return list(itertools.pairwise([self._start_us, *midnights, self._end_us]))

    def share(self, us: int) -> float:
        """Share of all events before an instant."""
        return float(np.interp(us, self._edges, self._shares))

    def instant(self, share: float) -> int:
        """When that share of all events has been."""
        return int(np.interp(share, self._shares, self._edges))

    def between(self, first_us: int, end_us: int, rng: np.random.Generator, size: int) -> npt.NDArray[np.int64]:
        """Random instants in [first, end), sorted, dense where the rhythm is fast."""
        shares = rng.uniform(self.share(first_us), self.share(end_us), size)
        instants = np.interp(shares, self._shares, self._edges).astype(np.int64)
        return np.sort(np.clip(instants, first_us, max(first_us, end_us - 1)))


def _make(world: sample_world.World, rhythm: _Rhythm, seed: int, chunk: _Chunk) -> pl.DataFrame:
    """One chunk's events in time order."""
    # A generator for each chunk: chunks are made on several threads, and must be the same whichever is first.
    rng = np.random.default_rng([seed, 1, chunk.number])
    kinds = rng.choice(len(sample_kinds.KINDS), chunk.events, p=[kind.share for kind in sample_kinds.KINDS])
    moments = rhythm.between(chunk.first_us, chunk.end_us, rng, chunk.events)
    frames = []
    for position, kind in enumerate(sample_kinds.KINDS):
        mine = np.flatnonzero(kinds == position)
        if mine.size:
            frames.append(_frame_of(world, kind, rng, _stamps(moments[mine], kind.tick_us, chunk.first_us)))
    # Each kind has its own columns; the others' are null.
    frame = pl.concat(frames, how="diagonal").sort(types.TIMESTAMP, maintain_order=True)
    return _with_overflow(frame, rng)


def _stamps(moments: npt.NDArray[np.int64], tick_us: int, first_us: int) -> pl.Series:
    """The instants as a source with that clock resolution writes them."""
    # Cut off to the source's resolution, as real sources do; not below the chunk, or files would overlap.
    cut = np.maximum(moments // tick_us * tick_us, first_us)
    return pl.Series(types.TIMESTAMP, cut).cast(layout.TIMESTAMP_DTYPE)


def _frame_of(
    world: sample_world.World, kind: sample_kinds.Kind, rng: np.random.Generator, moments: pl.Series
) -> pl.DataFrame:
    draw = sample_world.Draw(rng, len(moments))
    delay = draw.integers(900, 4_000_000).cast(pl.Duration("us"))
    made: sample_world.Columns = {
        types.TIMESTAMP: moments,
        "event.kind": "event",
        "event.dataset": kind.name,
        "event.severity": draw.integers(1, 8),
        "event.risk_score": pl.Series(np.round(rng.gamma(2.0, 9.0, draw.size), 1)),
        **kind.columns(world, draw, moments),
    }
    plain = {name: made.pop(name) for name in list(made) if not isinstance(made[name], pl.Series)}
    constants = [
        pl.lit(pl.Series([v])).first().alias(n) if isinstance(v, list) else pl.lit(v).alias(n) for n, v in plain.items()
    ]
    frame = pl.DataFrame(made).with_columns(*constants, (moments + delay).alias("event.created"))
    return frame.cast({name: layout.DTYPES[sample_kinds.TYPES[name]] for name in frame.columns})


_ODDITIES = (
    ("event.severity", '{"event.severity":"high"}'),
    ("event.risk_score", '{"event.risk_score":100}'),
    ("source.port", '{"source.port":"any"}'),
    ("related.user", '{"related.user":"nobody","labels.raw":[1,"two",null]}'),
)
"""Values that no typed column can hold: the field, which stays empty, and the event's overflow."""


def _with_overflow(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Gives a few events values that live in the overflow."""
    which = np.where(rng.random(frame.height) < _OVERFLOW_SHARE, rng.integers(0, len(_ODDITIES), frame.height), -1)
    odd = pl.Series("odd", which)
    texts = pl.Series([text for _, text in _ODDITIES])
    present = [(n, name) for n, (name, _) in enumerate(_ODDITIES) if name in frame.columns]
    return frame.with_columns(
        *(pl.when(odd != n).then(pl.col(name)).alias(name) for n, name in present),
        texts.gather(odd.set(odd < 0, None)).alias(types.OVERFLOW),
    )


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """An event as its JSON was before it came into the lake."""
    event = {name: _plain_value(value) for name, value in row.items() if value is not None}
    overflow = event.pop(types.OVERFLOW, None)
    return event if overflow is None else event | values.loads(overflow)


def _plain_value(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return values.render_timestamp(instants.to_microseconds(value))
    return value


def _moment(us: int) -> dt.datetime:
    return instants.from_microseconds(us)
