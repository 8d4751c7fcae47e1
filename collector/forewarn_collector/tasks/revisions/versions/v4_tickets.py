"""Version 4: tickets in ticket systems, and what was read back of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = "3"


def upgrade() -> None:
    """Make the tables; no queue so far was a ticket system."""
    op.create_table(
        "tickets",
        sa.Column("task_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False, server_default=""),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False, server_default=""),
        sa.Column("assignee", sa.Text(), nullable=False, server_default=""),
        sa.Column("read_at", sa.BigInteger()),
        sa.Column("gone_at", sa.BigInteger()),
        sa.Column("due_at", sa.BigInteger()),
        sa.Column("asked", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("claimed_at", sa.BigInteger()),
        sa.Column("claimed_by", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("task_id", "queue", name="pk_tickets"),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_tickets_task_id_tasks"),
    )
    op.create_index("ix_tickets_due", "tickets", ["queue", "due_at"])
    op.create_table(
        "ticket_comments",
        sa.Column("task_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("comment_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("task_id", "queue", "comment_id", name="pk_ticket_comments"),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_ticket_comments_task_id_tasks"),
    )
    op.create_table(
        "queue_reads",
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("polled_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("queue", name="pk_queue_reads"),
    )
