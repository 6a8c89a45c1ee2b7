"""Master keys: what seals secrets at rest, and what keys for signing are derived from.

Two kinds of key, since they live differently. A *sealing key* is replaced now and then: the first one listed seals, all
listed ones unseal, and a sealed blob says which it needs. The *root* never changes: keys for signing URLs and manifests
are derived from it, so that a URL given out before a rotation still works after it, and so does the public key by
which people check manifests. (Were they derived from the sealing key, each rotation would break both.)

Text form, in the file `master.key` of the home folder (mode 0600) as in the setting `master_key`, lines or commas:

    root:BASE64              the root
    k2:BASE64                the active sealing key
    k1:BASE64                an older one, kept until nothing is sealed with it

A setting that is one bare BASE64 is a sealing key whose root is derived from it; the first rotation writes the root
out.
"""

from __future__ import annotations

import base64
import binascii
import collections
import contextlib
import hashlib
import os
import pathlib
import re
import secrets

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from penstock import errors
from penstock import settings as settings_module
from penstock.base import durable_files
from penstock.control.schema import tables

KEY_BYTES = 32
FILE_NAME = "master.key"

_ROOT = "root"
_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
_FORMAT = 1
_NONCE_BYTES = 12
_FILE_HEADER = (
    "# Penstock's master key. Whoever has it can unseal secrets of running exports and sign in the service's name.\n"
    "# Back it up apart from the database; without it running exports cannot go on and manifests get a new signer.\n"
)


def customer_key_context(task_uuid: str) -> str:
    """What an export's customer key is sealed to."""
    return f"export/{task_uuid}/customer-key"


def destination_context(task_uuid: str) -> str:
    """What the settings of an export's customer bucket are sealed to."""
    return f"export/{task_uuid}/destination"


class MasterKeys:
    """The keys in force. Prints no secret; immutable but for picking up, from the file, keys it does not know yet."""

    def __init__(self, root: bytes, sealing: dict[str, bytes], path: pathlib.Path | None = None) -> None:
        self._root = root
        self._sealing = sealing
        self._path = path

    def __repr__(self) -> str:
        return f"MasterKeys({', '.join(self._sealing)})"

    def __reduce__(self) -> str:
        raise TypeError("master keys are not pickled")

    @classmethod
    def load(cls, settings: settings_module.Settings) -> MasterKeys:
        """The keys of the setting `master_key`, or else of the home's file.

        Raises:
            ConfigurationError: `master_key_missing`, `master_key_invalid`, `master_key_exposed` (others may read it).
        """
        text = settings.master_key.reveal()
        if text:
            return cls.parse(text)
        return cls._read(settings.home / FILE_NAME)

    @classmethod
    def create(cls, home: pathlib.Path) -> MasterKeys:
        """New keys, saved in the home's file; one that is already there is loaded instead, never replaced.

        Raises ConfigurationError as `load`, and `master_key_not_writable`.
        """
        path = home / FILE_NAME
        # A root of its own, apart from the first sealing key: only so can that key be dropped later.
        made = cls(secrets.token_bytes(KEY_BYTES), {_fresh_id({}): secrets.token_bytes(KEY_BYTES)}, path)
        temporary = made._write_beside(path)
        try:
            os.link(temporary, path)  # atomic, and fails if another process was first
        except FileExistsError:
            return cls._read(path)
        finally:
            temporary.unlink()
        return made

    @classmethod
    def parse(cls, text: str, path: pathlib.Path | None = None) -> MasterKeys:
        """Keys from their text form. Raises ConfigurationError `master_key_invalid`, which quotes no key."""
        lines = [line for line in re.split(r"[,\n]", text) if line.strip() and not line.lstrip().startswith("#")]
        entries: dict[str, bytes] = {}
        for line in lines:
            # The last colon: base64 has none, and an entry without a name has no colon at all.
            name, _, value = line.strip().rpartition(":")
            key = _decode(value.strip())
            name = name.strip() or hashlib.sha256(key).hexdigest()[:8]
            if not _ID.fullmatch(name) or name in entries:
                raise _invalid(f"the key id {name!r} is not 1 to 32 letters, digits, - or _, or comes twice")
            entries[name] = key
        root = entries.pop(_ROOT, None)
        if not entries:
            raise _invalid("it holds no sealing key")
        if root is None and len(entries) > 1:
            raise _invalid("it holds several sealing keys but no `root:` entry, as `penstock keys rotate` prints it")
        return cls(root or _derive(next(iter(entries.values())), _ROOT, KEY_BYTES), entries, path)

    def text(self) -> str:
        """The text form, one line an entry: a secret, for the operator's secret store."""
        entries = {_ROOT: self._root} | self._sealing
        return "".join(f"{name}:{base64.b64encode(key).decode()}\n" for name, key in entries.items())

    @property
    def active_id(self) -> str:
        """Id of the key that seals."""
        return next(iter(self._sealing))

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of all sealing keys, the active one first."""
        return tuple(self._sealing)

    def seal(self, plain: bytes, context: str) -> bytes:
        """AES-256-GCM under the active key: opens only with that key and for the same `context`."""
        # The head is authenticated too, so that nobody can relabel a blob with another key id. The context binds a blob
        # to its export and column: copied to another row it does not open.
        head = bytes([_FORMAT, len(self.active_id)]) + self.active_id.encode()
        # 96 random bits are safe for 2^32 messages a key (NIST SP 800-38D, 8.3); a key seals two an export.
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return head + nonce + AESGCM(self._sealing[self.active_id]).encrypt(nonce, plain, head + context.encode())

    def unseal(self, blob: bytes, context: str) -> bytes:
        """What was sealed.

        A key id that is not known is looked for in the file once more, since another process may have rotated.

        Raises:
            MasterKeyUnknown: `master_key_unknown`.
            ConfigurationError: `seal_broken` (changed, or another context).
        """
        key_id = key_id_of(blob)
        if key_id not in self._sealing:
            self._reload()
        if key_id not in self._sealing:
            raise errors.MasterKeyUnknown(
                "master_key_unknown",
                f"A secret is sealed with the master key {key_id!r}, which is not configured.",
                "Add the key again, after the active one, until `penstock keys reseal` has resealed what needs it.",
                key_id=key_id,
            )
        head, rest = blob[: 2 + len(key_id)], blob[2 + len(key_id) :]
        try:
            return AESGCM(self._sealing[key_id]).decrypt(
                rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], head + context.encode()
            )
        except (InvalidTag, ValueError) as error:
            raise _broken() from error

    def derive(self, purpose: str, length: int = KEY_BYTES) -> bytes:
        """A key for one purpose, of the root by HKDF-SHA-256: the same on every process and after every rotation."""
        # The prefix keeps purposes apart from `_ROOT`, which `parse` derives from a bare sealing key.
        return _derive(self._root, f"derive/{purpose}", length)

    def rotated(self) -> MasterKeys:
        """These keys with a fresh active one in front; save, then `reseal_all`, then `without_unused`."""
        fresh = {_fresh_id(self._sealing): secrets.token_bytes(KEY_BYTES)}
        return MasterKeys(self._root, fresh | self._sealing, self._path)

    def with_known(self) -> MasterKeys:
        """These keys and a fresh one that opens and does not seal: the first step where several processes rotate."""
        fresh = {_fresh_id(self._sealing): secrets.token_bytes(KEY_BYTES)}
        return MasterKeys(self._root, self._sealing | fresh, self._path)

    def with_active(self, key_id: str | None = None) -> MasterKeys:
        """These keys, sealing with the one named, or with the newest: the second step, once every process knows it.

        Raises MasterKeyUnknown.
        """
        chosen = _newest(self.ids) if key_id is None else self._known(key_id)
        return MasterKeys(self._root, {chosen: self._sealing[chosen]} | self._sealing, self._path)

    def without(self, key_id: str) -> MasterKeys:
        """These keys without one that does not seal; whether it is in use is the caller's to know.

        Raises MasterKeyUnknown; Conflict `master_key_in_use`, it is the active one.
        """
        if self._known(key_id) == self.active_id:
            raise errors.Conflict(
                "master_key_in_use",
                f"The key {key_id!r} is the active one.",
                "Make another one active first: penstock keys activate.",
            )
        kept = {name: key for name, key in self._sealing.items() if name != key_id}
        return MasterKeys(self._root, kept, self._path)

    def _known(self, key_id: str) -> str:
        if key_id not in self._sealing:
            raise errors.MasterKeyUnknown(
                "master_key_unknown",
                f"There is no master key {key_id!r} among {', '.join(self.ids)}.",
                "`penstock keys list` shows those that are known.",
                key_id=key_id,
            )
        return key_id

    def without_unused(self, in_use: frozenset[str]) -> MasterKeys:
        """These keys without those that neither seal nor are `in_use` (`key_ids_in_use`)."""
        kept = {name: key for name, key in self._sealing.items() if name == self.active_id or name in in_use}
        return MasterKeys(self._root, kept, self._path)

    def save(self, home: pathlib.Path) -> None:
        """Replaces the home's file atomically. Raises ConfigurationError `master_key_not_writable`."""
        # Written and synced beside, then renamed: a crash leaves the old file or the new one, never half a key. The
        # folder is synced last, since a rename is durable only with it.
        temporary = self._write_beside(home / FILE_NAME)
        temporary.replace(home / FILE_NAME)
        durable_files.sync_folder(home)

    def _write_beside(self, path: pathlib.Path) -> pathlib.Path:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            # The mode at creation, not chmod afterwards: there is no instant at which others can read it. O_EXCL
            # follows no link that somebody has laid there.
            descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(_FILE_HEADER + self.text())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise errors.ConfigurationError(
                "master_key_not_writable",
                f"The master key cannot be written to {path}: {error.strerror}.",
                "Make the home folder, or correct its owner and permissions.",
            ) from error
        return temporary

    @classmethod
    def _read(cls, path: pathlib.Path) -> MasterKeys:
        try:
            mode = path.stat().st_mode
            text = path.read_text()
        except OSError as error:
            raise errors.ConfigurationError(
                "master_key_missing",
                f"There is no readable master key at {path}: {error.strerror}.",
                "Run `penstock init`, or set PENSTOCK_MASTER_KEY.",
            ) from error
        # As OpenSSH does with a private key: to go on would hide that the key may be known already.
        if mode & 0o077:
            raise errors.ConfigurationError(
                "master_key_exposed",
                f"The master key {path} can be read by others (mode {mode & 0o777:o}).",
                f"Run: chmod 600 {path}",
            )
        return cls.parse(text, path)

    def _reload(self) -> None:
        if self._path is not None:
            # Own keys first: which key seals does not change under a process that runs.
            self._sealing = self._sealing | self._read(self._path)._sealing


def key_id_of(blob: bytes) -> str:
    """Id of the key that a blob is sealed with. Raises ConfigurationError `seal_broken`."""
    if len(blob) < 2 or blob[0] != _FORMAT or len(blob) < 2 + blob[1] + _NONCE_BYTES:
        raise _broken()
    try:
        return blob[2 : 2 + blob[1]].decode("ascii")
    except UnicodeDecodeError as error:
        raise _broken() from error


def key_ids_in_use(tx: sa.Connection) -> frozenset[str]:
    """Ids of the keys that some export's secret is sealed with."""
    return frozenset(key_id_of(blob) for _, _, _, blob in _sealed(tx))


def sealed_by_key(tx: sa.Connection) -> dict[str, int]:
    """How many secrets of active exports each key seals, by its id."""
    return dict(collections.Counter(key_id_of(blob) for _, _, _, blob in _sealed(tx)))


def reseal_all(tx: sa.Connection, keys: MasterKeys) -> int:
    """Seals every export's secrets again with the active key where they are not yet; how many. Idempotent."""
    resealed = 0
    for task_uuid, column, context, blob in _sealed(tx):
        if key_id_of(blob) != keys.active_id:
            exports = tables.exports
            # A secret that was erased since it was read stays erased.
            same = sa.and_(exports.c.task_uuid == task_uuid, exports.c[column] == blob)
            done = tx.execute(
                exports.update().where(same).values({column: keys.seal(keys.unseal(blob, context), context)})
            )
            resealed += done.rowcount
    return resealed


def _sealed(tx: sa.Connection) -> list[tuple[str, str, str, bytes]]:
    columns = tables.exports.c
    rows = tx.execute(
        sa.select(columns.task_uuid, columns.sealed_customer_key, columns.sealed_destination).where(
            # Rows that have ended hold no secret: the CHECK `no_secret_once_ended` refuses one.
            columns.active_slot.is_not(None)
        )
    ).all()
    found = []
    for row in rows:
        for column, context in (
            ("sealed_customer_key", customer_key_context),
            ("sealed_destination", destination_context),
        ):
            blob = row._mapping[column]
            if blob is not None:
                found.append((row.task_uuid, column, context(row.task_uuid), blob))
    return found


def _derive(secret: bytes, purpose: str, length: int) -> bytes:
    info = f"penstock/{purpose}".encode()
    # No salt: the input is 256 random bits already, and every process must derive the same key (RFC 5869, 3.1).
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=info).derive(secret)


def _decode(value: str) -> bytes:
    try:
        key = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid("an entry is not base64") from error
    if len(key) != KEY_BYTES:
        raise _invalid(f"an entry has {len(key)} bytes, not {KEY_BYTES}")
    return key


def _newest(ids: tuple[str, ...]) -> str:
    """The id with the highest number, as `_fresh_id` gives them; of ids without numbers, the first."""
    return max(ids, key=lambda name: int(name[1:]) if re.fullmatch(r"k\d{1,9}", name) else -1)


def _fresh_id(taken: dict[str, bytes]) -> str:
    # One above the highest, never a gap: an id that was used once may still name a blob in a backup.
    numbers = [int(name[1:]) for name in taken if re.fullmatch(r"k\d{1,9}", name)]
    return f"k{max(numbers, default=0) + 1}"


def _invalid(why: str) -> errors.ConfigurationError:
    return errors.ConfigurationError(
        "master_key_invalid",
        f"The master key cannot be used: {why}.",
        "Each entry is ID:BASE64 of 32 bytes (openssl rand -base64 32), the active one first.",
    )


def _broken() -> errors.ConfigurationError:
    return errors.ConfigurationError(
        "seal_broken", "A sealed secret cannot be opened: it was changed, or belongs elsewhere.", "Restore the backup."
    )
