"""Parts of a lake in a bucket that need no bucket: faults, ages, settings, work that is done early."""

from __future__ import annotations

import pathlib
import threading

import botocore.exceptions
import pytest

from penstock import errors, settings
from penstock.lake import location
from penstock.lake.location import ahead, faults, s3, touches
from penstock.process import lakes, tables
from penstock.storage.s3 import error_table

CALL = error_table.Call(name="PutObject", bucket="events", key="a", region="us-east-1", endpoint="https://s3.internal")


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        ("NoSuchBucket", 404, "lake_no_such_bucket"),
        ("InvalidAccessKeyId", 403, "lake_access_denied"),
        ("SignatureDoesNotMatch", 403, "lake_access_denied"),
        ("ExpiredToken", 400, "lake_access_denied"),
        ("AccessDenied", 403, "lake_access_denied"),
        ("RequestTimeTooSkewed", 403, "lake_clock_skew"),
        ("PermanentRedirect", 301, "lake_wrong_region"),
        ("SlowDown", 503, "lake_unavailable"),
        ("InternalError", 500, "lake_unavailable"),
        ("XAmzContentSHA256Mismatch", 400, "lake_unavailable"),
        ("InvalidBucketName", 400, "lake_bucket_refused"),
        ("InvalidObjectState", 403, "lake_bucket_refused"),
    ],
)
def test_every_answer_becomes_a_fault_of_the_lake_that_waits_for_the_operator(
    answer: str, status: int, code: str
) -> None:
    said = {"Error": {"Code": answer, "Message": "Because."}, "ResponseMetadata": {"HTTPStatusCode": status}}
    error = faults.of_lake(error_table.explain(botocore.exceptions.ClientError(said, "PutObject"), CALL).error)
    assert (error.code, error.status, error.retriable, bool(error.hint)) == (code, 502, True, True)
    # Its own settings, not those of a customer's bucket.
    assert "customer_ca_file" not in error.hint
    assert "endpoint_url of" not in error.hint


def test_a_full_bucket_is_told_as_a_full_disk_is() -> None:
    said = {"Error": {"Code": "QuotaExceeded"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    error = error_table.explain(botocore.exceptions.ClientError(said, "PutObject"), CALL).error
    assert faults.of_lake(error) is error
    assert isinstance(error, errors.NoRoom)


def test_a_file_is_as_young_as_the_last_time_that_it_was_in_use() -> None:
    noted = [("b", "d", 10.0), ("c", "f", 7.0), ("c", "c", 12.0), ("x", "x", 1.0)]
    entries = [location.Entry(name=f"_touched/{first}~{last}", bytes=0, modified=at) for first, last, at in noted]
    noted_uses = touches.Touches(entries)
    ages = {name: noted_uses.latest(f"{name}.parquet"[: len(name)]) for name in "abcdefgx"}
    assert ages == {"a": 0.0, "b": 10.0, "c": 12.0, "d": 10.0, "e": 7.0, "f": 7.0, "g": 0.0, "x": 1.0}


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("", None),
        ("/srv/lake", None),
        ("s3://events", ("events", "")),
        ("s3://events/", ("events", "")),
        ("s3://my.events-1/a/b/", ("my.events-1", "a/b")),
    ],
)
def test_a_lake_lies_in_a_folder_or_in_a_bucket(path: str, place: tuple[str, str] | None) -> None:
    assert settings.Settings(lake_path=path).lake_bucket == place


@pytest.mark.parametrize(
    "path", ["s3://", "s3://UPPER/x", "s3:///x", "gs://events/x", "https://s3/events", "s3://a b/c"]
)
def test_other_places_are_refused(path: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="lake_path must be a folder or s3://bucket/prefix"):
        settings.Settings(lake_path=path)


def test_half_of_the_credentials_and_plain_http_are_refused_before_anything_is_sent() -> None:
    half = settings.Settings(lake_path="s3://events/x", lake_s3_access_key_id="id")
    with pytest.raises(errors.ConfigurationError) as caught:
        lakes.open_lake(half)
    assert caught.value.code == "lake_settings_incomplete"
    plain = settings.Settings(lake_path="s3://events/x", lake_s3_endpoint_url="http://s3.internal")
    with pytest.raises(errors.ConfigurationError) as caught:
        tables.open_table(plain, "c")
    assert caught.value.code == "lake_plain_http_refused"


def test_what_the_lake_lacks_it_takes_from_the_storage(tmp_path: pathlib.Path) -> None:
    given = settings.Settings(
        home=tmp_path,
        lake_path="s3://events/x",
        lake_s3_region="eu-south-2",
        s3_endpoint_url="https://s3.internal",
        s3_access_key_id="id",
        s3_secret_access_key="secret",
    )
    lake = lakes.open_lake(given)
    assert isinstance(lake, s3.S3Lake)
    address = lake.address
    assert (address.endpoint_url, address.region) == ("https://s3.internal", "eu-south-2")
    assert (address.access_key_id, address.secret_access_key.reveal()) == ("id", "secret")
    assert "secret" not in repr(lake).replace("secret_access_key", "")
    assert lake.cache_folder == tmp_path.resolve() / "lake-cache"


def test_early_work_is_done_once_at_a_time_and_its_faults_are_nobodys() -> None:
    work, gate, done = ahead.Ahead(), threading.Event(), threading.Event()
    ran: list[str] = []

    def slow() -> None:
        ran.append("slow")
        gate.wait(10)
        raise OSError("nobody hears of it")

    work.do("a", slow)
    work.do("a", slow)
    work.do("b", done.set)
    assert done.wait(10)
    gate.set()
    after = threading.Event()
    while not after.is_set():
        work.do("a", after.set)
    assert ran == ["slow"]
