"""Customers' bucket settings, object keys, file names, customer keys, and opening stores by settings."""

from __future__ import annotations

import base64
import datetime as dt
import pathlib
import pickle
import re
import subprocess
import sys

import hypothesis
import hypothesis.strategies as st
import pytest

from penstock import errors, storage, testing
from penstock import settings as settings_module
from penstock.storage import CustomerBucket, CustomerKey, Secret, naming, opening
from penstock.storage.embedded import byte_ranges
from penstock.storage.embedded import store as embedded
from penstock.storage.s3 import store as s3

MEMBERS = {"bucket_name": "exports", "access_key_id": "AKID", "secret_access_key": "s3cr3t"}


# The `s3` member


def test_a_bucket_is_read_from_the_request_with_defaults_for_what_is_left_out() -> None:
    bucket = CustomerBucket.parse({**MEMBERS, "prefix": "/soc/2026/", "endpoint_url": "", "region_name": None})
    assert bucket.bucket_name == "exports"
    assert bucket.secret_access_key.reveal() == "s3cr3t"
    assert (bucket.prefix, bucket.endpoint_url, bucket.region_name) == ("soc/2026", None, "us-east-1")
    assert bucket.destination == "s3://exports/soc/2026"


def test_a_bucket_elsewhere_says_where() -> None:
    bucket = CustomerBucket.parse({**MEMBERS, "endpoint_url": "https://s3.example.com"})
    assert bucket.destination == "s3://exports at https://s3.example.com"


@pytest.mark.parametrize("missing", [("bucket_name",), ("secret_access_key",), ("access_key_id", "secret_access_key")])
@pytest.mark.parametrize("empty", ["", None, "  "])
def test_every_missing_member_is_named(missing: tuple[str, ...], empty: str | None) -> None:
    with pytest.raises(errors.DestinationError) as refusal:
        CustomerBucket.parse({**MEMBERS, **dict.fromkeys(missing, empty)})
    assert refusal.value.code == "incomplete_s3_settings"
    assert refusal.value.extra["missing"] == list(missing)
    assert all(name in refusal.value.detail for name in missing)


@pytest.mark.parametrize(
    "wrong",
    [
        {"bucket_name": "a"},
        {"bucket_name": "../x"},
        {"bucket_name": "a/b"},
        {"bucket_name": "exports?x"},
        {"bucket_name": 5},
        {"region_name": "evil.example.com/"},
        {"region_name": "us-east-1@evil"},
        {"region_name": "-"},
        {"access_key_id": "a\nb"},
        {"secret_access_key": "a\x00b"},
        {"endpoint_url": ["https://s3.example.com"]},
    ],
)
def test_a_member_that_cannot_be_is_refused_without_showing_the_secret(wrong: dict[str, object]) -> None:
    with pytest.raises(errors.DestinationError) as refusal:
        CustomerBucket.parse({**MEMBERS, **wrong})
    assert refusal.value.code == "invalid_s3_settings"
    assert next(iter(wrong)) in refusal.value.detail
    assert "s3cr3t" not in str(refusal.value)


@pytest.mark.parametrize("prefix", ["..", "a/../b", "a//b", "a\nb", "x" * 1025, "./a"])
def test_a_prefix_that_leads_out_of_itself_is_refused(prefix: str) -> None:
    with pytest.raises(errors.DestinationError) as refusal:
        CustomerBucket.parse({**MEMBERS, "prefix": prefix})
    assert refusal.value.code == "invalid_prefix"


def test_a_sealed_bucket_comes_back_the_same() -> None:
    bucket = CustomerBucket.parse({**MEMBERS, "prefix": "ü", "endpoint_url": "https://e", "region_name": "eu-west-3"})
    assert CustomerBucket.from_bytes(bucket.seal_bytes()) == bucket


def test_no_secret_prints_or_pickles() -> None:
    bucket, key = CustomerBucket.parse(MEMBERS), CustomerKey.generate()
    assert "s3cr3t" not in repr(bucket)
    assert f"{bucket.secret_access_key} {bucket.secret_access_key!r}" == "*** ***"
    assert key.base64 not in f"{key} {key!r}"
    for secret in (bucket, bucket.secret_access_key, key):
        with pytest.raises(TypeError):
            pickle.dumps(secret)


# Customer keys


def test_a_customer_key_is_read_with_or_without_its_md5() -> None:
    key = CustomerKey(bytes(range(32)))
    assert CustomerKey.parse(key.base64) == key
    assert CustomerKey.parse(key.base64, md5=key.md5, algorithm="AES256") == key
    assert key.headers() == {
        "x-amz-server-side-encryption-customer-algorithm": "AES256",
        "x-amz-server-side-encryption-customer-key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "x-amz-server-side-encryption-customer-key-MD5": "tP/LI3N87DFaSk0aoqYgzg==",
    }


@pytest.mark.parametrize("text", ["", "short", "not base64", base64.b64encode(bytes(31)).decode(), "é" * 44])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(errors.DestinationError) as refusal:
        CustomerKey.parse(text)
    assert refusal.value.code == "invalid_customer_key"
    assert refusal.value.hint


def test_another_algorithm_and_another_md5_are_refused() -> None:
    key = CustomerKey.generate()
    with pytest.raises(errors.DestinationError) as refusal:
        CustomerKey.parse(key.base64, algorithm="aws:kms")
    assert refusal.value.code == "invalid_customer_key"
    with pytest.raises(errors.DestinationError) as refusal:
        CustomerKey.parse(key.base64, md5=CustomerKey.generate().md5)
    assert refusal.value.code == "customer_key_md5_mismatch"


# Names


def test_an_object_key_has_prefix_community_utc_day_and_task() -> None:
    late = dt.datetime(2026, 3, 1, 0, 30, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert storage.object_key("/penstock/", "c-1", late, "t-1") == "penstock/c-1/2026/02/28/export_t-1.jsonl.gz"
    assert storage.object_key("", "c-1", late, "t-1") == "c-1/2026/02/28/export_t-1.jsonl.gz"


def test_the_manifest_lies_beside_the_object() -> None:
    assert storage.manifest_key("p/c/2026/02/28/export_t.jsonl.gz") == "p/c/2026/02/28/export_t.manifest.json"


@hypothesis.given(st.text())
def test_a_disposition_is_one_safe_header_line_whatever_the_name(filename: str) -> None:
    header = naming.content_disposition(filename)
    assert header.isascii()
    assert header.isprintable()
    assert re.fullmatch(r"attachment; filename=\"[^\"\\/;]+\"(; filename\*=UTF-8''[A-Za-z0-9%._~-]+)?", header)


@hypothesis.given(st.integers(0, 40), st.integers(0, 60) | st.none(), st.integers(0, 60) | st.none())
def test_a_range_is_what_rfc_9110_says(size: int, first: int | None, last: int | None) -> None:
    """Against a list of the offsets that the header names."""
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    offsets = list(range(size))
    if first is None and last is None:
        assert byte_ranges.parse(header, size) is None
        return
    if first is None:
        named = offsets[-last:] if last else []
    elif last is None:
        named = offsets[first:]
    elif last < first:
        assert byte_ranges.parse(header, size) is None
        return
    else:
        named = offsets[first : last + 1]
    if named:
        assert byte_ranges.parse(header, size) == (named[0], named[-1] + 1)
    else:
        with pytest.raises(byte_ranges.Unsatisfiable):
            byte_ranges.parse(header, size)


# Opening


def settings(**values: object) -> settings_module.Settings:
    return settings_module.Settings(**values)  # type: ignore[arg-type]


def open_service(**values: object) -> storage.Store:
    return opening.open_service_store(settings(**values), signing_key=b"k" * 32, clock=testing.ManualClock())


def test_the_default_store_is_embedded_in_the_home_folder(tmp_path: pathlib.Path) -> None:
    store = open_service(home=tmp_path, public_url="https://exports.example.com")
    assert isinstance(store, embedded.EmbeddedStore)
    assert list(tmp_path.iterdir()) == []
    key = CustomerKey.generate()
    store.put("k", b"x", key, content_type="a/b", filename="f")
    assert [path.name for path in tmp_path.iterdir()] == ["exports"]
    url = store.presign("k", key, expires_in_seconds=60, filename="f")
    assert url.startswith("https://exports.example.com/storage/k?")


def test_parts_may_be_as_small_as_the_operator_sets_them(tmp_path: pathlib.Path) -> None:
    key = CustomerKey.generate()
    for part_bytes in (1000, 16 * 1024 * 1024):
        store = open_service(home=tmp_path, part_bytes=part_bytes)
        upload = store.begin("k", key, content_type="a/b", filename="f")
        receipts = [store.put_part(upload, number, bytes(1000), key) for number in (1, 2)]
        if part_bytes == 1000:
            assert store.complete(upload, receipts, key).size == 2000
        else:
            with pytest.raises(errors.StorageError):
                store.complete(upload, receipts, key)


def test_the_embedded_mode_does_not_pay_for_boto3() -> None:
    program = "import sys, penstock.storage; sys.exit(any(name.startswith('boto') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_service_bucket_is_opened_by_settings() -> None:
    values = {"s3_access_key_id": "i", "s3_secret_access_key": "s", "s3_endpoint_url": "https://s3.example.com"}
    store = open_service(storage="s3", s3_bucket="exports", **values)
    assert isinstance(store, s3.S3Store)
    url = store.presign("k", CustomerKey.generate(), expires_in_seconds=60, filename="f")
    assert url.startswith("https://s3.example.com/exports/k?")


@pytest.mark.parametrize(
    "values",
    [{}, {"s3_bucket": "b", "s3_access_key_id": "i"}, {"s3_bucket": "b", "s3_secret_access_key": "s"}],
)
def test_half_a_service_bucket_is_refused(values: dict[str, str]) -> None:
    with pytest.raises(errors.ConfigurationError) as refusal:
        open_service(storage="s3", **values)
    assert refusal.value.code == "storage_settings_incomplete"


def test_a_service_bucket_over_plain_http_is_refused() -> None:
    with pytest.raises(errors.ConfigurationError) as refusal:
        open_service(storage="s3", s3_bucket="b", s3_endpoint_url="http://s3.example.com", s3_allow_http=True)
    assert refusal.value.code == "plain_http_refused"


def test_a_region_that_is_none_is_a_configuration_error() -> None:
    with pytest.raises(errors.ConfigurationError) as refusal:
        open_service(storage="s3", s3_bucket="b", s3_region="not a region")
    assert refusal.value.code == "storage_settings_invalid"


# MemoryStore


def test_a_memory_store_fails_when_told_to_and_as_often() -> None:
    store, key = testing.MemoryStore(min_part_bytes=1), CustomerKey.generate()
    failure = errors.StorageError("storage_unavailable", "away", "wait")
    store.fail_next("put_part", failure, times=2)
    upload = store.begin("k", key, content_type="a/b", filename="f")
    for _ in range(2):
        with pytest.raises(errors.StorageError):
            store.put_part(upload, 1, b"x", key)
    receipt = store.put_part(upload, 1, b"x", key)
    assert store.calls["put_part"] == 3
    store.fail_next("complete", failure, after_effect=True)
    with pytest.raises(errors.StorageError):
        store.complete(upload, [receipt], key)
    assert (store.keys(), store.content("k")) == (["k"], b"x")
    assert store.complete(upload, [receipt], key).size == 1


def test_secrets_compare_by_value() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1


def test_a_bucket_says_how_it_encrypts_and_remembers_it_sealed() -> None:
    asked = {"bucket_name": "theirs", "access_key_id": "a", "secret_access_key": "b"}
    assert storage.CustomerBucket.parse(asked).encryption is storage.Encryption.SSE_C
    bucket = storage.CustomerBucket.parse(asked | {"encryption": "sse-kms", "kms_key_id": "alias/exports"})
    assert (bucket.encryption, bucket.kms_key_id) == (storage.Encryption.SSE_KMS, "alias/exports")
    assert storage.CustomerBucket.from_bytes(bucket.seal_bytes()) == bucket


@pytest.mark.parametrize(
    "members", [{"encryption": "none"}, {"encryption": "SSE-C2"}, {"encryption": "sse-c", "kms_key_id": "k"}]
)
def test_an_encryption_that_a_bucket_cannot_have_is_refused(members: dict[str, str]) -> None:
    asked = {"bucket_name": "theirs", "access_key_id": "a", "secret_access_key": "b"}
    with pytest.raises(errors.DestinationError) as refused:
        storage.CustomerBucket.parse(asked | members)
    assert refused.value.code == "invalid_s3_settings"
