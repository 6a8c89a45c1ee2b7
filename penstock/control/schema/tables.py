"""The tables of the control plane. Migrations applied in order equal them; a test says so."""

from __future__ import annotations

import sqlalchemy as sa

from penstock.control import states
from penstock.control.schema import column_types

# Both databases would name constraints in ways of their own; a migration can drop only what it can name.
metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Text on both: PostgreSQL's uuid type would make joins and look-ups differ from SQLite's.
_UUID = sa.String(36)
_TIME = column_types.UtcDateTime


def _community(*, primary_key: bool = False) -> sa.Column[str]:
    refers = sa.ForeignKey("communities.uuid")
    return sa.Column("community_uuid", _UUID, refers, nullable=False, primary_key=primary_key)


communities = sa.Table(
    "communities",
    metadata,
    sa.Column("uuid", _UUID, primary_key=True),
    sa.Column("name", sa.String(200), nullable=False, unique=True),
    sa.Column("created_at", _TIME, nullable=False),
    # Overrides of the settings; NULL: the setting holds.
    sa.Column("export_max_events", sa.BigInteger),
    sa.Column("quota_bytes_per_month", sa.BigInteger),
    sa.Column("active_exports", sa.Integer),
    sa.Column("exports_per_search_job", sa.Integer),
    sa.Column("download_window_seconds", sa.Integer),
    sa.Column("export_deadline_seconds", sa.Integer),
    sa.Column("export_max_attempts", sa.Integer),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("uuid", _UUID, primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("token_sha256", sa.String(64), nullable=False, unique=True),
    sa.Column("permissions", column_types.JsonText, nullable=False),
    sa.Column("created_at", _TIME, nullable=False),
    sa.Column("revoked_at", _TIME),
)

api_key_communities = sa.Table(
    "api_key_communities",
    metadata,
    sa.Column("api_key_uuid", _UUID, sa.ForeignKey("api_keys.uuid"), primary_key=True),
    _community(primary_key=True),
)

search_jobs = sa.Table(
    "search_jobs",
    metadata,
    sa.Column("uuid", _UUID, primary_key=True),
    sa.Column("status", sa.SmallInteger, nullable=False),
    sa.Column("term", sa.Text, nullable=False),
    sa.Column("term_lang", sa.String(32), nullable=False),
    sa.Column("filters", column_types.JsonText, nullable=False),
    sa.Column("earliest_time", sa.String(64), nullable=False),  # as asked
    sa.Column("latest_time", sa.String(64), nullable=False),
    sa.Column("earliest", _TIME, nullable=False),  # as resolved at creation
    sa.Column("latest", _TIME, nullable=False),
    sa.Column("max_last_events", sa.Integer, nullable=False),
    sa.Column("visible", sa.Boolean, nullable=False),
    sa.Column("view_uuid", _UUID),
    sa.Column("results_ttl", sa.Integer, nullable=False),
    sa.Column("total", sa.BigInteger),
    sa.Column("histogram", column_types.JsonText),
    sa.Column("error", sa.Text),
    sa.Column("created_at", _TIME, nullable=False, index=True),
    sa.Column("created_by", sa.String(200), nullable=False),
    sa.Column("created_by_type", sa.String(32), nullable=False),
    sa.Column("started_at", _TIME),
    sa.Column("ended_at", _TIME),
    sa.Column("canceled_at", _TIME),
    sa.Column("canceled_by", sa.String(200)),
    sa.Column("canceled_by_type", sa.String(32)),
    sa.Column("expires_at", _TIME, nullable=False, index=True),
    sa.Column("worker_id", sa.String(200)),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("lease_until", _TIME),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Index("ix_search_jobs_queue", "status", "lease_until", "created_at"),
)

search_job_communities = sa.Table(
    "search_job_communities",
    metadata,
    sa.Column("job_uuid", _UUID, sa.ForeignKey("search_jobs.uuid", ondelete="CASCADE"), primary_key=True),
    _community(primary_key=True),
    sa.Column("total", sa.BigInteger),
    sa.Column("snapshot_version", sa.BigInteger),
    sa.Index("ix_search_job_communities_community_uuid", "community_uuid"),
)

search_results = sa.Table(
    "search_results",
    metadata,
    sa.Column("job_uuid", _UUID, sa.ForeignKey("search_jobs.uuid", ondelete="CASCADE"), primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),  # see `searches.results`
    sa.Column("expires_at", _TIME, nullable=False, index=True),
)

exports = sa.Table(
    "exports",
    metadata,
    sa.Column("task_uuid", _UUID, primary_key=True),
    sa.Column("job_uuid", _UUID, nullable=False, index=True),  # no foreign key: an export outlives its search job
    _community(),
    sa.Column("status", column_types.Word(states.ExportStatus), nullable=False),
    # NULL once the export ended; NULLs are distinct in a unique index, which makes this one partial on both databases.
    sa.Column("active_slot", sa.Integer),
    # What is asked
    sa.Column("fields", column_types.JsonText, nullable=False),
    sa.Column("term", sa.Text, nullable=False),
    sa.Column("term_lang", sa.String(32), nullable=False),
    sa.Column("filters", column_types.JsonText, nullable=False),
    sa.Column("earliest", _TIME, nullable=False),
    sa.Column("latest", _TIME, nullable=False),
    sa.Column("compression", sa.String(16), nullable=False),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("in_customer_bucket", sa.Boolean, nullable=False),
    sa.Column("encryption", sa.String(16), nullable=False, server_default="sse-c"),
    sa.Column("sse_customer_key_md5", sa.String(32), nullable=False),  # empty: no customer key
    sa.Column("customer_key_generated", sa.Boolean, nullable=False),
    sa.Column("sealed_customer_key", sa.LargeBinary),
    sa.Column("sealed_destination", sa.LargeBinary),
    sa.Column("expected_events", sa.BigInteger, nullable=False),
    sa.Column("created_at", _TIME, nullable=False),
    sa.Column("created_by", sa.String(200), nullable=False),
    sa.Column("created_by_type", sa.String(32), nullable=False),
    # The plan
    sa.Column("snapshot_version", sa.BigInteger),
    sa.Column("plan_json", sa.Text),
    sa.Column("object_key", sa.Text),
    sa.Column("part_bytes", sa.BigInteger),
    sa.Column("upload_id", sa.Text),
    # How far it is
    sa.Column("progress_events", sa.BigInteger, nullable=False),
    sa.Column("written_bytes", sa.BigInteger, nullable=False),
    sa.Column("compressed_bytes", sa.BigInteger, nullable=False),
    sa.Column("started_at", _TIME),
    sa.Column("cancel_requested_at", _TIME),
    sa.Column("cancel_requested_by", sa.String(200)),
    # The lease
    sa.Column("worker_id", sa.String(200)),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("lease_until", _TIME),
    sa.Column("attempts", sa.Integer, nullable=False),
    # Copied from the limits at the start: an operator who changes them does not end exports that run.
    sa.Column("max_attempts", sa.Integer, nullable=False),
    sa.Column("deadline_seconds", sa.Integer, nullable=False),
    sa.Column("deadline_at", _TIME),
    sa.Column("waits", sa.Integer, nullable=False, server_default="0"),  # in a row, without progress
    sa.Column("waiting_for", sa.Text),
    # How it ended
    sa.Column("ended_at", _TIME),
    sa.Column("error_code", sa.String(64)),
    sa.Column("error_message", sa.Text),
    sa.Column("download_url", sa.Text),
    sa.Column("manifest_url", sa.Text),
    sa.Column("expire_at", _TIME),
    sa.Column("object_deleted_at", _TIME),
    sa.Column("key_forgotten_at", _TIME),  # see `vault`
    sa.Index("uq_exports_active_slot", "community_uuid", "active_slot", unique=True),
    # For `leases.oldest` and `has_work`, which every idle worker asks again and again.
    sa.Index("ix_exports_queue", "status", "lease_until", "created_at"),
    sa.Index("ix_exports_community_uuid_created_at", "community_uuid", "created_at"),
    sa.Index("ix_exports_expire_at", "expire_at"),
    sa.Index("ix_exports_upload_id", "upload_id"),
    sa.CheckConstraint(
        "(status IN ('PENDING', 'RUNNING')) = (active_slot IS NOT NULL)",
        name="slot_while_active",
    ),
    sa.CheckConstraint(
        # The promise that no secret outlives its export, held by the database though some UPDATE forgets to erase it.
        "active_slot IS NOT NULL OR (sealed_customer_key IS NULL AND sealed_destination IS NULL)",
        name="no_secret_once_ended",
    ),
)

export_parts = sa.Table(
    "export_parts",
    metadata,
    sa.Column("task_uuid", _UUID, sa.ForeignKey("exports.task_uuid", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("etag", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("events", sa.BigInteger, nullable=False),
    sa.Column("raw_bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    # Unsigned 32 bits: PostgreSQL's integer ends at 2^31 - 1.
    sa.Column("crc32", sa.BigInteger, nullable=False),
    sa.Column("next_slice", sa.Integer, nullable=False),
    sa.Column("segments_json", sa.Text, nullable=False),
    sa.Column("written_at", _TIME, nullable=False),
)

quota_charges = sa.Table(
    "quota_charges",
    metadata,
    sa.Column("task_uuid", _UUID, primary_key=True),  # one charge a task, ever; no foreign key: it outlives the export
    _community(),
    sa.Column("month", sa.String(7), nullable=False),
    sa.Column("compressed_bytes", sa.BigInteger, nullable=False),
    sa.Column("charged_at", _TIME, nullable=False),
    sa.Index("ix_quota_charges_community_uuid_month", "community_uuid", "month"),
)

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("api_key_uuid", _UUID, primary_key=True),
    sa.Column("idempotency_key", sa.String(255), primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("task_uuid", _UUID, sa.ForeignKey("exports.task_uuid", ondelete="CASCADE"), nullable=False),
    sa.Column("expires_at", _TIME, nullable=False, index=True),
)

audit_entries = sa.Table(
    "audit_entries",
    metadata,
    # SQLite numbers rows by itself only where the type is exactly INTEGER.
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.Identity(), primary_key=True),
    sa.Column("at", _TIME, nullable=False, index=True),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("actor_type", sa.String(32), nullable=False),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("community_uuid", _UUID),
    sa.Column("object_uuid", sa.String(200)),
    sa.Column("detail", column_types.JsonText, nullable=False),
    sa.Index("ix_audit_entries_community_uuid_at", "community_uuid", "at"),
    sa.Index("ix_audit_entries_object_uuid", "object_uuid"),
    # Else SQLite gives the id of a deleted newest entry out again, and ids would not grow with every entry.
    sqlite_autoincrement=True,
)

audit_horizon = sa.Table(
    "audit_horizon",
    metadata,
    # One row: entries older than this may be deleted, younger ones never (triggers see to it).
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("delete_before", _TIME, nullable=False),
)
