"""Column types that hold the same value on SQLite and on PostgreSQL."""

from __future__ import annotations

import datetime as dt
import enum
import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect

_SQLITE_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
_SQLITE_WIDTH = len("2026-01-01T00:00:00.000000Z")


class UtcDateTime(sa.types.TypeDecorator[dt.datetime]):
    """An aware UTC instant with microseconds.

    PostgreSQL: `timestamptz`. SQLite: text of fixed width (`2026-01-01T00:00:00.000000Z`), so that text order is
    time order and a person can read the file. A naive datetime is refused: it would silently be local time.
    """

    impl = sa.String(_SQLITE_WIDTH)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True))
        return dialect.type_descriptor(sa.String(_SQLITE_WIDTH))

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; times are aware UTC")
        value = value.astimezone(dt.UTC)
        if dialect.name == "postgresql":
            return value
        # strftime leaves a year before 1000 unpadded, which would break the text order.
        return f"{value.year:04d}{value.strftime(_SQLITE_FORMAT.removeprefix('%Y'))}"

    def process_result_value(self, value: Any, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        if isinstance(value, dt.datetime):
            return value.astimezone(dt.UTC)
        return dt.datetime.fromisoformat(value)  # the Z makes it UTC


class JsonText(sa.types.TypeDecorator[Any]):
    """A JSON value kept as compact text, names in the order given; never searched by the database."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class Word(sa.types.TypeDecorator[Any]):
    """A string enum kept as its value."""

    impl = sa.String(32)
    cache_ok = True

    def __init__(self, words: type[enum.StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else self.words(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else self.words(value)


def tuple_of(value: Sequence[Any] | None) -> tuple[Any, ...]:
    """A tuple of a JSON array; empty for NULL."""
    return tuple(value or ())
