"""Opens the engine that the settings name."""

from __future__ import annotations

from penstock import settings as settings_module
from penstock.export.engines import contract, threads


def open_engine(settings: settings_module.Settings) -> contract.Engine:
    """The engine that `settings.engine` names.

    Raises:
        ConfigurationError: `engine_not_installed`, `engine_settings_incomplete`.
    """
    if settings.engine == "ray":
        from penstock.export.engines.on_ray import engine  # for those who use it

        return engine.OnRay(settings)
    return threads.Threads(threads=settings.encoding_threads, upload_threads=settings.upload_threads)
