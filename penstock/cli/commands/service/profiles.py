"""The services that `penstock login` knows: host, CA and API key of each, under a name.

They lie in services.json of the user's configuration folder (mode 0600). Where the package `keyring` is installed and
has a place to keep secrets, the API key lies there and not in the file.
"""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

from penstock import errors
from penstock.cli import user_files

_FILE = "services.json"
_KEYRING = "penstock"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Profile:
    """A service and how to speak to it.

    Attributes:
        name: what the user calls it.
        api_host: its URL.
        ca_file: its CA; None for the system's.
        api_key: the key; secret.
        in_keyring: the key lies in the system's keyring.
    """

    name: str
    api_host: str
    ca_file: str | None
    api_key: str = dataclasses.field(repr=False)
    in_keyring: bool


def named(name: str) -> Profile:
    """The profile of this name.

    Raises:
        UsageError: `profile_not_found`, naming those there are.
    """
    known = _read()["profiles"]
    if name not in known:
        there_are = ", ".join(known) or "none"
        raise errors.UsageError(
            "profile_not_found",
            f"There is no profile {name!r}.",
            f"There are: {there_are}. Make one: penstock login HOST.",
        )
    entry = known[name]
    in_keyring = bool(entry.get("in_keyring"))
    key = _keyring_get(name) if in_keyring else entry.get("api_key")
    if not key:
        raise errors.UsageError(
            "profile_not_found", f"The API key of the profile {name!r} is gone.", "Log in again: penstock login HOST."
        )
    return Profile(
        name=name, api_host=entry["api_host"], ca_file=entry.get("ca_file"), api_key=key, in_keyring=in_keyring
    )


def default_name() -> str | None:
    """The profile that was logged in last; None if there is none."""
    name: str | None = _read()["default"]
    return name


def all_of() -> dict[str, dict[str, Any]]:
    """Host and CA by name, without keys."""
    known = _read()["profiles"].items()
    return {name: {"api_host": entry["api_host"], "ca_file": entry.get("ca_file")} for name, entry in known}


def save(name: str, *, api_host: str, ca_file: str | None, api_key: str) -> Profile:
    """Keeps a profile, in the place of one of the same name, and makes it the default.

    Raises:
        UsageError: `profile_not_writable`.
    """
    found = _read()
    in_keyring = _keyring_set(name, api_key)
    entry: dict[str, Any] = {"api_host": api_host, "ca_file": ca_file, "in_keyring": in_keyring}
    if not in_keyring:
        entry["api_key"] = api_key
    found["profiles"][name] = entry
    _write({"default": name, "profiles": found["profiles"]})
    return Profile(name=name, api_host=api_host, ca_file=ca_file, api_key=api_key, in_keyring=in_keyring)


def remove(name: str) -> None:
    """Forgets a profile and its key. Raises UsageError `profile_not_found`."""
    found = _read()
    # For the error, which names the profiles there are.
    if name not in found["profiles"]:
        named(name)
    if found["profiles"].pop(name).get("in_keyring"):
        _keyring_delete(name)
    _write({"default": None if found["default"] == name else found["default"], "profiles": found["profiles"]})


def _read() -> dict[str, Any]:
    found = user_files.read(user_files.config_folder() / _FILE) or {}
    return {"default": found.get("default"), "profiles": dict(found.get("profiles") or {})}


def _write(value: dict[str, Any]) -> None:
    file = user_files.config_folder() / _FILE
    try:
        user_files.write(file, value)
    except OSError as error:
        raise errors.UsageError(
            "profile_not_writable", f"{file} cannot be written: {error.strerror}.", "Set XDG_CONFIG_HOME."
        ) from error


def _keyring() -> Any:
    """The package `keyring`, which is no dependency of ours; None where it is not installed."""
    try:
        return importlib.import_module("keyring")
    except ImportError:
        return None


def _keyring_set(name: str, api_key: str) -> bool:
    """Whether the system's keyring took the key; without a usable backend it does not, and the file is used."""
    keyring = _keyring()
    if keyring is None:
        return False
    refusals = importlib.import_module("keyring.errors").KeyringError
    try:
        keyring.set_password(_KEYRING, name, api_key)
        # Read back: some backends take a password without a word and keep nothing.
        return bool(keyring.get_password(_KEYRING, name) == api_key)
    except refusals:
        return False


def _keyring_get(name: str) -> str | None:
    keyring = _keyring()
    found = keyring.get_password(_KEYRING, name) if keyring is not None else None
    return str(found) if found else None


def _keyring_delete(name: str) -> None:
    keyring = _keyring()
    if keyring is not None and keyring.get_password(_KEYRING, name) is not None:
        keyring.delete_password(_KEYRING, name)
