"""The surface of the command line: documented whole, light to start, the reference client's words, no traceback."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

import penstock
from penstock import cli, errors
from penstock.cli import app, output

DOCS = pathlib.Path(__file__).parents[3] / "docs"
MARK = re.compile(r"(?m)^## penstock (.+)$")


def commands(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every command with its name, those of groups included."""
    for word, below in command.commands.items():
        if hasattr(below, "commands"):
            yield from commands(below, f"{name}{word} ")
        else:
            yield f"{name}{word}", below


COMMANDS = dict(commands(typer.main.get_command(app.app)))


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
        assert parameter.help, f"{name}: {parameter.name} has no help"
        if parameter.param_type_name == "argument":
            assert f"`{parameter.metavar or parameter.name.upper()}`" in section
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


def test_help_starts_nothing_heavy() -> None:
    """What makes a start slow is not imported until a command needs it."""
    heavy = ["polars", "deltalake", "sqlalchemy", "boto3", "httpx", "fastapi", "pydantic", "cryptography", "lark"]
    script = (
        "import sys; from penstock import cli; code = cli.run(['--help']);"
        f"print([name for name in {heavy!r} if name in sys.modules], code, file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stderr.strip() == "[] 0"
    assert "export" in ran.stdout


def test_version_is_said(run: Any) -> None:
    assert run("--version") == (0, f"penstock {penstock.__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["export"],
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

    monkeypatch.setattr("penstock.cli.options.connection.connect", broken)
    code, _, err = run("quota")
    assert code == 1
    assert err.startswith("Error [internal_error]: ZeroDivisionError: by zero.\nHint: ")
    monkeypatch.setenv("PENSTOCK_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run("quota")


def test_interruption_exits_130(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("penstock.cli.options.connection.connect", interrupted)
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
    assert output.report_error(error) == code


def test_caret_of_a_query_is_shown_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    output.report_error(errors.QuerySyntaxError("query_syntax", "Bad.", "Do.", caret="a:(\n   ^"))
    assert capsys.readouterr().err == "Error [query_syntax]: Bad.\n  a:(\n     ^\nHint: Do.\n"


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
