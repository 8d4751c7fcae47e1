"""Version 1: tasks, their timelines, members and evidence, alerts, deliveries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_UNRESOLVED = sa.text("state != 'resolved'")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("rule_key", sa.Text(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("series", sa.JSON(), nullable=False),
        sa.Column("annotations", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("onset", sa.BigInteger(), nullable=False),
        sa.Column("active_at", sa.BigInteger(), nullable=False),
        sa.Column("evaluated_at", sa.BigInteger(), nullable=False),
        sa.Column("fired_at", sa.BigInteger()),
        sa.Column("keep_firing_since", sa.BigInteger()),
        sa.Column("unknown_since", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
    )
    op.create_table(
        "facts",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_facts"),
    )
    op.create_table(
        "tasks",
        sa.Column("id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("customer", sa.Text(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("annotations", sa.JSON(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("rule_name", sa.Text(), nullable=False),
        sa.Column("expr", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("checklist", sa.JSON(), nullable=False),
        sa.Column("onset_at", sa.BigInteger(), nullable=False),
        sa.Column("detected_at", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger()),
        sa.Column("acknowledged_at", sa.BigInteger()),
        sa.Column("acknowledged_by", sa.Text(), nullable=False),
        sa.Column("resolved_at", sa.BigInteger()),
        sa.Column("resolved_by", sa.Text(), nullable=False),
        sa.Column("resolve_reason", sa.String(32), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("due_at", sa.BigInteger()),
        sa.Column("reopen_count", sa.Integer(), nullable=False),
        sa.Column("reopened_at", sa.BigInteger()),
        sa.Column("input_missing_since", sa.BigInteger()),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
    )
    op.create_index("ix_tasks_key", "tasks", ["key"])
    op.create_index("ix_tasks_state", "tasks", ["state"])
    op.create_table(
        "deliveries",
        sa.Column("seq", _SERIAL, nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("snapshot", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("claimed_at", sa.BigInteger()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("done_at", sa.BigInteger()),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("external_ref", sa.Text()),
        sa.PrimaryKeyConstraint("seq", name="pk_deliveries"),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_deliveries_task_id_tasks"),
        sa.UniqueConstraint("id", name="uq_deliveries_id"),
        sa.UniqueConstraint("task_id", "revision", "queue", name="uq_deliveries_task_id"),
    )
    op.create_index("ix_deliveries_owed", "deliveries", ["queue", "state", "due_at"])
    op.create_table(
        "evidence",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer()),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_evidence"),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_evidence_task_id_tasks"),
    )
    op.create_index("ix_evidence_task_id", "evidence", ["task_id"])
    op.create_table(
        "task_alerts",
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("alert_id", sa.String(32), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("joined_at", sa.BigInteger(), nullable=False),
        sa.Column("left_at", sa.BigInteger()),
        sa.Column("unknown_since", sa.BigInteger()),
        sa.PrimaryKeyConstraint("task_id", "alert_id", name="pk_task_alerts"),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_task_alerts_task_id_tasks"),
    )
    op.create_index("ix_task_alerts_alert_id", "task_alerts", ["alert_id"])
    op.create_index("ix_task_alerts_instance", "task_alerts", ["instance"])
    op.create_table(
        "timeline",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_timeline"),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_timeline_task_id_tasks"),
    )
    op.create_index("ix_timeline_task_id", "timeline", ["task_id"])
    op.create_index(
        "uq_tasks_open_key",
        "tasks",
        ["key"],
        unique=True,
        sqlite_where=_UNRESOLVED,
        postgresql_where=_UNRESOLVED,
    )
