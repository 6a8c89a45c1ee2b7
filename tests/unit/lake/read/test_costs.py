"""What a query costs is told before it runs: what analysts do passes, what could not end in time does not."""

from __future__ import annotations

import pathlib

import pytest

from penstock import errors, query, settings
from penstock.fields.types import TIMESTAMP, FieldType
from penstock.lake import catalog, location, snapshots
from penstock.lake.files import DataFile
from penstock.lake.read import costs, plan

MOST = settings.Settings.__dataclass_fields__["search_max_cpu_seconds"].default
HOUR = 3_600_000_000
FILES = 100


def snapshot_of(root: pathlib.Path, events: int, columns: int, overflow_share: float = 0.0) -> snapshots.Snapshot:
    """A table of so many events in a hundred files of an hour each; there are no files, since a cost reads none."""
    types = {"message": FieldType.TEXT, "source.ip": FieldType.IP}
    types |= {f"field.{n}": FieldType.KEYWORD for n in range(columns - len(types) - 1)}
    rows = events // FILES
    found = [
        DataFile(
            path=f"{n}.parquet",
            rows=rows,
            bytes=200 * rows,
            first_us=n * HOUR,
            last_us=(n + 1) * HOUR - 1,
            overflow_rows=round(overflow_share * rows),
        )
        for n in range(FILES)
    ]
    known = catalog.Catalog(location.Disk(str(root)))
    for file in found:
        known.add(file.path, catalog.Fields(columns=frozenset({TIMESTAMP, *types}), overflow=frozenset()))
    return snapshots.Snapshot(
        folder=location.Disk(str(root)), version=1, columns=types, files=tuple(found), catalog=known
    )


def any_of(*values: str) -> str:
    return " OR ".join(values)


WORDS = [f"word{n}" for n in range(490)]
HONEST = [
    "",
    "failed password",
    "10.1.2.3",
    "*powershell*",
    "/.*cmd[.]exe.*/",
    "message:/.*user [a-z]+ failed.*/ AND NOT message:*test*",
    f"source.ip:({any_of(*(f'203.0.113.{n}' for n in range(250)))})",
    any_of(*WORDS[:40]),
    "no.such.field:x",
]
DEAR = [
    any_of(*(f"*{word}*" for word in WORDS)),
    any_of(*(f"/.*{word}.*/" for word in WORDS[:100])),
    f"NOT ({any_of(*(f'message:/.*{word}.*x/' for word in WORDS[:240]))}) ({any_of(*WORDS[:240])})",
]


@pytest.mark.parametrize("text", HONEST)
@pytest.mark.parametrize("columns", [40, 400])
def test_what_analysts_ask_of_a_hundred_million_events_passes(tmp_path: pathlib.Path, text: str, columns: int) -> None:
    costs.check([snapshot_of(tmp_path, 100_000_000, columns)], plan.TimeRange.ever(), query.parse(text), MOST)


@pytest.mark.parametrize("text", DEAR)
def test_what_could_not_end_is_refused_and_the_same_over_an_hour_is_not(tmp_path: pathlib.Path, text: str) -> None:
    snapshot = snapshot_of(tmp_path, 100_000_000, 40)
    with pytest.raises(errors.InvalidRequest) as caught:
        costs.check([snapshot], plan.TimeRange.ever(), query.parse(text), MOST)
    extra = caught.value.extra
    assert caught.value.code == "search_too_costly"
    assert extra["cost_seconds"] > extra["limit_seconds"] == MOST
    assert extra["events"] == 100_000_000
    assert text[extra["position"] :].startswith(extra["term"])
    costs.check([snapshot], plan.TimeRange.of(0, HOUR), query.parse(text), MOST)
    costs.check([snapshot], plan.TimeRange.ever(), query.parse(text), 0)


def test_a_cost_grows_with_terms_events_and_communities_and_is_shared_by_time(tmp_path: pathlib.Path) -> None:
    snapshot = snapshot_of(tmp_path, 1_000_000, 40)
    ever = plan.TimeRange.ever()

    def seconds(text: str, time_range: plan.TimeRange = ever, times: int = 1) -> float:
        return costs.of([snapshot] * times, time_range, query.parse(text)).seconds

    one = seconds("word")
    assert seconds("word OR other") == pytest.approx(2 * one)
    assert seconds("word", times=3) == pytest.approx(3 * one)
    assert seconds("word", plan.TimeRange.of(0, HOUR // 2)) == pytest.approx(one / 200)
    assert seconds("message:word") < one < seconds("*word*") < seconds("/.*word.*/")
    assert seconds("") == seconds("no.such.field:x") == 0
    wide = snapshot_of(tmp_path, 1_000_000, 40, overflow_share=1.0)
    assert costs.of([wide], ever, query.parse("no.such.field:x")).seconds > 0
