"""The embedded store: exports as encrypted files under the home folder; no server to install.

    root/
      uploads/ID.json        the record of an upload that is neither finished nor gone
      objects/HASH.json      the index of a finished object; HASH is the SHA-256 of its key
      data/ID/00001-ETAG     a part; ETAG differs for every put, so a put never touches what another receipt stands for
      data/ID.dropped/       parts on their way out
      tmp/  lock

Finishing is one rename into `objects`, whatever the size; deleting is one rename back into `uploads`, then an abort. So
at any kill either the object is there whole, or its upload is listed as unfinished and can be continued or aborted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import hashlib
import os
import pathlib
import re
import secrets
from collections.abc import Iterator, Sequence

from penstock import errors
from penstock.base import clock as clocks
from penstock.base import disk, durable_files
from penstock.storage import naming, part_checks, probing
from penstock.storage.contract import MAX_PARTS, MIN_PART_BYTES, ObjectInfo, Receipt, Upload
from penstock.storage.embedded import crypto
from penstock.storage.embedded import index as embedded_index
from penstock.storage.embedded.signed_urls import UrlSigner
from penstock.storage.keys import CustomerKey

_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StoredObject:
    """A finished object that was opened with the right key.

    Attributes:
        info: as `head` says.
        content_type: as given at `begin`.
        filename: as given at `begin`.
    """

    info: ObjectInfo
    content_type: str
    filename: str


class EmbeddedStore:
    """A `contract.Store` in a folder of this machine. Processes that share the folder share the store.

    Beyond the contract: `complete` takes exactly the puts that its receipts stand for, even if a part was put again
    later, so that a worker that lost its lease cannot spoil the object.

    Args:
        root: its folder; made when first written to.
        signing_key: the service's secret; download URLs are signed under a key derived from it.
        public_url: where clients reach the API.
        clock: the time that uploads are dated and URLs expire by.
        keep_bytes: of its disk, kept back, see `disk.Room`; to complete an upload takes none of the rest.
        min_part_bytes: smallest part save the last; less than S3's only in tests.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        signing_key: bytes,
        public_url: str,
        clock: clocks.Clock,
        min_part_bytes: int = MIN_PART_BYTES,
        keep_bytes: int = 0,
    ) -> None:
        self._root = pathlib.Path(root)
        self._uploads = self._root / "uploads"
        self._objects = self._root / "objects"
        self._parts = self._root / "data"
        self._scratch = self._root / "tmp"
        self._clock = clock
        self._min_part_bytes = min_part_bytes
        self._room = disk.Room(self._root, keep_bytes)
        self.urls = UrlSigner(signing_key, public_url)

    @property
    def clock(self) -> clocks.Clock:
        """The time that URLs expire by."""
        return self._clock

    # Writing

    def begin(self, key: str, customer_key: CustomerKey | None, *, content_type: str, filename: str) -> Upload:
        # Random, and hex only: it becomes a name in a folder.
        upload_id = secrets.token_hex(16)
        salt = crypto.new_salt().hex()
        own_key = None if customer_key else CustomerKey.generate()
        key_used = customer_key or own_key
        assert key_used is not None, "one of the two"
        keys = embedded_index.derive_keys(key_used, salt, upload_id, naming.check_key(key))
        record = embedded_index.Record(
            key=key,
            upload_id=upload_id,
            started_at=self._clock.now(),
            content_type=content_type,
            filename=filename,
            salt=salt,
            check_value=keys.check_value.hex(),
            own_key=own_key.raw.hex() if own_key else None,
        )
        with durable_files.translated(f"Beginning the upload of {key!r}"):
            self._make_folders()
            # The record first: a kill between the two leaves an upload that is listed, and so swept.
            with durable_files.new_file(self._record_path(upload_id), self._scratch) as fd:
                os.write(fd, record.to_bytes())
            durable_files.make_folder(self._parts / upload_id)
        return record.upload

    def put_part(
        self, upload: Upload, number: int, body: bytes | memoryview, customer_key: CustomerKey | None
    ) -> Receipt:
        if not 1 <= number <= MAX_PARTS:
            raise part_checks.refused(f"part {number} is outside 1 to {MAX_PARTS}")
        keys = self._unfinished(upload).keys(customer_key)
        salt = crypto.new_salt()
        plain = memoryview(body).cast("B")
        receipt = Receipt(number=number, etag=salt.hex(), size=len(plain))
        self._room.check(len(plain))
        folder = self._parts / upload.upload_id
        with durable_files.translated(f"Writing part {number} of {upload.key!r}"):
            try:
                # Synced inside: the receipt promises that the part outlives a power cut. No lock: each put has a name
                # of its own.
                with durable_files.new_file(folder / _part_name(receipt), folder) as fd:
                    keys.write_part(fd, number, plain, salt)
            except FileNotFoundError as error:
                raise _upload_missing(upload) from error
        return receipt

    def complete(
        self, upload: Upload, receipts: Sequence[Receipt], customer_key: CustomerKey | None, *, gaps: bool = False
    ) -> ObjectInfo:
        with durable_files.translated(f"Completing {upload.key!r}"), self._locked():
            finished = self._index_if_any(upload.key)
            # A completion whose answer was lost, or that was killed after the rename: done already.
            if finished and finished[0].upload_id == upload.upload_id:
                self._record_path(upload.upload_id).unlink(missing_ok=True)
                index = embedded_index.Index.from_bytes(finished[1], customer_key)[0]
                self._remove_strays(index)  # a kill between the object's appearance and this left them
                return index.info
            record = self._unfinished(upload)
            keys = record.keys(customer_key)
            parts = part_checks.checked(receipts, self._min_part_bytes, gaps=gaps)
            # By size only: to read each part again would double the disk's work, and the chunks' tags are checked when
            # read.
            self._check_files(upload, parts)
            index = embedded_index.Index(record=record, parts=parts, modified_at=self._clock.now())
            self._publish(index, keys, replaced=finished[0] if finished else None)
        # Outside of the lock, and after the object is there: thousands of files may have to go, and others wait.
        with durable_files.translated(f"Tidying after {upload.key!r}"):
            self._remove_strays(index)
            if finished:
                self.abort(finished[0].upload)
        return index.info

    def abort(self, upload: Upload) -> None:
        if not _UPLOAD_ID.fullmatch(upload.upload_id) or not self._record_path(upload.upload_id).exists():
            return
        with durable_files.translated(f"Aborting the upload of {upload.key!r}"):
            with self._locked():
                finished = self._index_if_any(upload.key)
                # A completion was killed between the rename and the record's removal: the parts belong to a finished
                # object.
                if finished and finished[0].upload_id == upload.upload_id:
                    self._record_path(upload.upload_id).unlink(missing_ok=True)
                    return
                self._retire(upload.upload_id)
            self._discard(upload.upload_id)

    def put(
        self, key: str, body: bytes, customer_key: CustomerKey | None, *, content_type: str, filename: str
    ) -> ObjectInfo:
        upload = self.begin(key, customer_key, content_type=content_type, filename=filename)
        try:
            return self.complete(upload, [self.put_part(upload, 1, body, customer_key)], customer_key)
        except errors.StorageError:
            with contextlib.suppress(errors.StorageError):
                self.abort(upload)
            raise

    def delete(self, key: str) -> None:
        path = self._index_path(key)
        if not path.exists():
            return
        with durable_files.translated(f"Deleting {key!r}"):
            with self._locked():
                finished = self._index_if_any(key)
                if finished is None:
                    return
                record_path = self._record_path(finished[0].upload_id)
                # A killed replacement can have left a hard link there, and renaming a file onto itself does nothing.
                record_path.unlink(missing_ok=True)
                # An index begins with all members of its record, so that it can stand as the record of an unfinished
                # upload.
                path.rename(record_path)
                # The new name first: a power cut between the two leaves both names, never none.
                durable_files.sync_folder(self._uploads)
                durable_files.sync_folder(self._objects)
                # Parts leave by one rename inside the lock; to remove them takes long, and happens outside.
                self._retire(finished[0].upload_id)
            self._discard(finished[0].upload_id)

    # Reading

    def presign(self, key: str, customer_key: CustomerKey | None, *, expires_in_seconds: int, filename: str) -> str:
        expires_at = self._clock.now() + dt.timedelta(seconds=expires_in_seconds)
        return self.urls.url(key, customer_key.md5 if customer_key else "", expires_at, filename)

    def head(self, key: str, customer_key: CustomerKey | None) -> ObjectInfo:
        return self.open(key, customer_key).info

    def open(self, key: str, customer_key: CustomerKey | None) -> StoredObject:
        """`head` with what a download says besides.

        Raises:
            ObjectMissing: `object_missing`.
            AccessDenied: `wrong_customer_key`.
            StorageError: `object_damaged`.
        """
        index, _ = self._index(key, customer_key)
        return StoredObject(info=index.info, content_type=index.record.content_type, filename=index.record.filename)

    def read(
        self, key: str, customer_key: CustomerKey | None, *, start: int = 0, end: int | None = None
    ) -> Iterator[bytes]:
        """As the contract says. Existence and key are checked now, not at the first piece."""
        index, keys = self._index(key, customer_key)
        size = index.info.size
        return self._pieces(index, keys, max(0, start), size if end is None else min(end, size))

    def list_unfinished(self, prefix: str = "") -> Iterator[Upload]:
        """As the contract says. Removes on its way scratch files of a day ago, which only a kill can have left."""
        with durable_files.translated("Listing the unfinished uploads"):
            durable_files.remove_older(self._scratch, self._clock.now() - dt.timedelta(days=1))
            names = sorted(path.stem for path in self._uploads.glob("*.json"))
        for upload_id in names:
            record = self._record_if_any(upload_id)
            if record is None or not record.key.startswith(prefix):
                continue
            finished = self._index_if_any(record.key)
            # A record beside a finished object of the same upload is a leftover of a killed completion, no upload.
            if finished is None or finished[0].upload_id != upload_id:
                yield record.upload

    def blocks_customer_keys(self) -> bool:
        return False

    def probe(self, customer_key: CustomerKey | None) -> None:
        probing.probe(self, customer_key, f".probe/{secrets.token_hex(8)}")

    # Files

    def _make_folders(self) -> None:
        for folder in (self._root, self._uploads, self._objects, self._parts, self._scratch):
            durable_files.make_folder(folder)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Serialises the changes of state: short, whatever the size of the object."""
        self._make_folders()
        with durable_files.exclusive(self._root / "lock"):
            yield

    def _record_path(self, upload_id: str) -> pathlib.Path:
        return self._uploads / f"{upload_id}.json"

    def _index_path(self, key: str) -> pathlib.Path:
        return self._objects / f"{hashlib.sha256(key.encode(errors='surrogatepass')).hexdigest()}.json"

    def _record_if_any(self, upload_id: str) -> embedded_index.Record | None:
        with durable_files.translated(f"Reading the record of upload {upload_id}"):
            content = _content_if_any(self._record_path(upload_id))
        return embedded_index.Record.from_bytes(content) if content else None

    def _index_if_any(self, key: str) -> tuple[embedded_index.Record, bytes] | None:
        with durable_files.translated(f"Reading the index of {key!r}"):
            content = _content_if_any(self._index_path(key))
        return (embedded_index.Record.from_bytes(content), content) if content else None

    def _unfinished(self, upload: Upload) -> embedded_index.Record:
        record = self._record_if_any(upload.upload_id) if _UPLOAD_ID.fullmatch(upload.upload_id) else None
        if record is None or record.key != upload.key:
            raise _upload_missing(upload)
        return record

    def _index(self, key: str, customer_key: CustomerKey | None) -> tuple[embedded_index.Index, crypto.ObjectKeys]:
        finished = self._index_if_any(key)
        # A file that somebody moved to another name must not answer for another key.
        if finished is None or finished[0].key != key:
            raise errors.ObjectMissing(
                "object_missing", f"There is no object {key!r}.", "It was deleted, or its download window is over."
            )
        return embedded_index.Index.from_bytes(finished[1], customer_key)

    def _check_files(self, upload: Upload, parts: Sequence[Receipt]) -> None:
        folder = self._parts / upload.upload_id
        for part in parts:
            try:
                held = (folder / _part_name(part)).stat().st_size
            except FileNotFoundError as error:
                raise part_checks.refused(f"the store does not hold part {part.number} as its receipt says") from error
            if held != crypto.sealed_bytes(part.size):
                raise part_checks.refused(f"part {part.number} has not the {part.size} bytes of its receipt")

    def _publish(
        self,
        index: embedded_index.Index,
        keys: crypto.ObjectKeys,
        *,
        replaced: embedded_index.Record | None,
    ) -> None:
        """Makes the object appear. The object it replaces, if any, becomes an unfinished upload again, to be swept."""
        path = self._index_path(index.record.key)
        if replaced:
            with contextlib.suppress(FileExistsError):
                # Before the rename below replaces the file: after a kill in between, both the old object and the new
                # one are known.
                os.link(path, self._record_path(replaced.upload_id))
        with durable_files.new_file(path, self._scratch) as fd:
            content = memoryview(index.to_bytes(keys))
            while content:
                # A write may take less than it was given, on a disk that is nearly full for instance.
                content = content[os.write(fd, content) :]
        self._record_path(index.record.upload_id).unlink(missing_ok=True)

    def _retire(self, upload_id: str) -> None:
        """Puts an upload's parts out of reach: it can be neither continued nor completed. Call it locked."""
        with contextlib.suppress(FileNotFoundError):
            (self._parts / upload_id).rename(self._parts / f"{upload_id}.dropped")

    def _discard(self, upload_id: str) -> None:
        """Removes a retired upload; its record last, so that a kill leaves it listed."""
        durable_files.remove_folder(self._parts / f"{upload_id}.dropped")
        self._record_path(upload_id).unlink(missing_ok=True)

    def _remove_strays(self, index: embedded_index.Index) -> None:
        """Removes puts that were not chosen, and what a kill left of puts."""
        chosen = {_part_name(part) for part in index.parts}
        with contextlib.suppress(FileNotFoundError):
            for path in (self._parts / index.record.upload_id).iterdir():
                if path.name not in chosen:
                    path.unlink(missing_ok=True)

    def _pieces(self, index: embedded_index.Index, keys: crypto.ObjectKeys, start: int, end: int) -> Iterator[bytes]:
        folder = self._parts / index.record.upload_id
        offset = 0
        for part in index.parts:
            first, last = max(0, start - offset), min(part.size, end - offset)
            offset += part.size
            if first >= last:
                continue
            with durable_files.translated(f"Reading {index.record.key!r}"), _opened(folder / _part_name(part)) as fd:
                yield from keys.read_part(fd, part.number, bytes.fromhex(part.etag), part.size, first, last)


def _part_name(part: Receipt) -> str:
    return f"{part.number:05d}-{part.etag}"


def _content_if_any(path: pathlib.Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[int]:
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError as error:
        raise errors.ObjectMissing(
            "object_missing", "The object was deleted while it was read.", "Its download window is over."
        ) from error
    try:
        yield fd
    finally:
        os.close(fd)


def _upload_missing(upload: Upload) -> errors.ObjectMissing:
    return errors.ObjectMissing(
        "upload_missing", f"There is no unfinished upload {upload.upload_id!r} of {upload.key!r}.", "Begin a new one."
    )
