"""The PostgreSQL server that tests run on, and a schema of it for each."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator

import pytest
import sqlalchemy as sa


def postgresql_server() -> str:
    """The server that PENSTOCK_TEST_POSTGRESQL names; without one: skip, but fail where CI=true."""
    server = os.environ.get("PENSTOCK_TEST_POSTGRESQL", "")
    if not server and os.environ.get("CI") == "true":
        pytest.fail("CI must set PENSTOCK_TEST_POSTGRESQL (scripts/postgresql.sh start)")
    if not server:
        pytest.skip("no PostgreSQL: scripts/postgresql.sh start, then set PENSTOCK_TEST_POSTGRESQL")
    return server


@contextlib.contextmanager
def postgresql_schema(server: str) -> Iterator[str]:
    """A fresh, empty schema, as a URL."""
    schema = f"test_{uuid.uuid4().hex}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {schema}"))
    try:
        url = sa.make_url(server).update_query_dict({"options": f"-csearch_path={schema}"})
        yield url.render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(sa.text(f"DROP SCHEMA {schema} CASCADE"))
