"""The manifest: the signed record of what an export contains, and the check of a file against it.

A manifest is one JSON object. Its signature is Ed25519 over the canonical JSON (sorted names, no spaces, UTF-8) of
all its members but `signature`. The digest of the whole is a root over the parts' SHA-256 digests, since a plain
hash of the file could not be taken up again by another worker after a crash.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime as dt
import hashlib
import json
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519

from penstock import errors
from penstock.base import instants, unpack
from penstock.evidence.facts import PartFacts

FORMAT = "penstock-manifest/1"
_READ_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What an export is about; the part of the manifest that does not come from its bytes.

    Attributes:
        task_uuid: the export.
        job_uuid: its search job.
        community_uuid: whose events.
        term: query text.
        filters: filters of the search job.
        earliest: start of the time range, inclusive.
        latest: end of the time range, exclusive.
        fields: fields in the order of the lines.
        snapshot_version: version of the community's table that was read.
        search_job_events: what the search job had counted; the export may differ by late arrivals.
        compression: `fast` or `small`.
        created_at: when the export was asked for.
    """

    task_uuid: str
    job_uuid: str
    community_uuid: str
    term: str
    filters: Sequence[Mapping[str, Any]]
    earliest: dt.datetime
    latest: dt.datetime
    fields: Sequence[str]
    snapshot_version: int
    search_job_events: int
    compression: str
    created_at: dt.datetime
    encryption: str = "sse-c"
    kms_key_id: str | None = None


class Signer:
    """Signs manifests with the service's Ed25519 key.

    Args:
        seed: 32 bytes, derived from the service's root secret.
    """

    def __init__(self, seed: bytes) -> None:
        self._key = ed25519.Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public_key(self) -> str:
        """Base64 of the 32-byte public key."""
        return base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """The manifest with its `signature`."""
        # Over a canonical form, so that whoever prints or indents the manifest in another way can still check it.
        value = base64.b64encode(self._key.sign(_canonical(manifest))).decode()
        return {**manifest, "signature": {"algorithm": "Ed25519", "public_key": self.public_key, "value": value}}


def build(subject: Subject, facts: Sequence[PartFacts]) -> dict[str, Any]:
    """The unsigned manifest of a finished export. `facts`: all parts, in order."""
    about = dataclasses.asdict(subject) | {
        name: instants.render(getattr(subject, name)) for name in ("earliest", "latest", "created_at")
    }
    events = sum(part.events for part in facts)
    entries, segments = _entries(facts)
    return {
        "format": FORMAT,
        **about,
        "filters": [dict(entry) for entry in subject.filters],
        "fields": list(subject.fields),
        "events": events,
        # A fact, not a check: the two were counted on two versions of the table.
        "late_events": events - subject.search_job_events,
        "size": sum(part.size for part in facts),
        "raw_bytes": sum(part.raw_bytes for part in facts),
        "parts": entries,
        "segments": segments,
        # Over digests, so that each part can be checked and fetched again by itself.
        "root_sha256": root([entry["sha256"] for entry in entries]),
    }


def _entries(facts: Sequence[PartFacts]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    entries, segments, offset = [], [], 0
    for part in facts:
        entries.append(
            {
                "number": part.ordinal + 1,
                "offset": offset,
                "size": part.size,
                "sha256": part.sha256,
                "events": part.events,
            }
        )
        inside = offset + (10 if part.ordinal == 0 else 0)  # the gzip header precedes the first segment
        for segment in part.segments:
            segments.append({"offset": inside, **dataclasses.asdict(segment)})
            inside += segment.size
        offset += part.size
    return entries, segments


def root(digests: Iterable[str]) -> str:
    """SHA-256 over the parts' raw digests, in order; hex."""
    whole = hashlib.sha256()
    for digest in digests:
        whole.update(bytes.fromhex(digest))
    return whole.hexdigest()


def dumps(manifest: Mapping[str, Any]) -> bytes:
    """The manifest as the file that is stored."""
    return json.dumps(manifest, indent=1, ensure_ascii=False).encode() + b"\n"


def loads(text: bytes) -> dict[str, Any]:
    """A manifest from its file.

    Raises:
        InvalidRequest: `invalid_manifest`, if it is no manifest of a known format.
    """
    try:
        manifest = json.loads(text)
        known = manifest["format"] == FORMAT and manifest["parts"] and manifest["root_sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise _invalid("This is not a Penstock manifest.") from error
    if not known:
        raise _invalid(f"The manifest's format {manifest['format']!r} is not known.")
    return dict(manifest)


def check_signature(manifest: Mapping[str, Any], *, public_key: str | None = None) -> None:
    """Checks the signature, and that it is `public_key`'s (base64) if one is given.

    Raises:
        InvalidRequest: `manifest_signature_invalid`.
    """
    signature = manifest.get("signature") or {}
    named = str(signature.get("public_key", ""))
    # Without an expected key the signature only says that manifest and file belong together; anybody can make a key.
    if public_key is not None and named != public_key:
        raise _forged(f"The manifest is signed by {named or 'nobody'}, not by {public_key}.")
    try:
        # The manifest names its key for convenience only; who wants proof gives the expected one.
        key = ed25519.Ed25519PublicKey.from_public_bytes(base64.b64decode(named, validate=True))
        value = base64.b64decode(str(signature.get("value", "")), validate=True)
        key.verify(value, _canonical({name: member for name, member in manifest.items() if name != "signature"}))
    except (InvalidSignature, ValueError) as error:
        raise _forged("The manifest's signature does not fit its content.") from error


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """What `verify` found to hold.

    Attributes:
        events: lines counted in the file.
        size: bytes of the file.
        raw_bytes: bytes of the lines.
        public_key: base64 key that signed the manifest.
    """

    events: int
    size: int
    raw_bytes: int
    public_key: str


def verify(
    path: pathlib.Path,
    manifest: Mapping[str, Any],
    *,
    public_key: str | None = None,
    progress: Callable[[int], None] = lambda size: None,
) -> Verified:
    """Checks a downloaded file against its manifest: signature, every part's digest, root, gzip and line count.

    Args:
        path: the file, plain gzip.
        manifest: as `loads` gives it.
        public_key: base64 key that must have signed it; None: the key it names itself.
        progress: called with the bytes read so far.

    Raises:
        InvalidRequest: `manifest_signature_invalid`, `export_damaged` (names the first part that differs).
    """
    # First: all that follows believes the manifest's numbers.
    check_signature(manifest, public_key=public_key)
    lines = _LineCounter()
    with path.open("rb") as file:
        # One pass over the file: digest, inflation and count together, since it may be larger than memory.
        digests = [_part_digest(file, entry, lines, progress) for entry in manifest["parts"]]
        if file.read(1):
            raise _damaged(f"{path.name} is longer than the {manifest['size']:,} bytes of the manifest.")
    if root(digests) != manifest["root_sha256"]:
        raise _damaged("The digests of the parts do not give the manifest's root.")
    lines.finish()
    if lines.count != manifest["events"]:
        raise _damaged(f"{path.name} holds {lines.count:,} events, the manifest says {manifest['events']:,}.")
    return Verified(
        events=lines.count,
        size=int(manifest["size"]),
        raw_bytes=lines.raw_bytes,
        public_key=str(manifest["signature"]["public_key"]),
    )


def _part_digest(file: BinaryIO, entry: Mapping[str, Any], lines: _LineCounter, progress: Callable[[int], None]) -> str:
    # By the signed sizes: the file itself says nowhere where its parts begin.
    left, digest = int(entry["size"]), hashlib.sha256()
    while left and (piece := file.read(min(left, _READ_BYTES))):
        digest.update(piece)
        lines.feed(piece)
        left -= len(piece)
        progress(file.tell())
    if left:
        raise _damaged(f"The file ends within part {entry['number']}; {left:,} bytes are missing there.")
    if digest.hexdigest() != entry["sha256"]:
        raise _damaged(f"Part {entry['number']} (from byte {entry['offset']:,}) is not what was exported.")
    return digest.hexdigest()


class _LineCounter:
    """Counts lines in a gzip stream, in bounded memory; the CRC and the length at its end are checked on the way."""

    def __init__(self) -> None:
        self.count = 0
        self.raw_bytes = 0
        self._unpacker = unpack.Gzip()

    def feed(self, piece: bytes) -> None:
        with _as_damage():
            for text in self._unpacker.feed(piece):
                self.count += text.count(b"\n")
                self.raw_bytes += len(text)

    def finish(self) -> None:
        with _as_damage():
            self._unpacker.finish()


@contextlib.contextmanager
def _as_damage() -> Iterator[None]:
    try:
        yield
    except unpack.UnpackError as error:
        said = error.detail or error.trouble.value
        raise _damaged(f"The gzip stream is damaged ({said}).") from error


def _canonical(manifest: Mapping[str, Any]) -> bytes:
    return json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _invalid(detail: str) -> errors.VerificationFailed:
    return errors.VerificationFailed("invalid_manifest", detail, "Download it again from the task's manifest_url.")


def _forged(detail: str) -> errors.VerificationFailed:
    return errors.VerificationFailed(
        "manifest_signature_invalid", detail, "Do not trust the file; download file and manifest again."
    )


def _damaged(detail: str) -> errors.VerificationFailed:
    return errors.VerificationFailed("export_damaged", detail, "Download the export again.")
