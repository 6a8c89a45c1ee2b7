"""The wide stream of sample events: what a hundred vendors mixed in one stream look like, as JSON Lines.

64 sources, more than 2,000 fields, 2 KB an event; nested and dotted names, lists, objects, fields whose values have
several types, messages in six forms, late arrivals. Seeded: the same arguments make the same bytes.
"""

from __future__ import annotations

import collections
import datetime as dt
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy import typing as npt

from penstock.base import instants
from penstock.samples import wide_sources, wide_words
from penstock.samples import world as sample_world

CHUNK_EVENTS = 20_000
"""Events made at once."""

_FRESH = 65_536
"""Different numbers, and sentences."""

_DELAYS = ((0.94, 2.0), (0.04, 86_400.0), (0.02, 600 * 86_400.0))
"""How late events arrive: share of all, most seconds. A collector that comes back sends what it kept; somebody loads
an archive."""

_US = 1_000_000


def lines(
    *, events: int, seed: int = 1, start: dt.datetime, days: float = 7.0, kinds: collections.Counter[str] | None = None
) -> Iterator[bytes]:
    """The events in the order of their arrival, `CHUNK_EVENTS` lines at once.

    Args:
        start, days: when they arrive. Their own time is earlier, of a few by up to 600 days.
        kinds: counts the events by source.
    """
    world = _World(seed)
    first_us = instants.to_microseconds(start)
    step = days * 86_400 * _US / max(1, events)
    for number, low in enumerate(range(0, events, CHUNK_EVENTS)):
        places = np.arange(low, min(low + CHUNK_EVENTS, events))
        rng = np.random.default_rng([seed, 2, number])
        yield _chunk(world, rng, (first_us + places * step).astype(np.int64), kinds)


class _World:
    """Everything that the events name: as JSON writes it between quotes."""

    def __init__(self, seed: int) -> None:
        world = sample_world.World(seed)
        rng = np.random.default_rng([seed, 3])
        self.sources = wide_sources.sources(seed)
        self.marks: dict[str, npt.NDArray[Any]] = {
            name: np.array(pool, dtype=object)
            for name, pool in {
                "host": world.hosts,
                "user": world.users,
                "source": world.inside,
                "target": world.outside,
                "hash": world.hashes,
                "domain": world.domains,
                "path": world.paths,
            }.items()
        }
        parts = (wide_words.NOUNS, wide_words.VERBS, wide_words.NOUNS, wide_words.ENDS)
        drawn = [np.array(part, dtype=object)[rng.integers(0, len(part), _FRESH)].tolist() for part in parts]
        self.sentences = [f"{a} {b} {c} {d}." for a, b, c, d in zip(*drawn, strict=True)]
        self.numbers: list[str] = np.exp(rng.normal(6.0, 2.0, _FRESH)).astype(np.int64).astype(str).tolist()


class _Fresh:
    """Marks that are drawn again for each place in a line: stretches of a shuffled list, from a random place on."""

    def __init__(self, pools: Mapping[str, list[str]], rng: np.random.Generator) -> None:
        self._pools = pools
        self._at = int(rng.integers(0, _FRESH))

    def take(self, mark: str, size: int) -> list[str] | None:
        """`size` values; None if the mark is one value an event."""
        pool = self._pools.get(mark)
        if pool is None:
            return None
        self._at = self._at + size if self._at + 2 * size <= _FRESH else 0
        return pool[self._at : self._at + size]


def _chunk(
    world: _World, rng: np.random.Generator, arrived_us: npt.NDArray[np.int64], counted: collections.Counter[str] | None
) -> bytes:
    size = len(arrived_us)
    draw = sample_world.Draw(rng, size)
    late = np.array([most for _, most in _DELAYS])[draw.weighted([share for share, _ in _DELAYS])]
    shapes = len(world.sources[0].shapes)
    kinds = draw.index(len(world.sources), 0.7) * shapes + draw.index(shapes, 0.8)
    order = np.argsort(kinds, kind="stable")  # events of one shape side by side: their marks are slices
    marks = {
        name: values[order].tolist()
        for name, values in _marks(world, draw, arrived_us - (late * rng.random(size) * _US).astype(np.int64)).items()
    }
    fresh = _Fresh({"number": world.numbers, "sentence": world.sentences}, rng)
    edges = np.flatnonzero(np.diff(kinds[order], prepend=-1, append=-1)).tolist()
    made: list[str] = []
    for low, high in itertools.pairwise(edges):
        source, shape = divmod(int(kinds[order[low]]), shapes)
        model = world.sources[source].shapes[shape]
        if counted is not None:
            counted[world.sources[source].name] += high - low
        columns = [fresh.take(mark, high - low) or marks[mark][low:high] for mark in model.marks]
        made += [model.template % row for row in zip(*columns, strict=True)]
    places = np.empty(size, dtype=np.int64)
    places[order] = np.arange(size)
    return ("\n".join([made[place] for place in places.tolist()]) + "\n").encode()


def _marks(world: _World, draw: sample_world.Draw, us: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[Any]]:
    """What every event says of itself: column by mark."""
    marks = {name: pool[draw.index(len(pool))] for name, pool in world.marks.items()}
    marks["time"] = np.datetime_as_string(us.astype("datetime64[us]"), unit="us").astype(object) + "Z"
    numbers = {
        "epoch": us // 1000,
        "port": draw.rng.integers(1024, 65_536, draw.size),
        "pid": draw.rng.integers(4, 32_768, draw.size),
        "id": draw.rng.integers(10**14, 10**15, draw.size),
    }
    return marks | {name: made.astype(str) for name, made in numbers.items()}
