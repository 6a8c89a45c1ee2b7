"""A download arrives byte-identical whatever the network does, or says clearly why not, and never half."""

from __future__ import annotations

import datetime as dt
import errno
import json
import os
import pathlib
import random
from collections.abc import Callable
from typing import Any

import pytest

from penstock import errors
from penstock.client.download import download as downloads
from penstock.client.download import partfile
from penstock.client.http.retry import Retry
from penstock.storage.keys import CustomerKey

Start = Callable[[bytes], Any]


def fetch(store: Any, target: pathlib.Path, manifest: Any, **options: Any) -> downloads.Downloaded:
    options.setdefault("customer_key", quick_key())
    options.setdefault("retry", Retry(attempts=4, sleep=lambda seconds: None))
    return downloads.download(store.url, target, manifest=manifest, **options)


def quick_key() -> CustomerKey:
    return CustomerKey(bytes(range(32)))


def leftovers(target: pathlib.Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir() if path != target)


@pytest.mark.parametrize("seed", range(5))
def test_ten_breaks_at_random_offsets_end_byte_identical(
    object_server: Start, export_file: Any, tmp_path: pathlib.Path, seed: int
) -> None:
    body, manifest = export_file(20_000, 50_000, seed)
    store = object_server(body)
    draw = random.Random(seed)
    store.cuts = [draw.randrange(1, len(body) // 12) for _ in range(10)]
    got = fetch(store, tmp_path / "x.gz", manifest)
    assert (tmp_path / "x.gz").read_bytes() == body
    assert (got.size, got.events, got.verified, got.breaks) == (len(body), 20_000, True, 10)
    assert len(store.requests) == 11
    assert leftovers(tmp_path / "x.gz") == []


@pytest.mark.parametrize("seed", range(3))
def test_ten_breaks_over_parallel_ranges_end_byte_identical(
    object_server: Start, export_file: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(downloads, "_LARGE_BYTES", 1)
    body, manifest = export_file(20_000, 40_000, seed)
    store = object_server(body)
    draw = random.Random(seed)
    store.cuts = [1] + [draw.randrange(1, 20_000) for _ in range(40)]  # the first answer is the probe's
    got = fetch(store, tmp_path / "x.gz", manifest, parallel=4)
    assert (tmp_path / "x.gz").read_bytes() == body
    assert got.breaks >= 10
    assert got.verified


def test_run_that_gives_up_is_resumed_by_the_next_without_fetching_twice(
    object_server: Start, export_file: Any, tmp_path: pathlib.Path
) -> None:
    body, manifest = export_file(20_000, 50_000)
    store = object_server(body)
    store.cuts = [120_000, 0, 0, 0, 0]
    with pytest.raises(errors.NetworkError) as caught:
        fetch(store, tmp_path / "x.gz", manifest)
    assert caught.value.code == "connection_broken"
    assert not (tmp_path / "x.gz").exists()
    assert leftovers(tmp_path / "x.gz") == ["x.gz.part", "x.gz.part.json"]
    store.cuts, store.requests = [], []
    got = fetch(store, tmp_path / "x.gz", manifest)
    assert got.resumed_bytes == 120_000
    assert store.requests[0]["Range"] == f"bytes=120000-{len(body) - 1}"
    assert store.requests[0]["If-Range"] == store.etag
    assert (tmp_path / "x.gz").read_bytes() == body


def test_parallel_run_that_gives_up_is_resumed_piece_by_piece(
    object_server: Start, export_file: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_LARGE_BYTES", 1)
    body, manifest = export_file(20_000, 40_000)
    store = object_server(body)
    store.cuts = [1, 30_000, 20_000, 10_000, *([0] * 40)]
    with pytest.raises(errors.NetworkError):
        fetch(store, tmp_path / "x.gz", manifest)
    store.cuts = []
    got = fetch(store, tmp_path / "x.gz", manifest, parallel=1)
    assert got.resumed_bytes >= 30_000
    assert (tmp_path / "x.gz").read_bytes() == body


def test_bytes_damaged_on_the_disk_between_two_runs_are_fetched_again(
    object_server: Start, export_file: Any, tmp_path: pathlib.Path
) -> None:
    body, manifest = export_file(20_000, 50_000)
    store = object_server(body)
    store.cuts = [120_000, 0, 0, 0, 0]
    with pytest.raises(errors.NetworkError):
        fetch(store, tmp_path / "x.gz", manifest)
    with (tmp_path / "x.gz.part").open("r+b") as file:
        for offset in (10, 110_000):  # one in a piece that was whole, one in the piece that was not
            file.seek(offset)
            byte = file.read(1)
            file.seek(offset)
            file.write(bytes([byte[0] ^ 0xFF]))
    store.cuts = []
    fetch(store, tmp_path / "x.gz", manifest)
    assert (tmp_path / "x.gz").read_bytes() == body


@pytest.mark.parametrize(
    "state", ["", "{", "[]", '{"here": {"1": "x"}}', '{"etag": 1, "size": 2, "root": 3, "here": {}}']
)
def test_damaged_state_file_only_costs_a_fresh_start(
    object_server: Start, export_file: Any, tmp_path: pathlib.Path, state: str
) -> None:
    body, manifest = export_file(2_000, 50_000)
    (tmp_path / "x.gz.part").write_bytes(b"?" * 1000)
    (tmp_path / "x.gz.part.json").write_text(state)
    fetch(object_server(body), tmp_path / "x.gz", manifest)
    assert (tmp_path / "x.gz").read_bytes() == body


def test_object_replaced_in_mid_download_is_fetched_anew(
    object_server: Start, export_file: Any, tmp_path: pathlib.Path
) -> None:
    old, _ = export_file(20_000, 50_000, 1)
    new, _ = export_file(20_000, 50_000, 2)
    store = object_server(old)
    store.cuts = [100_000]

    def replace() -> None:
        store.body, store.etag = new, '"new"'

    store.after_cut = replace
    got = fetch(store, tmp_path / "x.gz", None)
    assert (tmp_path / "x.gz").read_bytes() == new
    assert not got.verified


def test_object_that_is_not_the_manifests_is_refused(
    object_server: Start, export_file: Any, tmp_path: pathlib.Path
) -> None:
    _, manifest = export_file(2_000, 50_000, 1)
    other, _ = export_file(3_000, 50_000, 2)
    with pytest.raises(errors.StorageError) as caught:
        fetch(object_server(other), tmp_path / "x.gz", manifest)
    assert caught.value.code == "object_changed"
    assert not (tmp_path / "x.gz").exists()


@pytest.mark.parametrize("large", [False, True])
def test_store_that_lies_is_caught_and_the_target_is_untouched(
    object_server: Start, export_file: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    if large:
        monkeypatch.setattr(downloads, "_LARGE_BYTES", 1)
    body, manifest = export_file(20_000, 50_000)
    store = object_server(body)
    store.flips = {123_456}
    (tmp_path / "x.gz").write_bytes(b"the file of yesterday")
    with pytest.raises(errors.VerificationFailed) as caught:
        fetch(store, tmp_path / "x.gz", manifest)
    assert caught.value.code == "export_damaged"
    assert "Part 3 of x.gz" in caught.value.detail
    assert (tmp_path / "x.gz").read_bytes() == b"the file of yesterday"


def test_part_that_is_wrong_once_is_fetched_again_by_itself(
    object_server: Start, export_file: Any, tmp_path: pathlib.Path
) -> None:
    body, manifest = export_file(20_000, 50_000)
    store = object_server(body)
    store.flips, store.lies_once = {123_456}, True
    got = fetch(store, tmp_path / "x.gz", manifest)
    assert (tmp_path / "x.gz").read_bytes() == body
    assert got.verified
    assert store.requests[-1]["Range"] == "bytes=100000-149999"


def test_manifest_whose_root_does_not_fit_is_refused(
    object_server: Start, export_file: Any, tmp_path: pathlib.Path
) -> None:
    body, manifest = export_file(2_000, 50_000)
    with pytest.raises(errors.VerificationFailed) as caught:
        fetch(object_server(body), tmp_path / "x.gz", {**manifest, "root_sha256": "00" * 32})
    assert caught.value.code == "export_damaged"
    assert not (tmp_path / "x.gz").exists()


def test_host_without_ranges_still_survives_breaks(
    object_server: Start, export_file: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_LARGE_BYTES", 1)
    body, manifest = export_file(20_000, 50_000)
    store = object_server(body)
    store.takes_ranges = False
    store.cuts = [5, 60_000, 200_000, 300_000]
    fetch(store, tmp_path / "x.gz", manifest)
    assert (tmp_path / "x.gz").read_bytes() == body


@pytest.mark.parametrize(
    ("refusal", "with_key", "kind", "code"),
    [
        ((403, "AccessDenied", "Request has expired"), True, errors.AccessDenied, "download_expired"),
        ((400, "ExpiredToken", "The provided token has expired."), True, errors.AccessDenied, "download_expired"),
        ((403, "AccessDenied", "Access Denied"), True, errors.AccessDenied, "wrong_customer_key"),
        ((403, "InvalidAccessKeyId", "no"), True, errors.AccessDenied, "wrong_customer_key"),
        ((400, "InvalidRequest", "stored using SSE"), False, errors.AccessDenied, "customer_key_missing"),
        ((403, "SignatureDoesNotMatch", "no"), True, errors.AccessDenied, "download_url_rejected"),
        ((403, "RequestTimeTooSkewed", "no"), True, errors.AccessDenied, "download_clock_skew"),
        ((404, "NoSuchKey", "no"), True, errors.ObjectMissing, "download_gone"),
        ((503, "SlowDown", "Please reduce your request rate."), True, errors.StorageError, "download_failed"),
        ((405, "MethodNotAllowed", "no"), True, errors.StorageError, "download_failed"),
    ],
)
def test_refusals_of_a_store_are_said_in_clear_words(
    object_server: Start,
    export_file: Any,
    tmp_path: pathlib.Path,
    refusal: tuple[int, str, str],
    with_key: bool,
    kind: type[errors.PenstockError],
    code: str,
) -> None:
    body, manifest = export_file(100, 50_000)
    store = object_server(body)
    store.refuse_always = refusal
    with pytest.raises(errors.PenstockError) as caught:
        fetch(store, tmp_path / "x.gz", manifest, customer_key=quick_key() if with_key else None)
    assert type(caught.value) is kind
    assert caught.value.code == code
    assert caught.value.hint
    assert quick_key().base64 not in str(caught.value)
    assert len(store.requests) == (4 if refusal[0] == 503 else 1)


@pytest.mark.parametrize(
    ("seconds", "code"), [(3600, "wrong_customer_key"), (1, "download_expired")], ids=["in time", "overdue"]
)
def test_bare_refusal_of_ceph_is_expiry_when_the_urls_own_lifetime_is_over(
    object_server: Start, export_file: Any, tmp_path: pathlib.Path, seconds: int, code: str
) -> None:
    body, manifest = export_file(100, 50_000)
    store = object_server(body)
    signed_at = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=60)
    store.url += f"&X-Amz-Date={signed_at:%Y%m%dT%H%M%SZ}&X-Amz-Expires={seconds}"
    store.refuse_always = (403, "AccessDenied", "")
    with pytest.raises(errors.AccessDenied) as caught:
        fetch(store, tmp_path / "x.gz", manifest)
    assert caught.value.code == code


def test_busy_store_is_asked_again(object_server: Start, export_file: Any, tmp_path: pathlib.Path) -> None:
    body, manifest = export_file(100, 50_000)
    store = object_server(body)
    store.refusals = [(503, "SlowDown", "x"), (500, "InternalError", "x")]
    fetch(store, tmp_path / "x.gz", manifest)
    assert (tmp_path / "x.gz").read_bytes() == body


def test_customer_key_travels_in_the_three_headers_and_the_api_key_never(
    object_server: Start, export_file: Any, tmp_path: pathlib.Path
) -> None:
    body, manifest = export_file(100, 50_000)
    store = object_server(body)
    fetch(store, tmp_path / "x.gz", manifest)
    headers = {name.lower(): value for name, value in store.requests[0].items()}
    assert headers["x-amz-server-side-encryption-customer-key"] == quick_key().base64
    assert headers["x-amz-server-side-encryption-customer-key-md5"] == quick_key().md5
    assert "authorization" not in headers


def test_customer_key_is_not_sent_over_plain_http_to_another_machine(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        downloads.download("http://store.example/x", tmp_path / "x.gz", customer_key=quick_key())
    assert caught.value.code == "insecure_url"


def test_disk_too_small_is_said_before_a_byte_is_fetched(
    object_server: Start, export_file: Any, tmp_path: pathlib.Path
) -> None:
    body, manifest = export_file(100, 50_000)
    store = object_server(body)
    huge = {**manifest, "size": 1 << 60, "parts": [{"number": 1, "offset": 0, "size": 1 << 60, "sha256": "00" * 32}]}
    store.takes_ranges = False
    with pytest.raises(errors.StorageError) as caught:
        downloads._run(Source(), partfile_for(tmp_path), partfile.Earlier(), huge, 1)
    assert caught.value.code == "disk_full"
    assert store.requests == []


class Source:
    """Knows its size; must not be read."""

    size = 0
    etag = None
    takes_ranges = False


def partfile_for(folder: pathlib.Path) -> partfile.PartFile:
    return partfile.PartFile(folder / "x.gz", lambda done, total: None)


def test_disk_that_fills_up_keeps_what_came(
    object_server: Start, export_file: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, manifest = export_file(20_000, 50_000)
    store = object_server(body)
    room = [200_000]
    write = os.pwrite

    def pwrite(descriptor: int, view: Any, offset: int) -> int:
        if room[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(descriptor, view[: room[0]], offset)
        room[0] -= written
        return written

    monkeypatch.setattr(partfile.os, "pwrite", pwrite)
    with pytest.raises(errors.StorageError) as caught:
        fetch(store, tmp_path / "x.gz", manifest)
    assert caught.value.code == "disk_full"
    monkeypatch.undo()
    got = fetch(store, tmp_path / "x.gz", manifest)
    assert got.resumed_bytes > 0
    assert (tmp_path / "x.gz").read_bytes() == body


def test_two_downloads_to_one_target_do_not_mix(object_server: Start, export_file: Any, tmp_path: pathlib.Path) -> None:
    body, manifest = export_file(100, 50_000)
    first = partfile_for(tmp_path)
    with pytest.raises(errors.StorageError) as caught:
        fetch(object_server(body), tmp_path / "x.gz", manifest)
    assert caught.value.code == "download_running"
    first.close()
    fetch(object_server(body), tmp_path / "x.gz", manifest)
    assert (tmp_path / "x.gz").read_bytes() == body


@pytest.mark.parametrize("place", ["no/such/folder/x.gz", "."])
def test_target_that_cannot_be_written_is_said(
    object_server: Start, export_file: Any, tmp_path: pathlib.Path, place: str
) -> None:
    body, manifest = export_file(100, 50_000)
    with pytest.raises(errors.StorageError) as caught:
        fetch(object_server(body), tmp_path / place, manifest)
    assert caught.value.code == "file_not_writable"


def test_progress_only_grows_and_ends_at_the_size(
    object_server: Start, export_file: Any, tmp_path: pathlib.Path
) -> None:
    body, manifest = export_file(20_000, 50_000)
    store = object_server(body)
    store.cuts = [100_000]
    seen: list[tuple[int, int]] = []
    fetch(store, tmp_path / "x.gz", manifest, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (len(body), len(body))


def test_downloaded_file_is_readable_by_its_owner_only(
    object_server: Start, export_file: Any, tmp_path: pathlib.Path
) -> None:
    body, manifest = export_file(100, 50_000)
    fetch(object_server(body), tmp_path / "x.gz", manifest)
    assert (tmp_path / "x.gz").stat().st_mode & 0o777 == 0o600


def test_state_file_holds_no_key_and_no_url(object_server: Start, export_file: Any, tmp_path: pathlib.Path) -> None:
    body, manifest = export_file(20_000, 50_000)
    store = object_server(body)
    store.cuts = [120_000, 0, 0, 0, 0]
    with pytest.raises(errors.NetworkError):
        fetch(store, tmp_path / "x.gz", manifest)
    text = (tmp_path / "x.gz.part.json").read_text()
    assert quick_key().base64 not in text
    assert "signature" not in text
    assert json.loads(text)["etag"] == store.etag
