"""A lake in a bucket: what goes wrong with buckets, where credentials come from, and a whole service on it."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import http.server
import json
import pathlib
import threading
import uuid
import zipfile
from collections.abc import Iterator
from typing import Any, Protocol

import polars as pl
import pytest
from support import ceph_service, house

from penstock import errors, query, settings, worker
from penstock.control import searches
from penstock.fields.types import FieldType
from penstock.lake import table, upkeep
from penstock.lake.attached import definition
from penstock.lake.location import bucket, cache, s3
from penstock.lake.read import names, plan, scan
from penstock.process import attached_tables, lakes, tables
from penstock.storage import Secret
from penstock.storage.s3 import client as s3_client
from penstock.usecases import health
from penstock.worker import tidying

pytestmark = pytest.mark.ceph

OLD_LAKE = pathlib.Path(__file__).parents[1] / "unit" / "lake" / "old" / "lake-0.1.0.zip"
OLD_COMMUNITY = "00000000-0000-4000-8000-000000000001"


class Ceph(Protocol):
    url: str
    ca_file: str
    bucket: str


def environment_of(ceph: Ceph, **more: str) -> dict[str, str]:
    """The settings of a service whose lake is in the bucket."""
    return {
        "PENSTOCK_LAKE_PATH": f"s3://{ceph.bucket}/service/{uuid.uuid4().hex}",
        "PENSTOCK_LAKE_S3_ENDPOINT_URL": ceph.url,
        "PENSTOCK_LAKE_S3_ACCESS_KEY_ID": "test",
        "PENSTOCK_LAKE_S3_SECRET_ACCESS_KEY": "testtest",
        "PENSTOCK_LAKE_S3_CA_FILE": ceph.ca_file,
        **more,
    }


def loaded(tmp_path: pathlib.Path, environment: dict[str, str]) -> settings.Settings:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return settings.load(home=tmp_path, s3_retry_seconds=0.0)


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Iterator[None]:
    """A machine without credentials of its own."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3_client._session.cache_clear()  # it keeps the credentials that it found
    bucket.opened.cache_clear()
    yield
    s3_client._session.cache_clear()
    bucket.opened.cache_clear()


@pytest.mark.usefixtures("no_credentials")
@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"PENSTOCK_LAKE_PATH": "s3://no-such-bucket-of-ours/lake"}, "lake_no_such_bucket"),
        ({"PENSTOCK_LAKE_S3_ACCESS_KEY_ID": "nobody"}, "lake_access_denied"),
        ({"PENSTOCK_LAKE_S3_SECRET_ACCESS_KEY": "wrong"}, "lake_access_denied"),
        ({"PENSTOCK_LAKE_S3_CA_FILE": ""}, "lake_tls_untrusted"),
        ({"PENSTOCK_LAKE_S3_ENDPOINT_URL": "https://127.0.0.1:9"}, "lake_unavailable"),
        (
            {"PENSTOCK_LAKE_S3_ACCESS_KEY_ID": "", "PENSTOCK_LAKE_S3_SECRET_ACCESS_KEY": ""},
            "lake_no_credentials",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_with_a_bucket_has_a_code_and_says_which_setting(
    ceph: Ceph, tmp_path: pathlib.Path, wrong: dict[str, str], code: str
) -> None:
    given = loaded(tmp_path, environment_of(ceph, **wrong))
    for ask in (lambda: tables.open_table(given, str(uuid.uuid4())).snapshot(), lambda: lakes.check_lake(given)):
        with pytest.raises(errors.StorageError) as caught:
            ask()
        # As every fault of the lake: work waits for the operator, who is told the setting.
        assert (caught.value.code, caught.value.status, caught.value.retriable) == (code, 502, True)
        assert "lake_" in caught.value.hint


def test_a_machine_whose_clock_is_wrong_is_told_so(
    ceph: Ceph, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = loaded(tmp_path, environment_of(ceph))
    late = dt.datetime.now(dt.UTC) + dt.timedelta(hours=2)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *, remove_tzinfo=True: late.replace(tzinfo=None))
    with pytest.raises(errors.StorageError) as caught:
        lakes.check_lake(given)
    assert caught.value.code == "lake_clock_skew"


class _Role(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        until = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=6)).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = json.dumps(
            {"AccessKeyId": "test", "SecretAccessKey": "testtest", "Token": "", "Expiration": until}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.mark.usefixtures("no_credentials")
@pytest.mark.parametrize("source", ["the environment", "a role"])
def test_without_keys_in_the_settings_the_machine_s_own_credentials_are_used(
    ceph: Ceph, tmp_path: pathlib.Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = {"PENSTOCK_LAKE_S3_ACCESS_KEY_ID": "", "PENSTOCK_LAKE_S3_SECRET_ACCESS_KEY": ""}
    given = loaded(tmp_path, environment_of(ceph, **none))
    with contextlib.ExitStack() as stack:
        if source == "a role":
            server = stack.enter_context(http.server.HTTPServer(("127.0.0.1", 0), _Role))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            url = f"http://127.0.0.1:{server.server_port}/role"
            monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
        else:
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testtest")
        assert tables.open_table(given, str(uuid.uuid4())).snapshot().rows == 0


def test_a_server_that_ignores_conditional_writes_is_refused_and_no_table_is_made(
    ceph: Ceph, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = bucket.Address(
        bucket=ceph.bucket,
        endpoint_url=ceph.url,
        access_key_id="test",
        secret_access_key=Secret("testtest"),
        ca_file=ceph.ca_file,
        retry_seconds=1.5,  # a client of its own
    )
    prefix = f"ignoring/{uuid.uuid4().hex}"
    lake = s3.S3Lake(address=address, prefix=prefix, cache_folder=tmp_path, cache_bytes=1 << 30)

    def forget_condition(params: dict[str, Any], **_: Any) -> None:
        del params["headers"]["If-None-Match"]

    bucket.opened(address)._client.meta.events.register("before-call.s3.PutObject", forget_condition)
    for _ in range(2):
        with pytest.raises(errors.ConfigurationError) as caught:
            table.EventTable(lake, "c").snapshot()
        assert caught.value.code == "lake_no_conditional_writes"
    with pytest.raises(errors.ConfigurationError, match="conditional writes"):
        lake.probe()
    assert list(bucket.opened(address).objects(prefix)) == []


def test_an_object_that_is_damaged_in_the_bucket_is_never_read(ceph: Ceph, tmp_path: pathlib.Path) -> None:
    given = loaded(tmp_path, environment_of(ceph))
    events = tables.open_table(given, "c")
    stamps = pl.Series("@timestamp", [1], dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
    events.append([pl.DataFrame({"@timestamp": stamps, "n": [7]})], types={"n": FieldType.LONG})
    (file,) = events.snapshot().files
    lake = lakes.open_lake(given)
    assert isinstance(lake, s3.S3Lake)
    key = f"{lake.prefix}/c/{file.path}"
    opened = bucket.opened(lake.address)
    body = opened.get(key)
    opened.put(key, body[:10] + bytes([body[10] ^ 1]) + body[11:], crc=cache.crc32(body))
    other = tables.open_table(dataclasses.replace(given, lake_cache_path=str(tmp_path / "other")), "c").snapshot()
    every = query.compile(query.parse("n:7"), other.query_columns)
    with pytest.raises(errors.StorageError) as caught:
        scan.count(other, plan.TimeRange.ever(), every)
    # A fault that may last: an export does not wait for it for ever.
    assert caught.value.code == "lake_failed"
    assert "damaged" in caught.value.detail
    # Who has a good copy goes on with it.
    assert scan.count(events.snapshot(), plan.TimeRange.ever(), every) == 1


def test_a_lake_is_moved_into_a_bucket_by_copying_its_files(ceph: Ceph, tmp_path: pathlib.Path) -> None:
    """Even one of version 0.1, with its partitions."""
    with zipfile.ZipFile(OLD_LAKE) as packed:
        packed.extractall(tmp_path / "old")
    before = table.EventTable(str(tmp_path / "old"), OLD_COMMUNITY)
    given = loaded(tmp_path, environment_of(ceph))
    lake = lakes.open_lake(given)
    assert isinstance(lake, s3.S3Lake)
    opened, root = bucket.opened(lake.address), pathlib.Path(before.root)
    for path in root.rglob("*"):
        if path.is_file():
            opened.put(f"{lake.prefix}/{OLD_COMMUNITY}/{path.relative_to(root)}", path.read_bytes())
    after = tables.open_table(given, OLD_COMMUNITY)

    def events_of(events: table.EventTable) -> list[dict[str, Any]]:
        snapshot = events.snapshot()
        every = query.compile(query.parse(""), snapshot.query_columns)
        slices = plan.plan_slices(snapshot, plan.TimeRange.ever(), max_rows=500, max_bytes=1 << 30)
        fields = sorted(names.known([snapshot]))
        return [row for one in slices for row in scan.read_slice(snapshot, one, fields, every).to_dicts()]

    expected = events_of(before)
    assert events_of(after) == expected
    assert upkeep.compact(after).files_removed > 0
    assert upkeep.vacuum(after, pinned_versions=[], keep_seconds=-60).files
    assert len(events_of(after)) == len(expected)


def test_a_table_of_somebody_else_is_attached_to_a_lake_in_a_bucket(ceph: Ceph, tmp_path: pathlib.Path) -> None:
    given, uuid_ = loaded(tmp_path, environment_of(ceph)), str(uuid.uuid4())
    (tmp_path / "theirs").mkdir()
    pl.DataFrame({"@timestamp": [dt.datetime(2026, 1, 5)], "n": [7]}).write_parquet(tmp_path / "theirs" / "a.parquet")
    what = definition.Definition(table=str(tmp_path / "theirs"), type=definition.TableType.PARQUET)
    looked_at = attached_tables.open_attached(given, uuid_, what)
    looked_at.check()
    attached_tables.attach(given, uuid_, looked_at)
    attached = tables.open_table(given, uuid_)
    snapshot = attached.snapshot()
    attached.keep(snapshot)
    every = query.compile(query.parse("n:7"), snapshot.query_columns)
    assert scan.count(snapshot, plan.TimeRange.ever(), every) == 1
    other = tables.open_table(dataclasses.replace(given, lake_cache_path=str(tmp_path / "other")), uuid_)
    assert other.snapshot(snapshot.version).files == snapshot.files
    assert [entry.name for entry in other.folder.list("_snapshots")] == [f"_snapshots/{snapshot.version:020d}"]


def test_a_service_works_on_a_bucket_and_waits_while_it_is_away(ceph: Ceph, tmp_path: pathlib.Path) -> None:
    """Searches, exports, upkeep and health; a search while the bucket is away fails as for any fault of the lake."""
    with ceph_service.Wire(int(ceph.url.rpartition(":")[2])) as wire:
        more = environment_of(
            ceph,
            PENSTOCK_LAKE_S3_ENDPOINT_URL=f"https://127.0.0.1:{wire.port}",
            PENSTOCK_S3_RETRY_SECONDS="0.2",
            PENSTOCK_LAKE_CACHE_BYTES="1000000",
        )
        with house.opened_house(tmp_path / "home", "", house.SMALL, more) as made:
            _, expected = made.steps_of_an_undisturbed_export()
            assert not (tmp_path / "home" / "lake").exists()
            tidying.Tidying(made.opened, should_stop=lambda: False).tidy()
            parts = {part.name: part for part in health.look(made.opened)}
            assert parts["lake"].state is health.State.OK, parts["lake"]
            assert set(health.disks(made.opened)) >= {"lake_cache"}
            assert lakes.probe_lake(made.opened.settings) == ceph.bucket
            used_before, task_uuid = made.used_bytes(), made.start()
            job = searching(made)
            wire.go_away()
            empty_cache(made)
            worker.Worker(made.opened).run_pending()
            export = made.export(task_uuid)
            assert (export.status, export.attempts) == ("RUNNING", 0), export
            with made.opened.database.read() as tx:
                found = searches.get(tx, job, None)
            assert found.status.name == "FAILED"
            for said in (export.error_message, found.error, export.waiting_for):
                assert not {ceph.bucket, str(wire.port), "s3://"} & set(str(said).split()), said
            parts = {part.name: part for part in health.look(made.opened)}
            assert parts["lake"].state is health.State.FAILED
            wire.come_back()
            made.take_over()
            made.assert_exact(task_uuid, expected, used_before)


def searching(made: house.House) -> str:
    now = made.opened.clock.now()
    with made.opened.database.begin() as tx:
        job = searches.create(
            tx,
            term="message:*a*",
            earliest_time="",
            latest_time="",
            earliest=house.EARLIEST,
            latest=house.LATEST,
            community_uuids=[made.community_uuid],
            created_by=made.api_key_uuid,
            now=now,
            ttl_seconds=86_400,
        )
    return job.uuid


def empty_cache(made: house.House) -> None:
    for copy in pathlib.Path(made.opened.settings.resolved_lake_cache_path, "files").iterdir():
        copy.unlink()
