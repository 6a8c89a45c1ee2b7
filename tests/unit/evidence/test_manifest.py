"""The manifest: signed, and a file that differs by one byte does not pass."""

from __future__ import annotations

import datetime as dt
import gzip as standard_gzip
import json
import pathlib

import pytest

from penstock import errors
from penstock.encode import gzip
from penstock.evidence import manifest
from penstock.export import parts

SIGNER = manifest.Signer(bytes(range(32)))
NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
SUBJECT = manifest.Subject(
    task_uuid="t",
    job_uuid="j",
    community_uuid="c",
    term="user.name:é*",
    filters=[{"field": "event.outcome", "operator": "is", "value": "failure"}],
    earliest=NOW - dt.timedelta(days=1),
    latest=NOW,
    fields=("@timestamp", "message"),
    snapshot_version=7,
    search_job_events=599,
    compression="fast",
    created_at=NOW,
)


def export_to(path: pathlib.Path, *, part_bytes: int = 500) -> dict:
    cutter = parts.PartCutter(part_bytes=part_bytes)
    cut = []
    for number in range(6):
        lines = [json.dumps({"message": f"event {number} {line} {line * 7919 % 1013}"}) for line in range(100)]
        segment = gzip.deflate("".join(line + "\n" for line in lines).encode(), "fast")
        segment = gzip.Segment(data=segment.data, raw_bytes=segment.raw_bytes, crc32=segment.crc32, events=100)
        if part := cutter.add(segment):
            cut.append(part)
    cut.append(cutter.finish())
    path.write_bytes(b"".join(part.body for part in cut))
    return SIGNER.sign(manifest.build(SUBJECT, [part.facts for part in cut]))


@pytest.fixture
def export(tmp_path: pathlib.Path) -> tuple[pathlib.Path, dict]:
    path = tmp_path / "export.jsonl.gz"
    return path, manifest.loads(manifest.dumps(export_to(path)))


def test_a_whole_file_passes(export: tuple[pathlib.Path, dict]) -> None:
    path, signed = export
    found = manifest.verify(path, signed, public_key=SIGNER.public_key)
    assert found.events == 600
    assert found.size == path.stat().st_size
    assert found.raw_bytes == len(standard_gzip.decompress(path.read_bytes()))
    assert signed["late_events"] == 1
    assert len(signed["parts"]) > 2


def test_each_flipped_byte_is_caught(export: tuple[pathlib.Path, dict]) -> None:
    path, signed = export
    whole = path.read_bytes()
    for place in range(0, len(whole), 97):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(errors.VerificationFailed) as caught:
            manifest.verify(path, signed)
        assert caught.value.code == "export_damaged"


@pytest.mark.parametrize("change", ["cut", "longer"])
def test_a_file_of_another_length_is_caught(export: tuple[pathlib.Path, dict], change: str) -> None:
    path, signed = export
    whole = path.read_bytes()
    path.write_bytes(whole[:-3] if change == "cut" else whole + b"x")
    with pytest.raises(errors.VerificationFailed, match="missing" if change == "cut" else "longer"):
        manifest.verify(path, signed)


def test_a_changed_manifest_is_caught(export: tuple[pathlib.Path, dict]) -> None:
    path, signed = export
    with pytest.raises(errors.VerificationFailed) as caught:
        manifest.verify(path, {**signed, "events": 601})
    assert caught.value.code == "manifest_signature_invalid"


def test_a_manifest_signed_by_somebody_else_is_caught(export: tuple[pathlib.Path, dict]) -> None:
    path, signed = export
    forged = manifest.Signer(bytes(32)).sign({name: signed[name] for name in signed if name != "signature"})
    manifest.verify(path, forged)  # it fits itself …
    with pytest.raises(errors.VerificationFailed) as caught:
        manifest.verify(path, forged, public_key=SIGNER.public_key)  # … but is not the service's
    assert caught.value.code == "manifest_signature_invalid"


def test_each_segment_lies_where_the_manifest_says_and_inflates_by_itself(export: tuple[pathlib.Path, dict]) -> None:
    import zlib

    path, signed = export
    whole, plain = path.read_bytes(), b""
    for segment in signed["segments"]:
        text = zlib.decompressobj(-15).decompress(whole[segment["offset"] : segment["offset"] + segment["size"]])
        assert len(text) == segment["raw_bytes"]
        assert zlib.crc32(text) == segment["crc32"]
        plain += text
    assert plain == standard_gzip.decompress(whole)


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b'{"format":"other"}', b'{"format":"other","parts":[1],"root_sha256":"x"}']
)
def test_what_is_no_manifest_is_refused(text: bytes) -> None:
    with pytest.raises(errors.VerificationFailed) as caught:
        manifest.loads(text)
    assert caught.value.code == "invalid_manifest"
