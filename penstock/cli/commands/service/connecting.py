"""Which service a command talks to, with which API key and which trust."""

from __future__ import annotations

import os
import urllib.parse

from penstock import errors
from penstock.cli import home
from penstock.cli.commands.service import profiles
from penstock.cli.options import shared
from penstock.client import Penstock
from penstock.client.http import urls


def connect(options: shared.Connection) -> Penstock:
    """The service a command means: the one that is named, else the one of this home, else the last that was logged in.

    Raises:
        UsageError: `api_host_missing`, `api_key_not_given`, `profile_not_found`, and those of `Penstock`.
    """
    # A host on the command line means that host, whatever profile the environment names.
    named = options.profile or (None if options.api_host else os.environ.get("PENSTOCK_PROFILE"))
    if named:
        return _of_profile(profiles.named(named), options)
    local = home.running_service()
    wanted = options.api_host or os.environ.get("API_HOST") or (local.url if local else None)
    if not wanted:
        last = profiles.default_name()
        if last is None:
            raise errors.UsageError(
                "api_host_missing",
                f"No service was named, and none runs from {home.path()}.",
                "Start one with `penstock serve`, or name one: penstock login HOST, --api-host, API_HOST.",
            )
        return _of_profile(profiles.named(last), options)
    url = urls.base_url(wanted)
    # Compared as normalised URLs: `localhost:8080` typed and stored must be the same place.
    is_local = local is not None and url == local.url
    return Penstock(url, _api_key(url, is_local=is_local), verify=_trust(options.ca_file, local if is_local else None))


def _of_profile(profile: profiles.Profile, options: shared.Connection) -> Penstock:
    """The service of a profile, with its own key: API_KEY may be another service's."""
    url = urls.base_url(options.api_host) if options.api_host else profile.api_host
    if url != profile.api_host:
        raise errors.UsageError(
            "api_host_missing",
            f"--api-host {url} is not the service of the profile {profile.name!r}.",
            "Give one of the two: a profile's key is sent to its own service only.",
        )
    return Penstock(url, profile.api_key, verify=options.ca_file or profile.ca_file or _trust(None, None))


def _api_key(url: str, *, is_local: bool) -> str:
    """API_KEY; else the key that `penstock init` stored, which is only ever sent to this machine."""
    given = os.environ.get("API_KEY", "").strip()
    if given:
        return given
    # Never to another machine: the stored key may do everything in its community.
    stored = home.stored_client() if is_local or urls.is_loopback(_host(url)) else None
    if stored is None:
        raise errors.UsageError(
            "api_key_not_given",
            "API_KEY environment variable not set.",
            "Set API_KEY to your API key. The operator makes one with `penstock apikey create`.",
        )
    return stored.api_key


def _host(url: str) -> str:
    return urllib.parse.urlsplit(url).hostname or ""


def _trust(ca_file: str | None, local: home.RunningService | None) -> bool | str:
    """For the service of this home its own CA, also where the environment names the system's for everybody else."""
    of_home = local.ca_file if local else None
    # The variables that `requests` and OpenSSL know, since the reference's client honoured them.
    return ca_file or of_home or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or True
