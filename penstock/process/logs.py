"""How log events are written: structlog, as text or JSON lines on standard error, uvicorn's and others' included.

No event's content and no secret is ever passed to a logger; as a second net, values under a name that sounds like a
secret are struck out here.
"""

from __future__ import annotations

import logging
import sys

import structlog
from structlog import typing as structlog_typing

from penstock import settings as settings_module

_SECRET_WORDS = ("authorization", "secret", "customer_key", "token", "password", "signature", "access_key")
_CHATTY = ("uvicorn", "botocore", "boto3", "urllib3", "httpx", "httpcore", "alembic", "sqlalchemy.engine")
"""Libraries of which only warnings are written; some would log URLs with their signatures."""

# An MD5 names a customer key and does not give it away; support needs it to match key and export.
_NOT_SECRET = ("md5",)


def configure(settings: settings_module.Settings) -> None:
    """Sets structlog and the standard library's logging up for this process. Again replaces what was set up before."""
    shared: list[structlog_typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        strike_secrets,
        structlog.processors.format_exc_info,
    ]
    renderer: structlog_typing.Processor
    if settings.log_format == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        # `configure` may be called again; a cached logger would go on with what was set up before.
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def strike_secrets(
    logger: structlog_typing.WrappedLogger, method: str, event: structlog_typing.EventDict
) -> structlog_typing.EventDict:
    """Replaces the value of every field whose name sounds like a secret by ***."""
    for name in event:
        lowered = name.lower()
        if any(word in lowered for word in _SECRET_WORDS) and not lowered.endswith(_NOT_SECRET):
            event[name] = "***"
    return event
