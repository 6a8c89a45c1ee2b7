"""Secrets of exports, sealed twice: with a key of the export's own, and that with the master key.

The sealed secrets lie in the database, and so in its log, its backups and its replicas, long after their row says NULL.
The export's own *wrapping key* lies elsewhere, in one place that is neither logged nor backed up, and is destroyed when
the export ends. From then on nobody can open what remains, with the master key or without.
"""

from __future__ import annotations

import datetime as dt
import secrets as random
from collections.abc import Iterable
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from penstock import errors
from penstock.control import secrets

_MARK = b"penstock wrapped 1\n"
_NONCE_BYTES = 12


class WrappingKeys(Protocol):
    """Where wrapping keys lie, one an export. Safe from several processes; all calls are idempotent."""

    def keep(self, task_uuid: str, key: bytes) -> None:
        """Keeps a key durably. Raises StorageError."""
        ...

    def get(self, task_uuid: str) -> bytes | None:
        """The key, or None once it is gone. Raises StorageError."""
        ...

    def forget(self, task_uuid: str) -> None:
        """Destroys the only copy. Raises StorageError."""
        ...

    def kept_before(self, instant: dt.datetime) -> Iterable[str]:
        """Tasks whose key was kept before an instant; none where the place itself deletes what is old.

        Raises StorageError.
        """
        ...


class Sealer:
    """Seals the secrets of one new export under a wrapping key of its own."""

    def __init__(self, master_keys: secrets.MasterKeys) -> None:
        self._master_keys = master_keys
        self.wrapping_key = random.token_bytes(secrets.KEY_BYTES)

    def seal(self, plain: bytes, context: str) -> bytes:
        """Opens only with the wrapping key and the master key, and for the same context."""
        # A wrapping key encrypts two secrets at most, so that random nonces cannot meet.
        nonce = random.token_bytes(_NONCE_BYTES)
        wrapped = AESGCM(self.wrapping_key).encrypt(nonce, plain, context.encode())
        return self._master_keys.seal(_MARK + nonce + wrapped, context)


class Vault:
    """Seals and opens exports' secrets.

    Args:
        master_keys: what seals at rest.
        keys: where wrapping keys lie.
    """

    def __init__(self, master_keys: secrets.MasterKeys, keys: WrappingKeys) -> None:
        self._master_keys = master_keys
        self._keys = keys

    def sealer(self) -> Sealer:
        """For a new export; `keep` its wrapping key before the export starts."""
        return Sealer(self._master_keys)

    def keep(self, task_uuid: str, wrapping_key: bytes) -> None:
        """Keeps the wrapping key of an export that is about to start. Raises StorageError."""
        self._keys.keep(task_uuid, wrapping_key)

    def wrapping_key(self, task_uuid: str) -> bytes | None:
        """The wrapping key of an export; None once it is gone. Raises StorageError."""
        return self._keys.get(task_uuid)

    def unseal(self, task_uuid: str, blob: bytes, context: str) -> bytes:
        """What was sealed for an export that is active.

        Raises:
            ConfigurationError: `master_key_unknown`, `seal_broken`; `export_key_missing`, the wrapping key is gone: the
                export has ended, or the database was restored from a backup.
            StorageError: the place of the wrapping keys does not answer.
        """
        inner = self._master_keys.unseal(blob, context)
        if not inner.startswith(_MARK):
            return inner  # sealed by an earlier version
        # Asked each time, never cached: a copy in memory would outlive `forget`.
        key = self.wrapping_key(task_uuid)
        if key is None:
            raise errors.ConfigurationError(
                "export_key_missing",
                f"The key that the secrets of the export {task_uuid} are wrapped with is gone.",
                "Start the export again. After a restore of the database that is as it should be.",
            )
        nonce, wrapped = inner[len(_MARK) :][:_NONCE_BYTES], inner[len(_MARK) + _NONCE_BYTES :]
        try:
            return AESGCM(key).decrypt(nonce, wrapped, context.encode())
        except (InvalidTag, ValueError) as error:
            raise errors.ConfigurationError(
                "seal_broken", "A sealed secret cannot be opened: it was changed, or belongs elsewhere."
            ) from error

    def forget(self, task_uuid: str) -> None:
        """Destroys the wrapping key of an export that has ended; idempotent. Raises StorageError."""
        self._keys.forget(task_uuid)

    def kept_before(self, instant: dt.datetime) -> Iterable[str]:
        """Tasks whose wrapping key was kept before an instant, as far as somebody must look. Raises StorageError."""
        return self._keys.kept_before(instant)
