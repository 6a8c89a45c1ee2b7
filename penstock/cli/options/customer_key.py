"""Where a customer key comes from on the command line, and where it may be kept."""

from __future__ import annotations

import os
import pathlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from penstock import errors

if TYPE_CHECKING:
    from penstock.storage.keys import CustomerKey

_PANEL = "Encryption"
NoSseC = Annotated[
    bool,
    typer.Option("--no-sse-c", help="Refused for exports: this service encrypts every export.", rich_help_panel=_PANEL),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--s3-sse-c-key",
        metavar="KEY",
        help="The export's encryption key, base64 of 32 bytes. Default: S3_SSE_C_KEY. Others on this machine can read "
        "command lines: prefer the variable or --key-file.",
        rich_help_panel=_PANEL,
    ),
]
KeyMd5 = Annotated[
    str | None,
    typer.Option(
        "--s3-sse-c-key-md5",
        metavar="MD5",
        help="Base64 of the key's MD5; checked against the key. Default: S3_SSE_C_KEY_MD5, else computed.",
        rich_help_panel=_PANEL,
    ),
]
Algorithm = Annotated[
    str | None,
    typer.Option(
        "--s3-sse-c-algorithm",
        metavar="NAME",
        help="AES256, the only one. Default: S3_SSE_C_ALGORITHM.",
        rich_help_panel=_PANEL,
    ),
]
KeyFile = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--key-file",
        metavar="FILE",
        help="File with the key. `export` writes a generated key to it (mode 0600) instead of showing it.",
        rich_help_panel=_PANEL,
    ),
]


def given_key(
    key: str | None, md5: str | None, algorithm: str | None, key_file: pathlib.Path | None
) -> CustomerKey | None:
    """The key that the caller names: option, then S3_SSE_C_KEY, then the key file; None if none.

    Raises:
        UsageError: `unusable_customer_key`, `key_file_not_readable`.
    """
    from penstock.storage.keys import CustomerKey

    text = key or os.environ.get("S3_SSE_C_KEY")
    if not text and key_file is not None and key_file.exists():
        text = _read(key_file)
    if not text:
        return None
    try:
        return CustomerKey.parse(
            text.strip(),
            md5=md5 or os.environ.get("S3_SSE_C_KEY_MD5") or None,
            algorithm=algorithm or os.environ.get("S3_SSE_C_ALGORITHM") or None,
        )
    except errors.DestinationError as error:
        raise errors.UsageError("unusable_customer_key", error.detail, error.hint) from error


def asked_key() -> CustomerKey | None:
    """The key typed at a terminal, unseen; None where nobody can be asked."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    import getpass

    text = getpass.getpass("Encryption key of the export (not shown): ", stream=sys.stderr).strip()
    return given_key(text, None, None, None) if text else None


def keep(key: CustomerKey, key_file: pathlib.Path) -> None:
    """Writes the key to a new file that only its owner can read.

    Raises:
        UsageError: `key_file_exists`, `key_file_not_writable`.
    """
    try:
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


def _read(key_file: pathlib.Path) -> str:
    try:
        return key_file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise errors.UsageError(
            "key_file_not_readable", f"{key_file} cannot be read: {error}.", "Give the file that holds the base64 key."
        ) from error
