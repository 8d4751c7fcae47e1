"""The table of escalations, beside the task that escalates."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Integer, Table

from forewarn_collector.tasks.schema import metadata

escalations = Table(
    "escalations",
    metadata,
    # All with version 3. Written in the transaction of the steps, so that each is taken once.
    Column("task_id", BigInteger, ForeignKey("tasks.id"), primary_key=True, autoincrement=False),
    Column("episode", Integer, nullable=False),
    Column("done", JSON, nullable=False),
    Column("queues", JSON, nullable=False),
    Column("paused_since", BigInteger),
    Column("paused_for", BigInteger, nullable=False),
)
