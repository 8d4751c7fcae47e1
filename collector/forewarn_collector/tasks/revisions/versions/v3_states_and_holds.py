"""Version 3: more states, holds, damping, links, silences, alerts from outside, the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from forewarn_collector.tasks.schema_triggers import ONLY_GROWS

revision = "3"
down_revision = "2"

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_STANDING = sa.text("state NOT IN ('resolved', 'closed')")
_NOT_ENDED = sa.text("ended_at IS NULL")


def upgrade() -> None:
    """Tasks keep what they have; none is assigned, closed, held or quiet."""
    for column in _task_columns():
        op.add_column("tasks", column)
    for name in ("previous", "parent", "opened_at", "next_escalation_at"):
        op.create_index(f"ix_tasks_{name}", "tasks", [name])
    op.drop_index("uq_tasks_open_key", "tasks")
    op.create_index(
        "uq_tasks_open_key",
        "tasks",
        ["key"],
        unique=True,
        sqlite_where=_STANDING,
        postgresql_where=_STANDING,
    )
    op.add_column("deliveries", _text("claimed_by"))
    for column in (_time("follow_up_at"), _text("gathered_by")):
        op.add_column("evidence", column)
    op.create_index("ix_evidence_follow_up_at", "evidence", ["follow_up_at"])
    op.create_table(
        "holds",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("alert_id", sa.String(32), nullable=False),
        sa.Column("rule_key", sa.Text(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("outcome", sa.String(16), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("id", name="pk_holds"),
    )
    op.create_index("ix_holds_alert_id", "holds", ["alert_id"])
    op.create_index(
        "uq_holds_current",
        "holds",
        ["alert_id"],
        unique=True,
        sqlite_where=_NOT_ENDED,
        postgresql_where=_NOT_ENDED,
    )
    op.create_table(
        "audit",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_object", "audit", ["object"])
    op.create_table(
        "escalations",
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("episode", sa.Integer(), nullable=False),
        sa.Column("done", sa.JSON(), nullable=False),
        sa.Column("queues", sa.JSON(), nullable=False),
        sa.Column("paused_since", sa.BigInteger()),
        sa.Column("paused_for", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("task_id", name="pk_escalations"),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_escalations_task_id_tasks"),
    )
    op.create_table(
        "silences",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("matchers", sa.JSON(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_silences"),
    )
    op.create_table(
        "received_alerts",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("annotations", sa.JSON(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("generator_url", sa.Text(), nullable=False),
        sa.Column("timeout", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_received_alerts"),
    )
    op.create_table(
        "idempotency",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("request", sa.String(64), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_idempotency"),
    )
    op.create_index("ix_idempotency_at", "idempotency", ["at"])
    for statement in ONLY_GROWS[op.get_bind().dialect.name]:
        op.execute(statement)


def _task_columns() -> list[sa.Column[object]]:
    return [
        _text("assignee"),
        _time("assigned_at"),
        _time("waiting_until"),
        _time("closed_at"),
        _text("closed_by"),
        sa.Column("close_reason", sa.String(16), nullable=False, server_default=""),
        _time("duplicate_of"),
        _time("previous"),
        _time("parent"),
        _count("flap_count"),
        _count("flap_penalty"),
        _time("flapped_at"),
        _time("flapping_since"),
        _time("calm_at"),
        _time("quiet_since"),
        _text("quiet_by"),
        _time("mute_for"),
        _text("mute_severity"),
        _count("escalation_step"),
        _time("next_escalation_at"),
        _text("incident"),
        sa.Column("origin", sa.String(16), nullable=False, server_default="rule"),
        _text("service"),
        _time("held_since"),
        _time("open_lag"),
    ]


def _text(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Text(), nullable=False, server_default="")


def _count(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default="0")


def _time(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.BigInteger())
