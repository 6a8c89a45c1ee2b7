"""Times of a search, and the literals that have an order: numbers, instants, addresses, networks."""

from __future__ import annotations

import datetime as dt
import ipaddress
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import errors, query
from penstock.fields import values
from penstock.query import literals

NOW = dt.datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("now", NOW),
        (" now ", NOW),
        ("-45s", NOW - dt.timedelta(seconds=45)),
        ("-15m", NOW - dt.timedelta(minutes=15)),
        ("-2h", NOW - dt.timedelta(hours=2)),
        ("-7d", NOW - dt.timedelta(days=7)),
        ("-1w", NOW - dt.timedelta(weeks=1)),
        ("-0s", NOW),
        ("2026-01-31T08:00:00Z", dt.datetime(2026, 1, 31, 8, tzinfo=dt.UTC)),
        ("2026-01-31T08:00:00.5+02:00", dt.datetime(2026, 1, 31, 6, 0, 0, 500000, tzinfo=dt.UTC)),
        ("2026-01-31T08:00:00.1234567Z", dt.datetime(2026, 1, 31, 8, 0, 0, 123456, tzinfo=dt.UTC)),
        ("2026-01-31 08:00", dt.datetime(2026, 1, 31, 8, tzinfo=dt.UTC)),
        ("2026-01-31", dt.datetime(2026, 1, 31, tzinfo=dt.UTC)),
        ("9999-12-31T23:59:59.999999Z", dt.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC)),
    ],
)
def test_time_is_read_to_the_microsecond_in_utc(text: str, instant: dt.datetime) -> None:
    assert query.parse_time(text, NOW) == instant
    assert query.parse_time(text, NOW.astimezone(dt.timezone(dt.timedelta(hours=5)))) == instant
    assert query.parse_time(text, NOW).tzinfo is dt.UTC


@pytest.mark.parametrize(
    "text",
    [
        *("", "yesterday", "7d", "+7d", "-7", "-7y", "-d", "- 7d", "-7.5d", "now-7d", "2026-02-30"),
        *("2026-01-31T25:00:00Z", "-999999999w", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-01:00"),
        *("-9999999999s", "1700000000", "-٧d"),
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        query.parse_time(text, NOW)
    assert caught.value.code == "invalid_time"
    assert repr(text) in caught.value.detail
    assert "-7d" in caught.value.hint


def test_range_has_both_ends() -> None:
    assert query.resolve_range("-1h", "now", NOW) == (NOW - dt.timedelta(hours=1), NOW)


@pytest.mark.parametrize(("earliest", "latest"), [("now", "now"), ("now", "-1s"), ("2026-01-02", "2026-01-01")])
def test_empty_range_is_refused(earliest: str, latest: str) -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        query.resolve_range(earliest, latest, NOW)
    assert caught.value.code == "invalid_time_range"


@given(st.integers(-62135596800_000_000, 253402300799_999_999))
def test_every_rendered_timestamp_is_read_as_its_instant(microseconds: int) -> None:
    assert literals.instant(values.render_timestamp(microseconds)) == microseconds


@pytest.mark.parametrize(
    ("text", "exact", "double"),
    [
        ("443", 443, 443.0),
        ("443.0", 443, 443.0),
        ("4.43e2", 443, 443.0),
        ("-1", -1, -1.0),
        ("0.5", 0.5, 0.5),
        ("9007199254740993", 9007199254740993, 9007199254740992.0),
        ("1e22", 10**22, 1e22),
        ("-0", 0, 0.0),
        ("1e-400", 0, 0.0),
        ("1e400", math.inf, math.inf),
        ("-1e400", -math.inf, -math.inf),
        ("1e999999999999", math.inf, math.inf),
        ("1" * 5000, math.inf, math.inf),
    ],
)
def test_number_is_read(text: str, exact: float, double: float) -> None:
    number = literals.number(text)
    assert number is not None
    assert (number.exact, number.double) == (exact, double)


@pytest.mark.parametrize("text", ["", "a", "1a", "+1", ".5", "1.", "1e", "0x1", "1_0", "١", "inf", "nan", " 1", "1\n"])
def test_what_is_no_number_is_none(text: str) -> None:
    assert literals.number(text) is None


@given(st.ip_addresses())
def test_address_is_read_in_any_spelling(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    assert literals.address(str(address)) == literals.Address(version=address.version, value=int(address))
    assert literals.address(address.exploded.upper()) == literals.Address(version=address.version, value=int(address))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1.2.3",
        "1.2.3.4.5",
        "01.2.3.4",
        "256.1.1.1",
        "::g",
        "1:2",
        "fe80::1%lo",
        "1.2.3.4\0",
        "é",
        " ::1",
        "::ffff:1"[:7],
    ],
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert literals.address(text) is None


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6), st.data())
def test_network_is_that_of_the_standard_library(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, data: st.DataObject
) -> None:
    length = data.draw(st.integers(0, address.max_prefixlen))
    expected = ipaddress.ip_network((address, length), strict=False)
    found = literals.network(f"{address}/{length}")
    assert found is not None
    assert found.low == literals.Address(version=address.version, value=int(expected[0]))
    assert found.high == literals.Address(version=address.version, value=int(expected[-1]))


@pytest.mark.parametrize(
    "text", ["", "/", "/8", "1.2.3.4", "1.2.3.4/", "1.2.3.4/33", "::/129", "1.2.3.4/-1", "1.2.3.4/8/8", "x/8"]
)
def test_what_is_no_network_is_none(text: str) -> None:
    assert literals.network(text) is None
