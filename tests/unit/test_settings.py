"""Settings are read from one table; a name or a value that cannot be meant is refused, with the nearest name."""

from __future__ import annotations

import dataclasses
import pathlib
import pickle
import subprocess
import sys
from typing import Any

import pytest

from penstock import errors, settings
from penstock.base import secret


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> pathlib.Path:
    """A working directory without settings, and no variable of ours."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PENSTOCK_HOME", raising=False)
    return tmp_path


def refusal(**values: Any) -> str:
    with pytest.raises(errors.ConfigurationError) as refused:
        settings.load(**values)
    assert refused.value.code == "invalid_settings"
    return refused.value.detail


def test_arguments_win_over_variables_and_those_over_the_file(
    monkeypatch: pytest.MonkeyPatch, elsewhere: pathlib.Path
) -> None:
    (elsewhere / "penstock.toml").write_text("port = 1\nhost = '0.0.0.0'\nslice_rows = 7\n")
    monkeypatch.setenv("PENSTOCK_PORT", "2")
    monkeypatch.setenv("PENSTOCK_HOST", "127.0.0.2")
    found = settings.load(port=3)
    assert (found.port, found.host, found.slice_rows) == (3, "127.0.0.2", 7)


def test_file_in_the_home_is_read_where_the_working_directory_has_none(
    monkeypatch: pytest.MonkeyPatch, elsewhere: pathlib.Path
) -> None:
    (elsewhere / "home").mkdir()
    (elsewhere / "home" / "penstock.toml").write_text("s3_allow_http = true\nendpoint_allow_list = ['10.0.0.0/8']\n")
    monkeypatch.setenv("PENSTOCK_HOME", str(elsewhere / "home"))
    found = settings.load()
    assert (found.home, found.s3_allow_http) == (elsewhere / "home", True)
    assert found.endpoint_allow_list == ("10.0.0.0/8",)


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("PENSTOCK_EXPORT_MAX_EVENTS", "5_000_000", 5_000_000),
        ("PENSTOCK_LEASE_SECONDS", "2", 2.0),
        ("PENSTOCK_S3_ALLOW_HTTP", "True", True),
        ("PENSTOCK_ENDPOINT_ALLOW_LIST", '["a.example"]', ("a.example",)),
        ("PENSTOCK_STORAGE", "s3", "s3"),
        ("PENSTOCK_LAKE_PATH", "", ""),
    ],
)
def test_variables_are_read_by_the_type_of_their_setting(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, value: Any
) -> None:
    monkeypatch.setenv(variable, text)
    found = getattr(settings.load(), variable.removeprefix("PENSTOCK_").lower())
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("variable", "text", "part"),
    [
        ("PENSTOCK_QUOTA_BYTES_PER_MOTH", "1", "did you mean PENSTOCK_QUOTA_BYTES_PER_MONTH?"),
        ("PENSTOCK_FOO", "1", "there is no setting PENSTOCK_FOO"),
        ("PENSTOCK_PORT", "99999", "port must be 65535 or less, not '99999'"),
        ("PENSTOCK_PORT", "eighty", "port must be a whole number, not 'eighty'"),
        ("PENSTOCK_PART_BYTES", "1", "part_bytes must be 1000 or more"),
        ("PENSTOCK_SLICE_ROWS", "0", "slice_rows must be 1 or more"),
        ("PENSTOCK_LEASE_SECONDS", "nan", "lease_seconds must be a number"),
        ("PENSTOCK_S3_ALLOW_HTTP", "perhaps", "s3_allow_http must be true or false"),
        ("PENSTOCK_STORAGE", "tape", "storage must be embedded or s3, not 'tape'"),
        ("PENSTOCK_ENDPOINT_ALLOW_LIST", "a.example", "endpoint_allow_list must be a JSON list of texts"),
    ],
)
def test_name_or_value_that_cannot_be_meant_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, part: str
) -> None:
    monkeypatch.setenv(variable, text)
    assert part in refusal()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("port = ", "penstock.toml is not valid TOML"),
        ("prot = 80", "penstock.toml names prot, which is no setting (did you mean port?)"),
        ("part_bytes = 1048576\nstorage = 's3'", "part_bytes must be 5242880 or more in S3"),
        ("port = true", "port must be a whole number"),
        ("host = 1", "host must be a text"),
    ],
)
def test_mistakes_of_the_file_are_named(elsewhere: pathlib.Path, text: str, part: str) -> None:
    (elsewhere / "penstock.toml").write_text(text)
    assert part in refusal()


def test_every_mistake_is_named_at_once() -> None:
    detail = refusal(port=-1, slice_rows="x", storage="")
    assert all(name in detail for name in ("port", "slice_rows", "storage"))


def test_secrets_are_printed_nowhere() -> None:
    found = settings.load(master_key="hush", s3_secret_access_key="hush")
    assert found.master_key.reveal() == "hush"
    assert "hush" not in repr(found) + str(found.master_key)
    assert "12345" not in refusal(master_key=12345)


def test_defaults_pass_their_own_bounds() -> None:
    assert dataclasses.asdict(settings.Settings()).keys() == {
        field.name for field in dataclasses.fields(settings.Settings)
    }


def test_settings_load_without_pydantic() -> None:
    script = "import sys; from penstock import settings; settings.load(); print('pydantic' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == "False\n"


def test_settings_without_secrets_reach_another_process_and_others_do_not() -> None:
    given = settings.Settings(master_key=secret.Secret("hush"), s3_secret_access_key=secret.Secret("hush"), port=1)
    passed = pickle.loads(pickle.dumps(given.without_secrets()))
    assert (passed.port, passed.master_key.reveal(), passed.s3_secret_access_key.reveal()) == (1, "", "")
    # Also those that reading events needs, which are told apart.
    reader = settings.Settings(
        attach_s3_secret_access_key="a", s3_secret_access_key="s", lake_path="s3://events", master_key="m"
    )
    assert pickle.loads(pickle.dumps(reader.without_secrets())).attach_s3_secret_access_key.reveal() == ""
    assert reader.reading_secrets() == {"attach_s3_secret_access_key": "a", "lake_s3_secret_access_key": "s"}
    with pytest.raises(TypeError):
        pickle.dumps(given)
