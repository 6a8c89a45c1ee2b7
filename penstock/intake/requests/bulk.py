"""The body of an Elasticsearch `_bulk` request: its actions in order, each with its event."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import IO, NoReturn

import orjson

from penstock import errors

MOST_ITEMS = 200_000
"""Of one request: its answer has an entry for each."""

_TAKEN = ("create", "index")
_NOT_TAKEN = {
    "update": "update is not taken: an event that is in the lake is never changed",
    "delete": "delete is not taken: no single event leaves the lake",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Action:
    """What an action line says.

    Attributes:
        kind: `create`, `index`, `update` or `delete`.
        index: its `_index`; None if it names none.
        id: its `_id`; None if it has none.
    """

    kind: str
    index: str | None
    id: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """An action and the text of its event.

    Attributes:
        action: what is to be done.
        text: one JSON text; empty for `delete`.
        refusal: why it cannot be taken in, whatever its event is; None if it can.
    """

    action: Action
    text: bytes
    refusal: str | None


def parse(body: IO[bytes]) -> list[Item]:
    """All items of a body, in order. Texts of events are not looked at.

    Raises:
        IngestError: `invalid_bulk`: which lines are actions and which are events cannot be told.
        BodyTooLarge: `too_many_items`.
    """
    items: list[Item] = []
    lines = enumerate(body.read().split(b"\n"), 1)
    known: tuple[bytes, Action] | None = None
    for number, line in lines:
        if not line or line.isspace():
            continue
        # Most actions of a request are the same.
        if known is None or known[0] != line:
            known = line, _action(line, number)
        action = known[1]
        text = b""
        if action.kind != "delete":
            place, text = next(lines, (0, b""))
            if not place or (not text and next(lines, None) is None):
                _refuse(number, "is an action without an event behind it: the body ends there")
        refusal = _NOT_TAKEN.get(action.kind)
        if refusal is None and not text.strip():
            refusal = "the line of the event is empty"
        items.append(Item(action, text, refusal))
        if len(items) > MOST_ITEMS:
            raise errors.BodyTooLarge(
                "too_many_items",
                f"The request has more than {MOST_ITEMS:,} items.",
                "Send them in several requests; nothing was taken in.",
            )
    return items


def _action(line: bytes, number: int) -> Action:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        _refuse(number, "should be an action, and is no JSON")
    if type(found) is not dict or len(found) != 1:
        _refuse(number, "should be an action: an object with one member")
    [(kind, about)] = found.items()
    if kind not in (*_TAKEN, *_NOT_TAKEN) or type(about) is not dict:
        _refuse(number, f'should be an action, such as {{"create": {{}}}}, and names {kind[:40]!r}')
    index, own_id = about.get("_index"), about.get("_id")
    return Action(kind, None if index is None else str(index), None if own_id is None else str(own_id))


def _refuse(number: int, what: str) -> NoReturn:
    raise errors.IngestError(
        "invalid_bulk",
        f"Line {number} of the body {what}.",
        'Send pairs of lines, {"create": {}} and the event; nothing was taken in.',
    )


def name_of(items: Sequence[Item]) -> str | None:
    """A batch id for items that all have an `_id`: the same for the same items; None if any lacks one.

    Without ids two events may be alike and still be two; with them, the same request again is a retry.
    """
    digest = hashlib.sha256()
    for item in items:
        if item.action.id is None:
            return None
        # Lengths in front: no two lists of items give the same bytes.
        name = item.action.id.encode(errors="surrogatepass")
        digest.update(b"%d %d " % (len(name), len(item.text)) + name + item.text)
    return f"bulk:{digest.hexdigest()}"
