"""What Elasticsearch wraps around events: actions of `_bulk` bodies, hits of searches and of dumps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from penstock.intake.shapes import formats, lines, objects


def bulk(pieces: Iterable[bytes], max_bytes: int) -> Iterator[lines.Lines]:
    """The events of a `_bulk` body: lines behind an action, the `doc` of an update; actions are left out.

    A line in an action's place that is none is an event: nothing is left out that might be one.
    """
    action: bytes | None = None
    for number, found in lines.whole(pieces, max_bytes):
        numbers: list[int] = []
        texts: list[bytes] = []
        for place, line in enumerate(found, number):
            if not line or line.isspace():
                continue
            if action is None and (match := formats.ACTION.fullmatch(line)):
                action = match[1] if match[1] != b"delete" else None
                continue
            numbers.append(place)
            texts.append(objects.inner(line, ("doc", "upsert")) if action == b"update" else line)
            action = None
        yield lines.Lines(numbers, texts)


def hits(pieces: Iterable[bytes], max_bytes: int) -> Iterator[lines.Lines]:
    """The `_source` of every line; a line without one is an event itself."""
    for number, found in lines.whole(pieces, max_bytes):
        held = [(place, line) for place, line in enumerate(found, number) if line and not line.isspace()]
        yield lines.Lines([place for place, _ in held], [source(line) for _, line in held])


def source(text: bytes) -> bytes:
    """The `_source` of a hit; the text itself if it has none."""
    return objects.inner(text, ("_source",))
