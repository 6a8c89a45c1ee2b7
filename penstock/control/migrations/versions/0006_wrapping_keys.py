"""Whether the wrapping key of an export that has ended is destroyed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from penstock.control.schema import column_types

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("exports", sa.Column("key_forgotten_at", column_types.UtcDateTime(), nullable=True))
