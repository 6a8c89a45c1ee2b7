"""The tables of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from penstock.control.schema import column_types

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("permissions", sa.Text(), nullable=False),
        sa.Column("created_at", column_types.UtcDateTime(), nullable=False),
        sa.Column("revoked_at", column_types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_api_keys_token_sha256")),
    )
    op.create_table(
        "audit_entries",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), sa.Identity(always=False), nullable=False
        ),
        sa.Column("at", column_types.UtcDateTime(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("actor_type", sa.String(length=32), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("community_uuid", sa.String(length=36), nullable=True),
        sa.Column("object_uuid", sa.String(length=200), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_audit_entries_at"), "audit_entries", ["at"], unique=False)
    op.create_index("ix_audit_entries_community_uuid_at", "audit_entries", ["community_uuid", "at"], unique=False)
    op.create_index("ix_audit_entries_object_uuid", "audit_entries", ["object_uuid"], unique=False)
    op.create_table(
        "audit_horizon",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("delete_before", column_types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_horizon")),
    )
    op.create_table(
        "communities",
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", column_types.UtcDateTime(), nullable=False),
        sa.Column("export_max_events", sa.BigInteger(), nullable=True),
        sa.Column("quota_bytes_per_month", sa.BigInteger(), nullable=True),
        sa.Column("active_exports", sa.Integer(), nullable=True),
        sa.Column("exports_per_search_job", sa.Integer(), nullable=True),
        sa.Column("download_window_seconds", sa.Integer(), nullable=True),
        sa.Column("export_deadline_seconds", sa.Integer(), nullable=True),
        sa.Column("export_max_attempts", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_communities")),
        sa.UniqueConstraint("name", name=op.f("uq_communities_name")),
    )
    op.create_table(
        "search_jobs",
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("term", sa.Text(), nullable=False),
        sa.Column("term_lang", sa.String(length=32), nullable=False),
        sa.Column("filters", sa.Text(), nullable=False),
        sa.Column("earliest_time", sa.String(length=64), nullable=False),
        sa.Column("latest_time", sa.String(length=64), nullable=False),
        sa.Column("earliest", column_types.UtcDateTime(), nullable=False),
        sa.Column("latest", column_types.UtcDateTime(), nullable=False),
        sa.Column("max_last_events", sa.Integer(), nullable=False),
        sa.Column("visible", sa.Boolean(), nullable=False),
        sa.Column("view_uuid", sa.String(length=36), nullable=True),
        sa.Column("results_ttl", sa.Integer(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("histogram", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", column_types.UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("created_by_type", sa.String(length=32), nullable=False),
        sa.Column("started_at", column_types.UtcDateTime(), nullable=True),
        sa.Column("ended_at", column_types.UtcDateTime(), nullable=True),
        sa.Column("canceled_at", column_types.UtcDateTime(), nullable=True),
        sa.Column("canceled_by", sa.String(length=200), nullable=True),
        sa.Column("canceled_by_type", sa.String(length=32), nullable=True),
        sa.Column("expires_at", column_types.UtcDateTime(), nullable=False),
        sa.Column("worker_id", sa.String(length=200), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", column_types.UtcDateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_search_jobs")),
    )
    op.create_index(op.f("ix_search_jobs_created_at"), "search_jobs", ["created_at"], unique=False)
    op.create_index(op.f("ix_search_jobs_expires_at"), "search_jobs", ["expires_at"], unique=False)
    op.create_index("ix_search_jobs_queue", "search_jobs", ["status", "lease_until", "created_at"], unique=False)
    op.create_table(
        "api_key_communities",
        sa.Column("api_key_uuid", sa.String(length=36), nullable=False),
        sa.Column("community_uuid", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["api_key_uuid"], ["api_keys.uuid"], name=op.f("fk_api_key_communities_api_key_uuid")),
        sa.ForeignKeyConstraint(
            ["community_uuid"], ["communities.uuid"], name=op.f("fk_api_key_communities_community_uuid")
        ),
        sa.PrimaryKeyConstraint("api_key_uuid", "community_uuid", name=op.f("pk_api_key_communities")),
    )
    op.create_table(
        "exports",
        sa.Column("task_uuid", sa.String(length=36), nullable=False),
        sa.Column("job_uuid", sa.String(length=36), nullable=False),
        sa.Column("community_uuid", sa.String(length=36), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("active_slot", sa.Integer(), nullable=True),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("term", sa.Text(), nullable=False),
        sa.Column("term_lang", sa.String(length=32), nullable=False),
        sa.Column("filters", sa.Text(), nullable=False),
        sa.Column("earliest", column_types.UtcDateTime(), nullable=False),
        sa.Column("latest", column_types.UtcDateTime(), nullable=False),
        sa.Column("compression", sa.String(length=16), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("in_customer_bucket", sa.Boolean(), nullable=False),
        sa.Column("sse_customer_key_md5", sa.String(length=32), nullable=False),
        sa.Column("customer_key_generated", sa.Boolean(), nullable=False),
        sa.Column("sealed_customer_key", sa.LargeBinary(), nullable=True),
        sa.Column("sealed_destination", sa.LargeBinary(), nullable=True),
        sa.Column("expected_events", sa.BigInteger(), nullable=False),
        sa.Column("created_at", column_types.UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("created_by_type", sa.String(length=32), nullable=False),
        sa.Column("snapshot_version", sa.BigInteger(), nullable=True),
        sa.Column("plan_json", sa.Text(), nullable=True),
        sa.Column("object_key", sa.Text(), nullable=True),
        sa.Column("part_bytes", sa.BigInteger(), nullable=True),
        sa.Column("upload_id", sa.Text(), nullable=True),
        sa.Column("progress_events", sa.BigInteger(), nullable=False),
        sa.Column("written_bytes", sa.BigInteger(), nullable=False),
        sa.Column("compressed_bytes", sa.BigInteger(), nullable=False),
        sa.Column("started_at", column_types.UtcDateTime(), nullable=True),
        sa.Column("cancel_requested_at", column_types.UtcDateTime(), nullable=True),
        sa.Column("cancel_requested_by", sa.String(length=200), nullable=True),
        sa.Column("worker_id", sa.String(length=200), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", column_types.UtcDateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("deadline_seconds", sa.Integer(), nullable=False),
        sa.Column("deadline_at", column_types.UtcDateTime(), nullable=True),
        sa.Column("ended_at", column_types.UtcDateTime(), nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("download_url", sa.Text(), nullable=True),
        sa.Column("manifest_url", sa.Text(), nullable=True),
        sa.Column("expire_at", column_types.UtcDateTime(), nullable=True),
        sa.Column("object_deleted_at", column_types.UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "(status IN ('PENDING', 'RUNNING')) = (active_slot IS NOT NULL)", name=op.f("ck_exports_slot_while_active")
        ),
        sa.CheckConstraint(
            "active_slot IS NOT NULL OR (sealed_customer_key IS NULL AND sealed_destination IS NULL)",
            name=op.f("ck_exports_no_secret_once_ended"),
        ),
        sa.ForeignKeyConstraint(["community_uuid"], ["communities.uuid"], name=op.f("fk_exports_community_uuid")),
        sa.PrimaryKeyConstraint("task_uuid", name=op.f("pk_exports")),
    )
    op.create_index("ix_exports_community_uuid_created_at", "exports", ["community_uuid", "created_at"], unique=False)
    op.create_index("ix_exports_expire_at", "exports", ["expire_at"], unique=False)
    op.create_index(op.f("ix_exports_job_uuid"), "exports", ["job_uuid"], unique=False)
    op.create_index("ix_exports_queue", "exports", ["status", "lease_until", "created_at"], unique=False)
    op.create_index("ix_exports_upload_id", "exports", ["upload_id"], unique=False)
    op.create_index("uq_exports_active_slot", "exports", ["community_uuid", "active_slot"], unique=True)
    op.create_table(
        "quota_charges",
        sa.Column("task_uuid", sa.String(length=36), nullable=False),
        sa.Column("community_uuid", sa.String(length=36), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("compressed_bytes", sa.BigInteger(), nullable=False),
        sa.Column("charged_at", column_types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["community_uuid"], ["communities.uuid"], name=op.f("fk_quota_charges_community_uuid")),
        sa.PrimaryKeyConstraint("task_uuid", name=op.f("pk_quota_charges")),
    )
    op.create_index("ix_quota_charges_community_uuid_month", "quota_charges", ["community_uuid", "month"], unique=False)
    op.create_table(
        "search_job_communities",
        sa.Column("job_uuid", sa.String(length=36), nullable=False),
        sa.Column("community_uuid", sa.String(length=36), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("snapshot_version", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["community_uuid"], ["communities.uuid"], name=op.f("fk_search_job_communities_community_uuid")
        ),
        sa.ForeignKeyConstraint(
            ["job_uuid"], ["search_jobs.uuid"], name=op.f("fk_search_job_communities_job_uuid"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_uuid", "community_uuid", name=op.f("pk_search_job_communities")),
    )
    op.create_index(
        "ix_search_job_communities_community_uuid", "search_job_communities", ["community_uuid"], unique=False
    )
    op.create_table(
        "export_parts",
        sa.Column("task_uuid", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("raw_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("crc32", sa.BigInteger(), nullable=False),
        sa.Column("next_slice", sa.Integer(), nullable=False),
        sa.Column("segments_json", sa.Text(), nullable=False),
        sa.Column("written_at", column_types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_uuid"], ["exports.task_uuid"], name=op.f("fk_export_parts_task_uuid"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("task_uuid", "number", name=op.f("pk_export_parts")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("api_key_uuid", sa.String(length=36), nullable=False),
        sa.Column("idempotency_key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("task_uuid", sa.String(length=36), nullable=False),
        sa.Column("expires_at", column_types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_uuid"], ["exports.task_uuid"], name=op.f("fk_idempotency_keys_task_uuid"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("api_key_uuid", "idempotency_key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_expires_at"), "idempotency_keys", ["expires_at"], unique=False)
