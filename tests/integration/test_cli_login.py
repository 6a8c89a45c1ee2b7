"""`penstock login`: a service under a name; its key in the keyring or in a file of the user's, sent to it alone."""

from __future__ import annotations

import io
import json
import pathlib
import stat
import sys
import types
from typing import Any

import pytest
from support.cli_world import World

from penstock.cli import user_files

pytestmark = pytest.mark.xdist_group("cli_login")


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """A user without profiles."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def log_in(penstock: Any, world: World, monkeypatch: pytest.MonkeyPatch, *more: str) -> Any:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{world.api_key}\n"))
    return penstock("login", world.url, *more)


def test_a_profile_serves_where_no_home_is(
    penstock: Any, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    ran = log_in(penstock, world, monkeypatch, "--name", "work")
    assert (ran.code, "It reaches: acme." in ran.out) == (0, True)
    file = user_files.config_folder() / "services.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "nowhere"))
    assert penstock("quota").code == 0
    monkeypatch.setenv("API_KEY", "of another service")
    assert penstock("quota", "--profile", "work").code == 0
    monkeypatch.setenv("PENSTOCK_PROFILE", "work")
    assert penstock("quota").code == 0


def test_a_wrong_key_is_not_kept(penstock: Any, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("nonsense\n"))
    ran = penstock("login", world.url)
    assert (ran.code, ran.err.split("]")[0]) == (1, "Error [api_key_unknown")
    assert json.loads(penstock("login", "--list", "--json").out) == []


def test_profiles_are_listed_without_keys_and_removed(
    penstock: Any, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    log_in(penstock, world, monkeypatch, "--name", "a")
    log_in(penstock, world, monkeypatch, "--name", "b")
    listed = penstock("login", "--list")
    assert [line.split("\t")[:2] for line in listed.out.splitlines()[1:]] == [["a", "no"], ["b", "yes"]]
    assert world.api_key not in listed.out
    assert penstock("login", "--remove", "b").code == 0
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "nowhere"))
    assert penstock("quota").err.startswith("Error [api_host_missing]")
    gone = penstock("quota", "--profile", "b")
    assert (gone.code, gone.err.split("]")[0]) == (2, "Error [profile_not_found")
    assert "There are: a." in gone.err


def test_a_keyring_that_is_there_keeps_the_key(
    penstock: Any, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    kept: dict[tuple[str, str], str] = {}
    keyring: Any = types.ModuleType("keyring")
    keyring.set_password = lambda service, name, secret: kept.update({(service, name): secret})
    keyring.get_password = lambda service, name: kept.get((service, name))
    keyring.delete_password = lambda service, name: kept.pop((service, name))
    refusals: Any = types.ModuleType("keyring.errors")
    refusals.KeyringError = RuntimeError
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    monkeypatch.setitem(sys.modules, "keyring.errors", refusals)
    assert json.loads(log_in(penstock, world, monkeypatch, "--name", "k", "--json").out)["in_keyring"] is True
    assert world.api_key not in (user_files.config_folder() / "services.json").read_text()
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "nowhere"))
    assert penstock("quota").code == 0
    assert penstock("login", "--remove", "k").code == 0
    assert kept == {}


def test_a_keyring_without_a_place_for_secrets_leaves_the_file(
    penstock: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: str) -> None:
        raise RuntimeError("no backend")

    keyring: Any = types.ModuleType("keyring")
    keyring.set_password = refuse
    refusals: Any = types.ModuleType("keyring.errors")
    refusals.KeyringError = RuntimeError
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    monkeypatch.setitem(sys.modules, "keyring.errors", refusals)
    assert json.loads(log_in(penstock, world, monkeypatch, "--json").out)["in_keyring"] is False


def test_a_profiles_key_is_not_sent_elsewhere(penstock: Any, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    log_in(penstock, world, monkeypatch, "--name", "work")
    ran = penstock("quota", "--profile", "work", "--api-host", "https://other.example")
    assert (ran.code, ran.err.split("]")[0]) == (2, "Error [api_host_missing")
