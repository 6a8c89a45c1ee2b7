"""Where a customer key comes from on the command line, and where it may be kept."""

from __future__ import annotations

import getpass
import os
import pathlib
import sys

from penstock import errors
from penstock.cli.options import shared
from penstock.storage.keys import CustomerKey


def given_key(options: shared.Key, *, hint: str = "") -> CustomerKey | None:
    """The key that the caller names: option, then S3_SSE_C_KEY, then the key file; None if none.

    Args:
        hint: what to do about an unusable one; empty: how to make one.

    Raises:
        UsageError: `unusable_customer_key`, `key_file_not_readable`.
    """
    text = options.s3_sse_c_key or os.environ.get("S3_SSE_C_KEY")
    if not text and options.key_file is not None and options.key_file.exists():
        text = _read(options.key_file)
    if not text:
        return None
    return _parse(
        text,
        md5=options.s3_sse_c_key_md5 or os.environ.get("S3_SSE_C_KEY_MD5") or None,
        algorithm=options.s3_sse_c_algorithm or os.environ.get("S3_SSE_C_ALGORITHM") or None,
        hint=hint,
    )


def asked_key() -> CustomerKey | None:
    """The key typed at a terminal, unseen; None where nobody can be asked."""
    # In a script nobody answers, and the command would hang.
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    # Asked on stderr: stdout may be the file itself.
    text = getpass.getpass("Encryption key of the export (not shown): ", stream=sys.stderr).strip()
    return _parse(text, hint="Give the key that was shown when this export was started.") if text else None


def keep(key: CustomerKey, key_file: pathlib.Path) -> None:
    """Writes the key to a new file that only its owner can read.

    Raises:
        UsageError: `key_file_exists`, `key_file_not_writable`.
    """
    try:
        # Never over a file that is there: it may hold the only key of an earlier export.
        descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise errors.UsageError(
            "key_file_exists", f"{key_file} is already there.", "Choose another --key-file; keys are never replaced."
        ) from error
    except OSError as error:
        raise errors.UsageError(
            "key_file_not_writable", f"{key_file} cannot be written: {error.strerror}.", "Choose another --key-file."
        ) from error
    with os.fdopen(descriptor, "w") as file:
        file.write(key.base64 + "\n")


def _parse(text: str, *, hint: str, md5: str | None = None, algorithm: str | None = None) -> CustomerKey:
    try:
        return CustomerKey.parse(text.strip(), md5=md5, algorithm=algorithm)
    except errors.DestinationError as error:
        raise errors.UsageError("unusable_customer_key", error.detail, hint or error.hint) from error


def _read(key_file: pathlib.Path) -> str:
    try:
        return key_file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise errors.UsageError(
            "key_file_not_readable", f"{key_file} cannot be read: {error}.", "Give the file that holds the base64 key."
        ) from error
