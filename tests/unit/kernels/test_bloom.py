"""The kernel finds the keys that its specification in plain Python finds, and keeps within its bounds."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import examples

from penstock.fields import values
from penstock.kernels import bloom
from penstock.lake.needles import reference
from penstock.query import words

FEW = 4
SALT = reference.value_key(b"a.field")

ADDRESSES = (
    "10.0.0.1",
    "010.0.0.1",
    "10.0.0.256",
    "10.0.0",
    "1.2.3.4.5",
    "::1",
    "0:0:0:0:0:0:0:1",
    "fe80::1%eth0",
    "fe80::1%",
    "::ffff:10.0.0.1",
    "::FFFF:10.0.0.1",
    "::fFfF:a00:1",
    "1::ffff:10.0.0.1",
    "10.0.0.1%1",
    "12345::",
    "::1\x00",
    "a:",
    ":",
    "",
)
TEXTS = (
    "Failed password for root from 10.1.2.3 port 22",
    "1.2.3.4.5",
    "256.1.1.1",
    "01.2.3.4",
    "K ſ É ß Ⱥ ⅷ 日本",
    "a\u200db",
    "\U00010d50\U00010d70",
    "x" * 13,
    "->",
    "\U0010ffff",
    "straße\x00STRASSE",
)
any_text = st.one_of(
    st.sampled_from(ADDRESSES + TEXTS), st.text(max_size=20), st.ip_addresses().map(str), st.text("0123456789.:f%")
)
json_values = st.recursive(
    st.one_of(
        any_text,
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        st.booleans(),
        st.none(),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=6,
)
RAW_JSON = (
    '"\\ud800"',
    '"\\ud83d\\ude00"',
    '"\\u00e9\\n\\"\\\\\\/"',
    "1e400",
    "-0",
    "1.50",
    "1" * 700,
    "[1,[2,{}]]",
    "-1E-3",
)
json_texts = json_values.map(values.dumps) | st.sampled_from(RAW_JSON)


def keys_of(room: Any, series: pl.Series, kind: int, few: int = FEW) -> tuple[set[int], bool]:
    found = room.Keys(words.table(), few)
    has_field_keys = found.add(series, kind, SALT)
    exported = found.export()
    assert len(exported) == 8 * len(found)
    return set(struct.unpack(f"={len(found)}Q", exported)), has_field_keys


def assert_same(series: pl.Series, kind: int) -> None:
    assert keys_of(bloom, series, kind) == keys_of(reference, series, kind)
    if len(series) > 2:  # an offset, and several chunks
        parts = pl.concat([series[:1], series[1:]], rechunk=False)
        assert keys_of(bloom, parts, kind) == keys_of(reference, series, kind)
        assert keys_of(bloom, series[1:-1], kind) == keys_of(reference, series[1:-1], kind)


@settings(max_examples=examples.some(300), deadline=None)
@given(st.lists(any_text | st.none(), max_size=8), st.sampled_from([reference.VALUES, reference.WORDS]))
def test_strings_have_the_keys_of_the_specification(texts: list[str | None], kind: int) -> None:
    assert_same(pl.Series(texts, dtype=pl.String), kind)


@settings(max_examples=examples.some(200), deadline=None)
@given(st.lists(st.lists(any_text | st.none(), max_size=4) | st.none(), max_size=6))
def test_lists_have_the_keys_of_the_specification(lists: list[list[str | None] | None]) -> None:
    assert_same(pl.Series(lists, dtype=pl.List(pl.String)), reference.VALUES)


plain_text = st.text(st.sampled_from("aZ09_ .:-\x7f\0%{é"), max_size=150)


@settings(max_examples=examples.some(300), deadline=None)
@given(st.lists(plain_text | st.from_regex(r"(?:[0-9]{1,3}[. ]?){1,40}", fullmatch=True), max_size=4))
def test_long_texts_have_the_keys_of_the_specification(texts: list[str]) -> None:
    assert_same(pl.Series(texts, dtype=pl.String), reference.WORDS)


@pytest.mark.parametrize("length", [0, 1, 3, 4, 7, 8, 9, 15, 16, 17, 63, 64, 65, 127, 128, 129, 1000])
def test_words_end_where_groups_of_characters_do(length: int) -> None:
    texts = pl.Series(["x" * length, "x" * length + " ", " " * length + "y", "ab " * length, "é" + "x" * length])
    assert_same(texts, reference.WORDS)


def test_the_keys_of_a_full_bag_are_distinct() -> None:
    """More keys than are held with their repeats."""
    distinct, rounds = 300_000, 15
    found = bloom.Keys(words.table(), FEW)
    texts = pl.Series([f"value {number}" for number in range(distinct)])
    for _ in range(rounds):
        found.add(texts, bloom.VALUES, SALT)
    exported = np.frombuffer(found.export(), np.uint64)
    assert len(exported) == len(found) == len(np.unique(exported)) == distinct


def test_a_value_beside_an_address_that_holds_it_has_keys_of_its_own() -> None:
    address = pl.Series(["10.1.2.3", "10.1.2.3"])
    lone, _ = keys_of(bloom, address, bloom.VALUES)
    both, _ = keys_of(bloom, pl.Series(["10.1.2.3", "10", "10.1.2.3"]), bloom.VALUES)
    assert lone < both
    assert {bloom.value_key(b"10"), bloom.field_key(bloom.value_key(b"10"), SALT)} <= both


@settings(max_examples=examples.some(200), deadline=None)
@given(st.lists(json_texts | st.none(), max_size=5))
def test_json_has_the_keys_of_the_specification(texts: list[str | None]) -> None:
    assert_same(pl.Series(texts, dtype=pl.String), reference.JSON)


@settings(max_examples=examples.some(200), deadline=None)
@given(st.lists(st.dictionaries(any_text, json_texts, max_size=4), max_size=4))
def test_overflow_has_the_keys_of_the_specification(objects: list[dict[str, str]]) -> None:
    texts = ["{" + ",".join(f"{values.dumps(name)}:{text}" for name, text in one.items()) + "}" for one in objects]
    assert_same(pl.Series(texts, dtype=pl.String), reference.OVERFLOW)


@settings(max_examples=examples.some(200), deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5) | st.none(), max_size=12))
def test_longs_have_the_keys_of_the_specification(numbers: list[int | None]) -> None:
    assert_same(pl.Series(numbers, dtype=pl.Int64), reference.LONGS)


@settings(max_examples=examples.some(200), deadline=None)
@given(st.lists(st.floats() | st.sampled_from([2.0**53, -(2.0**53), 1e15, -0.0]) | st.none(), max_size=12))
def test_doubles_have_the_keys_of_the_specification(numbers: list[float | None]) -> None:
    finite = [None if number is None or number != number else number for number in numbers]
    assert_same(pl.Series(finite, dtype=pl.Float64), reference.DOUBLES)


@pytest.mark.parametrize("number", [0, 443, -1, 2**53 - 1, 2**53, 2**53 + 1, -(2**63), 2**63 - 1])
def test_an_integer_and_the_double_that_equals_it_are_one_key(number: int) -> None:
    assert bloom.long_key(number) == bloom.number_key(float(number)) == reference.long_key(number)
    if abs(number) < 2**53:
        assert bloom.long_key(number) == bloom.value_key(str(number).encode())


def test_single_keys_are_those_of_the_specification() -> None:
    for text in (b"", b"a", b"12345678", b"123456789", bytes(100)):
        assert bloom.value_key(text) == reference.value_key(text)
    for prefix, version in ((b"\n", 4), (b"\n\0\0", 4), (bytes(4), 6), (bytes(8), 6)):
        assert bloom.prefix_key(prefix, version) == reference.prefix_key(prefix, version)
    assert bloom.address6_key(bytes(range(16))) == reference.address6_key(bytes(range(16)))
    assert bloom.chain_key(1, 2, 3, 2**64 - 1) == reference.chain_key(1, 2, 3, 2**64 - 1)
    assert bloom.field_key(7, 8) == reference.field_key(7, 8)


def test_many_distinct_values_have_keys_but_no_field_keys() -> None:
    texts = pl.Series([f"value {number}" for number in range(100_000)])
    found, has_field_keys = keys_of(bloom, texts, bloom.VALUES, few=4096)
    assert not has_field_keys
    assert len(found) == 100_000
    few, has_field_keys = keys_of(bloom, texts[:4096], bloom.VALUES, few=4096)
    assert has_field_keys
    assert len(few) == 2 * 4096


@settings(max_examples=examples.some(60), deadline=None)
@given(st.lists(st.lists(st.integers(1, 2**64 - 1), max_size=40), min_size=1, max_size=4), st.integers(1, 9))
def test_filter_is_that_of_the_specification_and_holds_what_was_added(groups: list[list[int]], blocks: int) -> None:
    filters = [bytearray(blocks * len(groups) * bloom.BLOCK_BYTES) for _ in range(2)]
    for group, keys in enumerate(groups):
        for room, filter_ in zip((bloom, reference), filters, strict=True):
            room.filter_add(filter_, blocks, len(groups), group, np.array(keys, np.uint64))
    assert filters[0] == filters[1]
    for group, keys in enumerate(groups):
        for key in keys:
            start = (((key >> 32) * blocks >> 32) * len(groups) + group) * bloom.BLOCK_BYTES
            assert bloom.block_has(filters[0][start : start + bloom.BLOCK_BYTES], key)


@pytest.mark.parametrize("text", ["{", '{"a":"b', '{"a":"\\x"}', '{"a":"\\u12"}', '{"a":"b\\', '"\\'])
def test_broken_json_is_refused(text: str) -> None:
    if text != "{":
        with pytest.raises(ValueError, match="no compact JSON"):
            bloom.Keys(words.table(), FEW).add(pl.Series([text]), bloom.OVERFLOW, SALT)


def test_what_is_no_such_column_is_refused() -> None:
    found = bloom.Keys(words.table(), FEW)
    with pytest.raises(TypeError, match="Arrow format"):
        found.add(pl.Series([1]), bloom.VALUES, SALT)
    with pytest.raises(TypeError, match="Arrow format"):
        found.add(pl.Series(["a"]), bloom.LONGS, SALT)
    with pytest.raises(TypeError, match="Arrow format"):
        found.add(pl.Series(["a"]), 99, SALT)
    with pytest.raises(ValueError, match="table"):
        bloom.Keys(words.table()[:100], FEW)
    with pytest.raises(ValueError, match="filter"):
        bloom.filter_add(bytearray(32), 2, 1, 0, np.array([1], np.uint64))
    with pytest.raises(ValueError, match="32 bytes"):
        bloom.block_has(b"", 1)
    with pytest.raises(ValueError, match="16 bytes"):
        bloom.address6_key(b"")
