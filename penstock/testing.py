"""Public fakes for tests of the product and of programs built on it: a clock to turn by hand, a store, a tiny lake."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime as dt
import itertools
import secrets
import threading
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from penstock import errors
from penstock.base import clock as clocks
from penstock.fields import values
from penstock.intake import ingest
from penstock.lake import table
from penstock.storage import naming, part_checks, probing
from penstock.storage.contract import MAX_PARTS, MIN_PART_BYTES, ObjectInfo, Receipt, Upload
from penstock.storage.keys import CustomerKey


class ManualClock:
    """A clock that stands still until it is told to move. Waiting moves it, at once."""

    def __init__(self, now: dt.datetime = dt.datetime(2026, 1, 15, 12, tzinfo=dt.UTC)) -> None:
        self._now = now
        self._monotonic = 0.0
        self._lock = threading.Lock()

    def now(self) -> dt.datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def wait(self, event: threading.Event, timeout_seconds: float) -> bool:
        # Moves on at once: a test of an hour's pause takes no time.
        if not event.is_set():
            self.advance(timeout_seconds)
        return event.is_set()

    def advance(self, seconds: float) -> None:
        """Moves the time forward."""
        with self._lock:
            self._now += dt.timedelta(seconds=seconds)
            self._monotonic += seconds


@dataclasses.dataclass(slots=True)
class _MemoryUpload:
    upload: Upload
    customer_key: MaybeKey
    filename: str
    parts: dict[int, tuple[Receipt, bytes]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class _MemoryObject:
    info: ObjectInfo
    upload_id: str
    customer_key: MaybeKey
    filename: str
    content: bytes


MaybeKey = CustomerKey | None


class MemoryStore:
    """A `storage.Store` in memory, honest to the contract, that fails when told to.

    Args:
        clock: dates uploads and objects.
        min_part_bytes: smallest part save the last; tests may lower it.

    Attributes:
        calls: how often each call was made.
    """

    def __init__(self, *, clock: clocks.Clock | None = None, min_part_bytes: int = MIN_PART_BYTES) -> None:
        self.calls: collections.Counter[str] = collections.Counter()
        self._clock = clock or clocks.SystemClock()
        self._min_part_bytes = min_part_bytes
        self._uploads: dict[str, _MemoryUpload] = {}
        self._objects: dict[str, _MemoryObject] = {}
        self._failures: dict[str, collections.deque[tuple[BaseException, bool]]] = {}
        # Never the same twice, even for equal bytes: a caller that takes an ETag for a digest is found out.
        self._etags = itertools.count(1)
        self._lock = threading.RLock()

    def fail_next(self, call: str, error: BaseException, *, times: int = 1, after_effect: bool = False) -> None:
        """The next `times` calls of `call` (a method's name) raise `error`.

        `after_effect`: the call does its work first, as when an answer is lost on its way.
        """
        self._failures.setdefault(call, collections.deque()).extend([(error, after_effect)] * times)

    def content(self, key: str) -> bytes:
        """A finished object's plain bytes, without its key."""
        return self._objects[key].content

    def keys(self) -> list[str]:
        """Keys of the finished objects, sorted."""
        return sorted(self._objects)

    def begin(self, key: str, customer_key: MaybeKey, *, content_type: str, filename: str) -> Upload:
        with self._call("begin"):
            upload = Upload(key=naming.check_key(key), upload_id=secrets.token_hex(16), started_at=self._clock.now())
            self._uploads[upload.upload_id] = _MemoryUpload(upload, customer_key, filename)
            return upload

    def put_part(self, upload: Upload, number: int, body: bytes | memoryview, customer_key: MaybeKey) -> Receipt:
        with self._call("put_part"):
            if not 1 <= number <= MAX_PARTS:
                raise part_checks.refused(f"part {number} is outside 1 to {MAX_PARTS}")
            held = self._unfinished(upload, customer_key)
            content = bytes(body)
            receipt = Receipt(number=number, etag=f"memory-{next(self._etags)}", size=len(content))
            held.parts[number] = (receipt, content)
            return receipt

    def complete(
        self, upload: Upload, receipts: Sequence[Receipt], customer_key: MaybeKey, *, gaps: bool = False
    ) -> ObjectInfo:
        with self._call("complete"):
            finished = self._objects.get(upload.key)
            if finished and finished.upload_id == upload.upload_id:
                return self._opened(upload.key, customer_key).info
            held = self._unfinished(upload, customer_key)
            parts = part_checks.checked(receipts, self._min_part_bytes, gaps=gaps)
            for part in parts:
                # As S3: of a part that was put again only the newest receipt is good.
                if part.number not in held.parts or held.parts[part.number][0] != part:
                    raise part_checks.refused(f"the store does not hold part {part.number} as its receipt says")
            content = b"".join(held.parts[part.number][1] for part in parts)
            info = ObjectInfo(
                key=upload.key,
                size=len(content),
                etag=f"memory-object-{next(self._etags)}",
                modified_at=self._clock.now(),
            )
            self._objects[upload.key] = _MemoryObject(info, upload.upload_id, customer_key, held.filename, content)
            del self._uploads[upload.upload_id]
            return info

    def abort(self, upload: Upload) -> None:
        with self._call("abort"):
            self._uploads.pop(upload.upload_id, None)

    def put(self, key: str, body: bytes, customer_key: MaybeKey, *, content_type: str, filename: str) -> ObjectInfo:
        with self._call("put"):
            info = ObjectInfo(
                key=naming.check_key(key),
                size=len(body),
                etag=f"memory-object-{next(self._etags)}",
                modified_at=self._clock.now(),
            )
            self._objects[key] = _MemoryObject(info, "", customer_key, filename, bytes(body))
            return info

    def presign(self, key: str, customer_key: MaybeKey, *, expires_in_seconds: int, filename: str) -> str:
        with self._call("presign"):
            expires_at = self._clock.now() + dt.timedelta(seconds=expires_in_seconds)
            query = urllib.parse.urlencode({"expires": int(expires_at.timestamp()), "filename": filename})
            return f"memory://store/{urllib.parse.quote(key)}?{query}"

    def head(self, key: str, customer_key: MaybeKey) -> ObjectInfo:
        with self._call("head"):
            return self._opened(key, customer_key).info

    def read(self, key: str, customer_key: MaybeKey, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        with self._call("read"):
            # At the call, not at the first piece, as the contract says.
            content = self._opened(key, customer_key).content[max(0, start) : end]
        piece_bytes = 1024 * 1024
        return (content[offset : offset + piece_bytes] for offset in range(0, len(content), piece_bytes))

    def delete(self, key: str) -> None:
        with self._call("delete"):
            self._objects.pop(key, None)

    def list_unfinished(self, prefix: str = "") -> Iterator[Upload]:
        with self._call("list_unfinished"):
            uploads = [held.upload for held in self._uploads.values() if held.upload.key.startswith(prefix)]
        return iter(uploads)

    def blocks_customer_keys(self) -> bool:
        return False

    def probe(self, customer_key: MaybeKey) -> None:
        with self._call("probe"):
            probing.probe(self, customer_key, f".probe/{secrets.token_hex(8)}")

    @contextlib.contextmanager
    def _call(self, name: str) -> Iterator[None]:
        with self._lock:
            self.calls[name] += 1
            planned = self._failures.get(name)
            # Taken before the work, so that `times` counts calls and not successes.
            error, after_effect = planned.popleft() if planned else (None, False)
            if error and not after_effect:
                raise error
            yield
            if error:
                raise error

    def _unfinished(self, upload: Upload, customer_key: MaybeKey) -> _MemoryUpload:
        held = self._uploads.get(upload.upload_id)
        if held is None or held.upload.key != upload.key:
            raise errors.ObjectMissing(
                "upload_missing", f"There is no unfinished upload {upload.upload_id!r}.", "Begin a new one."
            )
        if held.customer_key != customer_key:
            raise _wrong_key(upload.key)
        return held

    def _opened(self, key: str, customer_key: MaybeKey) -> _MemoryObject:
        if key not in self._objects:
            raise errors.ObjectMissing("object_missing", f"There is no object {key!r}.", "It was deleted.")
        if self._objects[key].customer_key != customer_key:
            raise _wrong_key(key)
        return self._objects[key]


def tiny_lake(
    folder: str,
    events: Iterable[Mapping[str, Any]],
    *,
    community_uuid: str = "00000000-0000-4000-8000-000000000001",
    clock: clocks.Clock | None = None,
) -> table.EventTable:
    """An event table in `folder` that holds these events (nested or dotted), taken in as one file is.

    An event without a usable `@timestamp` gets the clock's time (None: a `ManualClock`'s).

    Raises:
        ValueError: an event was rejected.
    """
    made = table.EventTable(folder, community_uuid)
    lines = (f"{values.dumps(dict(event))}\n".encode() for event in events)
    report = ingest.ingest_stream(made, lines, clock=clock or ManualClock())
    if report.rejected:
        raise ValueError(f"{report.rejected} of the events cannot be taken in")
    return made


def _wrong_key(key: str) -> errors.AccessDenied:
    return errors.AccessDenied(
        "wrong_customer_key",
        f"The customer key is not the one that {key!r} was encrypted with.",
        "Use the key that was shown when the export was started.",
    )
