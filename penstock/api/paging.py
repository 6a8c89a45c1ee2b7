"""How long a page of a list may be, and where it may begin: the same for every list."""

from __future__ import annotations

from typing import Annotated

import fastapi

MAX_LIMIT = 1000
# Python's integers have no end, those of the databases do: an OFFSET beyond 64 bits would be a fault of the service.
MAX_OFFSET = 1_000_000_000

Limit = Annotated[int, fastapi.Query(ge=1, le=MAX_LIMIT, description="Most items of the page.")]
Offset = Annotated[int, fastapi.Query(ge=0, le=MAX_OFFSET, description="Items to skip, newest first.")]
