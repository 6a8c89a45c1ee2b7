"""How an export is encrypted where it lies; until now all were with a customer key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("exports", sa.Column("encryption", sa.String(length=16), nullable=False, server_default="sse-c"))
