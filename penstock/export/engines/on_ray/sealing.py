"""What passes through Ray passes sealed: Ray keeps arguments and answers in its object store, in its head's memory, and
may write them to disk.

The key is made of two secrets that never pass there: `engine_secret`, which workers and nodes have in their settings,
and the export's wrapping key, which lies beside the exports and is destroyed when the export ends. What Ray still holds
then opens for nobody. A search or an ingest has no such key: its box is of the first alone.
"""

from __future__ import annotations

import base64
import binascii
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from penstock import errors
from penstock.base.secret import Secret

SECRET_BYTES = 32
_NONCE_BYTES = 12


class Unopened(Exception):
    """What was sealed with other secrets, or for something else, or was changed."""


class Box:
    """Seals and opens what one export passes through Ray.

    Args:
        engine_secret: of the settings.
        wrapping_key: the export's; None where it has no secrets.
        task_uuid: the export.
    """

    def __init__(self, engine_secret: bytes, wrapping_key: bytes | None, task_uuid: str) -> None:
        key = HKDF(
            algorithm=hashes.SHA256(), length=32, salt=wrapping_key, info=f"penstock engine 1 {task_uuid}".encode()
        )
        # Random nonces: a key seals two messages a shard, some thousands in all.
        self._cipher = AESGCM(key.derive(engine_secret))

    def seal(self, plain: bytes, what: str) -> bytes:
        """Opens only for the same `what`: an order never passes for an answer, nor one shard's for another's."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, what.encode())

    def open(self, sealed: bytes, what: str) -> bytes:
        """What was sealed. Raises Unopened."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], what.encode())
        except (InvalidTag, ValueError) as error:
            raise Unopened(what) from error


def box_of_search(engine_secret: bytes, job_uuid: str) -> Box:
    """The box of a search, which has no wrapping key: what passes opens for who has the engine's secret."""
    return Box(engine_secret, None, f"search {job_uuid}")


def box_of_ingest(engine_secret: bytes, ingest_uuid: str) -> Box:
    """The box of an ingest; as of a search."""
    return Box(engine_secret, None, f"ingest {ingest_uuid}")


def parsed(secret: Secret) -> bytes:
    """The bytes of the setting `engine_secret`.

    Raises:
        ConfigurationError: `engine_settings_incomplete`.
    """
    try:
        raw = base64.b64decode(secret.reveal(), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != SECRET_BYTES:
        raise errors.ConfigurationError(
            "engine_settings_incomplete",
            f"The engine `ray` needs engine_secret: base64 of {SECRET_BYTES} bytes, the same on workers and nodes.",
            "Make one with: openssl rand -base64 32",
        )
    return raw
