"""The sources of the wide stream: what each one's events look like, by rules and a seed."""

from __future__ import annotations

import dataclasses
import functools
import json
import random
import re
from collections.abc import Mapping, Sequence

from penstock.samples import wide_messages, wide_words

COUNT = 64
"""Sources: every maker has four products."""

_OWN_FIELDS = (34, 46)
_SHAPES = 12

MARKS = ("time", "epoch", "host", "user", "source", "target", "port", "pid", "number", "id", "hash", "domain", "path")
"""What an event draws for itself: its fields and its message tell of the same host, user and addresses."""

_MARK = re.compile(f"<({'|'.join(MARKS)}|sentence)>")

_SHARED = {
    "event.category": ['"{category}"', '["{category}"]', '["{category}"]'],
    "event.action": ['"{action}"'],
    "event.code": ["<pid>", '"{code}"', '"{code}"'],
    "event.id": ['"<id>"'],
    "event.severity": ["3", '"low"', "7"],
    "event.risk_score": ["<number>", "47.5", "1.50"],
    "event.original": ["{message}"],
    "observer.vendor": ['"{maker}"'],
    "observer.name": ['"<host>"'],
    "source.ip": ['"<source>"'],
    "source.port": ["<port>", "<port>", '"<port>"'],
    "source.bytes": ["<number>"],
    "destination.ip": ['"<target>"'],
    "destination.port": ["443", '"443"', "53"],
    "destination.domain": ['"<domain>"'],
    "user.name": ['"<user>"'],
    "user.id": ['"<pid>"', "<pid>"],
    "host.name": ['"<host>"'],
    "host.ip": ['["<source>"]', '"<source>"'],
    "related.ip": ['["<source>","<target>"]'],
    "related.user": ['["<user>"]'],
    "related.hosts": ['["<host>"]', "null"],
    "url.path": ['"<path>"'],
    "url.domain": ['"<domain>"'],
    "process.pid": ["<pid>"],
    "process.hash.sha256": ['"<hash>"'],
    "process.args": ['["-k","<number>"]', '"-k <number>"'],
    "file.hash.sha256": ['"<hash>"'],
    "dns.answers": ['[{"name":"<domain>","ttl":<pid>,"data":"<target>"}]', "[]"],
    "tags": ['["<domain>","{product}"]'],
    "labels": ['{"team":"<user>","tier":"{code}"}', '"none"'],
    "ProcessId": ["<pid>"],
    "ProcessID": ['"<pid>"'],
}
"""Fields that many sources have, and how: sources differ, as they do everywhere, in type, form and case."""

_OWN = (
    '"{word}"',
    '"{word}-<number>"',
    "<number>",
    "<number>",
    "<number>.{digit}",
    "<number>.0",
    "true",
    '"<time>"',
    "<epoch>",
    '"<source>"',
    '"<hash>"',
    '["{word}","<user>"]',
    "[<pid>,<port>]",
    '[{"{leaf}":"{word}","{other}":<number>},{"{leaf}":null}]',
    '{"{leaf}":"{word}","{other}":[<pid>]}',
    '"<sentence>"',
    "null",
    '"C:\\\\Program Files\\\\{word}\\\\<number>.exe"',
)


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """What some events of a source have in common.

    Attributes:
        template: a line of JSON with a `%s` for every mark.
        marks: the marks in their order.
    """

    template: str
    marks: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """One product of one maker.

    Attributes:
        name: `event.dataset` of its events.
        fields: all names that its events may have.
        shapes: the commonest first.
    """

    name: str
    fields: frozenset[str]
    shapes: Sequence[Shape]


@functools.cache
def sources(seed: int) -> Sequence[Source]:
    """All sources, the same for the same seed."""
    return [_source(random.Random(f"{seed}/{number}"), number) for number in range(COUNT)]


def _source(rng: random.Random, number: int) -> Source:
    maker = wide_words.MAKERS[number // 4]
    product, category, actions = wide_words.PRODUCTS[(number * 5) % len(wide_words.PRODUCTS)]
    name = f"{maker.lower()}.{product}"
    own = _own_fields(rng, name)
    shared = {field: rng.choice(forms) for field, forms in _SHARED.items() if rng.random() < 0.6}
    form = wide_messages.FORMS[number % len(wide_messages.FORMS)]
    is_nested = number % 3 != 0
    time_field = ("timestamp", "eventTime", "ts")[number % 3] if number % 8 == 7 else "@timestamp"
    shapes = []
    for _ in range(_SHAPES):
        action = rng.choice(actions)
        held = [field for place, field in enumerate(own) if rng.random() < 1.4 / (1 + 0.1 * place)]
        leaves = list(dict.fromkeys(field.rpartition(".")[2] for field in held))
        message = json.dumps(form(rng, maker, product, action, leaves), ensure_ascii=False)
        words = {"category": category, "action": action, "code": str(rng.randrange(9999)), "maker": maker}
        words |= {"product": product, "message": message}
        event = {time_field: '"<time>"' if time_field != "ts" else "<epoch>", "event.dataset": f'"{name}"'}
        event |= {field: _filled(text, words) for field, text in shared.items()}
        event |= {field: own[field] for field in held}
        shapes.append(_shape(event | {"message": message}, is_nested=is_nested))
    return Source(name, frozenset({*shared, *own, time_field, "event.dataset", "message"}), shapes)


def _own_fields(rng: random.Random, name: str) -> dict[str, str]:
    """Fields that only this source has, with the forms of their values."""
    fields: dict[str, str] = {}
    wanted = rng.randint(*_OWN_FIELDS)
    while len(fields) < wanted:
        group, leaf, other = rng.choice(wide_words.GROUPS), rng.choice(wide_words.LEAVES), rng.choice(wide_words.LEAVES)
        field = f"{name}.{group}.{leaf}" if rng.random() < 0.95 else f"{name}.{group}"  # also a value and a prefix
        if other != leaf:
            words = {"word": rng.choice(wide_words.GROUPS), "leaf": leaf, "other": other, "digit": rng.randrange(1, 9)}
            fields[field] = _filled(rng.choice(_OWN), words)
    return fields


def _filled(text: str, words: Mapping[str, object]) -> str:
    for word, value in words.items():
        text = text.replace(f"{{{word}}}", str(value))
    return text


def _shape(event: Mapping[str, str], *, is_nested: bool) -> Shape:
    text = _written(_tree(event) if is_nested else event)
    marks = tuple(_MARK.findall(text))
    return Shape(_MARK.sub("%s", text.replace("%", "%%")), marks)


def _tree(event: Mapping[str, str]) -> dict[str, object]:
    """Dotted names as objects; what lies below a value keeps its dots."""
    root: dict[str, object] = {}
    for name, value in sorted(event.items()):
        at, rest = root, name
        while "." in rest:
            first, _, after = rest.partition(".")
            inner = at.setdefault(first, {})
            if not isinstance(inner, dict):
                break
            at, rest = inner, after
        at[rest] = value
    return root


def _written(value: object) -> str:
    if isinstance(value, str):
        return value
    assert isinstance(value, Mapping)
    return "{" + ",".join(f"{json.dumps(name)}:{_written(inner)}" for name, inner in value.items()) + "}"
