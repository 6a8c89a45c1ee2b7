"""Reads JSON bodies strictly: a number that JSON lacks, or that no double holds, is a mistake of the request."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

import fastapi
from fastapi import routing


class StrictRequest(fastapi.Request):
    """A request whose `json()` refuses what Python's parser lets pass."""

    async def json(self) -> Any:
        """The body as JSON.

        Raises:
            JSONDecodeError: it is not JSON; also for `NaN`, `Infinity` and numbers beyond a double, such as 1e400,
                which Python would take for infinity.
        """
        if not hasattr(self, "_json"):
            self._json = _parse(await self.body())
        return self._json


class StrictRoute(routing.APIRoute):
    """A route that takes strict JSON only. Every router with bodies uses it."""

    def get_route_handler(self) -> Callable[[fastapi.Request], Coroutine[Any, Any, fastapi.Response]]:
        """The handler, given a `StrictRequest`."""
        handler = super().get_route_handler()

        async def strict(request: fastapi.Request) -> fastapi.Response:
            return await handler(StrictRequest(request.scope, request.receive))

        return strict


def _parse(body: bytes) -> Any:
    def refuse(literal: str, why: str) -> NoReturn:
        text = body.decode("utf-8", "replace")
        raise json.JSONDecodeError(f"{literal[:40]} {why}", text, max(0, text.find(literal)))

    def number(literal: str) -> float:
        value = float(literal)
        if math.isinf(value):
            refuse(literal, "is beyond the range of numbers")
        return value

    # Python's parser takes NaN and Infinity, which JSON lacks, and would answer them in JSON that nobody else can read.
    return json.loads(body, parse_constant=lambda name: refuse(name, "is not JSON"), parse_float=number)
