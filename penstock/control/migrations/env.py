"""Alembic's entry: applies migrations on the connection, and in the transaction, of whoever called."""

from __future__ import annotations

from alembic import context

from penstock.control.schema import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    transactional_ddl=False,  # the caller's transaction holds them all
)
context.run_migrations()
