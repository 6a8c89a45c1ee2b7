"""The audit refuses changes: no UPDATE, and no DELETE of what is younger than a horizon that only moves forward."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

_START = {"sqlite": "'0001-01-01T00:00:00.000000Z'", "postgresql": "'0001-01-01 00:00:00+00'"}

_SQLITE = (
    """CREATE TRIGGER audit_entries_no_update BEFORE UPDATE ON audit_entries
       BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END""",
    """CREATE TRIGGER audit_entries_no_delete BEFORE DELETE ON audit_entries
       WHEN OLD.at >= (SELECT delete_before FROM audit_horizon WHERE id = 1)
       BEGIN SELECT RAISE(ABORT, 'audit entries are deleted by age only'); END""",
    """CREATE TRIGGER audit_horizon_forward BEFORE UPDATE ON audit_horizon
       WHEN NEW.delete_before < OLD.delete_before OR NEW.id <> OLD.id
       BEGIN SELECT RAISE(ABORT, 'the audit horizon only moves forward'); END""",
    """CREATE TRIGGER audit_horizon_no_delete BEFORE DELETE ON audit_horizon
       BEGIN SELECT RAISE(ABORT, 'the audit horizon stays'); END""",
)

_POSTGRESQL = (
    """CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'audit entries are never changed, and deleted by age only'
             USING ERRCODE = 'integrity_constraint_violation'; END $$""",
    """CREATE FUNCTION audit_delete_by_age() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         IF OLD.at >= (SELECT delete_before FROM audit_horizon WHERE id = 1) THEN
           RAISE EXCEPTION 'audit entries are deleted by age only' USING ERRCODE = 'integrity_constraint_violation';
         END IF;
         RETURN OLD;
       END $$""",
    # TRUNCATE fires no DELETE triggers, and its own are for statements only.
    """CREATE TRIGGER audit_entries_no_update BEFORE UPDATE OR TRUNCATE ON audit_entries
       FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
    """CREATE TRIGGER audit_entries_no_delete BEFORE DELETE ON audit_entries
       FOR EACH ROW EXECUTE FUNCTION audit_delete_by_age()""",
    """CREATE TRIGGER audit_horizon_forward BEFORE UPDATE ON audit_horizon FOR EACH ROW
       WHEN (NEW.delete_before < OLD.delete_before OR NEW.id <> OLD.id) EXECUTE FUNCTION audit_refuse()""",
    """CREATE TRIGGER audit_horizon_no_delete BEFORE DELETE OR TRUNCATE ON audit_horizon
       FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
)


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    op.execute(f"INSERT INTO audit_horizon (id, delete_before) VALUES (1, {_START[dialect]})")  # noqa: S608
    for statement in _SQLITE if dialect == "sqlite" else _POSTGRESQL:
        op.execute(statement)
