"""The needle index never hides an event: a row group with a match meets what the query requires."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
import query_strategies as strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import query
from penstock.fields import types, values
from penstock.lake import needles as sidecars
from penstock.query import ast, needles, words

NAME = "one.parquet"
batches = st.lists(strategies.events(), min_size=1, max_size=3)


def sidecar_of(content: bytes, rows: int) -> sidecars.Sidecar:
    found = sidecars.read(lambda offset, length: content[offset : offset + length], NAME, rows)
    assert found is not None
    return found


def groups_read(node: query.Node, batches: list[list[dict[str, Any]]]) -> list[bool]:
    """For each batch of events, as one row group, whether the query must read it."""
    frames = [strategies.frame_of(batch) for batch in batches]
    found = sidecar_of(sidecars.content(frames, strategies.TYPES, NAME), sum(map(len, batches)))
    requirement = needles.required(node, strategies.TYPES)
    if requirement is None:
        return [True] * len(batches)
    offsets = {group.offset for group in sidecars.rows_to_read(requirement, found)}
    starts = [sum(map(len, batches[:n])) for n in range(len(batches))]
    return [start in offsets for start in starts]


def assert_no_match_is_left_out(node: query.Node, batches: list[list[dict[str, Any]]]) -> None:
    is_read = groups_read(node, batches)
    for batch, read in zip(batches, is_read, strict=True):
        if not read:
            assert not any(query.matches(node, event, strategies.TYPES) for event in batch), query.unparse(node)


@settings(max_examples=60, deadline=None)
@given(
    node=strategies.nodes,
    batches=st.lists(st.lists(strategies.events(), min_size=1, max_size=3), min_size=1, max_size=3),
)
def test_no_row_group_with_a_match_is_left_out(node: query.Node, batches: list[list[dict[str, Any]]]) -> None:
    assert_no_match_is_left_out(node, batches)


@settings(max_examples=125, deadline=None)
@given(test=strategies.tests, field=st.sampled_from(strategies.FIELDS), data=st.data())
def test_no_single_value_is_left_out(test: ast.Test, field: str, data: st.DataObject) -> None:
    value = data.draw(strategies.usual(field))
    for name in (field, None):
        if name is not None or isinstance(test, (ast.Equals, ast.Like, ast.Regex)):
            assert_no_match_is_left_out(ast.Term(field=name, test=test), [[{field: value}]])


def spellings(field: str, value: Any, chance: random.Random) -> Iterator[str]:
    """Literals that find a value, or may."""
    text = value if isinstance(value, str) else values.dumps(value)
    yield text
    found = words.folded_words(text)
    if found:
        at = chance.randrange(len(found))
        yield " ".join(found[at : at + chance.randint(1, 5)]).upper()
        yield "-".join(found[at : at + 2])
    if "." in text:
        yield f"{text}/{chance.randint(0, 32)}"
        yield f"::ffff:{text}"
    yield f"{text}/{chance.randint(0, 128)}"
    yield f"{text}.0"


@settings(max_examples=60, deadline=None)
@given(batch=st.lists(strategies.events(), min_size=1, max_size=3), seed=st.integers(0, 2**32))
def test_queries_made_of_the_events_own_values_find_them(batch: list[dict[str, Any]], seed: int) -> None:
    chance = random.Random(seed)
    for event in batch:
        for field, value in event.items():
            for text in spellings(field, value, chance):
                if values.is_unicode(text):
                    for name in (field, None):
                        assert_no_match_is_left_out(ast.Term(field=name, test=ast.Equals(text=text)), [batch])


EVENTS = [
    {"kw": "alice", "source.ip": "10.1.2.3", "port": 443, "text.of-it": "Failed password from 10.9.8.7 port 22"},
    {"kw": "bob", "source.ip": "2001:db8::1", "port": "8080", "new": {"deep": ["Needle in a haystack"]}},
]


@pytest.mark.parametrize(
    "text",
    [
        "kw:carol",
        "carol",
        '"no such phrase"',
        "source.ip:10.9.9.9",
        "source.ip:10.77.0.0/16",
        "source.ip:2001:db9::/32",
        "text.of-it:10.9.8.6",
        'text.of-it:"failed mimikatz"',
        "text.of-it:*a\\ mimikatz\\ tool*",
        "text.of-it:mimikatz\\ *",
        "kw:alice AND kw:carol",
        "kw:carol OR kw:dave",
        "kw:carol AND NOT port:1",
        "port:444",
        "new:missing",
        "source.ip:[10.77.0.1 TO 10.77.0.9]",
        "kw:443",
        "list:alice",
        "fe80::1%eth0",
        '"2001:db8::2"',
        "kw:(carol OR dave) alice",
    ],
)
def test_what_is_nowhere_is_not_looked_for(text: str) -> None:
    text = '"fe80::1%eth0"' if text.startswith("fe80") else text
    assert groups_read(query.parse(text), [EVENTS]) == [False]


@pytest.mark.parametrize(
    "text",
    [
        "kw:alice",
        "ALICE OR alice",
        '"failed PASSWORD"',
        "source.ip:10.1.0.0/16",
        "source.ip:::ffff:10.1.2.3",
        "10.1.0.0/16",
        "source.ip:2001:db8:0:0::1",
        "text.of-it:10.9.8.7",
        "text.of-it:pass*",
        "port:443.0",
        "port:8080",
        "port:4.43e2",
        "needle",
        '"Needle in a haystack"',
        "new:*",
        "kw:/al.*/",
        "NOT kw:carol",
        "port:>1",
        "kw:car*",
        "source.ip:>10.0.0.1",
        "@timestamp:2024-01-01",
        "true",
        "kw:true",
        "text.of-it:->",
        '"->"',
        "NOT (kw:carol AND kw:dave)",
        "kw:carol OR port:>1",
    ],
)
def test_what_may_be_there_is_looked_for(text: str) -> None:
    assert groups_read(query.parse(text), [EVENTS]) == [True] or text in ("needle",)


def test_only_the_row_groups_that_hold_it_are_read() -> None:
    batches = [[{"kw": f"user{n}"}] for n in range(9)]
    assert groups_read(query.parse("kw:user4"), batches) == [n == 4 for n in range(9)]


def test_column_with_many_values_is_still_found_by_value() -> None:
    frame = pl.DataFrame({"kw": [f"user{n}" for n in range(2 * sidecars.FEW_VALUES)]})
    found = sidecar_of(sidecars.content([frame], {"kw": types.FieldType.KEYWORD}, NAME), frame.height)
    assert found.without_field_keys == [frozenset({"kw"})]
    for text, expected in (("kw:user7", 1), ("kw:user7000", 1), ("kw:nobody", 0), ("other:user7", 0)):
        requirement = needles.required(query.parse(text), {"kw": types.FieldType.KEYWORD})
        assert requirement is not None
        assert len(sidecars.rows_to_read(requirement, found)) == expected, text


def test_long_phrase_asks_for_a_bounded_number_of_words() -> None:
    node = query.parse(f'message:"{" ".join(f"word{n}" for n in range(5000))}"')
    requirement = needles.required(node, {"message": types.FieldType.TEXT})
    assert requirement is not None
    assert len(list(needles.holds_of(requirement))) == needles.MOST_WORDS


USERS = [{"kw": f"user{n}", "port": n} for n in range(80)]
FRAMES = [strategies.frame_of(USERS[:40]), strategies.frame_of(USERS[40:])]


class TestDamage:
    content = sidecars.content(FRAMES, strategies.TYPES, NAME)
    requirement = needles.required(query.parse("kw:user1"), strategies.TYPES)

    def rows(self, content: bytes, name: str = NAME, rows: int = 80) -> list[int] | None:
        """Offsets of what is read; None: there is no usable sidecar."""
        found = sidecars.read(lambda offset, length: content[offset : offset + length], name, rows)
        if found is None:
            return None
        assert self.requirement is not None
        return [group.offset for group in sidecars.rows_to_read(self.requirement, found)]

    def test_whole_sidecar_finds_the_row_group(self) -> None:
        assert self.rows(self.content) == [0]

    def test_same_rows_make_the_same_bytes(self) -> None:
        assert sidecars.content(FRAMES, strategies.TYPES, NAME) == self.content

    def test_no_flipped_bit_hides_a_row_group(self) -> None:
        chance = random.Random(1)
        places = [*range(400), *(chance.randrange(len(self.content)) for _ in range(300)), len(self.content) - 1]
        for place in places:
            damaged = bytearray(self.content)
            damaged[place] ^= 1 << chance.randrange(8)
            assert self.rows(bytes(damaged)) in (None, [0], [0, 40]), place

    def test_damaged_page_means_read_all(self) -> None:
        assert self.rows(self.content[:4096].ljust(len(self.content), b"\xff")) == [0, 40]

    @pytest.mark.parametrize("length", [0, 1, 15, 16, 100, 300, 4095, 4096, -1])
    def test_short_sidecar_means_read_all(self, length: int) -> None:
        assert self.rows(self.content[:length]) in (None, [0, 40], [0])
        assert self.rows(self.content[: min(length, 4096)]) in (None, [0, 40])

    def test_sidecar_of_another_file_is_not_used(self) -> None:
        assert self.rows(self.content, name="other.parquet") is None
        assert self.rows(self.content, rows=81) is None

    def test_sidecar_made_with_another_unicode_is_not_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(words, "table_version", lambda: "99.0")
        assert self.rows(self.content) is None


def test_nothing_is_pruned_when_the_engine_knows_more_letters_than_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "engine_agrees", lambda: False)
    assert needles.required(query.parse("kw:alice"), strategies.TYPES) is None


def test_broken_overflow_gives_no_sidecar() -> None:
    with pytest.raises(ValueError, match="JSON"):
        sidecars.content([pl.DataFrame({types.OVERFLOW: ['{"a":"b']})], {}, NAME)
