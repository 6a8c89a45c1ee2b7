"""The command line against a real service: what people type, what they see, what they get, how it ends."""

from __future__ import annotations

import json
import os
import pathlib
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import certifi
import pytest
from support.cli_world import AMBIENT, OWN_KEY, QUERY, Ran, World, lines_of

from penstock import errors
from penstock.base import clock
from penstock.cli import output
from penstock.cli.commands import generating, local
from penstock.cli.commands.operate import initializing
from penstock.client import Penstock
from penstock.process import server
from penstock.storage.keys import CustomerKey

pytestmark = pytest.mark.xdist_group("cli_service")  # one service for all of them


def test_search_prints_the_uuid_first_then_the_total_then_events(penstock: Any) -> None:
    ran = penstock("search", QUERY, "--earliest", "-3d", "--limit", "3")
    first, second, *events = ran.out.splitlines()
    assert ran.code == 0
    assert re.fullmatch(r"[0-9a-f-]{36}", first)
    assert re.fullmatch(r"[\d,]+ events match\.", second)
    assert [json.loads(event)["event.category"] for event in events]
    assert len(events) == 3


def test_search_that_cannot_be_understood_points_at_the_place(penstock: Any) -> None:
    ran = penstock("search", "user.name:(a OR")
    assert ran.code == 1
    assert ran.out == ""
    assert ran.err.startswith("Error [query_syntax]: ")
    assert "  user.name:(a OR\n" in ran.err
    assert re.search(r"^ +\^$", ran.err, re.MULTILINE)
    assert "Hint: " in ran.err


def test_export_writes_the_whole_result_and_shows_the_key_once(
    penstock: Any, job: str, total: int, tmp_path: pathlib.Path
) -> None:
    ran = penstock("export", job, "-o", "x.json.gz", "--interval", "0.05")
    assert ran.code == 0
    assert ran.out.count("Encryption Key: ") == 1
    assert "Save this key" in ran.out
    assert "verified against its manifest" in ran.out
    events = lines_of(tmp_path / "x.json.gz")
    assert len(events) == total
    assert list(events[0]) == ["@timestamp", "message"]


def test_export_names_the_file_as_the_reference_client_does(penstock: Any, job: str, tmp_path: pathlib.Path) -> None:
    assert penstock("export", job, "--interval", "0.05").code == 0
    (file,) = tmp_path.iterdir()
    assert re.fullmatch(r"export_\d{8}_\d{6}\.json\.gz", file.name)


@pytest.mark.parametrize("way", ["--fields", "--fields-file", "EXPORT_FIELDS"])
def test_fields_are_written_in_the_order_asked(
    penstock: Any, job: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    (tmp_path / "fields.txt").write_text("\ufeff# who\nuser.name\n\n@timestamp\n")
    monkeypatch.setenv("EXPORT_FIELDS", "user.name, @timestamp" if way == "EXPORT_FIELDS" else "message")
    options = {"--fields": ["--fields", "user.name,@timestamp"], "--fields-file": ["--fields-file", "fields.txt"]}
    assert penstock("export", job, "-o", "x.gz", "--interval", "0.05", *options.get(way, [])).code == 0
    assert list(lines_of(tmp_path / "x.gz")[0]) == ["user.name", "@timestamp"]


def test_preset_stands_for_its_fields(penstock: Any, job: str, tmp_path: pathlib.Path) -> None:
    assert penstock("export", job, "-o", "x.gz", "--interval", "0.05", "--preset", "identity").code == 0
    assert "event.outcome" in lines_of(tmp_path / "x.gz")[0]


def test_unknown_field_is_refused_with_close_ones(penstock: Any, job: str) -> None:
    ran = penstock("export", job, "--fields", "source.ipp")
    assert ran.code == 1
    assert ran.err.startswith("Error [unknown_field]: ")
    assert "source.ip" in ran.err.split("Hint: ")[1]
    assert "Encryption Key" not in ran.out + ran.err


def test_own_key_is_used_and_not_shown(penstock: Any, job: str, total: int, tmp_path: pathlib.Path) -> None:
    ran = penstock("export", job, "-o", "x.gz", "--interval", "0.05", "--s3-sse-c-key", OWN_KEY)
    assert ran.code == 0
    assert OWN_KEY not in ran.out + ran.err
    assert len(lines_of(tmp_path / "x.gz")) == total


def test_key_file_keeps_the_key_for_the_download(penstock: Any, job: str, total: int, tmp_path: pathlib.Path) -> None:
    ran = penstock("export", job, "--no-download", "--interval", "0.05", "--key-file", "k")
    assert ran.code == 0
    assert (tmp_path / "k").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "k").read_text().strip() not in ran.out + ran.err
    task = re.findall(r"Task UUID: (\S+)", ran.out)[0]
    assert "Download URL: http" in ran.out
    assert penstock("download", task, "-o", "x.gz", "--key-file", "k").code == 0
    assert len(lines_of(tmp_path / "x.gz")) == total
    assert penstock("export", job, "--key-file", "k2", "--fields", "no.such.field").code == 1
    assert not (tmp_path / "k2").exists()


def test_download_says_what_is_wrong_with_the_key(
    penstock: Any, job: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = json.loads(penstock("export", job, "--no-download", "--interval", "0.05", "--json").out)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another-machine"))  # where no key was kept
    without = penstock("download", found["task_uuid"], "-o", "x.gz")
    assert (without.code, without.err.split("]")[0]) == (1, "Error [customer_key_missing")
    none_sent = penstock("download", found["task_uuid"], "-o", "x.gz", "--no-sse-c")
    assert (none_sent.code, none_sent.err.split("]")[0]) == (1, "Error [customer_key_missing")
    wrong = penstock("download", found["task_uuid"], "-o", "x.gz", "--s3-sse-c-key", OWN_KEY)
    assert (wrong.code, wrong.err.split("]")[0]) == (1, "Error [wrong_customer_key")
    assert not (tmp_path / "x.gz").exists()
    monkeypatch.setenv("S3_SSE_C_KEY", found["sse_customer_key"])
    assert penstock("download", found["task_uuid"], "-o", "x.gz").code == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--s3-sse-c-key", "short"], "unusable_customer_key"),
        (["--s3-sse-c-key", OWN_KEY, "--s3-sse-c-key-md5", "AAAA"], "unusable_customer_key"),
        (["--s3-sse-c-key", OWN_KEY, "--s3-sse-c-algorithm", "DES"], "unusable_customer_key"),
        (["--fields", " , "], "no_fields"),
        (["--fields", "message", "--preset", "network"], "fields_and_preset"),
        (["--fields-file", "no/such/file"], "fields_file_not_readable"),
        (["--ca-file", "no/such/ca.pem"], "invalid_ca_file"),
        (["--api-host", "http://api.example"], "insecure_url"),
        (["--api-host", "::"], "invalid_api_host"),
    ],
)
def test_wrong_configuration_exits_2(penstock: Any, job: str, arguments: list[str], code: str) -> None:
    ran = penstock("export", job, *arguments)
    assert ran.code == 2
    assert ran.err.startswith(f"Error [{code}]: ")
    assert "Traceback" not in ran.err


def test_unencrypted_export_is_refused(penstock: Any, job: str) -> None:
    ran = penstock("export", job, "--no-sse-c")
    assert ran.code == 1
    assert ran.err.startswith("Error [customer_key_required]: ")
    assert "--no-sse-c" in ran.err


def test_status_shows_the_task_and_json_shows_the_answer(penstock: Any, job: str, total: int) -> None:
    found = json.loads(penstock("export", job, "--no-download", "--interval", "0.05", "--json").out)
    ran = penstock("status", found["task_uuid"])
    assert ran.code == 0
    assert "Status: FINISHED" in ran.out
    assert f"Events: {total:,} / {total:,}" in ran.out
    assert json.loads(penstock("status", found["task_uuid"], "--json").out)["progress"] == total


def test_unknown_task_is_said(penstock: Any) -> None:
    for command in ("status", "download", "cancel"):
        ran = penstock(command, "00000000-0000-0000-0000-000000000000")
        assert ran.code == 1, command
        assert ran.err.startswith("Error ["), command


def test_what_was_started_is_listed(penstock: Any, job: str) -> None:
    task = json.loads(penstock("export", job, "--no-download", "--interval", "0.05", "--json").out)["task_uuid"]
    assert job in [found["uuid"] for found in json.loads(penstock("searches", "--json").out)]
    assert task in [found["uuid"] for found in json.loads(penstock("tasks", "--status", "FINISHED", "--json").out)]
    header, *rows = penstock("searches", "--limit", "1").out.splitlines()
    assert header.split("\t")[:3] == ["JOB", "STATUS", "EVENTS"]
    assert rows[0].split("\t")[:2] == [job, "DONE"]
    assert [row.split("\t")[0] for row in penstock("tasks", "--limit", "1").out.splitlines()[1:]] == [task]


def test_cancel_takes_a_search_job_too(penstock: Any, world: World) -> None:
    with Penstock(world.url, world.api_key) as client:
        uuid = client.search("message:/.*(a|b).*c.*/", earliest="-3d", wait=False).uuid
    ran = penstock("cancel", uuid)
    assert (ran.code, ran.out.split()[:3]) == (0, ["Search", "job", uuid]) or "search_job" in ran.err


def test_no_wait_comes_back_at_once_and_cancel_ends_it_or_says_it_is_over(penstock: Any, job: str) -> None:
    found = json.loads(penstock("export", job, "--no-wait", "--json").out)
    assert found["status"] == "PENDING"
    ran = penstock("cancel", found["task_uuid"])
    state = json.loads(penstock("status", found["task_uuid"], "--json").out)["status"]
    assert (ran.code, state) in [(0, "CANCELED"), (0, "FINISHED"), (1, "FINISHED")]


def test_every_reading_command_prints_one_json_document_and_nothing_else(penstock: Any, job: str) -> None:
    exported = penstock("export", job, "-o", "x.gz", "--manifest", "x.json", "--interval", "0.05", "--json")
    found = json.loads(exported.out)
    assert (found["status"], found["verified"], found["file"]) == ("FINISHED", True, "x.gz")
    for command in (
        ["search", QUERY, "--json"],
        ["exports", job, "--json"],
        ["estimate", job, "--json"],
        ["fields", "user", "--json"],
        ["quota", "--json"],
        ["status", found["task_uuid"], "--json"],
        ["verify", "x.gz", "x.json", "--json"],
        ["community", "list", "--json"],
        ["apikey", "list", "--json"],
        ["audit", "--json"],
        ["storage", "check", "--json"],
        ["dump", "-o", "d.gz", "--query", "user.name:root", "--json"],
    ):
        ran = penstock(*command)
        assert ran.code == 0, (command, ran.err)
        json.loads(ran.out)
        assert ran.out.count("\n") == 1, command


def test_tables_in_a_pipe_are_tab_separated(penstock: Any, job: str) -> None:
    penstock("export", job, "-o", "x.gz", "--interval", "0.05")
    header, *rows = penstock("exports", job).out.splitlines()
    assert header.split("\t")[:2] == ["TASK", "STATUS"]
    assert all(len(row.split("\t")) == len(header.split("\t")) for row in rows)
    assert rows


def test_estimate_says_what_would_be(penstock: Any, job: str, total: int) -> None:
    ran = penstock("estimate", job, "--preset", "network")
    assert f"Events: {total:,}" in ran.out
    assert "Would be accepted: yes" in ran.out


def test_fields_and_quota_are_readable(penstock: Any) -> None:
    assert re.search(r"^user\.name\tkeyword\t\d+\t", penstock("fields", "user.name").out, re.MULTILINE)
    assert "Limit: 10.0 GB" in penstock("quota").out


def test_verify_catches_a_flipped_byte(penstock: Any, job: str, tmp_path: pathlib.Path) -> None:
    assert penstock("export", job, "-o", "x.gz", "--manifest", "x.json", "--interval", "0.05").code == 0
    good = penstock("verify", "x.gz", "x.json")
    assert good.code == 0
    assert "exactly what was exported" in good.out
    body = bytearray((tmp_path / "x.gz").read_bytes())
    body[len(body) // 2] ^= 1
    (tmp_path / "x.gz").write_bytes(body)
    bad = penstock("verify", "x.gz", "x.json")
    assert (bad.code, bad.err.split("]")[0]) == (1, "Error [export_damaged")
    missing = penstock("verify", "x.gz", "no.json")
    assert (missing.code, missing.err.split("]")[0]) == (2, "Error [manifest_not_readable")
    other = penstock("verify", "x.gz", "x.json", "--public-key", OWN_KEY)
    assert (other.code, other.err.split("]")[0]) == (1, "Error [manifest_signature_invalid")


def test_key_that_may_only_export_is_enough_to_export(
    penstock: Any, job: str, total: int, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = penstock("apikey", "create", "--community", "acme", "--permission", "SIC_MASSIVE_EXPORT_EVENTS", "--json")
    monkeypatch.setenv("API_KEY", json.loads(made.out)["api_key"])
    assert penstock("search", QUERY).err.startswith("Error [permission_missing]: ")
    found = json.loads(penstock("export", job, "-o", "x.gz", "--interval", "0.05", "--json").out)
    assert (found["events"], len(lines_of(tmp_path / "x.gz"))) == (total, total)
    for command in (["status", found["task_uuid"]], ["exports", job], ["estimate", job], ["quota"]):
        assert penstock(*command).code == 0, command


def test_stored_key_is_not_sent_to_another_machine(penstock: Any) -> None:
    ran = penstock("quota", "--api-host", "penstock.example")
    assert (ran.code, ran.err.split("]")[0]) == (2, "Error [api_key_not_given")


def test_wrong_api_key_is_said(penstock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "nonsense")
    ran = penstock("quota")
    assert (ran.code, ran.err.split("]")[0]) == (1, "Error [api_key_unknown")


def test_one_in_flight_export_is_named_when_a_second_is_refused(world: World) -> None:
    """Two starts as close as can be: whichever way it goes, the refusal names the task."""
    with Penstock(world.url, world.api_key) as penstock:
        job = penstock.search("", earliest="-3d")
        first = job.export()
        refused: errors.Conflict | None = None
        try:
            job.export().wait(interval_seconds=0.05)
        except errors.Conflict as conflict:
            refused = conflict
        first.wait(interval_seconds=0.05)
        if refused is not None:  # else the first had ended before the second came
            assert (refused.code, refused.extra["task_uuid"]) == ("export_in_progress", first.task_uuid)


def test_python_client_streams_what_the_file_holds(world: World, tmp_path: pathlib.Path) -> None:
    with Penstock(world.url, world.api_key) as penstock:
        job = penstock.search(QUERY, earliest="-3d")
        export = job.export(["@timestamp", "user.name"], customer_key=CustomerKey(bytes(range(32))))
        export.wait(interval_seconds=0.05)
        got = export.download(tmp_path / "x.gz")
        assert list(export.events()) == lines_of(tmp_path / "x.gz")
        assert got.events == job.total == sum(count for _, count in job.histogram().buckets)
        assert [len(list(job.events(7))), len(job.exports())] == [7, 1]
        assert job.csv(["@timestamp", "user.name"], limit=3).count("\n") == 4
        assert penstock.search_job(job.uuid).total == job.total
        assert export.task_uuid in [task.uuid for task in penstock.tasks()]
        assert {preset.name for preset in penstock.presets()} >= {"network", "identity", "endpoint"}


def test_python_client_sends_events_that_are_found_again(world: World) -> None:
    with Penstock(world.url, world.api_key) as penstock:
        marked = [{"message": f"hello {n}", "event.dataset": "from-client"} for n in range(50)]
        sent = penstock.ingest([*marked, b"{broken"])
        assert sent.accepted == 50
        assert [entry["line"] for entry in sent.rejected] == [51]
        assert penstock.search("event.dataset:from-client", earliest="-1h", latest="9999-01-01").total == 50


def test_download_survives_a_service_that_cuts_connections_ten_times(
    world: World, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded store behind a client whose connections break after a few hundred bytes."""
    import httpx

    from penstock.client.http import retry

    with Penstock(world.url, world.api_key) as penstock:
        job = penstock.search("", earliest="-3d")
        export = job.export(["@timestamp", "message"])
        export.wait(interval_seconds=0.05)
        whole = export.download(tmp_path / "whole.gz")
        left = [10]
        read = httpx.Response.iter_raw

        def breaking(response: httpx.Response, chunk_size: int | None = None) -> Iterator[bytes]:
            for number, chunk in enumerate(read(response, chunk_size)):
                if number == 1 and left[0]:
                    left[0] -= 1
                    raise httpx.ReadError("cut")
                yield chunk

        monkeypatch.setattr(httpx.Response, "iter_raw", breaking)
        patient = retry.Retry(attempts=4, sleep=lambda seconds: None)
        got = export.download(tmp_path / "broken.gz", retry=patient, check=True)
        assert (left[0], got.breaks) == (0, 10)
        assert (tmp_path / "broken.gz").read_bytes() == (tmp_path / "whole.gz").read_bytes()
        assert whole.verified


def test_export_after_its_window_is_over_says_so(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a home of its own: the worker of the shared one would finish the export with a window of a day."""
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    made = initializing.make_home("acme", if_missing=False)
    settings = local.settings(host="127.0.0.1", port=0, download_window_seconds=3)
    with server.running(settings) as listening, Penstock(listening.url, made["api_key"]) as penstock:
        generating.fill(listening.services, made["community_uuid"], events=1000, seed=1, start=None, days=2.0)
        export = penstock.search(QUERY, earliest="-3d").export()
        task = export.wait(interval_seconds=0.05)
        assert task.download_url is not None
        deadline = clock.SystemClock().monotonic() + 20
        while export.refresh().download_url is not None and clock.SystemClock().monotonic() < deadline:
            time.sleep(0.05)
        with pytest.raises(errors.AccessDenied) as caught:
            export.download(tmp_path / "x.gz")
        assert caught.value.code == "download_expired"


class Process:
    """`penstock` in a process of its own."""

    def __init__(self, folder: pathlib.Path, *arguments: str, **variables: str) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in AMBIENT}
        environment |= {"PENSTOCK_HOME": str(folder / "home"), "PYTHONUNBUFFERED": "1", **variables}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "penstock", *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self) -> Ran:
        out, err = self.process.communicate(timeout=120)
        return Ran(self.process.returncode, out, err)


def run_process(folder: pathlib.Path, *arguments: str, **variables: str) -> Ran:
    return Process(folder, *arguments, **variables).end()


def test_from_init_to_file_in_processes_of_their_own(tmp_path: pathlib.Path) -> None:
    """init, generate, serve --tls, search, export, Ctrl-C: as on a terminal, through https with the home's own CA."""
    assert run_process(tmp_path, "init", "--community", "acme").code == 0
    again = run_process(tmp_path, "init")
    assert (again.code, again.err.split("]")[0]) == (1, "Error [home_exists")
    assert run_process(tmp_path, "init", "--if-missing").code == 0
    assert run_process(tmp_path, "generate", "--events", "5000", "--days", "1").code == 0
    service = Process(tmp_path, "serve", "--port", "0", "--tls")
    try:
        assert service.process.stdout is not None
        url = re.findall(r"https://\S+", service.process.stdout.readline())[0]
        everywhere = {"REQUESTS_CA_BUNDLE": certifi.where(), "SSL_CERT_FILE": certifi.where()}
        found = run_process(tmp_path, "search", "event.category:network", "--earliest", "-2d", **everywhere)
        assert found.code == 0, found.err
        job = found.out.splitlines()[0]
        export = run_process(tmp_path, "export", job, "-o", "x.gz", "--interval", "0.1")
        assert export.code == 0, export.err
        assert f"{len(lines_of(tmp_path / 'x.gz')):,} events match." == found.out.splitlines()[1]
        stored = json.loads((tmp_path / "home" / "client.json").read_text())
        remote = {"API_KEY": stored["api_key"], "API_HOST": url.removeprefix("https://"), "PENSTOCK_HOME": "elsewhere"}
        untrusted = run_process(tmp_path, "quota", **remote)
        assert (untrusted.code, untrusted.err.split("]")[0]) == (1, "Error [tls_failed")
        trusted = run_process(tmp_path, "quota", REQUESTS_CA_BUNDLE=str(tmp_path / "home/tls/ca.pem"), **remote)
        assert trusted.code == 0, trusted.err
    finally:
        service.process.send_signal(signal.SIGINT)
        ended = service.end()
    assert ended.code in (0, 130)
    assert "Traceback" not in ended.err
    assert not (tmp_path / "home" / "service.json").exists()
    gone = run_process(tmp_path, "quota")
    assert (gone.code, gone.err.split("]")[0]) == (2, "Error [api_host_missing")


def test_interrupted_wait_exits_130_and_says_how_to_go_on(
    penstock: Any, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from penstock.client import Export

    def interrupted(self: Export, *_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Export, "wait", interrupted)
    ran = penstock("export", job)
    assert ran.code == 130
    assert "penstock status " in ran.err
    assert "Interrupted by user" in ran.err
    assert "Encryption Key: " in ran.out
    assert penstock("cancel", re.findall(r"penstock status (\S+)", ran.err)[0]).code in (0, 1)  # or it has ended


def test_output_into_a_closed_pipe_is_no_error(world: World, tmp_path: pathlib.Path) -> None:
    (tmp_path / "home").symlink_to(world.home)
    ran = subprocess.run(
        f"{sys.executable} -m penstock fields | head -n 1; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        env={**os.environ, "PENSTOCK_HOME": str(world.home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.stdout == "FIELD\tTYPE\tFILES\tDESCRIPTION\n0\n"
    assert ran.stderr == ""


def test_demo_shows_the_whole_path_again_and_again(tmp_path: pathlib.Path) -> None:
    """With the settings of another service around, which it must not touch."""
    (tmp_path / "penstock.toml").write_text(f'lake_path = "{tmp_path / "real-lake"}"\nstorage = "s3"\n')
    others = {"API_KEY": "x", "PENSTOCK_PORT": "1", "PENSTOCK_DATABASE_URL": f"sqlite:///{tmp_path / 'real.db'}"}
    for _ in range(2):
        ran = run_process(tmp_path, "demo", "--events", "20000", **others)
        assert ran.code == 0, ran.err
        assert "Traceback" not in ran.err + (tmp_path / ".demo" / "service.log").read_text()
        total = int(re.findall(r"([\d,]+) of 20,000 events match", ran.out)[0].replace(",", ""))
        assert f"search job: {total:,} events" in ran.out
        assert f"file:       {total:,} events, signature, digests and gzip right" in ran.out
        assert len(lines_of(tmp_path / ".demo" / "export.jsonl.gz")) == total
        assert ran.out.count("Encryption Key: ") == 1
        assert re.search(rf"wc -l\n +{total}\n", ran.out)
        assert [line.split(".")[0] for line in ran.out.splitlines() if re.match(r"\d\. ", line)] == list("123456789")
    assert {path.name for path in tmp_path.iterdir()} == {".demo", "penstock.toml"}


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_are_for_terminals_that_want_them(
    tmp_path: pathlib.Path, variables: dict[str, str], coloured: bool
) -> None:
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in {*AMBIENT, "NO_COLOR"}}
    subprocess.run(
        [sys.executable, "-m", "penstock", "quota"],
        env={**environment, "PENSTOCK_HOME": str(tmp_path), "TERM": "xterm", **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        timeout=60,
        check=False,
    )
    os.close(theirs)
    text = os.read(ours, 10_000).decode()
    os.close(ours)
    assert "api_host_missing" in text
    assert ("\x1b[1;31m" in text) is coloured
    assert ("31m" in text) is coloured


def test_bytes_for_people_are_decimal() -> None:
    assert [output.size(n) for n in (0, 999, 1000, 10_000_000_000)] == ["0 B", "999 B", "1.0 KB", "10.0 GB"]
