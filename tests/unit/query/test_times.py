"""Times of a search, and the literals that have an order: numbers, instants, addresses, networks."""

from __future__ import annotations

import datetime as dt
import decimal
import ipaddress
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import errors, query
from penstock.fields import values
from penstock.query import ast, literals

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
        ("Today", dt.datetime(2026, 3, 1, tzinfo=dt.UTC)),
        ("yesterday", dt.datetime(2026, 2, 28, tzinfo=dt.UTC)),
        ("tomorrow", dt.datetime(2026, 3, 2, tzinfo=dt.UTC)),
        ("30d", NOW - dt.timedelta(days=30)),
        ("now-7d", NOW - dt.timedelta(days=7)),
        ("now+1h", NOW + dt.timedelta(hours=1)),
        ("+7d", NOW + dt.timedelta(days=7)),
        ("-1M", NOW.replace(month=2)),
        ("-3M", NOW.replace(year=2025, month=12)),
        ("-1y", NOW.replace(year=2025)),
        ("now/h", dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)),
        ("now-7d/d", dt.datetime(2026, 2, 22, tzinfo=dt.UTC)),
        ("-1w/w", dt.datetime(2026, 2, 16, tzinfo=dt.UTC)),
        ("now/M", dt.datetime(2026, 3, 1, tzinfo=dt.UTC)),
        ("-1y/y", dt.datetime(2025, 1, 1, tzinfo=dt.UTC)),
        ("1767225600", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        ("@1767225600", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        ("1767225600.5", dt.datetime(2026, 1, 1, 0, 0, 0, 500000, tzinfo=dt.UTC)),
        ("1767225600123", dt.datetime(2026, 1, 1, 0, 0, 0, 123000, tzinfo=dt.UTC)),
        ("1767225600123456", dt.datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=dt.UTC)),
        ("-100000000000", dt.datetime(1966, 10, 31, 14, 13, 20, tzinfo=dt.UTC)),
        ("2026-01-31t08:00:00z", dt.datetime(2026, 1, 31, 8, tzinfo=dt.UTC)),
        ("2026-01-31 08:00:00,25", dt.datetime(2026, 1, 31, 8, 0, 0, 250000, tzinfo=dt.UTC)),
        ("2026-01-31T23:59:60Z", dt.datetime(2026, 2, 1, tzinfo=dt.UTC)),
        ("2026-01-31T08:00:00+0200", dt.datetime(2026, 1, 31, 6, tzinfo=dt.UTC)),
        ("2026-01-31@Europe/Paris", dt.datetime(2026, 1, 30, 23, tzinfo=dt.UTC)),
        ("2026-07-31 08:00@Europe/Paris", dt.datetime(2026, 7, 31, 6, tzinfo=dt.UTC)),
        ("today@America/New_York", dt.datetime(2026, 3, 1, 5, tzinfo=dt.UTC)),
        ("-1d/d @ America/New_York", dt.datetime(2026, 2, 28, 5, tzinfo=dt.UTC)),
        ("10000-01-01", query.END_OF_TIME),
        ("10000-01-01T00:00:00Z", query.END_OF_TIME),
        ("9999-12-31T23:59:59.9999999Z", query.END_OF_TIME),
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
        *(
            "",
            "7",
            "-7",
            "-d",
            "- 7d",
            "-7.5d",
            "now7d",
            "now 7d",
            "last week",
            "2026-02-30",
            "2026",
            "20260131",
        ),
        *("2026-01-31T25:00:00Z", "-999999999w", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-01:00"),
        *("-9999999999s", "-٧d", "-9999y", "10000-01-02", "2026-01-31@", "today@Mars/Phobos", "now@../etc/passwd"),
        *("2026-01-31T08:00Z@Europe/Paris", "-7d/x", "/d", "9" * 21, "today-1d"),
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


def test_month_back_from_its_31st_is_the_last_day_of_a_shorter_one() -> None:
    assert query.parse_time("-1M", dt.datetime(2026, 3, 31, 8, tzinfo=dt.UTC)) == dt.datetime(
        2026, 2, 28, 8, tzinfo=dt.UTC
    )


def test_days_are_those_of_the_zone_and_hours_are_real_hours() -> None:
    """On 29 March 2026 the day has 23 hours in Paris."""
    now = dt.datetime(2026, 3, 29, 12, tzinfo=dt.UTC)
    assert query.parse_time("-1d@Europe/Paris", now) == dt.datetime(2026, 3, 28, 13, tzinfo=dt.UTC)
    assert query.parse_time("-24h@Europe/Paris", now) == dt.datetime(2026, 3, 28, 12, tzinfo=dt.UTC)


def test_last_instant_can_be_named_alone() -> None:
    assert query.resolve_range("9999-12-31T23:59:59.999999Z", "10000-01-01", NOW) == (query.END_OF_TIME,) * 2


@pytest.mark.parametrize(
    "text", ["2026-01-31T08:00:00.5+02:00", "2016-12-31T23:59:60Z", "2024-05-06t07:08:09z", "2024-05-06 07:08:09,5"]
)
def test_query_reads_the_times_that_intake_reads(text: str) -> None:
    assert literals.instant(text) == values.parse_timestamp(text) is not None


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
        ("1763556497161513791", 1763556497161513791, 1763556497161513791.0),
        ("1e400", math.inf, math.inf),
        ("-1e400", -math.inf, -math.inf),
        ("1e999999999999", math.inf, math.inf),
        ("1" * 5000, decimal.Decimal("1" * 5000), math.inf),
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
        "fe80::1%",
        "10.0.0.1%lo",
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
    "text",
    [
        *(
            "",
            "/",
            "/8",
            "1.2.3.4",
            "1.2.3.4/",
            "1.2.3.4/33",
            "::/129",
            "1.2.3.4/-1",
            "1.2.3.4/8/8",
            "x/8",
            "fe80::%lo/64",
        ),
        *("::ffff:10.0.0.0/95", "::ffff:10.0.0.0/8", "1.2.3.4/" + "0" * 5000, "10.0.0/8"),
    ],
)
def test_what_is_no_network_is_none(text: str) -> None:
    assert literals.network(text) is None


def test_network_of_mapped_addresses_is_the_one_of_their_ipv4_addresses() -> None:
    assert literals.network("::ffff:10.0.0.0/104") == literals.network("10.0.0.0/8")
    assert literals.network("::FFFF:10.1.2.3/128") == literals.network("10.1.2.3/32")
    assert literals.network("::ffff:0.0.0.0/96") == literals.network("0.0.0.0/0")


def test_zone_is_left_out_of_an_address_and_told_apart_where_it_is_asked_for() -> None:
    assert literals.address("FE80::1%eth0") == literals.address("fe80::1")
    assert literals.is_same_address("fe80::1", "fe80:0::1%eth0")
    assert literals.is_same_address("fe80::1%eth0", "FE80::1%eth0")
    assert not literals.is_same_address("fe80::1%eth0", "fe80::1%eth1")
    assert not literals.is_same_address("fe80::1%eth0", "fe80::1")


@given(
    st.lists(st.from_regex(r"-?[0-9]{1,30}", fullmatch=True), min_size=1, max_size=6), st.integers(-(10**30), 10**30)
)
def test_integers_in_strings_compare_exactly(texts: list[str], bound: int) -> None:
    for operator, holds in ((ast.Operator.GREATER, int.__gt__), (ast.Operator.LESS_OR_EQUAL, int.__le__)):
        interval = literals.interval(ast.Compare(operator=operator, bound=str(bound)))
        for text in texts:
            assert interval.holds_text(text) == holds(int(text), bound)


def test_integers_of_any_length_compare_exactly() -> None:
    huge = "1" * 5000
    interval = literals.interval(ast.Compare(operator=ast.Operator.GREATER, bound=huge))
    assert not interval.holds_text(huge)
    assert interval.holds_text("1" * 4999 + "2")
    assert not interval.holds_text("-" + huge)
