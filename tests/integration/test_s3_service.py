"""The whole service on Ceph over https: an export is what every way of downloading says it is, and nothing else."""

from __future__ import annotations

import base64
import gzip
import json
import pathlib
import random
import re
import signal
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from support import ceph_service, waiting

from penstock import errors
from penstock.client import Penstock
from penstock.client.download import download as downloads
from penstock.client.http.retry import Retry
from penstock.storage.keys import CustomerKey

pytestmark = pytest.mark.ceph

OFFICIAL = pathlib.Path(sys.executable).with_name("sekoia-event-exporter")
OTHER_KEY = CustomerKey(bytes(range(32)))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ceph_service.World]:
    events = ceph_service.large_events() + ceph_service.small_events() + ceph_service.recent_events()
    with ceph_service.served(tmp_path_factory.mktemp("s3") / "home", ceph_service.ceph(), events) as running:
        yield running


class Exported:
    """A finished export of 36 MB, and the key that only the customer has."""

    def __init__(self, world: ceph_service.World) -> None:
        self.job = world.done_search(ceph_service.LARGE_DAY)
        started = world.start(self.job)
        self.task_uuid = str(started["task_uuid"])
        self.key = CustomerKey.parse(started["sse_customer_key"])
        self.task = world.ended(self.task_uuid)
        self.url = str(self.task["attributes"]["download_url"])
        self.object_key = urllib.parse.unquote(urllib.parse.urlsplit(self.url).path).split("/", 2)[2]
        sse_c = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": self.key.base64, "SSECustomerKeyMD5": self.key.md5}
        self.answer = world.ceph.client().get_object(Bucket=world.bucket, Key=self.object_key, **sse_c)
        self.content: bytes = self.answer["Body"].read()


@pytest.fixture(scope="module")
def exported(world: ceph_service.World) -> Exported:
    return Exported(world)


@pytest.fixture
def penstock(world: ceph_service.World) -> Iterator[Penstock]:
    with Penstock(world.url, world.token, verify=world.ca_file) as opened:
        yield opened


def get(world: ceph_service.World, url: str, headers: dict[str, str]) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, headers=headers, verify=world.ca_file, timeout=120)


def test_the_file_is_one_plain_gzip_member_with_every_event_once_and_in_order(exported: Exported) -> None:
    lines = gzip.decompress(exported.content).splitlines()
    assert [json.loads(line) for line in lines] == ceph_service.large_events()
    assert exported.task["attributes"]["export_size_compressed"] == len(exported.content)
    assert len(exported.content) > 32 << 20


def test_the_object_says_what_it_is_and_what_to_save_it_as(world: ceph_service.World, exported: Exported) -> None:
    name = f"export_{exported.task_uuid}.jsonl.gz"
    for answer in (
        get(world, exported.url, exported.key.headers()).headers,
        exported.answer["ResponseMetadata"]["HTTPHeaders"],
    ):
        assert answer["content-type"] == "application/gzip"
        assert answer["content-disposition"] == f'attachment; filename="{name}"'
        assert "content-encoding" not in answer  # else clients would unpack it on the way
    assert re.fullmatch(rf"penstock/{world.community_uuid}/\d{{4}}/\d\d/\d\d/{name}", exported.object_key)
    held = ceph_service.held_in(world.ceph.client(), world.bucket)
    assert exported.object_key in held
    assert exported.object_key.replace(".jsonl.gz", ".manifest.json") in held


@pytest.mark.parametrize("way", ["curl", "requests", "client", "penstock download", "official download"])
def test_every_way_of_downloading_gives_the_bytes_that_boto3_gets(
    world: ceph_service.World, exported: Exported, penstock: Penstock, tmp_path: pathlib.Path, way: str
) -> None:
    target, key = tmp_path / "got.gz", exported.key
    if way == "curl":
        headers = [word for name, value in key.headers().items() for word in ("-H", f"{name}: {value}")]
        command = ["curl", "-sS", "--fail", "--cacert", world.ca_file, *headers, "-o", str(target), exported.url]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    elif way == "requests":
        target.write_bytes(get(world, exported.url, key.headers()).content)
    elif way == "client":
        got = penstock.export(exported.task_uuid, customer_key=key).download(target)
        assert (got.verified, got.events, got.size) == (True, 45_000, len(exported.content))
    else:
        options = ["download", exported.task_uuid, "-o", "got.gz"]
        command = [str(OFFICIAL)] if way.startswith("official") else [sys.executable, "-m", "penstock"]
        ran = world.run([*command, *options], tmp_path, S3_SSE_C_KEY=key.base64)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert way.startswith("official") or "verified against its manifest" in ran.stdout
    assert target.read_bytes() == exported.content
    assert [path.name for path in tmp_path.iterdir()] == ["got.gz"]


def test_large_files_come_over_several_connections_by_ranges(
    world: ceph_service.World, exported: Exported, penstock: Penstock, tmp_path: pathlib.Path
) -> None:
    export = penstock.export(exported.task_uuid, customer_key=exported.key)
    opened: list[int] = []
    for parallel in (1, 4):
        before = world.wire.opened
        export.download(tmp_path / f"{parallel}.gz", parallel=parallel)
        opened.append(world.wire.opened - before)
        assert (tmp_path / f"{parallel}.gz").read_bytes() == exported.content
    assert opened[1] >= opened[0] + 2


def test_a_download_broken_ten_times_at_random_offsets_ends_byte_identical(
    world: ceph_service.World, exported: Exported, penstock: Penstock, tmp_path: pathlib.Path
) -> None:
    draw = random.Random(11)
    export = penstock.export(exported.task_uuid, customer_key=exported.key)
    manifest = export.manifest()
    world.wire.cuts += [draw.randrange(5_000, 3 << 20) for _ in range(14)]  # some may fall on what is read anyway
    got = downloads.download(
        exported.url,
        tmp_path / "broken.gz",
        customer_key=exported.key,
        manifest=manifest,
        verify=ceph_service.trusting(world.ca_file),
        retry=Retry(attempts=8, sleep=lambda seconds: None),
    )
    world.wire.cuts.clear()
    assert got.breaks >= 10
    assert got.verified
    assert (tmp_path / "broken.gz").read_bytes() == exported.content


def test_the_command_goes_on_where_it_was_interrupted(
    world: ceph_service.World, exported: Exported, tmp_path: pathlib.Path
) -> None:
    command = ("download", exported.task_uuid, "-o", "x.gz", "--parallel", "1")
    world.wire.stalls = True
    world.wire.cuts += [1 << 30, 1 << 30, 20 << 20]  # the manifest passes, the first byte, then 20 MiB
    environment = {**world.variables(tmp_path), "S3_SSE_C_KEY": exported.key.base64}
    stalled = subprocess.Popen(
        [sys.executable, "-m", "penstock", *command], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )
    part = tmp_path / "x.gz.part"
    try:
        waiting.until(lambda: part.exists() and part.stat().st_blocks * 512 > 19 << 20)
        stalled.send_signal(signal.SIGINT)
        _, said = stalled.communicate(timeout=120)
    finally:
        stalled.kill()
        stalled.wait()
    world.wire.stalls = False
    assert stalled.returncode == 130
    assert f"Go on: penstock download {exported.task_uuid} -o x.gz" in said
    assert not (tmp_path / "x.gz").exists()
    resumed = world.penstock(*command, cwd=tmp_path, S3_SSE_C_KEY=exported.key.base64)
    assert resumed.returncode == 0, resumed.stderr
    assert re.search(r"resumed at (19|20|21)\.\d MB", resumed.stdout), resumed.stdout
    assert (tmp_path / "x.gz").read_bytes() == exported.content


def test_events_stream_out_of_ceph_without_a_file(
    exported: Exported, penstock: Penstock, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "no such folder"))
    events = penstock.export(exported.task_uuid, customer_key=exported.key).events()
    assert list(events) == ceph_service.large_events()
    assert list(tmp_path.iterdir()) == []


def test_the_url_holds_neither_the_key_nor_its_digest(exported: Exported) -> None:
    attributes = exported.task["attributes"]
    for url in (exported.url, attributes["manifest_url"]):
        unquoted = urllib.parse.unquote(url)
        for form in (*ceph_service.forms_of(exported.key.base64), exported.key.md5.encode()):
            assert form not in url.encode()
            assert form not in unquoted.encode()
        signed = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))["X-Amz-SignedHeaders"].split(";")
        assert {name.lower() for name in exported.key.headers()} <= set(signed)


@pytest.mark.parametrize("wrong", ["no key", "another key", "another digest", "tampered"])
def test_the_url_without_the_right_key_opens_nothing(world: ceph_service.World, exported: Exported, wrong: str) -> None:
    headers, url = exported.key.headers(), exported.url
    if wrong == "no key":
        headers = {}
    elif wrong == "another key":
        headers = OTHER_KEY.headers()
    elif wrong == "another digest":
        headers["x-amz-server-side-encryption-customer-key-MD5"] = OTHER_KEY.md5
    else:
        url = url.replace("export_", "exp0rt_")
    answer = get(world, url, headers)
    assert (answer.status_code, "<Code>SignatureDoesNotMatch</Code>" in answer.text) == (403, True)
    assert len(answer.content) < 1000


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, "customer_key_missing"),
        ({"S3_SSE_C_KEY": OTHER_KEY.base64}, "wrong_customer_key"),
    ],
    ids=["no key", "another key"],
)
def test_our_command_says_what_is_wrong_with_the_key(
    world: ceph_service.World, exported: Exported, tmp_path: pathlib.Path, options: dict[str, str], code: str
) -> None:
    ran = world.penstock("download", exported.task_uuid, "-o", "x.gz", cwd=tmp_path, **options)
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"Error [{code}]: ")
    assert list(tmp_path.iterdir()) == []


def test_a_tampered_url_is_said_to_be_rejected(
    world: ceph_service.World, exported: Exported, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(errors.AccessDenied) as caught:
        downloads.download(
            exported.url.replace("export_", "exp0rt_"),
            tmp_path / "x.gz",
            customer_key=exported.key,
            verify=ceph_service.trusting(world.ca_file),
        )
    assert caught.value.code == "download_url_rejected"


def test_the_official_client_exports_with_its_own_key_end_to_end(
    world: ceph_service.World, tmp_path: pathlib.Path
) -> None:
    job, key = world.done_search(ceph_service.SMALL_DAY), base64.b64encode(random.Random(3).randbytes(32)).decode()
    options = ["--interval", "1", "--fields", "message,source.ip", "-o", "own.gz"]
    ran = world.run([str(OFFICIAL), "export", job, *options], tmp_path, S3_SSE_C_KEY=key)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Download complete" in ran.stdout
    found = [json.loads(line) for line in gzip.decompress((tmp_path / "own.gz").read_bytes()).splitlines()]
    expected = [{name: event[name] for name in ("message", "source.ip")} for event in ceph_service.small_events()]
    assert sorted(map(str, found)) == sorted(map(str, expected))


def test_the_official_client_exports_with_a_key_made_for_it_and_downloads_later(
    world: ceph_service.World, tmp_path: pathlib.Path
) -> None:
    job = world.done_search(ceph_service.SMALL_DAY)
    ran = world.run([str(OFFICIAL), "export", job, "--interval", "1", "--no-download"], tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    key = str(re.findall(r"Encryption Key: (\S{44})", ran.stdout)[0])
    task = str(re.findall(r"Task UUID: (\S{36})", ran.stdout)[0])
    status = world.run([str(OFFICIAL), "status", task], tmp_path)
    assert "Status: FINISHED" in status.stdout
    assert f"{world.wire_url}/{world.bucket}/" in status.stdout
    for given, code in ((None, 1), (OTHER_KEY.base64, 1), (key, 0)):
        options = ["--s3-sse-c-key", given] if given else []
        ran = world.run([str(OFFICIAL), "download", task, *options, "-o", "x.gz"], tmp_path)
        assert ran.returncode == code, ran.stdout + ran.stderr
        assert (tmp_path / "x.gz").exists() == (code == 0)
        assert code == 0 or "403" in ran.stderr
    assert len(gzip.decompress((tmp_path / "x.gz").read_bytes()).splitlines()) == 2_000


def test_the_user_guides_python_runs_as_it_stands(
    world: ceph_service.World,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    guide = (pathlib.Path(__file__).parents[2] / "docs" / "user-guide.md").read_text()
    programs = re.findall(r"```python\n(.*?)```", guide.partition("## From Python")[2], re.DOTALL)
    assert len(programs) == 2
    example = programs[0].replace('"https://penstock.example", api_key', "url, api_key, verify=ca_file")
    assert example != programs[0]
    monkeypatch.chdir(tmp_path)
    saved: list[str] = []
    names: dict[str, Any] = {
        "url": world.url,
        "api_key": world.token,
        "ca_file": world.ca_file,
        "save_somewhere_safe": saved.append,
    }
    exec(example, names)
    printed = capsys.readouterr().out.splitlines()
    expected = ceph_service.recent_events()
    assert printed[0].startswith(f"{len(expected)} ")
    assert [line.split()[-1] for line in printed[-len(expected) :]] == [event["source.ip"] for event in expected]
    assert [len(base64.b64decode(key)) for key in saved] == [32]
    rows = gzip.decompress((tmp_path / "root.jsonl.gz").read_bytes()).splitlines()
    assert [json.loads(row)["source.ip"] for row in rows] == [event["source.ip"] for event in expected]
    with Penstock(world.url, world.token, verify=world.ca_file) as opened:
        exec(programs[1], {"job": opened.search_job(names["job"].uuid)})
    assert capsys.readouterr().out.startswith("unknown_field ")
