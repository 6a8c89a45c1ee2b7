"""Sample events: the same for the same seed, of many kinds, realistic enough to try every preset on."""

from __future__ import annotations

import collections
import datetime as dt
import itertools
import pathlib

import polars as pl
import pytest

from penstock import query
from penstock.fields import presets, registry, types, values
from penstock.fields.types import FieldType
from penstock.lake import table
from penstock.lake.read import plan, scan
from penstock.samples import generate, kinds, world

START = dt.datetime(2026, 1, 5, 6, tzinfo=dt.UTC)
ALL_TIME = plan.TimeRange(earliest=START - dt.timedelta(days=1), latest=START + dt.timedelta(days=30))
EVERYTHING = query.Predicate(expression=None, columns=frozenset())


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[table.EventTable, generate.GenerateReport]:
    events = table.EventTable(str(tmp_path_factory.mktemp("lake")), "community")
    return events, generate.generate(events, events=20_000, seed=3, start=START, days=2.5)


def contents(events: table.EventTable) -> list[pl.DataFrame]:
    snapshot = events.snapshot()
    return [pl.read_parquet(snapshot.location(file.path)) for file in snapshot.files]


def test_the_report_says_what_is_in_the_table(
    filled: tuple[table.EventTable, generate.GenerateReport],
) -> None:
    events, report = filled
    snapshot = events.snapshot()
    assert (report.events, report.version, snapshot.rows) == (20_000, snapshot.version, 20_000)
    assert sum(report.kinds.values()) == 20_000
    assert report.bytes == sum(file.bytes for file in snapshot.files)
    assert report.first is not None
    assert report.last is not None
    assert START <= report.first < report.last < START + dt.timedelta(days=2.5)
    assert (
        scan.count(snapshot, plan.TimeRange(earliest=START, latest=START + dt.timedelta(days=2.5)), EVERYTHING)
        == 20_000
    )


def test_the_same_seed_makes_the_same_events_and_another_does_not(tmp_path: pathlib.Path) -> None:
    tables = [table.EventTable(str(tmp_path), name) for name in ("a", "b", "c")]
    for events, seed in zip(tables, (5, 5, 6), strict=True):
        generate.generate(events, events=3000, seed=seed, start=START, days=1.5)
    a, b, c = (contents(events) for events in tables)
    assert all(x.equals(y) for x, y in zip(a, b, strict=True))
    assert not any(x.equals(y) for x, y in zip(a, c, strict=True))


def test_files_come_in_time_order_and_do_not_overlap(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "CHUNK_EVENTS", 700)
    monkeypatch.setattr(generate, "COMMIT_CHUNKS", 3)
    events = table.EventTable(str(tmp_path), "community")
    seen: list[int] = []
    generate.generate(events, events=5000, start=START, days=2.0, progress=seen.append)
    files = events.snapshot().files
    assert all(a.last_us < b.first_us for a, b in itertools.pairwise(files))
    assert max(file.rows for file in files) <= 3 * 700  # the chunks of a commit share a file
    assert seen[-1] == 5000
    assert seen == sorted(set(seen))
    assert events.snapshot().version > 2
    slices = plan.plan_slices(events.snapshot(), ALL_TIME, max_rows=700, max_bytes=1 << 40)
    assert all(len({p.file for p in s.pieces}) == len(s.pieces) for s in slices)


def test_days_are_busier_than_nights() -> None:
    hours = collections.Counter(event["@timestamp"][11:13] for event in generate.sample_events(20_000))
    assert hours["10"] > 3 * hours["03"] > 0


def test_there_are_no_events_if_none_are_asked_for(tmp_path: pathlib.Path) -> None:
    report = generate.generate(table.EventTable(str(tmp_path), "community"), events=0, start=START)
    assert (report.events, report.first, report.last, report.kinds) == (0, None, None, {})


def test_at_least_six_kinds_come_in_their_shares(filled: tuple[table.EventTable, generate.GenerateReport]) -> None:
    _, report = filled
    assert len(report.kinds) == len(kinds.KINDS) >= 6
    for kind in kinds.KINDS:
        assert report.kinds[kind.name] == pytest.approx(kind.share * 20_000, rel=0.25)
    assert sum(kind.share for kind in kinds.KINDS) == pytest.approx(1)


def test_every_field_of_every_preset_is_filled(filled: tuple[table.EventTable, generate.GenerateReport]) -> None:
    frame = pl.concat(contents(filled[0]), how="diagonal")
    for preset in presets.PRESETS.values():
        for name in preset.fields:
            assert name in frame.columns, f"{preset.name}: no event has {name}"
            assert frame[name].count() >= 40, f"{preset.name}: hardly an event has {name}"


def test_known_fields_have_the_registrys_type() -> None:
    for name, field_type in kinds.TYPES.items():
        if name in registry.ECS:
            assert registry.ECS[name].type == field_type, name
    assert {FieldType.KEYWORD_LIST, FieldType.LONG, FieldType.DOUBLE, FieldType.DATE, FieldType.IP} <= set(
        kinds.TYPES.values()
    )


def test_about_one_event_in_a_thousand_has_an_overflow(
    filled: tuple[table.EventTable, generate.GenerateReport],
) -> None:
    frame = pl.concat(contents(filled[0]), how="diagonal")
    odd = frame.filter(pl.col(types.OVERFLOW).is_not_null())
    assert 5 <= odd.height <= 60
    for row in odd.iter_rows(named=True):
        (name, *_) = values.loads(row[types.OVERFLOW])
        assert row[name] is None


def test_messages_are_as_long_and_as_varied_as_real_ones(
    filled: tuple[table.EventTable, generate.GenerateReport],
) -> None:
    frame = pl.concat(contents(filled[0]), how="diagonal")
    length = frame["message"].str.len_bytes()
    assert 250 < (length.mean() or 0) < 600  # type: ignore[operator]
    assert frame["message"].n_unique() > 0.99 * frame.height
    windows = frame.filter(pl.col("event.dataset") == "windows_security")["message"].str.len_bytes()
    assert 400 < (windows.min() or 0) <= (windows.max() or 0) < 1100  # type: ignore[operator]


def test_a_few_hosts_and_users_make_most_of_the_noise(
    filled: tuple[table.EventTable, generate.GenerateReport],
) -> None:
    frame = pl.concat(contents(filled[0]), how="diagonal")
    for name in ("source.ip", "user.name", "url.domain"):
        counts = frame[name].drop_nulls().value_counts(sort=True)["count"]
        assert counts[: max(1, len(counts) // 10)].sum() > 0.2 * counts.sum()


def test_sample_events_are_plain_json_and_the_same_for_the_same_arguments() -> None:
    events = generate.sample_events(500, 9)
    assert events == generate.sample_events(500, 9)
    assert events != generate.sample_events(500, 10)
    assert len(events) == 500
    for event in events:
        assert values.loads(values.dumps(event)) == event
        assert values.parse_timestamp(event["@timestamp"]) is not None
        for name, value in event.items():
            if name in kinds.TYPES and name not in ("source.port", "event.severity", "event.risk_score"):
                assert values.fits(kinds.TYPES[name], value) or name == "related.user"
    assert [e["@timestamp"] for e in events] == sorted(
        (e["@timestamp"] for e in events), key=lambda text: values.parse_timestamp(text) or 0
    )


def test_text_puts_each_column_in_its_places_and_keeps_other_brackets() -> None:
    made = world.text("<a>, <b> and <a>: <other>", a=pl.Series(["x", "<b>"]), b=pl.Series(["1", "2"]))
    assert made.to_list() == ["x, 1 and x: <other>", "<b>, 2 and <b>: <other>"]
