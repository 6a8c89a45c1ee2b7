"""The settings of this machine's home, and who is at the terminal. Loads no database."""

from __future__ import annotations

import getpass
import os
from typing import Any

from penstock import errors
from penstock import settings as settings_module


def operator() -> str:
    """Who is at the terminal, for the audit."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        return f"uid {os.getuid()}"


def settings(**values: Any) -> settings_module.Settings:
    """The settings in force. The home must be there, unless everything that would lie in it lies elsewhere.

    Raises:
        UsageError: `home_missing`.
        ConfigurationError: `invalid_settings`.
    """
    loaded = settings_module.load(**values)
    elsewhere = loaded.database_url and loaded.lake_path and loaded.storage == "s3" and loaded.master_key.reveal()
    if not elsewhere and not loaded.home.is_dir():
        raise errors.UsageError(
            "home_missing",
            f"There is no home folder {loaded.home}.",
            "Make it with `penstock init`, or set PENSTOCK_HOME to the one you mean.",
        )
    return loaded
