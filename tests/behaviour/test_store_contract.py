"""One suite for every store: MemoryStore, EmbeddedStore, and S3Store on Ceph over https."""

from __future__ import annotations

import base64
import concurrent.futures
import datetime as dt
import random
import re
from typing import Any

import pytest

from penstock import errors
from penstock import settings as settings_module
from penstock.storage import CustomerBucket, CustomerKey, Receipt, Secret, Upload, opening
from penstock.storage.contract import MIN_PART_BYTES

KEY = CustomerKey.generate()
OTHER_KEY = CustomerKey.generate()
CONTENT = {"content_type": "application/gzip", "filename": "export.jsonl.gz"}
BIG = random.Random(1).randbytes(MIN_PART_BYTES)
TAIL = b"the last part may be small"


def begin(kit: Any, name: str = "a/export.jsonl.gz") -> Upload:
    upload: Upload = kit.store.begin(kit.prefix + name, KEY, **CONTENT)
    return upload


def finished(kit: Any, name: str = "a/export.jsonl.gz") -> str:
    """Key of an object of two parts: BIG + TAIL."""
    upload = begin(kit, name)
    receipts = [kit.store.put_part(upload, 1, BIG, KEY), kit.store.put_part(upload, 2, TAIL, KEY)]
    kit.store.complete(upload, receipts, KEY)
    return upload.key


def content(kit: Any, key: str, **bounds: int) -> bytes:
    return b"".join(kit.store.read(key, KEY, **bounds))


def unfinished(kit: Any) -> list[str]:
    return sorted(upload.upload_id for upload in kit.store.list_unfinished(kit.prefix))


# Uploads


def test_an_object_is_its_parts_in_order_of_their_numbers(kit: Any) -> None:
    upload = begin(kit)
    second = kit.store.put_part(upload, 2, BIG[::-1], KEY)
    third = kit.store.put_part(upload, 3, memoryview(TAIL), KEY)
    first = kit.store.put_part(upload, 1, BIG, KEY)
    info = kit.store.complete(upload, [third, first, second], KEY)
    assert content(kit, upload.key) == BIG + BIG[::-1] + TAIL
    assert info.size == 2 * len(BIG) + len(TAIL)
    assert info == kit.store.head(upload.key, KEY)


def test_a_receipt_names_its_part_and_the_plain_size(kit: Any) -> None:
    receipt = kit.store.put_part(begin(kit), 7, TAIL, KEY)
    assert (receipt.number, receipt.size) == (7, len(TAIL))
    assert receipt.etag


def test_completing_again_returns_the_same_object(kit: Any) -> None:
    upload = begin(kit)
    receipts = [kit.store.put_part(upload, 1, TAIL, KEY)]
    assert kit.store.complete(upload, receipts, KEY) == kit.store.complete(upload, receipts, KEY)


def test_a_part_put_again_replaces_the_first(kit: Any) -> None:
    upload = begin(kit)
    kit.store.put_part(upload, 1, b"first try", KEY)
    again = kit.store.put_part(upload, 1, b"second try", KEY)
    kit.store.complete(upload, [again], KEY)
    assert content(kit, upload.key) == b"second try"


def test_the_same_part_put_twice_at_once_is_one_part(kit: Any) -> None:
    upload = begin(kit)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: kit.store.put_part(upload, 1, BIG, KEY), range(2)))
    receipt = kit.store.put_part(upload, 1, BIG, KEY)
    kit.store.complete(upload, [receipt], KEY)
    assert content(kit, upload.key) == BIG


def test_parts_come_from_several_threads_in_any_order(kit: Any) -> None:
    upload = begin(kit)
    bodies = {number: bytes([number]) * MIN_PART_BYTES for number in range(1, 6)}
    numbers = random.Random(2).sample(sorted(bodies), len(bodies))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        receipts = list(pool.map(lambda number: kit.store.put_part(upload, number, bodies[number], KEY), numbers))
    kit.store.complete(upload, receipts, KEY)
    assert content(kit, upload.key) == b"".join(bodies[number] for number in sorted(bodies))


def test_two_objects_are_written_side_by_side(kit: Any) -> None:
    uploads = [begin(kit, f"side/{n}.gz") for n in range(3)]
    for number in (1, 2):
        for index, upload in enumerate(uploads):
            kit.store.put_part(upload, number, bytes([index]) * MIN_PART_BYTES, KEY)
    receipts = [kit.store.put_part(upload, 3, bytes([65 + i]), KEY) for i, upload in enumerate(uploads)]
    for index, upload in enumerate(uploads):
        parts = [kit.store.put_part(upload, n, bytes([index]) * MIN_PART_BYTES, KEY) for n in (1, 2)]
        kit.store.complete(upload, [*parts, receipts[index]], KEY)
        assert content(kit, upload.key) == bytes([index]) * (2 * MIN_PART_BYTES) + bytes([65 + index])


def test_an_object_appears_only_when_it_is_complete(kit: Any) -> None:
    upload = begin(kit)
    receipt = kit.store.put_part(upload, 1, TAIL, KEY)
    with pytest.raises(errors.ObjectMissing):
        kit.store.head(upload.key, KEY)
    kit.store.complete(upload, [receipt], KEY)
    assert kit.store.head(upload.key, KEY).size == len(TAIL)


def test_a_new_object_replaces_one_of_the_same_key(kit: Any) -> None:
    key = finished(kit)
    upload = begin(kit)
    kit.store.complete(upload, [kit.store.put_part(upload, 1, TAIL, KEY)], KEY)
    assert upload.key == key
    assert content(kit, key) == TAIL
    assert unfinished(kit) == []


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda parts: [], id="none"),
        pytest.param(lambda parts: parts[1:], id="gap"),
        pytest.param(lambda parts: [*parts, parts[1]], id="twice"),
        pytest.param(lambda parts: [parts[1], _as(parts[0], number=1)], id="small part first"),
        pytest.param(lambda parts: [*parts, _as(parts[1], number=3)], id="never put"),
        pytest.param(lambda parts: [parts[0], _as(parts[1], etag="0" * 32)], id="another etag"),
    ],
)
def test_receipts_that_make_no_object_are_refused(kit: Any, spoil: Any) -> None:
    upload = begin(kit)
    parts = [kit.store.put_part(upload, 1, BIG, KEY), kit.store.put_part(upload, 2, TAIL, KEY)]
    wrong = spoil(parts)
    if wrong and wrong[0].number == 2 and len(wrong) == 2:
        small = kit.store.put_part(upload, 1, TAIL, KEY)
        wrong = [small, _as(kit.store.put_part(upload, 2, TAIL, KEY))]
    with pytest.raises(errors.StorageError) as refusal:
        kit.store.complete(upload, wrong, KEY)
    assert refusal.value.code == "invalid_part"
    with pytest.raises(errors.ObjectMissing):
        kit.store.head(upload.key, KEY)


def test_numbers_may_skip_where_the_caller_says_so(kit: Any) -> None:
    upload = begin(kit)
    parts = [kit.store.put_part(upload, number, BIG, KEY) for number in (2, 701)]
    parts.append(kit.store.put_part(upload, 10_000, TAIL, KEY))
    assert kit.store.complete(upload, parts, KEY, gaps=True).size == 2 * len(BIG) + len(TAIL)
    assert content(kit, upload.key) == BIG + BIG + TAIL


def test_numbers_that_skip_do_not_come_twice(kit: Any) -> None:
    upload = begin(kit)
    parts = [kit.store.put_part(upload, 2, BIG, KEY), kit.store.put_part(upload, 7, TAIL, KEY)]
    with pytest.raises(errors.InvalidPart):
        kit.store.complete(upload, [*parts, parts[0]], KEY, gaps=True)


def _as(receipt: Receipt, **changes: Any) -> Receipt:
    facts = {"number": receipt.number, "etag": receipt.etag, "size": receipt.size}
    return Receipt(**{**facts, **changes})


@pytest.mark.parametrize("number", [0, -1, 10_001])
def test_a_part_number_outside_1_to_10000_is_refused(kit: Any, number: int) -> None:
    with pytest.raises(errors.StorageError) as refusal:
        kit.store.put_part(begin(kit), number, TAIL, KEY)
    assert refusal.value.code == "invalid_part"


@pytest.mark.parametrize("key", ["", "/a", "a//b", "../a", "a/../b", "a/./b", "a\nb", "x" * 1025])
def test_a_key_that_some_store_cannot_hold_is_refused(kit: Any, key: str) -> None:
    with pytest.raises(errors.DestinationError) as refusal:
        kit.store.begin(key, KEY, **CONTENT)
    assert refusal.value.code == "invalid_prefix"


def test_an_upload_that_never_was_is_missing(kit: Any) -> None:
    real = begin(kit)
    for upload_id in ("0" * 32, "../../etc/passwd", "never"):
        upload = Upload(key=real.key, upload_id=upload_id)
        with pytest.raises(errors.ObjectMissing):
            kit.store.put_part(upload, 1, TAIL, KEY)
        with pytest.raises(errors.ObjectMissing):
            kit.store.complete(upload, [Receipt(number=1, etag="0" * 32, size=3)], KEY)
        kit.store.abort(upload)


# Aborting, listing, deleting


def test_an_aborted_upload_is_gone(kit: Any) -> None:
    upload = begin(kit)
    receipt = kit.store.put_part(upload, 1, TAIL, KEY)
    kit.store.abort(upload)
    kit.store.abort(upload)
    assert unfinished(kit) == []
    with pytest.raises(errors.ObjectMissing):
        kit.store.put_part(upload, 2, TAIL, KEY)
    with pytest.raises(errors.ObjectMissing):
        kit.store.complete(upload, [receipt], KEY)


def test_aborting_after_completion_spares_the_object(kit: Any) -> None:
    upload = begin(kit)
    kit.store.complete(upload, [kit.store.put_part(upload, 1, TAIL, KEY)], KEY)
    kit.store.abort(upload)
    assert content(kit, upload.key) == TAIL


def test_a_part_put_after_completion_changes_nothing(kit: Any) -> None:
    upload = begin(kit)
    kit.store.complete(upload, [kit.store.put_part(upload, 1, TAIL, KEY)], KEY)
    with pytest.raises(errors.ObjectMissing):
        kit.store.put_part(upload, 1, b"a late word of a worker that lost its lease", KEY)
    assert content(kit, upload.key) == TAIL


def test_unfinished_uploads_are_listed_with_their_start(kit: Any) -> None:
    done = begin(kit, "done.gz")
    kit.store.complete(done, [kit.store.put_part(done, 1, TAIL, KEY)], KEY)
    open_uploads = [begin(kit, f"open/{n}.gz") for n in range(3)]
    kit.store.put_part(open_uploads[0], 1, TAIL, KEY)
    listed = list(kit.store.list_unfinished(kit.prefix))
    assert {(upload.key, upload.upload_id) for upload in listed} == {(u.key, u.upload_id) for u in open_uploads}
    for upload in listed:
        assert upload.started_at is not None
        assert upload.started_at.tzinfo == dt.UTC
    assert [u.key for u in kit.store.list_unfinished(kit.prefix + "open/1")] == [open_uploads[1].key]
    assert list(kit.store.list_unfinished(kit.prefix + "none")) == []


def test_an_upload_goes_on_from_what_is_remembered_of_it(kit: Any) -> None:
    """Another worker has key and upload id from the database, and receipts of the parts."""
    began = begin(kit)
    first = kit.store.put_part(began, 1, BIG, KEY)
    remembered = Upload(key=began.key, upload_id=began.upload_id)
    second = kit.store.put_part(remembered, 2, TAIL, KEY)
    kit.store.complete(remembered, [first, second], KEY)
    assert content(kit, began.key) == BIG + TAIL


def test_a_deleted_object_is_gone_and_stays_gone(kit: Any) -> None:
    key = finished(kit)
    kit.store.delete(key)
    kit.store.delete(key)
    with pytest.raises(errors.ObjectMissing):
        kit.store.head(key, KEY)
    with pytest.raises(errors.ObjectMissing):
        content(kit, key)
    assert unfinished(kit) == []


# Reading


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (0, None),
        (0, 0),
        (0, 1),
        (1, 2),
        (262_143, 262_145),
        (262_144, 524_288),
        (MIN_PART_BYTES - 1, MIN_PART_BYTES + 1),
        (MIN_PART_BYTES, None),
        (MIN_PART_BYTES + len(TAIL) - 1, None),
        (MIN_PART_BYTES + len(TAIL), None),
        (MIN_PART_BYTES + len(TAIL) + 7, None),
        (3, 10**9),
    ],
)
def test_a_range_is_the_same_slice_of_the_content(kit: Any, start: int, end: int | None) -> None:
    key = finished(kit)
    assert content(kit, key, start=start, end=end) == (BIG + TAIL)[start:end]


def test_pieces_are_bounded(kit: Any) -> None:
    assert max(map(len, kit.store.read(finished(kit), KEY))) <= 1024 * 1024


def test_an_empty_object_can_be_read(kit: Any) -> None:
    info = kit.store.put(kit.prefix + "empty", b"", KEY, **CONTENT)
    assert info.size == 0
    assert content(kit, info.key) == b""


def test_a_small_object_is_put_in_one_go_and_put_again(kit: Any) -> None:
    kit.store.put(kit.prefix + "m.json", b"{}", KEY, content_type="application/json", filename="m.json")
    info = kit.store.put(kit.prefix + "m.json", b'{"a":1}', KEY, content_type="application/json", filename="m.json")
    assert info.size == 7
    assert info == kit.store.head(info.key, KEY)
    assert content(kit, info.key) == b'{"a":1}'


# Keys


def test_a_wrong_key_opens_nothing_and_adds_nothing(kit: Any) -> None:
    key = finished(kit)
    upload = begin(kit, "b")
    for forbidden in (
        lambda: kit.store.head(key, OTHER_KEY),
        lambda: kit.store.read(key, OTHER_KEY),
        lambda: kit.store.put_part(upload, 1, TAIL, OTHER_KEY),
    ):
        with pytest.raises(errors.AccessDenied) as refusal:
            forbidden()
        assert refusal.value.code == "wrong_customer_key"


def test_no_url_and_no_error_contains_the_key(kit: Any) -> None:
    key = finished(kit)
    url = kit.store.presign(key, KEY, expires_in_seconds=60, filename="n.gz")
    with pytest.raises(errors.AccessDenied) as refusal:
        kit.store.head(key, OTHER_KEY)
    for text in (url, repr(refusal.value), str(refusal.value)):
        for secret in forms_of(KEY) + forms_of(OTHER_KEY):
            assert secret.decode("latin-1") not in text


def test_the_store_can_be_tried_out_and_nothing_is_left(kit: Any) -> None:
    kit.store.probe(KEY)
    assert unfinished(kit) == []


def forms_of(key: CustomerKey) -> list[bytes]:
    """A key as it might lie about: raw, base64 of both alphabets, hex."""
    encoded = base64.b64encode(key.raw).rstrip(b"=")
    return [key.raw, encoded, base64.urlsafe_b64encode(key.raw).rstrip(b"="), key.raw.hex().encode()]


def test_neither_key_nor_content_lies_in_the_store_s_folder(embedded_kit: Any) -> None:
    marker = b"MARKER-a-sentence-of-an-event"
    upload = begin(embedded_kit)
    receipts = [embedded_kit.store.put_part(upload, 1, BIG + marker, KEY)]
    embedded_kit.store.put_part(upload, 2, marker * 100_000, KEY)
    assert_clean(embedded_kit.folder, marker)
    embedded_kit.store.complete(upload, receipts, KEY)
    embedded_kit.store.presign(upload.key, KEY, expires_in_seconds=60, filename="n.gz")
    assert content(embedded_kit, upload.key) == BIG + marker
    assert_clean(embedded_kit.folder, marker)


def assert_clean(folder: Any, marker: bytes) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) > len(BIG)
    for path in files:
        held = path.read_bytes() + str(path).encode()
        assert not [secret for secret in [marker, *forms_of(KEY)] if secret in held], path


# URLs


def signed(kit: Any, name: str = "a/export.jsonl.gz", seconds: int = 300, filename: str = "my export.jsonl.gz") -> str:
    url: str = kit.store.presign(finished(kit, name), KEY, expires_in_seconds=seconds, filename=filename)
    return url


def error_code(response: Any) -> str:
    found = re.search(r"<Code>(\w+)</Code>", response.text)
    assert found, response.text
    return found.group(1)


def test_a_url_downloads_the_object_with_the_key(served_kit: Any) -> None:
    response = served_kit.get(signed(served_kit), KEY.headers())
    assert response.status_code == 200
    assert response.content == BIG + TAIL
    assert response.headers["Content-Length"] == str(len(BIG + TAIL))
    assert response.headers["Content-Type"] == "application/gzip"
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["ETag"].startswith('"')
    assert response.headers["Last-Modified"].endswith(" GMT")


@pytest.mark.parametrize("key", ["a/b c+d&e.gz", "ü/ж.gz", "a/(1)~'!*.gz", "100%/x.gz"])
def test_a_url_survives_any_key(served_kit: Any, key: str) -> None:
    assert served_kit.get(signed(served_kit, key), KEY.headers()).status_code == 200


@pytest.mark.parametrize(
    ("filename", "saved_as"),
    [
        ("export_2026.jsonl.gz", 'filename="export_2026.jsonl.gz"'),
        ('a"b\r\n/c.gz', 'filename="a_b___c.gz"'),
        ("événements.jsonl.gz", "filename*=UTF-8''%C3%A9v%C3%A9nements.jsonl.gz"),
    ],
)
def test_a_browser_saves_it_under_a_sensible_name(served_kit: Any, filename: str, saved_as: str) -> None:
    response = served_kit.get(signed(served_kit, filename=filename), KEY.headers())
    disposition = response.headers["Content-Disposition"]
    assert disposition.startswith("attachment; ")
    assert saved_as in disposition


def test_without_the_key_nothing_comes(served_kit: Any) -> None:
    response = served_kit.get(signed(served_kit))
    expected = {"embedded": (400, "InvalidRequest"), "ceph": (403, "SignatureDoesNotMatch")}[served_kit.kind]
    assert (response.status_code, error_code(response)) == expected


def test_a_wrong_key_is_denied(served_kit: Any) -> None:
    response = served_kit.get(signed(served_kit), OTHER_KEY.headers())
    expected = {"embedded": (403, "AccessDenied"), "ceph": (403, "SignatureDoesNotMatch")}[served_kit.kind]
    assert (response.status_code, error_code(response)) == expected


def test_an_expired_url_is_denied(served_kit: Any) -> None:
    url = signed(served_kit, seconds=2)
    served_kit.let_expire(url)
    response = served_kit.get(url, KEY.headers())
    assert (response.status_code, error_code(response)) == (403, "AccessDenied")


@pytest.mark.parametrize("part", ["key", "expires", "filename", "signature"])
def test_a_tampered_url_is_denied(served_kit: Any, part: str) -> None:
    names = {
        "embedded": ("X-Penstock-Expires=", "X-Penstock-Filename=my", "X-Penstock-Signature="),
        "ceph": ("X-Amz-Expires=", "filename%3D%22my", "X-Amz-Signature="),
    }[served_kit.kind]
    url = signed(served_kit)
    finished(served_kit, "b/export.jsonl.gz")
    expires, filename, signature = names
    changes = {
        "key": ("a/export", "b/export"),
        "expires": (expires, expires + "1"),
        "filename": (filename, filename.replace("my", "your")),
        "signature": (signature, signature + "0"),
    }
    tampered = url.replace(*changes[part])
    assert tampered != url
    response = served_kit.get(tampered, KEY.headers())
    # Ceph answers a lifetime beyond a week, and a signature of the wrong length, in words of its own.
    assert response.status_code in ((403,) if served_kit.kind == "embedded" else (400, 403))
    assert error_code(response) in ("SignatureDoesNotMatch", "AccessDenied", "InvalidArgument")


def test_an_unsigned_url_is_denied(served_kit: Any) -> None:
    response = served_kit.get(signed(served_kit).partition("?")[0], KEY.headers())
    assert (response.status_code, error_code(response)) == (403, "AccessDenied")


def test_the_url_of_a_deleted_object_says_so(served_kit: Any) -> None:
    url = signed(served_kit)
    served_kit.store.delete(served_kit.prefix + "a/export.jsonl.gz")
    response = served_kit.get(url, KEY.headers())
    assert (response.status_code, error_code(response)) == (404, "NoSuchKey")


SIZE = len(BIG + TAIL)


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        (f"bytes={MIN_PART_BYTES - 2}-{MIN_PART_BYTES + 1}", MIN_PART_BYTES - 2, MIN_PART_BYTES + 2),
        (f"bytes={MIN_PART_BYTES}-", MIN_PART_BYTES, SIZE),
        ("bytes=-5", SIZE - 5, SIZE),
        (f"bytes=-{SIZE + 100}", 0, SIZE),
        (f"bytes=5-{SIZE + 100}", 5, SIZE),
    ],
)
def test_a_range_header_gives_that_part(served_kit: Any, asked: str, start: int, end: int) -> None:
    response = served_kit.get(signed(served_kit), {**KEY.headers(), "Range": asked})
    assert response.status_code == 206
    assert response.content == (BIG + TAIL)[start:end]
    assert response.headers["Content-Range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert response.headers["Content-Length"] == str(end - start)


def test_a_range_beyond_the_end_cannot_be_satisfied(served_kit: Any) -> None:
    response = served_kit.get(signed(served_kit), {**KEY.headers(), "Range": f"bytes={SIZE}-"})
    assert (response.status_code, error_code(response)) == (416, "InvalidRange")


def test_an_interrupted_download_goes_on_with_range_and_if_match(served_kit: Any) -> None:
    url = signed(served_kit)
    etag = served_kit.get(url, {**KEY.headers(), "Range": "bytes=0-0"}).headers["ETag"]
    rest = served_kit.get(url, {**KEY.headers(), "Range": "bytes=1000-", "If-Match": etag})
    assert (rest.status_code, rest.content) == (206, (BIG + TAIL)[1000:])
    changed = served_kit.get(url, {**KEY.headers(), "Range": "bytes=1000-", "If-Match": '"another"'})
    assert changed.status_code == 412


def test_many_download_at_once(served_kit: Any) -> None:
    url = signed(served_kit)
    ranges = [(start, min(start + 700_000, SIZE)) for start in range(0, SIZE, 700_000)]

    def fetch(bounds: tuple[int, int]) -> bytes:
        headers = {**KEY.headers(), "Range": f"bytes={bounds[0]}-{bounds[1] - 1}"}
        body: bytes = served_kit.get(url, headers).content
        return body

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert b"".join(pool.map(fetch, ranges)) == BIG + TAIL


@pytest.mark.ceph
def test_boto3_reads_what_we_wrote(ceph: Any) -> None:
    store = ceph.store()
    store.put("boto/x.gz", TAIL, KEY, **CONTENT)
    keys = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": KEY.base64, "SSECustomerKeyMD5": KEY.md5}
    answer = ceph.client().get_object(Bucket=ceph.bucket, Key="boto/x.gz", **keys)
    assert answer["Body"].read() == TAIL
    assert answer["ContentType"] == "application/gzip"
    assert answer["ContentDisposition"] == 'attachment; filename="export.jsonl.gz"'


@pytest.mark.ceph
def test_a_customer_s_bucket_is_reached_through_the_guard(ceph: Any) -> None:
    members = {"bucket_name": ceph.bucket, "access_key_id": "test", "secret_access_key": "testtest"}
    bucket = CustomerBucket.parse({**members, "prefix": "customer", "endpoint_url": ceph.url})
    with pytest.raises(errors.DestinationError) as refusal:
        opening.open_customer_store(bucket, settings_module.Settings(customer_ca_file=ceph.ca_file))
    assert refusal.value.code == "endpoint_not_allowed"
    allowed = settings_module.Settings(customer_ca_file=ceph.ca_file, endpoint_allow_list=("127.0.0.0/8",))
    store = opening.open_customer_store(CustomerBucket.from_bytes(bucket.seal_bytes()), allowed)
    store.probe(KEY)
    upload = store.begin("customer/x.gz", KEY, **CONTENT)
    store.complete(upload, [store.put_part(upload, 1, BIG, KEY), store.put_part(upload, 2, TAIL, KEY)], KEY)
    assert b"".join(store.read(upload.key, KEY)) == BIG + TAIL


@pytest.mark.ceph
def test_unfinished_uploads_are_listed_over_several_pages(ceph: Any) -> None:
    store = ceph.store(list_page=2)
    names = ["pages/1", "pages/2", "pages/2", "pages/2", "pages/3"]
    began = {store.begin(name, KEY, **CONTENT).upload_id for name in names}
    listed = list(store.list_unfinished("pages/"))
    assert [upload.key for upload in listed] == names
    assert {upload.upload_id for upload in listed} == began
    for upload in listed:
        store.abort(upload)
    assert list(store.list_unfinished("pages/")) == []


@pytest.mark.ceph
def test_the_lifecycle_rule_is_installed_beside_others(ceph: Any) -> None:
    store = ceph.store(prefix="penstock")
    assert store.describe_lifecycle() == ()
    theirs = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 9}}
    client = ceph.client()
    client.put_bucket_lifecycle_configuration(Bucket=ceph.bucket, LifecycleConfiguration={"Rules": [theirs]})
    store.install_lifecycle(2)
    store.install_lifecycle(3)
    rules = {rule.name: rule for rule in store.describe_lifecycle()}
    assert sorted(rules) == ["penstock-expiry", "theirs"]
    ours = rules["penstock-expiry"]
    assert (ours.prefix, ours.is_enabled, ours.is_ours) == ("penstock/", True, True)
    assert (ours.expire_days, ours.abort_days) == (3, 3)
    assert not rules["theirs"].is_ours


@pytest.mark.ceph
@pytest.mark.parametrize(
    ("wrong", "reason", "words"),
    [
        ({"bucket": "no-such-bucket"}, "no_such_bucket", "no bucket 'no-such-bucket'"),
        ({"access_key_id": "nobody"}, "unknown_access_key", "does not know the access key id"),
        ({"secret_access_key": "wrong"}, "wrong_secret_key", "secret access key"),
        ({"ca_file": ""}, "tls_untrusted", "certificate"),
        ({"endpoint_url": "https://127.0.0.1:9"}, "storage_unavailable", "no connection can be made"),
        ({"endpoint_url": "https://s3.invalid"}, "storage_unavailable", "name cannot be resolved"),
    ],
)
def test_a_probe_says_what_to_mend(ceph: Any, wrong: dict[str, Any], reason: str, words: str) -> None:
    if "secret_access_key" in wrong:
        wrong = {"secret_access_key": Secret(wrong["secret_access_key"])}
    with pytest.raises(errors.DestinationError) as refusal:
        ceph.store(**wrong).probe(KEY)
    assert refusal.value.code == "destination_not_writable"
    assert refusal.value.extra["reason"] == reason
    assert words in refusal.value.detail
    assert refusal.value.hint


def test_an_object_without_a_customer_key_is_downloaded_without_one(served_kit: Any) -> None:
    key = served_kit.prefix + "plain.jsonl.gz"
    upload = served_kit.store.begin(key, None, **CONTENT)
    receipts = [served_kit.store.put_part(upload, 1, BIG, None), served_kit.store.put_part(upload, 2, TAIL, None)]
    served_kit.store.complete(upload, receipts, None)
    assert served_kit.store.complete(upload, receipts, None).size == len(BIG + TAIL)
    served_kit.store.put(key + ".manifest", b"{}", None, **CONTENT)
    assert b"".join(served_kit.store.read(key + ".manifest", None)) == b"{}"
    url = served_kit.store.presign(key, None, expires_in_seconds=60, filename="n.gz")
    response = served_kit.get(url, {})
    assert (response.status_code, response.content) == (200, BIG + TAIL)
    assert not [name for name in response.headers if "customer" in name.lower()]
    assert served_kit.get(url.replace("plain.jsonl.gz", "other.jsonl.gz"), {}).status_code == 403
    served_kit.store.probe(None)


def test_an_object_with_a_customer_key_is_not_read_without(kit: Any) -> None:
    with pytest.raises(errors.AccessDenied):
        kit.store.head(finished(kit), None)
