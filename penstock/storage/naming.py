"""Names of what an export leaves in a store: object keys that cannot collide, and names a browser saves them under."""

from __future__ import annotations

import datetime as dt
import re
import urllib.parse

from penstock import errors

EXPORT_SUFFIX = ".jsonl.gz"
MANIFEST_SUFFIX = ".manifest.json"
EXPORT_CONTENT_TYPE = "application/gzip"
MANIFEST_CONTENT_TYPE = "application/json"

MAX_KEY_BYTES = 1024
"""S3's longest object key, in UTF-8 bytes."""

_UNSAFE_IN_FILENAME = re.compile(r'[\x00-\x1f\x7f"\\/:*?<>|;]')


def object_key(prefix: str, community_uuid: str, created_at: dt.datetime, task_uuid: str) -> str:
    """`PREFIX/COMMUNITY/YYYY/MM/DD/export_TASK.jsonl.gz`; the day is `created_at`'s in UTC.

    The task's UUID makes it unique, so that no two exports ever write the same object and a retry finds its own.

    Raises:
        DestinationError: `invalid_prefix` (a prefix S3 cannot hold, or that leads out of itself).
    """
    day = created_at.astimezone(dt.UTC).strftime("%Y/%m/%d")
    tail = f"{community_uuid}/{day}/export_{task_uuid}{EXPORT_SUFFIX}"
    prefix = prefix.strip("/")
    return check_key(f"{prefix}/{tail}" if prefix else tail)


def manifest_key(key: str) -> str:
    """The manifest's key: beside the export's object, `.manifest.json` instead of `.jsonl.gz`."""
    return key.removesuffix(EXPORT_SUFFIX) + MANIFEST_SUFFIX


def check_key(key: str) -> str:
    """`key` itself, if every store can hold it.

    Raises:
        DestinationError: `invalid_prefix`.
    """
    segments = key.split("/")
    # S3 would take them; but HTTP clients remove dot segments from a URL (RFC 3986 §5.2.4), and then no signature fits.
    if any(segment in ("", ".", "..") for segment in segments):
        raise _refused_key(key, "it has an empty, `.` or `..` part")
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in key):
        raise _refused_key(key, "it has a control character")
    try:
        length = len(key.encode())
    except UnicodeEncodeError as error:
        raise _refused_key(key, "it is not Unicode text") from error
    if length > MAX_KEY_BYTES:
        raise _refused_key(key[:80] + "…", f"it has {length} bytes and S3 allows {MAX_KEY_BYTES}")
    return key


def content_disposition(filename: str) -> str:
    """The header that makes a browser save the object as `filename`: RFC 6266, with an ASCII name for old readers."""
    # What no common file system takes, and quotes and line breaks, which would end the header's value.
    clean = _UNSAFE_IN_FILENAME.sub("_", filename).strip(" .") or "export"
    ascii_name = clean.encode("ascii", "replace").decode().replace("?", "_")
    if ascii_name == clean:
        return f'attachment; filename="{clean}"'
    encoded = urllib.parse.quote(clean, safe="", errors="replace")
    # Readers that know `filename*` prefer it, wherever it stands (RFC 6266 §4.3).
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{encoded}"


def _refused_key(key: str, why: str) -> errors.DestinationError:
    return errors.DestinationError(
        "invalid_prefix",
        f"The object key {key!r} cannot be used: {why}.",
        "Choose a prefix of plain names joined by `/`, such as `exports/soc`.",
    )
