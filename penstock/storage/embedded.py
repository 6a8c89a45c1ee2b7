"""The embedded store: exports as encrypted files under the home folder; no server to install."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from penstock import clock as clocks
from penstock.storage.contract import ObjectInfo, Receipt, Upload
from penstock.storage.keys import CustomerKey


class EmbeddedStore:
    """A `contract.Store` in a folder of this machine."""

    def __init__(
        self, root: str | os.PathLike[str], *, signing_key: bytes, public_url: str, clock: clocks.Clock
    ) -> None:
        raise NotImplementedError
