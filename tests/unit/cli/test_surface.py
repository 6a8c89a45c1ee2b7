"""The surface of the command line: documented whole, light to start, the reference client's words, no traceback."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pathlib
import re
import shlex
import subprocess
import sys
from typing import Any

import pytest
from support import commands

import penstock
from penstock import cli, errors
from penstock.cli import hints, output, reporting, table

DOCS = pathlib.Path(__file__).parents[3] / "docs"
MARK = re.compile(r"(?m)^## penstock (.+)$")


COMMANDS = commands.ALL


def sections() -> dict[str, str]:
    """The sections of the reference, by command."""
    _, *parts = MARK.split((DOCS / "cli.md").read_text())
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Any:
    """Runs a command line where there is no home; (code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    for name in ("API_KEY", "API_HOST", "PENSTOCK_HOME", "EXPORT_FIELDS", "S3_SSE_C_KEY"):
        monkeypatch.delenv(name, raising=False)

    def ran(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.run(arguments)
        return (code, *capsys.readouterr())

    return ran


def test_reference_has_a_section_for_every_command_and_no_other() -> None:
    assert list(sections()) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_reference_names_every_option_and_argument(name: str) -> None:
    section = sections()[name]
    for parameter in COMMANDS[name].params:
        if parameter.name == "help":
            continue
        is_argument = parameter.param_type_name == "argument"
        assert parameter.line if is_argument else parameter.help, f"{name}: {parameter.name} has no help"
        if is_argument:
            assert f"`{parameter.metavar}`" in section
        for option in [*parameter.opts, *parameter.secondary_opts] if parameter.param_type_name == "option" else []:
            assert f"`{option}`" in section, f"{name} {option}"


@pytest.mark.parametrize("name", COMMANDS)
def test_reference_names_no_option_that_is_not_there(name: str) -> None:
    table = [line for line in sections()[name].splitlines() if line.startswith("| `-")]
    written = {option for line in table for option in re.findall(r"`(-[\w-]+)`", line.split("|")[1])}
    real = {
        option
        for parameter in COMMANDS[name].params
        if parameter.param_type_name == "option" and parameter.name != "help"
        for option in [*parameter.opts, *parameter.secondary_opts]
    }
    assert written == real


def test_reference_clients_flags_are_all_there() -> None:
    """Every flag of sekoia-event-exporter 0.5.3."""
    encryption = {"--no-sse-c", "--s3-sse-c-key", "--s3-sse-c-key-md5", "--s3-sse-c-algorithm"}
    wanted = {
        "export": encryption
        | {"--api-host", "--interval", "--max-wait", "--no-download", "--output", "-o", "--fields", "--s3-bucket"}
        | {"--s3-prefix", "--s3-access-key", "--s3-secret-key", "--s3-endpoint", "--s3-region"},
        "status": {"--api-host"},
        "download": encryption | {"--api-host", "--output", "-o"},
    }
    for name, flags in wanted.items():
        assert flags <= {option for parameter in COMMANDS[name].params for option in parameter.opts}


HEAVY = ["polars", "deltalake", "sqlalchemy", "boto3", "httpx", "fastapi", "pydantic", "cryptography", "lark"]


def loaded(arguments: list[str], names: list[str]) -> list[str]:
    """Which of the modules a command line loads, in a process of its own."""
    script = (
        f"import sys; from penstock import cli; cli.run({arguments!r});"
        f"print([name for name in {names!r} if name in sys.modules], file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    found: list[str] = ast.literal_eval(ran.stderr.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["dump", "--help"], ["export", "-h"], ["serve", "-h"]]
)
def test_help_starts_nothing_heavy(arguments: list[str]) -> None:
    """What makes a start slow is not imported until a command does its work."""
    assert loaded(arguments, HEAVY) == []


def test_commands_of_a_client_load_neither_the_lake_nor_the_database() -> None:
    names = ["polars", "deltalake", "sqlalchemy", "pydantic", "lark", "rich", "numpy", "penstock.settings"]
    assert loaded(["quota", "--api-host", "127.0.0.1:1"], names) == []


def test_a_dump_of_a_home_loads_neither_sqlalchemy_nor_numpy_nor_stores(run: Any, tmp_path: pathlib.Path) -> None:
    assert run("init")[0] == 0
    assert loaded(["dump", "-o", str(tmp_path / "x.gz")], ["polars"]) == ["polars"]
    names = ["sqlalchemy", "alembic", "pydantic", "cryptography", "boto3", "httpx", "fastapi", "lark", "numpy"]
    names += ["structlog", "asyncio", "penstock.lake.attached.snapshots"]
    assert loaded(["dump", "-o", str(tmp_path / "x.gz")], names) == []


@pytest.mark.parametrize("command", table.COMMANDS, ids=lambda command: command.name)
def test_the_work_of_a_command_takes_its_options(command: table.Command) -> None:
    options = importlib.import_module(f"penstock.cli.options.{command.options}")
    work = importlib.import_module(f"penstock.cli.commands.{command.work}")
    function = getattr(work, command.function)
    (parameter,) = inspect.signature(function, eval_str=True).parameters.values()
    assert parameter.annotation is getattr(options, command.options_class)


@pytest.mark.parametrize("command", table.COMMANDS, ids=lambda command: command.name)
def test_examples_of_a_command_can_be_typed(command: table.Command) -> None:
    assert command.examples
    for example in command.examples:
        assert len(example) <= 78  # with the two spaces before it, as wide as a terminal
        words = shlex.split(example.rpartition("penstock ")[2].partition(" | ")[0])
        if words[0] == "--home":
            words = words[2:]
        path = command.name.split()
        assert words[: len(path)] == path
        COMMANDS[command.name].make_context(command.name, words[len(path) :])


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_fits_a_narrow_terminal_and_names_no_types_of_python(
    run: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    code, out, err = run(*name.split(), "-h")
    assert (code, err) == (0, "")
    assert not re.search(r"<(bool|str|int|float|path)", out, re.IGNORECASE)
    assert all(len(line) <= 60 for line in out.splitlines() if not line.startswith("  penstock ") and "|" not in line)


def test_version_is_said(run: Any) -> None:
    assert run("--version") == (0, f"penstock {penstock.__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["nonsense"],
        ["export", "JOB", "--nonsense"],
        ["export", "JOB", "--interval", "soon"],
        ["demo", "--events", "1"],
    ],
)
def test_wrong_usage_exits_2_and_points_to_the_help(run: Any, arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("Error [usage]: ")
    assert "Hint: See `penstock" in err


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [(["serach", "x"], "one of: 'search', 'searches'"), (["community", "lst"], "'list'"), (["qouta"], "'quota'")],
)
def test_a_mistyped_command_is_answered_with_the_one_meant(run: Any, arguments: list[str], meant: str) -> None:
    code, _, err = run(*arguments)
    assert code == 2
    assert f"Did you mean {meant}?\n" in err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_is_offered(shell: str) -> None:
    environment = {**os.environ, "_PENSTOCK_COMPLETE": f"{shell}_source"}
    ran = subprocess.run(
        [sys.executable, "-m", "penstock"], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert f"_PENSTOCK_COMPLETE={shell}_complete" in ran.stdout


def test_completion_knows_commands_and_options() -> None:
    def offered(words: str, word: int) -> list[str]:
        environment = {
            **os.environ,
            "_PENSTOCK_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(word),
        }
        command = [sys.executable, "-m", "penstock"]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        return [line.partition(",")[2] for line in ran.stdout.splitlines()]

    assert offered("penstock ex", 1) == ["export", "exports"]
    assert "--fields-file" in offered("penstock export --fie", 2)


@pytest.mark.parametrize("arguments", [[], ["community"], ["keys"]])
def test_no_command_shows_the_help_and_exits_2(run: Any, arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert (code, out + err != "") == (2, True)
    assert "Usage: penstock" in out + err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["search", "x"], "api_host_missing"),
        (["status", "T", "--api-host", "api.example"], "api_key_not_given"),
        (["status", "T", "--api-host", "http://api.example"], "insecure_url"),
        (["serve"], "home_missing"),
        (["worker"], "home_missing"),
        (["community", "list"], "home_missing"),
        (["generate"], "home_missing"),
        (["dump", "-o", "x.gz"], "home_missing"),
        (["storage", "check"], "home_missing"),
        (["verify", "a", "b"], "manifest_not_readable"),
    ],
)
def test_missing_configuration_exits_2(run: Any, arguments: list[str], code: str) -> None:
    exit_code, out, err = run(*arguments)
    assert (exit_code, out) == (2, "")
    assert err.startswith(f"Error [{code}]: ")
    assert "\nHint: " in err


def test_fault_of_ours_is_reported_without_a_traceback(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("penstock.cli.commands.service.connecting.connect", broken)
    code, _, err = run("quota")
    assert code == 1
    assert err.startswith("Error [internal_error]: ZeroDivisionError: by zero.\nHint: ")
    monkeypatch.setenv("PENSTOCK_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run("quota")


def test_interruption_exits_130(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("penstock.cli.commands.service.connecting.connect", interrupted)
    code, _, err = run("quota")
    assert code == 130
    assert "Interrupted by user" in err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigurationError("x", "X."), 2),
        (errors.InvalidRequest("x", "X."), 1),
        (errors.NetworkError("x", "X."), 1),
        (errors.ExportFailed("x", "X."), 1),
    ],
)
def test_only_configuration_exits_2(error: errors.PenstockError, code: int) -> None:
    assert reporting.report(error) == code


def test_caret_of_a_query_is_shown_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    reporting.report(errors.QuerySyntaxError("query_syntax", "Bad.", "Do.", caret="a:(\n   ^"))
    assert capsys.readouterr().err == "Error [query_syntax]: Bad.\n  a:(\n     ^\nHint: Do.\n"


SPEAKS_HTTP = re.compile(r"(GET|POST|DELETE) /|community_uuids|Export\\.wait")


def codes_with_hints_of_http() -> set[str]:
    """Codes whose hint, written for callers of the API, names a request or a member of one."""
    found = set()
    for room in ("usecases", "control", "client"):
        for path in (pathlib.Path(penstock.__file__).parent / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                is_error = isinstance(node, ast.Call) and len(node.args) >= 3 and isinstance(node.args[0], ast.Constant)
                if is_error and SPEAKS_HTTP.search(ast.unparse(node.args[2])):
                    found.add(node.args[0].value)
    return found


def test_hints_at_the_terminal_name_commands() -> None:
    codes = codes_with_hints_of_http()
    assert {"task_not_found", "export_in_progress"} <= codes
    for code in codes:
        error = errors.Refused(code, "It is so.", "GET /v1/tasks", task_uuid="T")
        assert "penstock " in hints.of(error) or "--community" in hints.of(error), code
        assert not SPEAKS_HTTP.search(hints.of(error)), code


def test_hints_name_the_task_they_speak_of() -> None:
    error = errors.Conflict("export_in_progress", "It is.", "POST /v1/tasks/T/cancel", task_uuid="T")
    assert "penstock cancel T." in hints.of(error)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0s"), (9.94, "9.9s"), (12.4, "12s"), (150, "2m 30s"), (4500, "1h 15m")]
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert output.duration(seconds) == text


def test_key_box_holds_the_key_once_and_says_what_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_key("THEKEY", stderr=False)
    text = capsys.readouterr().out
    assert text.count("THEKEY") == 1
    assert "Save this key" in text
