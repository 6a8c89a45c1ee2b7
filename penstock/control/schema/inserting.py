"""An INSERT that gives way to a row that is already there, instead of failing.

No savepoint around an INSERT that may fail: when its disk is full, SQLite rolls the whole transaction back, savepoints
included, and the error of the missing savepoint would hide the one that matters.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite


def insert_if_absent(tx: sa.Connection, table: sa.Table, **values: Any) -> bool:
    """Inserts a row unless a unique index or primary key refuses it; whether it did.

    On PostgreSQL a row that another transaction is inserting is waited for.
    """
    insert = sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert
    statement = insert(table).values(**values).on_conflict_do_nothing()
    # Without the option SQLAlchemy does not always ask the driver how many rows an INSERT made.
    return tx.execute(statement, execution_options={"preserve_rowcount": True}).rowcount == 1
