"""Checks a list of fields before anything is started: explicit names, each known, each once."""

from __future__ import annotations

import collections
import dataclasses
import difflib
import functools
import heapq
from collections.abc import Container, Iterable, Sequence

from penstock import errors
from penstock.fields import registry

TIMESTAMP_ALIAS = "timestamp"
"""Means `@timestamp`, under this name, where events have no field of that name: events of the reference platform have
it, and its clients ask for it."""

_SUGGESTIONS = 5
_LISTED = 5
_SEARCHED = 20  # unknown names that close matches are looked for: 10 ms each among 6,000 fields
_COMPARED = 40
_PAIRS = 16
_LONGEST_SEARCHED = 200
_MOST_ANSWERS = 256
_COMMONEST = (
    "@timestamp",
    "message",
    "event.category",
    "event.action",
    "source.ip",
    "source.port",
    "destination.ip",
    "destination.port",
    "user.name",
    "host.name",
)


def check(selection: Sequence[str], known: Container[str]) -> tuple[str, ...]:
    """The selection as a tuple, in its order, if every name can be exported.

    A name is known if ECS has it, if `known` (the table's columns and overflow names) contains it, or if it is
    `TIMESTAMP_ALIAS`.
    When `known` can be iterated, its names are also suggested.

    Raises:
        FieldSelectionError: `empty_selection`, `wildcard_not_supported`, `duplicate_field` or `unknown_field`
            (looked for in this order). `extra["fields"]` lists every name that is wrong in that way;
            `unknown_field` also has `extra["suggestions"]`: name -> close matches, of the first 20 names.
    """
    names = tuple(selection)
    if not names:
        raise errors.FieldSelectionError(
            "empty_selection",
            "The list of fields is empty.",
            "Name at least one field, or leave the list out for the default fields.",
            fields=[],
        )
    # Wildcards first: as unknown fields they would be met with suggestions, and nobody would learn what is wrong.
    _refuse_wildcards(names, known)
    _refuse_duplicates(names)
    _refuse_unknown(names, known)
    return names


def close_to(name: str, known: Container[str]) -> list[str]:
    """Fields that `name` probably means, the closest first, 5 at most: of ECS, and of `known` if it can be iterated."""
    return _names_of(known).close_to(name)


def _is_known(name: str, known: Container[str]) -> bool:
    return name in known or name == TIMESTAMP_ALIAS or name in registry.ECS


def _refuse_wildcards(names: Sequence[str], known: Container[str]) -> None:
    """A name with `*` or `?` is a wildcard, unless an event brought a field of that very name."""
    wrong = [name for name in names if ("*" in name or "?" in name) and not _is_known(name, known)]
    if wrong:
        raise errors.FieldSelectionError(
            "wildcard_not_supported",
            f"Wildcards are not supported in field names: {_quoted(wrong)}.",
            "Name each field; `penstock fields MATCH` lists them.",
            fields=wrong,
        )


def _refuse_duplicates(names: Sequence[str]) -> None:
    wrong = [name for name, times in collections.Counter(names).items() if times > 1]
    if wrong:
        raise errors.FieldSelectionError(
            "duplicate_field",
            f"Named more than once: {_quoted(wrong)}.",
            "Name each field once.",
            fields=wrong,
        )


def _refuse_unknown(names: Sequence[str], known: Container[str]) -> None:
    wrong = [name for name in names if not _is_known(name, known)]
    if not wrong:
        return
    candidates = _names_of(known)
    suggestions = {name: candidates.close_to(name) for name in wrong[:_SEARCHED]}
    raise errors.FieldSelectionError(
        "unknown_field",
        f"Unknown field{'s' if len(wrong) > 1 else ''}: {_quoted(wrong)}.",
        " ".join(hint_for(name, suggestions[name]) for name in wrong[:_LISTED]),
        fields=wrong,
        suggestions=suggestions,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Names:
    """Names that can be suggested.

    Attributes:
        written: each as events have it, ECS's first.
        lower: lower case -> name.
        answers: what was asked and found.
    """

    written: list[str]
    lower: dict[str, str]
    answers: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def close_to(self, name: str) -> list[str]:
        """Fields that `name` probably means."""
        found = self.answers.get(name)
        if found is None:
            found = tuple(_suggest(name, self.written, self.lower))
            # Who asks for something else each time gains nothing, and must not fill the memory.
            if len(self.answers) >= _MOST_ANSWERS:
                self.answers.clear()
            if len(name) <= _LONGEST_SEARCHED:
                self.answers[name] = found
        return list(found)


def _names_of(known: Container[str]) -> _Names:
    return _names(frozenset(known if isinstance(known, Iterable) else ()))


# Two milliseconds for thousands of names. The tables of two communities, and their versions before.
@functools.lru_cache(maxsize=4)
def _names(known: frozenset[str]) -> _Names:
    written = [*registry.ECS, *sorted(known.difference(registry.ECS))]
    return _Names(written, {name.lower(): name for name in written})


def _suggest(name: str, written: Sequence[str], lower: dict[str, str]) -> list[str]:
    """Fields of an object, the commonest first; else the closest names."""
    # `source` is asked for by people who know nested events; its fields help more than names that look alike.
    start = f"{name}."
    members = [candidate for candidate in written if candidate.startswith(start)]
    if members:
        members.sort(key=_place)
        return members[:_SUGGESTIONS]
    # difflib takes quadratic time, and the name is anybody's text.
    if len(name) > _LONGEST_SEARCHED:
        return []
    close = difflib.get_close_matches(name.lower(), _near(name.lower(), list(lower)), n=_SUGGESTIONS, cutoff=0.6)
    suffix = f".{name.lower()}"
    ends_alike = sorted((lower[key] for key in lower if key.endswith(suffix)), key=_place)
    return list(dict.fromkeys([*(lower[key] for key in close), *ends_alike]))[:_SUGGESTIONS]


def _near(name: str, candidates: Sequence[str]) -> list[str]:
    """The candidates that share the most pairs of letters with the name, for their number: of thousands of names, few
    are worth comparing letter by letter, which takes longer by a hundred."""
    shared = [0] * len(candidates)
    for at in range(0, max(1, len(name) - 1), 1 + len(name) // _PAIRS):
        pair = name[at : at + 2]
        shared = [number + (pair in candidate) for number, candidate in zip(shared, candidates, strict=True)]
    size = len(name)
    scored = [number / (len(candidate) + size) for number, candidate in zip(shared, candidates, strict=True)]
    return [candidates[place] for place in heapq.nlargest(_COMPARED, range(len(candidates)), key=scored.__getitem__)]


def _place(member: str) -> tuple[int, int, str]:
    """Where a name comes among those that fit alike."""
    return _rank(member), member.count("."), member


def _rank(name: str) -> int:
    return _COMMONEST.index(name) if name in _COMMONEST else len(_COMMONEST)


def hint_for(name: str, suggested: Sequence[str]) -> str:
    """A sentence about an unknown name and the fields it is close to."""
    if suggested and suggested[0].startswith(f"{name}."):
        return f"`{name}` is an object; list its fields, such as {', '.join(suggested)}."
    if suggested:
        return f"Instead of `{name}`, did you mean {' or '.join(suggested[:3])}?"
    return f"Nothing is like `{name}`; `penstock fields MATCH` lists the fields."


def _quoted(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_LISTED])
    return shown if len(names) <= _LISTED else f"{shown} and {len(names) - _LISTED} more"
