"""The operator's commands on a home folder: made once, completed when half made, readable by their owner only."""

from __future__ import annotations

import gzip
import json
import os
import pathlib
from typing import Any

import pytest

from penstock import cli
from penstock.cli import home
from penstock.cli.commands.demo import demo, looking


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Any:
    """Runs a command line; (code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    for name in ("API_KEY", "API_HOST", "EXPORT_FIELDS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))

    def ran(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.run(arguments)
        return (code, *capsys.readouterr())

    return ran


@pytest.fixture
def made(run: Any) -> dict[str, Any]:
    """A made home; what `init --json` said."""
    code, out, _ = run("init", "--community", "acme", "--json")
    assert code == 0
    found: dict[str, Any] = json.loads(out)
    return found


def test_init_makes_a_home_only_its_owner_can_read(made: dict[str, Any], tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "home"
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in ("client.json", "master.key"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600, name
    assert json.loads((folder / "client.json").read_text())["api_key"] == made["api_key"]


def test_init_twice_is_refused_or_does_nothing(run: Any, made: dict[str, Any]) -> None:
    code, _, err = run("init")
    assert (code, err.split("]")[0]) == (1, "Error [home_exists")
    code, out, _ = run("init", "--if-missing", "--json")
    assert (code, json.loads(out)["created"]) == (0, False)
    assert len(json.loads(run("apikey", "list", "--json")[1])) == 1


def test_init_completes_a_half_made_home(run: Any, made: dict[str, Any], tmp_path: pathlib.Path) -> None:
    """A crash before the API key was kept: the same community, the same master key, a key that works."""
    (tmp_path / "home" / "client.json").unlink()
    master = (tmp_path / "home" / "master.key").read_text()
    code, out, _ = run("init", "--community", "acme", "--json")
    assert code == 0
    assert json.loads(out)["community_uuid"] == made["community_uuid"]
    assert (tmp_path / "home" / "master.key").read_text() == master


def test_home_that_cannot_be_made_is_said(run: Any, tmp_path: pathlib.Path) -> None:
    (tmp_path / "home").write_text("a file")
    code, _, err = run("init")
    assert (code, err.split("]")[0]) == (2, "Error [home_not_writable")


def test_machine_without_a_home_works_when_all_lies_elsewhere(
    run: Any, made: dict[str, Any], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (tmp_path / "home" / "master.key").read_text().splitlines()
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "nowhere"))
    monkeypatch.setenv("PENSTOCK_DATABASE_URL", f"sqlite:///{tmp_path / 'home' / 'penstock.db'}")
    monkeypatch.setenv("PENSTOCK_LAKE_PATH", str(tmp_path / "home" / "lake"))
    monkeypatch.setenv("PENSTOCK_STORAGE", "s3")
    code, _, err = run("community", "list")
    assert (code, err.split("]")[0]) == (2, "Error [home_missing")
    monkeypatch.setenv("PENSTOCK_MASTER_KEY", ",".join(line for line in lines if not line.startswith("#")))
    code, out, _ = run("community", "list", "--json")
    assert (code, [each["name"] for each in json.loads(out)]) == (0, ["acme"])
    assert not (tmp_path / "nowhere").exists()


def test_standard_input_is_taken_in(
    run: Any, made: dict[str, Any], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "e.gz").open("wb") as file:
        file.write(gzip.compress(b'{"a":1}\n' * 10))
    with (tmp_path / "e.gz").open() as file:
        monkeypatch.setattr("sys.stdin", file)
        code, out, err = run("ingest", "-", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["accepted"] == 10


def test_communities_and_keys_are_created_listed_revoked_and_audited(run: Any, made: dict[str, Any]) -> None:
    community = json.loads(run("community", "create", "umbrella", "--json")[1])
    assert [each["name"] for each in json.loads(run("community", "list", "--json")[1])] == ["acme", "umbrella"]
    code, out, _ = run("apikey", "create", "--community", "umbrella", "--permission", "SIC_READ_INTAKES", "--json")
    key = json.loads(out)
    assert code == 0
    assert (key["community_uuids"], key["permissions"]) == ([community["uuid"]], ["SIC_READ_INTAKES"])
    listed = run("apikey", "list", "--community", "umbrella")[1]
    assert key["uuid"] in listed
    assert key["api_key"] not in listed
    assert run("apikey", "revoke", key["uuid"])[0] == 0
    assert json.loads(run("apikey", "list", "--community", "umbrella", "--json")[1])[0]["revoked_at"]
    actions = [entry["action"] for entry in json.loads(run("audit", "--community", "umbrella", "--json")[1])]
    assert actions == ["apikey.revoked", "apikey.created", "community.created"]


def test_key_of_init_reaches_a_new_community_once_it_is_granted(run: Any, made: dict[str, Any]) -> None:
    new = json.loads(run("community", "create", "umbrella", "--json")[1])["uuid"]
    code, out, _ = run("apikey", "grant", "--community", "umbrella")
    assert code == 0
    assert f"API key {made['api_key_uuid']} (first key) reaches: " in out
    for _ in range(2):  # once more changes nothing
        granted = json.loads(run("apikey", "grant", made["api_key_uuid"], "--community", "umbrella", "--json")[1])
        assert set(granted["community_uuids"]) == {new, made["community_uuid"]}
    entries = json.loads(run("audit", "--action", "apikey.granted", "--json")[1])
    assert [(entry["community_uuid"], entry["object_uuid"]) for entry in entries] == [(new, made["api_key_uuid"])]


def test_limits_of_a_community_are_shown_set_and_taken_back(run: Any, made: dict[str, Any]) -> None:
    def limits(*arguments: str) -> dict[str, Any]:
        code, out, err = run("community", "limits", "acme", *arguments, "--json")
        assert (code, err) == (0, "")
        found: dict[str, Any] = json.loads(out)
        return found

    before = limits()
    assert (before["limits"]["export_max_events"], before["own"]) == (100_000_000, {})
    after = limits("--set", "export_max_events=7", "--set", "quota_bytes_per_month=0")
    assert (after["limits"]["export_max_events"], after["limits"]["quota_bytes_per_month"]) == (7, 0)
    assert limits("--set", "quota_bytes_per_month=default")["own"] == {"export_max_events": 7}
    assert "export_max_events\t7\tcommunity\n" in run("community", "limits", "acme")[1]
    assert json.loads(run("audit", "--action", "community.limits_set", "--json")[1])[0]["object_uuid"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["community", "limits", "nobody"], "community_not_found"),
        (["community", "limits", "acme", "--set", "export_max_events=0"], "invalid_limit"),
        (["community", "limits", "acme", "--set", "export_max_events=-1"], "invalid_limit"),
        (["community", "limits", "acme", "--set", "nothing=1"], "invalid_limit"),
        (["community", "create", "acme"], "community_name_taken"),
        (["apikey", "create", "--community", "nobody", "--permission", "ADMIN"], "community_not_found"),
        (["apikey", "create", "--community", "acme", "--permission", "ROOT"], "unknown_permission"),
        (["apikey", "revoke", "nothing"], "api_key_not_found"),
        (["apikey", "grant", "nothing", "--community", "acme"], "api_key_not_found"),
        (["apikey", "grant", "--community", "nobody"], "community_not_found"),
        (["generate", "--community", "nobody"], "community_not_found"),
        (["ingest", "no/such/file"], "unreadable_source"),
        (["dump", "-o", "x.gz", "--query", "a:("], "query_syntax"),
        (["dump", "-o", "x.gz", "--fields", "no.such.field"], "unknown_field"),
        (["dump", "-o", "x.gz", "--preset", "nonsense"], "unknown_preset"),
        (["dump", "-o", "x.gz", "--earliest", "soon"], "invalid_time"),
        (["dump", "-o", "no/such/folder/x.gz"], "file_not_writable"),
    ],
)
def test_refusals_exit_1_with_their_code(run: Any, made: dict[str, Any], arguments: list[str], code: str) -> None:
    exit_code, out, err = run(*arguments)
    assert (exit_code, out) == (1, "")
    assert err.startswith(f"Error [{code}]: ")


def test_rotation_puts_a_new_key_in_front(run: Any, made: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert json.loads(run("keys", "rotate", "--json")[1])["active"] == "k2"
    assert json.loads(run("keys", "rotate", "--json")[1])["keys"] == ["k3", "k2"]  # what runs may still seal with k2
    assert run("storage", "check")[0] == 0


def test_rotation_in_steps_tells_what_is_next_and_keeps_what_is_in_use(run: Any, made: dict[str, Any]) -> None:
    assert json.loads(run("keys", "add", "--json")[1])["keys"] == ["k1", "k2"]
    code, out, err = run("keys", "activate")
    assert (code, out) == (0, "The active sealing key is k2; known: k2, k1.\n")
    assert "penstock keys reseal" in err
    assert json.loads(run("keys", "activate", "--json")[1])["active"] == "k2"  # again is no error
    assert json.loads(run("keys", "reseal", "--json")[1]) == {"active": "k2", "resealed": 0}
    assert json.loads(run("keys", "list", "--json")[1]) == [
        {"key": "k2", "state": "active", "secrets": 0},
        {"key": "k1", "state": "known", "secrets": 0},
    ]
    code, _, err = run("keys", "drop", "k2")
    assert (code, "[master_key_in_use]" in err) == (1, True)
    code, _, err = run("keys", "drop", "k7")
    assert (code != 0, "k2, k1" in err) == (True, True)
    assert json.loads(run("keys", "drop", "k1", "--json")[1])["keys"] == ["k2"]


def test_rotation_of_keys_from_the_environment_saves_nothing(
    run: Any, made: dict[str, Any], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (tmp_path / "home" / "master.key").read_text().splitlines()
    monkeypatch.setenv("PENSTOCK_MASTER_KEY", ",".join(line for line in lines if not line.startswith("#")))
    code, out, err = run("keys", "rotate")
    assert code == 0
    assert "PENSTOCK_MASTER_KEY" in err
    assert out.startswith("root:")
    assert (tmp_path / "home" / "master.key").read_text().splitlines() == lines


def test_ingest_keeps_rejected_lines_and_takes_a_batch_once(
    run: Any, made: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    good = [json.dumps({"@timestamp": f"2026-01-01T00:00:{n:02}Z", "user": {"name": f"u{n}"}}) for n in range(50)]
    (tmp_path / "e.jsonl").write_text("\n".join([*good, "{bad", "[1]"]))
    code, out, _ = run("ingest", "e.jsonl", "--batch-id", "b", "--rejects", "r.jsonl", "--json")
    report = json.loads(out)
    assert (code, report["accepted"], report["rejected"]) == (0, 50, 2)
    assert [json.loads(line)["raw"] for line in (tmp_path / "r.jsonl").read_text().splitlines()] == ["{bad", "[1]"]
    code, out, _ = run("ingest", "e.jsonl", "--batch-id", "b")
    assert code == 0
    assert "Skipped e.jsonl" in out
    assert run("dump", "-o", "x.gz", "--fields", "user.name,@timestamp")[0] == 0
    lines = gzip.decompress((tmp_path / "x.gz").read_bytes()).decode().splitlines()
    assert lines[0] == '{"user.name":"u0","@timestamp":"2026-01-01T00:00:00Z"}'
    assert len(lines) == 50


def test_ingest_takes_folders_patterns_and_says_what_it_saw(
    run: Any, made: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    (tmp_path / "logs" / "deep").mkdir(parents=True)
    (tmp_path / "logs" / "a.json.gz").write_bytes(gzip.compress(b'{"Records":[{"n":1,"seen":"2026-01-02T00:00:00Z"}]}'))
    (tmp_path / "logs" / "deep" / "b.csv").write_text("n,seen\n2,2026-01-02T00:00:01Z\n")
    for left_out in (".hidden", "_SUCCESS", "rejects_1.jsonl"):
        (tmp_path / "logs" / left_out).write_text('{"n":9}\n')
    code, out, err = run("ingest", "logs", "--time-field", "seen")
    assert (code, err) == (0, "")
    assert out.startswith("2 events taken into acme")
    assert 'Read as events under "Records": one file (--format records).' in out
    assert "Read as CSV with a header: one file" in out
    assert "usable time" not in out
    code, out, _ = run("ingest", "logs/**/*.csv")
    assert (code, "that of their arrival: 1; --time-field NAME" in out) == (0, True)
    assert run("ingest", "nothing/*.gz")[0] == 1


def test_ingest_with_jobs_reports_as_without(run: Any, made: dict[str, Any], tmp_path: pathlib.Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.jsonl").write_text('{"n":1}\n{"n":2}\nno event\n')
    (tmp_path / "logs" / "b.csv").write_text("n,seen\n2,2026-01-02T00:00:01Z\n")
    told = []
    for jobs in ("2", "1"):
        code, out, _ = run("ingest", "logs", "--rejects", "r.jsonl", "--jobs", jobs)
        told.append((code, out.partition("events/s).")[2], (tmp_path / "r.jsonl").read_bytes()))
    assert told[0] == told[1]
    assert told[0][0] == 0
    assert "1 lines were rejected" in told[0][1]


def test_ingest_on_an_engine_without_nodes_or_of_a_pipe_is_refused(
    run: Any, made: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    (tmp_path / "e.jsonl").write_text('{"n":1}\n')
    code, _, err = run("ingest", "e.jsonl", "--on-engine")
    assert (code != 0, "[engine_settings_incomplete]" in err, "--jobs" in err) == (True, True, True)
    code, _, err = run("ingest", "e.jsonl", "-", "--on-engine")
    assert (code != 0, "[unreadable_source]" in err) == (True, True)


@pytest.mark.parametrize(("text", "words"), [("", "There are no events."), ("x\ny\n", "All 2 lines were rejected; ")])
def test_ingest_of_nothing_is_an_error(
    run: Any, made: dict[str, Any], tmp_path: pathlib.Path, text: str, words: str
) -> None:
    (tmp_path / "e.jsonl").write_text(text)
    code, _, err = run("ingest", "e.jsonl")
    assert code == 1
    assert f"Error [nothing_taken_in]: {words}" in err


def test_ingest_reads_a_pipe_by_its_number(run: Any, made: dict[str, Any]) -> None:
    reading, writing = os.pipe()
    os.write(writing, b'{"n":1}\n')
    os.close(writing)
    assert run("ingest", f"/dev/fd/{reading}")[0] == 0
    os.close(reading)


def test_truncated_file_is_said(run: Any, made: dict[str, Any], tmp_path: pathlib.Path) -> None:
    (tmp_path / "e.gz").write_bytes(gzip.compress(b'{"a":1}\n' * 100_000)[:-20])
    code, _, err = run("ingest", "e.gz")
    assert code == 1
    assert "Error [truncated_input]: " in err


def test_dump_of_an_empty_range_is_a_valid_empty_file(run: Any, made: dict[str, Any], tmp_path: pathlib.Path) -> None:
    assert run("generate", "--events", "1000")[0] == 0
    assert run("dump", "-o", "x.gz", "--latest", "1971-01-01")[0] == 0
    (entry,) = json.loads(run("audit", "--action", "events.dumped", "--json")[1])
    assert entry["detail"] == {"query": "", "fields": ["@timestamp", "message"], "events": 0, "file": "x.gz"}
    assert gzip.decompress((tmp_path / "x.gz").read_bytes()) == b""


def test_dump_writes_fields_that_have_no_column_of_their_own(
    run: Any, made: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    """`Acme.Badge` differs from a column only in case, so it lives in the overflow."""
    lines = ['{"@timestamp":"2026-01-01T00:00:00Z","acme.badge":"7"}', '{"@timestamp":1767225601000,"Acme.Badge":"8"}']
    (tmp_path / "e.jsonl").write_text("\n".join(lines))
    assert run("ingest", "e.jsonl")[0] == 0
    code, _, err = run("dump", "-o", "x.gz", "--fields", "acme.badge,Acme.Badge")
    assert (code, err) == (0, "")
    assert gzip.decompress((tmp_path / "x.gz").read_bytes()) == b'{"acme.badge":"7"}\n{"Acme.Badge":"8"}\n'


def test_wide_stream_is_generated_and_another_is_refused(run: Any, made: dict[str, Any]) -> None:
    code, out, _ = run("generate", "--events", "500", "--stream", "wide", "--days", "30", "--json")
    report = json.loads(out)
    assert (code, report["events"], sum(report["kinds"].values())) == (0, 500, 500)
    code, _, err = run("generate", "--stream", "deep")
    assert (code, "Error [unknown_stream]" in err) == (2, True)


def test_generated_events_can_be_compacted_and_vacuumed(run: Any, made: dict[str, Any]) -> None:
    assert run("generate", "--events", "1000", "--days", "1")[0] == 0
    assert run("generate", "--events", "1000", "--days", "1", "--seed", "2")[0] == 0
    assert run("lake", "compact")[0] == 0
    assert json.loads(run("lake", "vacuum", "--keep-hours", "0", "--dry-run", "--json")[1])["dry_run"] is True


def test_a_vacuum_leaves_the_files_of_an_ingest_that_is_under_way_alone(
    run: Any, made: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    assert run("generate", "--events", "1000", "--days", "1")[0] == 0
    (folder,) = (path for path in (tmp_path / "home" / "lake").iterdir() if (path / "_delta_log").is_dir())
    unnamed = folder / "01767571200000000-000000-9f86d081.parquet"  # no commit names it yet
    unnamed.write_bytes(b"half a file")
    assert run("lake", "vacuum", "--keep-hours", "0")[0] == 0
    assert unnamed.exists()
    os.utime(unnamed, (unnamed.stat().st_mtime - 601,) * 2)
    assert run("lake", "vacuum", "--keep-hours", "0")[0] == 0
    assert not unnamed.exists()


def test_service_that_died_is_not_taken_for_running(run: Any, made: dict[str, Any], tmp_path: pathlib.Path) -> None:
    announced = {"url": "http://127.0.0.1:9", "ca_file": None, "pid": 2**22 + 1}
    (tmp_path / "home" / "service.json").write_text(json.dumps(announced))
    assert home.running_service() is None
    code, _, err = run("quota")
    assert (code, err.split("]")[0]) == (2, "Error [api_host_missing")


def test_announcement_ends_with_its_service(made: dict[str, Any], tmp_path: pathlib.Path) -> None:
    with home.Announcement() as announcement:
        announcement.make(home.RunningService(url="http://127.0.0.1:1", ca_file=None, pid=os.getpid()))
        found = home.running_service()
        assert found is not None
        assert found.url == "http://127.0.0.1:1"
    assert home.running_service() is None


def test_demo_touches_no_folder_that_it_did_not_make(run: Any, tmp_path: pathlib.Path) -> None:
    (tmp_path / ".demo").mkdir()
    (tmp_path / ".demo" / "precious").write_text("x")
    code, _, err = run("demo")
    assert (code, err.split("]")[0]) == (2, "Error [demo_folder_taken")
    assert (tmp_path / ".demo" / "precious").read_text() == "x"


def test_demo_leaves_the_callers_environment_as_it_was(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "mine")
    monkeypatch.setenv("PENSTOCK_DATABASE_URL", "postgresql://real")
    before = dict(os.environ)
    with demo._own_world(tmp_path):
        assert "API_KEY" not in os.environ
        assert os.environ["PENSTOCK_DATABASE_URL"] == ""
        assert os.environ["PENSTOCK_HOME"] == str(tmp_path / "home")
    assert dict(os.environ) == before


@pytest.mark.parametrize("look", looking.LOOKS, ids=lambda look: look.why)
def test_looks_run_on_a_file_and_cut_long_lines(look: looking.Look, tmp_path: pathlib.Path) -> None:
    event = {
        "user.name": "a",
        "event.action": "ssh_login",
        "event.outcome": "failure",
        "source.ip": "10.0.0.1",
        "message": "x" * 500,
    }
    line = json.dumps(event, separators=(",", ":")).encode() + b"\n"
    (tmp_path / "a b.gz").write_bytes(gzip.compress(line * 7))
    if looking.missing_tools(look):
        pytest.skip("a tool is not installed")
    lines = looking.run(look, tmp_path / "a b.gz")
    assert lines
    assert all(len(text) <= 160 for text in lines)


def test_looks_without_their_tools_are_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert looking.missing_tools(looking.LOOKS[0]) == ["zcat", "wc"]
