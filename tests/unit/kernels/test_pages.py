"""The pages kernel: what it takes out of a Parquet file is what Polars reads, and no bytes make it stumble."""

from __future__ import annotations

import io
import random
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import examples

pages = pytest.importorskip("penstock.kernels.pages")

TEXTS = st.one_of(
    st.none(), st.text(max_size=40), st.sampled_from(["", "Failed Password", "x" * 700, "paſſword \u212a"])
)


def parquet(frame: pl.DataFrame, compression: Any = "lz4", page: int = 256, group: int = 40) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out, compression=compression, data_page_size=page, row_group_size=group)
    return out.getvalue()


def numbers(taken: tuple[bytes, bytes], dtype: Any) -> list[Any]:
    content, valid = taken
    return [
        value if there else None for value, there in zip(np.frombuffer(content, dtype).tolist(), valid, strict=True)
    ]


@given(
    texts=st.lists(TEXTS, min_size=1, max_size=130),
    whole=st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=5),
    few=st.booleans(),
    compression=st.sampled_from(["lz4", "uncompressed"]),
    seed=st.integers(0, 999),
)
@settings(deadline=None, max_examples=examples.some(60))
def test_taken_values_are_those_of_the_file(
    texts: list[str | None], whole: list[int | None], few: bool, compression: str, seed: int
) -> None:
    rows = len(texts)
    longs = [whole[n % len(whole)] for n in range(rows)]
    frame = pl.DataFrame(
        {"text": [texts[n % 3] if few else texts[n] for n in range(rows)], "long": longs},
        schema={"text": pl.String, "long": pl.Int64},
    ).with_columns(real=pl.col("long") / 7)
    file = pages.File(parquet(frame, compression))
    assert sum(file.rows) == rows
    assert [file.kind(name)[0] for name in frame.columns] == [pages.STRING, pages.LONG, pages.DOUBLE]
    chance, start = random.Random(seed), 0
    for group, length in enumerate(file.rows):
        chosen = np.array(sorted(chance.sample(range(length), chance.randint(0, length))), np.uint32)
        expected = frame[start : start + length][chosen.tolist()] if len(chosen) else frame.clear()
        assert file.take(group, "text", chosen) == expected["text"].to_list()
        assert numbers(file.take(group, "long", chosen), np.int64) == expected["long"].to_list()
        assert numbers(file.take(group, "real", chosen), np.float64) == expected["real"].to_list()
        start += length


@given(
    texts=st.lists(TEXTS, min_size=1, max_size=90),
    literal=st.sampled_from(["pass", "failed", "xx", "k\u0020", "ed pa", "zz"]),
)
@settings(deadline=None, max_examples=examples.some(60))
def test_search_misses_no_text_and_finds_few_others(texts: list[str | None], literal: str) -> None:
    file = pages.File(parquet(pl.DataFrame({"text": texts}, schema={"text": pl.String}), group=1000))
    rows, found = file.search(0, "text", 0, len(texts), [literal.encode()], 1000)
    chosen = np.frombuffer(rows, np.uint32).tolist()
    assert found == [texts[row] for row in chosen]
    held = {n for n, text in enumerate(texts) if text is not None and has(text, literal)}
    assert held <= set(chosen)
    assert all(row in held or not str(texts[row]).isascii() for row in chosen)
    if chosen:
        assert file.search(0, "text", 0, len(texts), [literal.encode()], len(chosen) - 1) is None
    part, _ = file.search(0, "text", len(texts) // 2, len(texts), [literal.encode()], 1000)
    assert np.frombuffer(part, np.uint32).tolist() == [row for row in chosen if row >= len(texts) // 2]


def has(text: str, literal: str) -> bool:
    return bool(pl.Series([text]).str.contains(f"(?i){literal}").item())


LISTS = st.lists(st.one_of(st.none(), st.lists(TEXTS, max_size=4)), min_size=1, max_size=60)


@given(
    lists=LISTS,
    few=st.booleans(),
    compression=st.sampled_from(["lz4", "uncompressed"]),
    literals=st.sampled_from([["pass"], ["failed", "word"], ["xx"], ["k\u0020"], ["zz"]]),
)
@settings(deadline=None, max_examples=examples.some(120))
def test_no_list_is_left_out_that_has_the_literals_in_one_value(
    lists: list[list[str | None] | None], few: bool, compression: str, literals: list[str]
) -> None:
    lists = [lists[n % 2] for n in range(len(lists))] if few and len(lists) > 1 else lists
    frame = pl.DataFrame({"list": lists, "flat": [(one or [None])[0] for one in lists]}, schema=LISTED)
    file = pages.File(parquet(frame, compression))
    start = 0
    for group, length in enumerate(file.rows):
        part = frame[start : start + length]
        for name, found in (("list", part["list"].explode()), ("flat", part["flat"])):
            texts = [text for text in found.to_list() if text is not None]
            held = any(all(has(text, literal) for literal in literals) for text in texts)
            may_hold = file.may_hold(group, name, [literal.encode() for literal in literals])
            assert may_hold or not held
            if all(text.isascii() for text in texts):
                assert may_hold == held  # none is kept in vain, but where letters fold
        start += length


LISTED = {"list": pl.List(pl.String), "flat": pl.String}


def test_columns_of_other_kinds_are_unknown() -> None:
    frame = pl.DataFrame(
        {"list": [["a"]], "flag": [True], "nested": [{"a": 1}], "numbers": [[1]], "deep": [[{"a": "x"}]], "text": ["x"]}
    )
    file = pages.File(parquet(frame))
    assert [file.kind(name) for name in ("list", "flag", "nested", "absent")] == [None] * 4
    for name in ("flag", "nested", "numbers", "deep", "absent"):
        with pytest.raises(pages.Unfit):
            file.may_hold(0, name, [b"xx"])
    assert file.kind("text") is not None
    assert file.weight("text") > 0
    with pytest.raises(pages.Unfit):
        file.take(0, "list", np.array([0], np.uint32))
    with pytest.raises(pages.Unfit):
        file.search(0, "list", 0, 1, [b"xx"], 9)
    assert pages.File(parquet(frame, "zstd")).kind("text") is None


def test_instants_of_microseconds_are_told_from_others() -> None:
    moments = pl.Series([0, 1]).cast(pl.Datetime("us", "UTC"))
    frame = pl.DataFrame({"us": moments, "ns": moments.dt.cast_time_unit("ns"), "plain": [1, 2]})
    file = pages.File(parquet(frame))
    kinds = [file.kind(name) for name in frame.columns]
    assert [kind[1] == pages.MICROSECONDS for kind in kinds] == [True, False, False]


def test_damaged_files_are_refused_or_read_within_their_bytes() -> None:
    """Under AddressSanitizer this looks for reads and writes beyond; here, for a crash."""
    chance = random.Random(5)
    texts = [chance.choice(["failed password", "x" * 300, None, f"user {n}"]) for n in range(300)]
    frame = pl.DataFrame({"text": texts, "long": range(300), "name": [f"n{n % 4}" for n in range(300)]})
    frame = frame.with_columns(tags=pl.concat_list("name", "text"), words=pl.col("text").str.split(" "))
    sound = parquet(frame, group=100)
    every = np.arange(100, dtype=np.uint32)
    refused = 0
    for _ in range(2000):
        damaged = bytearray(sound)
        for _ in range(chance.choice([1, 1, 3])):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        if chance.random() < 0.1:
            del damaged[chance.randrange(len(damaged)) :]
        try:
            file = pages.File(bytes(damaged))
            for group in range(len(file.rows)):
                file.search(group, "text", 0, min(100, file.rows[group]), [b"failed"], 50)
                for name in ("text", "long", "name"):
                    file.take(group, name, every)
                for name in ("tags", "words", "name"):
                    file.may_hold(group, name, [b"password"])
        except pages.Unfit:
            refused += 1
    assert refused > 100
