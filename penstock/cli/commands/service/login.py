"""`penstock login`: services kept under a name, so that neither host nor key is typed again."""

from __future__ import annotations

import getpass
import os
import sys
import urllib.parse

from penstock import errors
from penstock.cli import output, tables
from penstock.cli.commands.service import profiles
from penstock.cli.options import login as options_of
from penstock.client import Penstock
from penstock.client.http import urls


def login(options: options_of.Login) -> None:
    """Keeps, lists or forgets a service."""
    if options.list_all:
        _list(as_json=options.as_json)
    elif options.remove is not None:
        profiles.remove(options.remove)
        output.say(f"The profile {options.remove} is removed.")
    elif options.host is None:
        raise errors.UsageError("api_host_missing", "No service was named.", "penstock login HOST, or --list.")
    else:
        _keep(options.host, options)


def _keep(host: str, options: options_of.Login) -> None:
    """Tries the key before it is kept."""
    url = urls.base_url(host)
    name = options.name or urllib.parse.urlsplit(url).hostname or host
    key = _key()
    with Penstock(url, key, verify=options.ca_file or True) as penstock:
        reached = [str(one["name"]) for one in penstock.communities() if one.get("reachable", True)]
    kept = profiles.save(name, api_host=url, ca_file=options.ca_file, api_key=key)
    if options.as_json:
        output.emit_json({"profile": name, "api_host": url, "communities": reached, "in_keyring": kept.in_keyring})
        return
    place = "the system's keyring" if kept.in_keyring else "a file that only you can read"
    output.say(f"Logged in to {url} as profile {name}; the API key is kept in {place}.")
    output.say(f"It reaches: {', '.join(reached) or 'no community'}. Commands use it unless --profile names another.")


def _key() -> str:
    """API_KEY, else what is typed unseen, else the first line of standard input.

    Raises:
        UsageError: `api_key_not_given`.
    """
    key = os.environ.get("API_KEY", "").strip()
    if not key:
        key = (getpass.getpass("API key (not shown): ") if sys.stdin.isatty() else sys.stdin.readline()).strip()
    if not key:
        raise errors.UsageError("api_key_not_given", "No API key was given.", "Type it, pipe it in, or set API_KEY.")
    return key


def _list(*, as_json: bool) -> None:
    known, default = profiles.all_of(), profiles.default_name()
    if as_json:
        output.emit_json([{"profile": name, "default": name == default, **entry} for name, entry in known.items()])
        return
    tables.table(
        ["PROFILE", "DEFAULT", "SERVICE", "CA FILE"],
        [[name, name == default, entry["api_host"], entry["ca_file"]] for name, entry in known.items()],
    )
