"""Column types: what goes in comes out, and sorts as time does."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql, sqlite

from penstock.control import states
from penstock.control.schema import column_types

SQLITE = sqlite.dialect()
POSTGRESQL = postgresql.dialect()
instants = st.datetimes(
    timezones=st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=-11, minutes=30))]),
    min_value=dt.datetime(1, 1, 3),
    max_value=dt.datetime(9999, 12, 29),
)


@given(instants)
def test_instant_comes_back_from_sqlite_as_the_same_instant_in_utc(instant: dt.datetime) -> None:
    kind = column_types.UtcDateTime()
    back = kind.process_result_value(kind.process_bind_param(instant, SQLITE), SQLITE)
    assert back == instant
    assert back is not None
    assert back.tzinfo is dt.UTC


@given(instants, instants)
def test_text_order_of_sqlite_is_time_order(one: dt.datetime, other: dt.datetime) -> None:
    kind = column_types.UtcDateTime()
    texts = kind.process_bind_param(one, SQLITE), kind.process_bind_param(other, SQLITE)
    assert (texts[0] < texts[1]) == (one < other)


def test_instant_is_text_that_a_person_can_read() -> None:
    instant = dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
    assert column_types.UtcDateTime().process_bind_param(instant, SQLITE) == "2026-01-02T03:04:05.000006Z"


def test_postgresql_gets_and_gives_aware_utc() -> None:
    kind = column_types.UtcDateTime()
    paris = dt.datetime(2026, 1, 2, 3, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    for value in (kind.process_bind_param(paris, POSTGRESQL), kind.process_result_value(paris, POSTGRESQL)):
        assert (value, value.tzinfo) == (paris, dt.UTC)
    column = sa.Column("at", kind)
    assert sa.schema.CreateColumn(column).compile(dialect=POSTGRESQL).string == "at TIMESTAMP WITH TIME ZONE"


def test_naive_datetime_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        column_types.UtcDateTime().process_bind_param(dt.datetime(2026, 1, 1), SQLITE)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values.filter(lambda value: value is not None))
def test_json_value_comes_back_the_same(value: Any) -> None:
    kind = column_types.JsonText()
    assert kind.process_result_value(kind.process_bind_param(value, SQLITE), SQLITE) == value


def test_null_stays_null_in_every_type() -> None:
    for kind in (column_types.UtcDateTime(), column_types.JsonText(), column_types.Word(states.ExportStatus)):
        assert kind.process_bind_param(None, SQLITE) is None
        assert kind.process_result_value(None, SQLITE) is None


def test_word_that_is_no_state_is_refused_both_ways() -> None:
    kind = column_types.Word(states.ExportStatus)
    assert kind.process_bind_param("RUNNING", SQLITE) == "RUNNING"
    for convert in (kind.process_bind_param, kind.process_result_value):
        with pytest.raises(ValueError, match="WALKING"):
            convert("WALKING", SQLITE)
