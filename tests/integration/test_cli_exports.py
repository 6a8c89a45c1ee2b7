"""No key is lost by the command line: it is kept before an export starts, whatever fails afterwards."""

from __future__ import annotations

import gzip
import json
import pathlib
import re
import stat
import subprocess
import sys
import time
from typing import Any

import pytest
from support.cli_world import QUERY, World, lines_of

from penstock import cli
from penstock.cli.commands import generating, local
from penstock.cli.commands.operate import initializing
from penstock.cli.commands.service.exports import started, targets
from penstock.client import CustomerKey, SearchJob
from penstock.process import server

pytestmark = pytest.mark.xdist_group("cli_exports")
PERIOD = ("--earliest", "-3d")


def kept() -> list[pathlib.Path]:
    return sorted((started.user_files.state_folder() / "exports").glob("*.json"))


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    for file in kept():
        file.unlink()


def test_json_tells_task_and_key_also_when_the_wait_is_over(penstock: Any, job: str) -> None:
    ran = penstock("export", job, "--json", "--max-wait", "0")
    assert ran.code == 1
    found = json.loads(ran.out)
    assert found["error"] == "wait_timeout"
    assert CustomerKey.parse(found["sse_customer_key"]).md5 == found["sse_customer_key_md5"]
    assert f"penstock download {found['task_uuid']}" in ran.err
    (record,) = kept()
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert json.loads(record.read_text())["task_uuid"] == found["task_uuid"]


def test_download_finds_the_kept_key(penstock: Any, job: str, total: int, tmp_path: pathlib.Path) -> None:
    ran = penstock("export", job, "--no-download", "--interval", "0.05")
    (task,) = re.findall(r"Task UUID: (\S+)", ran.out)
    assert penstock("download", task, "-o", "x.gz").code == 0
    assert len(lines_of(tmp_path / "x.gz")) == total


def test_interrupted_request_is_asked_about_and_its_key_is_kept(
    penstock: Any, job: str, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """Ctrl-C while the answer is on its way: the service has started the export."""
    really = SearchJob.export

    def interrupted(self: SearchJob, *arguments: Any, **more: Any) -> None:
        really(self, *arguments, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(SearchJob, "export", interrupted)
    ran = penstock("export", job)
    assert ran.code == 130
    (task,) = re.findall(r"The export was started. Task UUID: (\S+)", ran.err)
    while penstock("status", task, "--json").out.count("FINISHED") == 0:
        time.sleep(0.05)
    assert penstock("download", task, "-o", "x.gz").code == 0


def test_interruption_before_the_start_says_that_it_is_not_known(
    penstock: Any, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SearchJob, "export", interrupted)
    ran = penstock("export", job)
    assert ran.code == 130
    assert f"penstock exports {job}" in ran.err
    assert len(kept()) == 1


def test_refused_export_keeps_nothing(penstock: Any, job: str) -> None:
    assert penstock("export", job, "--fields", "no.such.field").code == 1
    assert kept() == []


@pytest.mark.parametrize("target", ["no/such/folder/x.gz", "."])
@pytest.mark.parametrize("option", ["-o", "--manifest"])
def test_target_is_checked_before_the_quota_is_touched(penstock: Any, job: str, target: str, option: str) -> None:
    before = len(json.loads(penstock("exports", job, "--json").out))
    ran = penstock("export", job, option, target)
    assert (ran.code, ran.err.split("]")[0]) == (1, "Error [file_not_writable")
    assert len(json.loads(penstock("exports", job, "--json").out)) == before


def test_full_disk_is_seen_before_the_start(penstock: Any, job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets.shutil, "disk_usage", lambda _: targets.shutil._ntuple_diskusage(10, 9, 1))
    ran = penstock("export", job)
    assert (ran.code, ran.err.split("]")[0]) == (1, "Error [disk_full")
    assert kept() == []


def test_key_is_shown_before_the_start_where_it_cannot_be_kept(
    penstock: Any, job: str, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    ran = penstock("export", job, "--no-wait", "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["sse_customer_key"] in ran.err


def test_malformed_key_at_download_is_answered_for_a_download(penstock: Any, tmp_path: pathlib.Path) -> None:
    ran = penstock("download", "T", "--s3-sse-c-key", "short")
    assert ran.err.startswith("Error [unusable_customer_key]: ")
    assert "shown when this export was started" in ran.err
    assert "openssl" not in ran.err
    missing = penstock("download", "T", "--key-file", "nosuch")
    assert "There is no key file nosuch." in missing.err


def test_export_streams_to_stdout_and_nothing_else_goes_there(world: World, job: str, total: int) -> None:
    script = "import sys; from penstock import cli; sys.exit(cli.run(sys.argv[1:]))"
    for command in (
        ["export", job, "-o", "-"],
        ["export", "--query", QUERY, *PERIOD, "--preset", "identity", "-o", "-"],
    ):
        ran = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, timeout=200, check=False)
        assert ran.returncode == 0, ran.stderr
        assert len(gzip.decompress(ran.stdout).splitlines()) == total
        assert b"Encryption Key: " in ran.stderr
    task = re.findall(rb"Task UUID: (\S+)", ran.stderr)[0].decode()
    ran = subprocess.run(
        [sys.executable, "-c", script, "download", task, "-o", "-"], capture_output=True, timeout=200, check=False
    )
    assert len(gzip.decompress(ran.stdout).splitlines()) == total


def test_json_and_stdout_are_not_mixed(penstock: Any, job: str) -> None:
    ran = penstock("export", job, "-o", "-", "--json")
    assert (ran.code, ran.err.split("]")[0]) == (2, "Error [json_and_stdout")


@pytest.mark.parametrize("arguments", [[], ["JOB", "--query", "x"]])
def test_export_wants_a_job_or_a_query(penstock: Any, arguments: list[str]) -> None:
    ran = penstock("export", *arguments)
    assert (ran.code, ran.err.split("]")[0]) == (2, "Error [job_or_query")


def test_one_step_searches_and_exports(penstock: Any, total: int, tmp_path: pathlib.Path) -> None:
    ran = penstock("export", "--query", QUERY, *PERIOD, "--preset", "network", "-o", "x.gz", "--interval", "0.05")
    assert ran.code == 0
    assert f"Searched {QUERY} from " in ran.err
    assert len(lines_of(tmp_path / "x.gz")) == total


def test_all_fields_are_named_and_exported(penstock: Any, job: str, tmp_path: pathlib.Path) -> None:
    ran = penstock("export", job, "--all-fields", "-o", "x.gz", "--interval", "0.05")
    assert ran.code == 0
    (names,) = re.findall(r"All \d+ fields: (.+)", ran.err)
    assert names.startswith("@timestamp, ")
    events = lines_of(tmp_path / "x.gz")
    assert {name for event in events for name in event} <= set(names.split(", "))
    assert {"user.name", "source.ip", "event.category"} <= {name for event in events for name in event}
    assert penstock("estimate", job, "--all-fields").code == 0


def test_search_says_what_it_covered(penstock: Any) -> None:
    ran = penstock("search", QUERY, "--limit", "0")
    assert re.search(r"Searched event.category:authentication from 20.* to 20.* UTC \(-24h to now\)\.", ran.err)
    ran = penstock("search", "failed password or x", "--limit", "0")
    assert 'Searched failed password or x, understood as "failed" AND "password" AND "or" AND "x", from ' in ran.err


def test_interrupted_search_is_canceled(penstock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SearchJob, "wait", interrupted)
    canceled: list[str] = []
    monkeypatch.setattr(SearchJob, "cancel", lambda self: canceled.append(self.uuid))
    ran = penstock("search", QUERY, *PERIOD)
    assert ran.code == 130
    assert canceled == [ran.out.strip()]
    assert f"Search job {canceled[0]} is canceled." in ran.err


def test_plain_export_where_the_operator_allows_it(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    made = initializing.make_home("acme", if_missing=False)
    with server.running(local.settings(port=0, allow_unencrypted_exports=True)) as listening:
        generating.fill(listening.services, made["community_uuid"], events=1000, seed=1, start=None, days=2.0)
        host = ["--api-host", listening.url]
        query = ["--query", QUERY, *PERIOD, "--interval", "0.05"]
        assert cli.run(["export", *query, "--no-sse-c", "--no-download", "--json", *host]) == 0
        found = json.loads(capsys.readouterr().out)
        assert "sse_customer_key" not in found
        assert cli.run(["download", found["task_uuid"], "-o", "x.gz", *host]) == 0
    assert len(lines_of(tmp_path / "x.gz")) == found["events"] > 0
    assert kept() == []
