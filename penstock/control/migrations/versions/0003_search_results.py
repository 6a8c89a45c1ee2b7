"""What a search job found is kept with it: its newest events and the common values of its fields."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from penstock.control.schema import column_types

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "search_results",
        sa.Column("job_uuid", sa.String(length=36), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", column_types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_uuid"], ["search_jobs.uuid"], name=op.f("fk_search_results_job_uuid"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_uuid", name=op.f("pk_search_results")),
    )
    op.create_index(op.f("ix_search_results_expires_at"), "search_results", ["expires_at"], unique=False)
