"""Claims about attached tables in S3, on Ceph: read where they lie, pinned by ETag."""

from __future__ import annotations

import dataclasses
import datetime as dt
import gzip
import io
import pathlib
from collections.abc import Iterator
from typing import Any

import deltalake
import polars as pl
import pytest
from support import attached, ceph_service

from penstock import errors
from penstock.base.secret import Secret
from penstock.lake.attached import stores

pytestmark = pytest.mark.ceph
FRAME = pl.DataFrame(
    {
        "time": [1_772_366_400_000 + (n * 7919) % 3_600_000 for n in range(500)],
        "n": range(500),
        "message": [f"login {n % 7} failed" for n in range(500)],
    }
)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, str]]:
    """A fresh bucket, and boto3 for it."""
    ceph = ceph_service.ceph()
    monkeypatch.setenv("SSL_CERT_FILE", ceph.ca_file)
    client = ceph.client()
    with ceph.bucket(client) as name:
        yield client, name


def access(**more: Any) -> stores.Access:
    return stores.Access(endpoint_url=ceph_service.ceph().url, region="us-east-1", **more)


@pytest.fixture
def lake(tmp_path: pathlib.Path) -> attached.Lake:
    return attached.Lake(tmp_path)


def test_parquet_below_a_prefix_is_pinned_by_etag(bucket: Any, lake: attached.Lake, tmp_path: pathlib.Path) -> None:
    client, name = bucket
    local = tmp_path / "local" / "day=1"
    local.mkdir(parents=True)
    for part in range(2):
        FRAME[part * 250 :][:250].write_parquet(local / f"{part}.parquet", row_group_size=60)
        client.upload_file(str(local / f"{part}.parquet"), name, f"ext/day=1/{part}.parquet")
    FRAME.write_parquet(local.parent / "other.parquet")
    for hidden in ("ext-old/x.parquet", "ext/_temporary/x.parquet", "ext/readme.txt"):
        client.upload_file(str(local.parent / "other.parquet"), name, hidden)
    (local.parent / "other.parquet").unlink()
    own = access(access_key_id="test", secret_access_key=Secret("testtest"))
    snapshot = lake.attach(f"s3://{name}/ext", access=own).snapshot()
    expected = lake.lines(lake.attach(local.parent).snapshot())
    assert lake.lines(snapshot, max_rows=120) == expected
    assert len(lake.events(snapshot, 'message:"login 3" AND day:1 AND n:<100')) == 14
    changed = io.BytesIO()
    FRAME[:250].with_columns(n=pl.col("n") + 1).write_parquet(changed, row_group_size=60)
    client.put_object(Bucket=name, Key="ext/day=1/0.parquet", Body=changed.getvalue())
    with pytest.raises(errors.Conflict) as raised:
        lake.lines(snapshot)
    assert raised.value.code == "attached_file_changed"
    client.delete_object(Bucket=name, Key="ext/day=1/0.parquet")
    with pytest.raises(errors.Conflict, match="gone"):
        lake.lines(snapshot)


def test_a_delta_table_is_read_with_the_keys_of_the_environment(
    bucket: Any, lake: attached.Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, name = bucket
    options = access(access_key_id="test", secret_access_key=Secret("testtest")).options
    days = FRAME.with_columns(day=pl.lit(dt.date(2026, 3, 1)), half=pl.col("n") // 250)
    deltalake.write_deltalake(
        f"s3://{name}/t", days, partition_by=["day", "half"], storage_options={**options, "conditional_put": "etag"}
    )
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testtest")
    snapshot = lake.attach(f"s3://{name}/t", "delta", access=access()).snapshot()
    found = lake.events(snapshot, "half:1", max_rows=90)
    assert [event["n"] for event in found] == sorted(range(250, 500), key=lambda n: FRAME["time"][n])
    assert {event["day"] for event in found} == {"2026-03-01"}


def test_an_iceberg_table_is_read_whole_from_s3(
    bucket: Any, lake: attached.Lake, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metadata, manifests and data with the keys of the settings, whatever the table's own properties say."""
    sql = pytest.importorskip("pyiceberg.catalog.sql", reason="pip install 'penstock[iceberg]'")
    client, name = bucket
    own = access(access_key_id="test", secret_access_key=Secret("testtest"))
    how = {"uri": f"sqlite:///{tmp_path}/catalog.db", "warehouse": f"s3://{name}/w"}
    writer = sql.SqlCatalog("writer", **how, **own.iceberg, **{"py-io-impl": "support.iceberg_writer.Writing"})
    writer.create_namespace("sec")
    table = writer.create_table("sec.events", schema=FRAME[:0].to_arrow().schema)
    table.append(FRAME[:300].to_arrow())
    with table.update_schema() as update:
        update.rename_column("n", "number")
    table.append(FRAME[300:].rename({"n": "number"}).to_arrow())
    table.delete("number < 100")
    of_folder = lake.attach(table.location(), "iceberg", access=own)
    expected = lake.lines(of_folder.snapshot())
    left = FRAME.filter(pl.col("n") >= 100).sort("time")
    found = [(event["number"], event["message"]) for event in lake.events(of_folder.snapshot(), max_rows=120)]
    assert found == list(zip(left["n"], left["message"], strict=True))
    assert lake.lines(lake.attach(table.metadata_location, "iceberg", access=own).snapshot()) == expected
    packed = gzip.compress(client.get_object(Bucket=name, Key=table.metadata_location.split("/", 3)[3])["Body"].read())
    client.put_object(Bucket=name, Key="w/old.metadata.json.gz", Body=packed)
    assert lake.lines(lake.attach(f"s3://{name}/w/old.metadata.json.gz", "iceberg", access=own).snapshot()) == expected
    # Who writes the table does not say which server is asked, and shown that we have keys.
    with table.transaction() as change:
        change.set_properties({"s3.endpoint": "https://127.0.0.1:9"})
    assert lake.lines(of_folder.snapshot()) == expected
    wrong = dataclasses.replace(own, secret_access_key=Secret("wrong"))
    with pytest.raises(errors.StorageError, match="SignatureDoesNotMatch") as raised:
        lake.attach(table.location(), "iceberg", access=wrong)
    assert raised.value.code == "attached_table_unreadable"
    writer.engine.dispose()


def test_wrong_keys_and_missing_buckets_are_said(bucket: Any, lake: attached.Lake) -> None:
    _, name = bucket
    wrong = access(access_key_id="test", secret_access_key=Secret("wrong"))
    for place, kind in (
        (f"s3://{name}/x", "parquet"),
        ("s3://not-there-at-all/x", "parquet"),
        (f"s3://{name}", "delta"),
    ):
        with pytest.raises(errors.StorageError) as raised:
            lake.attach(place, kind, access=wrong)
        assert raised.value.code == "attached_table_unreadable"
        assert "wrong" not in str(raised.value)
