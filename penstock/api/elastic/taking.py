"""A `_bulk` request into the lake: each community's items are one body of intake, and each item gets its answer."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import time
from collections.abc import Mapping, Sequence
from typing import IO, Self

import orjson

from penstock import errors
from penstock.api import bodies, context
from penstock.api.elastic import answers, callers
from penstock.api.intake import gathering
from penstock.intake import readers
from penstock.intake.requests import bulk, groups

MOST_BYTES = 32 * 1024 * 1024
"""Of a request, after unpacking; it is held whole. Less where `request_max_bytes` is less."""

_Outcomes = Mapping[str, groups.Taken | errors.PenstockError]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A `_bulk` request whose items are known.

    Attributes:
        items: all of them.
        shares: what each community is brought.
        refused: of each item why it may not be taken in; None if it may.
        names: of each item the index to name in the answer.
    """

    items: Sequence[bulk.Item]
    shares: Mapping[str, Share]
    refused: Sequence[answers.ItemError | None]
    names: Sequence[str]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """The items of one community.

    Attributes:
        places: theirs in the request.
        body: their events; its lines are numbered by the places, from 1.
        bytes: what it takes in memory.
    """

    places: Sequence[int]
    body: groups.Body
    bytes: int

    @classmethod
    def of(cls, items: Sequence[bulk.Item], places: Sequence[int]) -> Self:
        """Those of a request's items."""
        own = [items[place] for place in places]
        lines = readers.Lines([place + 1 for place in places], [item.text for item in own])
        body = groups.Body(items=lambda: [lines], batch_id=bulk.name_of(own), details=len(own))
        return cls(places=places, body=body, bytes=sum(len(item.text) for item in own))


def read(body: IO[bytes], mine: callers.Mine, index: str | None) -> Request:
    """The items of a body, and whose they are.

    Args:
        index: the one in the path, if there is one: all items are its.

    Raises:
        IngestError: `invalid_bulk`.
        BodyTooLarge: `too_many_items`.
        NotFound: `community_not_found`: of the index in the path.
    """
    items = bulk.parse(body)
    whole = None if index is None else mine.named(index)
    places: dict[str, list[int]] = {}
    refused: list[answers.ItemError | None] = []
    names = []
    for place, item in enumerate(items):
        error = None if item.refusal is None else answers.ItemError(400, "illegal_argument_exception", item.refusal)
        name = index or item.action.index or ""
        try:
            community_uuid = whole or mine.meant(item.action.index)
            name = name or mine.names[community_uuid]
            if error is None:
                places.setdefault(community_uuid, []).append(place)
        except errors.Refused as refusal:
            error = error or answers.of_fault(refusal)
        refused.append(error)
        names.append(name)
    shares = {one: Share.of(items, own) for one, own in places.items()}
    return Request(items=items, shares=shares, refused=refused, names=names)


async def take(
    here: context.Context,
    actor: str,
    mine: callers.Mine,
    sent: IO[bytes],
    *,
    encoding: str,
    index: str | None,
    filter_path: str,
) -> bytes:
    """Takes in what a request brings; its answer as JSON, once all that was accepted is in the lake for good.

    Where a fault left nothing of the request in the lake, it is the request's; where only one of several communities
    met it, that of its items.

    Raises:
        what `read`, `bodies.unpacked` and `intaking.Intake.take` raise.
    """
    began = time.monotonic()
    small = await here.run_light(_read_small, sent, encoding, mine, index)
    if small is not None:
        request, outcomes = small, await _take_small(here, actor, small)
    else:
        request, outcomes = await here.intake.shares.run(
            actor, functools.partial(_take_large, here, sent, encoding, mine, index)
        )
        by_community = {one: {actor: [taken]} for one, taken in outcomes.items() if isinstance(taken, groups.Taken)}
        for community_uuid, by_actor in by_community.items():
            await here.run_light(here.intake.record, community_uuid, by_actor)
    took_ms = round((time.monotonic() - began) * 1000)
    # On a thread: there may be many items.
    return await here.run_light(_answer, request, outcomes, took_ms, filter_path)


def _read_small(sent: IO[bytes], encoding: str, mine: callers.Mine, index: str | None) -> Request | None:
    """None if the body is not small: then it may only be held on one of few threads."""
    try:
        with bodies.unpacked(sent, encoding, gathering.MOST_BODY_BYTES) as body:
            if body.seek(0, 2) > gathering.MOST_BODY_BYTES:
                return None
            body.seek(0)
            return read(body, mine, index)
    except errors.BodyTooLarge:
        return None
    finally:
        sent.seek(0)


def _take_large(
    here: context.Context, sent: IO[bytes], encoding: str, mine: callers.Mine, index: str | None
) -> tuple[Request, _Outcomes]:
    with bodies.unpacked(sent, encoding, most_bytes(here)) as body:
        request = read(body, mine, index)
    outcomes: dict[str, groups.Taken | errors.PenstockError] = {}
    for community_uuid, share in request.shares.items():
        try:
            outcomes[community_uuid] = here.intake.take_one(community_uuid, share.body)
        except errors.PenstockError as error:
            outcomes[community_uuid] = error
    return request, outcomes


def most_bytes(here: context.Context) -> int:
    """The bound on a request's body, before and after unpacking."""
    return min(MOST_BYTES, here.services.settings.request_max_bytes)


async def _take_small(here: context.Context, actor: str, request: Request) -> _Outcomes:
    async def one(community_uuid: str, share: Share) -> groups.Taken | errors.PenstockError:
        alone = functools.partial(here.intake.take_one, community_uuid, share.body)
        try:
            taken = await here.intake.take(actor, community_uuid, share.body, share.bytes, alone)
            # A repeat in a group tells no rejects; the shipper that sends again must learn of them now.
            return await here.intake.shares.run(actor, alone) if taken.is_repeat else taken
        except errors.PenstockError as error:
            return error

    found = await asyncio.gather(*(one(*each) for each in request.shares.items()))
    return dict(zip(request.shares, found, strict=True))


def _answer(request: Request, outcomes: _Outcomes, took_ms: int, filter_path: str) -> bytes:
    faults = [one for one in outcomes.values() if isinstance(one, errors.PenstockError)]
    if faults and len(faults) == len(outcomes):
        raise faults[0]
    refused = list(request.refused)
    for community_uuid, outcome in outcomes.items():
        if isinstance(outcome, errors.PenstockError):
            error = answers.of_fault(outcome)
            for place in request.shares[community_uuid].places:
                refused[place] = error
        else:
            for reject in outcome.rejects:
                said = f"{reject.code}: {reject.reason}"
                refused[reject.line - 1] = answers.ItemError(400, "document_parsing_exception", said)
    answer = answers.of_bulk(request.items, refused, request.names, took_ms)
    return orjson.dumps(answers.filtered(answer, filter_path))
