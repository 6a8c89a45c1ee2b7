"""Tries a store out: a tiny encrypted object is written, read back and deleted."""

from __future__ import annotations

from penstock import errors
from penstock.storage.contract import Store
from penstock.storage.keys import CustomerKey

_CONTENT = b"Penstock was here to see whether an export can be written. This object may be deleted.\n"

_ANOTHER_CONTENT = errors.StorageError(
    "object_damaged", "What came back is not what was written.", "The server cannot be trusted with an export."
)


def probe(store: Store, customer_key: CustomerKey | None, key: str) -> None:
    """Writes, reads back and deletes `key`.

    Raises:
        DestinationError: `destination_not_writable`, saying which of the three failed and why; the store's own
            DestinationError where it says more.
    """
    with _Step("write"):
        store.put(key, _CONTENT, customer_key, content_type="text/plain", filename="penstock-probe.txt")
    try:
        with _Step("read back"):
            content = b"".join(store.read(key, customer_key))
        # A server that knows nothing of SSE-C may ignore the headers; one that keeps other bytes than these is worse.
        if content != _CONTENT:
            raise not_writable("read back", _ANOTHER_CONTENT)
    finally:
        # In `finally`: what was written must go, also where it cannot be read back.
        with _Step("delete"):
            store.delete(key)


class _Step:
    """Translates the StorageError of one step."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, errors.StorageError):
            raise not_writable(self._what, error) from error


def not_writable(what: str, why: errors.StorageError) -> errors.DestinationError:
    """The error of a destination where one step failed; `extra["reason"]` is the code of what failed."""
    return errors.DestinationError(
        "destination_not_writable",
        f"The destination was tried, and the {what} of a tiny object failed: {why.detail}",
        why.hint,
        **{**why.extra, "reason": why.code},
    )
