"""Writes penstock/query/word_table.txt: which characters make words and which differ only in case, as Polars' regex
engine has it. Run it when `tests/unit/query/test_words.py` says that the engine knows another Unicode.

    python scripts/word_table.py 16.0 > penstock/query/word_table.txt
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable

import polars as pl

SURROGATES = range(0xD800, 0xE000)


def main(version: str) -> None:
    """Prints the table under the version's name."""
    points = [point for point in range(0x110000) if point not in SURROGATES]
    characters = pl.Series(map(chr, points))
    in_words = [point for point, is_in in zip(points, characters.str.contains(r"^\w$"), strict=True) if is_in]
    cased = characters.filter(characters.str.contains(r"^[\p{CWCF}\p{Cased}]$"))
    print(f"unicode {version}")
    print("words", *(f"{first:x}-{last:x}" for first, last in runs(in_words)))
    folds = dict(folded(cased))
    for (step, length), pairs in itertools.groupby(sorted(runs_of_folds(folds)), key=lambda run: run[:2]):
        print(f"fold {step:x} {length:x}", *(f"{first:x}-{last:x}" for _, _, first, last in pairs))


def runs(points: Iterable[int]) -> Iterable[tuple[int, int]]:
    """First and last of each run of neighbours."""
    for _, run in itertools.groupby(enumerate(points), key=lambda pair: pair[1] - pair[0]):
        members = [point for _, point in run]
        yield members[0], members[-1]


def folded(cased: pl.Series) -> Iterable[tuple[int, int]]:
    """Each character that is not its class's own sign, and that sign."""
    seen: set[str] = set()
    for character in cased:
        if character in seen:
            continue
        alike = cased.filter(cased.str.contains(f"(?i)^{pl.escape_regex(character)}$")).to_list()
        seen.update(alike)
        sign = min(alike, key=lambda one: (not one.islower() or not one.isascii(), not one.islower(), ord(one)))
        yield from ((ord(one), ord(sign)) for one in alike if one != sign)


def runs_of_folds(folds: dict[int, int]) -> Iterable[tuple[int, int, int, int]]:
    """(distance to the sign, step between the characters, first, last): neighbours, or every second character."""
    for distance, points in itertools.groupby(
        sorted(folds, key=lambda p: (folds[p] - p, p)), key=lambda p: folds[p] - p
    ):
        left = list(points)
        while left:
            first = left.pop(0)
            step = 2 if first + 2 in left and first + 1 not in left else 1
            last = first
            while last + step in left:
                last += step
                left.remove(last)
            yield distance, step, first, last


if __name__ == "__main__":
    main(sys.argv[1])
