"""Opens the engine that the settings name."""

from __future__ import annotations

from penstock import settings as settings_module
from penstock.export.engines import contract, threads


def open_engine(settings: settings_module.Settings) -> contract.Engine:
    """The engine that `settings.engine` names."""
    return threads.Threads(threads=settings.encoding_threads, upload_threads=settings.upload_threads)
