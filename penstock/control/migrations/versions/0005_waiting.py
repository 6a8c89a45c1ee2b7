"""An export that waits for its store, lake or database says so, and how often it has waited in a row."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("exports", sa.Column("waits", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("exports", sa.Column("waiting_for", sa.Text(), nullable=True))
