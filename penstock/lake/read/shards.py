"""A search in shards: files of a snapshot, one behind another in file order, that are looked at apart from the others.

Each shard counts into the same buckets, so that counts add up; and it orders its newest events as a scan of all does,
so that they can be merged. What comes of all shards is what one scan finds.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from penstock import query
from penstock.fields import types, values
from penstock.lake import files, table
from penstock.lake.read import newest, plan, scan
from penstock.lake.read.pruning import needed

PRUNED_FILES = 2_000
"""Most files whose sidecars are asked before a search is cut; of more, each shard asks its own."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """Files of one community's snapshot.

    Attributes:
        number: its place among all shards of the search; of one community's, a later one's files come later.
        community_uuid: whose table it is.
        version: of the table.
        spans: (first, end) places in file order.
        rows: of those files, before anything is left out.
    """

    number: int
    community_uuid: str
    version: int
    spans: tuple[tuple[int, int], ...]
    rows: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What a shard is asked.

    Attributes:
        term: the query text.
        filters: the search job's filters, as JSON values.
        time_range: of the search.
        buckets: how many stretches `time_range` is counted in.
        newest: 0: count; else so many of the newest events are wanted instead.
    """

    term: str
    filters: Sequence[Mapping[str, Any]]
    time_range: plan.TimeRange
    buckets: int
    newest: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a shard found.

    Attributes:
        counts: matches in each bucket; none where the newest were wanted.
        events: (@timestamp in microseconds since 1970, the event's JSON text), newest first.
    """

    counts: tuple[int, ...] = ()
    events: tuple[tuple[int, str], ...] = ()


class Differs(Exception):
    """The snapshot does not hold the files that the shard was cut from."""


def worth_a_look(
    snapshot: table.Snapshot, time_range: plan.TimeRange, predicate: query.Predicate
) -> list[tuple[files.DataFile, int]]:
    """The files that may hold a match, in file order, and how many rows of each must be looked at.

    Sidecars are asked of PRUNED_FILES at most.

    Raises:
        StorageError: `lake_failed`.
    """
    touched = [file for file in snapshot.files if time_range.touches(file)]
    if len(touched) > PRUNED_FILES:
        return [(file, file.rows) for file in touched]
    with table.translated(snapshot.folder):
        found = needed.needed(snapshot, touched, predicate)
    return [(file, sum(rows for _, rows in found.stretches(file))) for file in found.files]


def cut(
    snapshot: table.Snapshot,
    community_uuid: str,
    chosen: Sequence[tuple[files.DataFile, int]],
    *,
    max_rows: int,
    first: int,
) -> list[Shard]:
    """Shards that hold each of the files `chosen` once, with `max_rows` rows to look at, or with one file.

    Args:
        chosen: as `worth_a_look` gives them.
        first: number of the first shard.
    """
    place_of = {file.path: place for place, file in enumerate(snapshot.files)}
    groups: list[list[files.DataFile]] = []
    looked_at = 0
    for file, rows in chosen:
        if not groups or looked_at + rows > max_rows:
            groups.append([])
            looked_at = 0
        groups[-1].append(file)
        looked_at += rows
    return [
        Shard(
            number=number,
            community_uuid=community_uuid,
            version=snapshot.version,
            spans=_spans([place_of[file.path] for file in group]),
            rows=sum(file.rows for file in group),
        )
        for number, group in enumerate(groups, start=first)
    ]


def _spans(places: Sequence[int]) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for place in places:
        if found and found[-1][1] == place:
            found[-1] = (found[-1][0], place + 1)
        else:
            found.append((place, place + 1))
    return tuple(found)


def answer(snapshot: table.Snapshot, shard: Shard, question: Question) -> Answer:
    """Looks at the files of a shard.

    Args:
        snapshot: the shard's community at the shard's version.

    Raises:
        Differs: the snapshot is another one.
        InvalidRequest: `query_not_computable`.
        StorageError: the lake cannot be read.
    """
    chosen = list(itertools.chain.from_iterable(snapshot.files[first:end] for first, end in shard.spans))
    if sum(file.rows for file in chosen) != shard.rows:
        raise Differs
    node = query.both(query.parse(question.term), query.from_filters(question.filters))
    # Of all columns, those of files in other shards too: what a query means does not depend on the cut.
    predicate = query.compile(node, snapshot.query_columns)
    own = snapshot.only(chosen)
    if not question.newest:
        counted = scan.histogram(own, question.time_range, predicate, question.buckets)
        return Answer(counts=tuple(number for _, number in counted.counts))
    found = newest.events(own, question.time_range, predicate, question.newest)
    return Answer(
        events=tuple((values.parse_timestamp(event[types.TIMESTAMP]) or 0, values.dumps(event)) for event in found)
    )


def question_to_json(question: Question) -> dict[str, Any]:
    """The question as plain JSON values."""
    return {
        "term": question.term,
        "filters": [dict(each) for each in question.filters],
        "range": [question.time_range.earliest.isoformat(), question.time_range.latest.isoformat()],
        "buckets": question.buckets,
        "newest": question.newest,
    }


def question_from_json(value: Mapping[str, Any]) -> Question:
    """The question that `question_to_json` wrote."""
    earliest, latest = (dt.datetime.fromisoformat(text) for text in value["range"])
    return Question(
        term=value["term"],
        filters=value["filters"],
        time_range=plan.TimeRange(earliest=earliest, latest=latest),
        buckets=value["buckets"],
        newest=value["newest"],
    )


def shard_from_json(value: Mapping[str, Any]) -> Shard:
    """The shard that `dataclasses.asdict` and JSON made."""
    return Shard(**{**value, "spans": tuple((first, end) for first, end in value["spans"])})


def answer_from_json(value: Mapping[str, Any]) -> Answer:
    """The answer that `dataclasses.asdict` and JSON made."""
    return Answer(counts=tuple(value["counts"]), events=tuple((us, text) for us, text in value["events"]))
