"""The tables of tickets in ticket systems, and of what was read back of them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text

from forewarn_collector.tasks.schema import WritableText, metadata

# All with version 4.
tickets = Table(
    "tickets",
    metadata,
    # The ticket of a task in a queue. Written with the first delivery that the queue took.
    Column("task_id", BigInteger, ForeignKey("tasks.id"), primary_key=True, autoincrement=False),
    Column("queue", Text, primary_key=True),
    # What the tracker calls it now, and its address for people.
    Column("ref", WritableText(), nullable=False),
    Column("url", WritableText(), nullable=False, server_default=""),
    Column("made_at", BigInteger, nullable=False),
    # As it was when it was read last, or as the last delivery left it.
    Column("state", String(16), nullable=False),
    Column("outcome", String(16), nullable=False, server_default=""),
    Column("assignee", WritableText(), nullable=False, server_default=""),
    Column("read_at", BigInteger),
    # Since when the tracker has it no more.
    Column("gone_at", BigInteger),
    # When it is to be read next; how often that was asked for, so that no wish is lost meanwhile.
    Column("due_at", BigInteger),
    Column("asked", Integer, nullable=False, server_default="0"),
    # Set while somebody reads it, with which collector that is.
    Column("claimed_at", BigInteger),
    Column("claimed_by", Text, nullable=False, server_default=""),
    Index("ix_tickets_due", "queue", "due_at"),
)

ticket_comments = Table(
    "ticket_comments",
    metadata,
    # The remarks of people that the task's timeline has.
    Column("task_id", BigInteger, ForeignKey("tasks.id"), primary_key=True, autoincrement=False),
    Column("queue", Text, primary_key=True),
    Column("comment_id", WritableText(), primary_key=True),
)

queue_reads = Table(
    "queue_reads",
    metadata,
    # Up to when the changes of a queue's tickets are known, and when they were last asked for.
    Column("queue", Text, primary_key=True),
    Column("since", BigInteger, nullable=False),
    Column("polled_at", BigInteger, nullable=False),
)
