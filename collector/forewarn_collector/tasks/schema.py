"""The ledger's tables, in SQL that SQLite and PostgreSQL share."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

SCHEMA_VERSION = 2

# Names for every constraint, so that a later migration can speak of them on any engine.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only where the type is exactly INTEGER.
_SERIAL = BigInteger().with_variant(Integer(), "sqlite")


def _time(name: str, *, nullable: bool = True) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


facts = Table(
    "facts",
    metadata,
    # What is true of the ledger as a whole: schema_version, ledger_id, next_task.
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    # A digest of rule and labels: labels themselves may be longer than an index admits.
    Column("id", String(32), primary_key=True),
    Column("rule_key", Text, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("series", JSON, nullable=False),
    Column("annotations", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    # Values are text, as in Prometheus' API: SQLite turns a NaN into NULL.
    Column("value", Text, nullable=False),
    _time("onset", nullable=False),
    _time("active_at", nullable=False),
    _time("evaluated_at", nullable=False),
    _time("fired_at"),
    _time("keep_firing_since"),
    _time("unknown_since"),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("key", Text, nullable=False, index=True),
    Column("state", String(16), nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("customer", Text, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("annotations", JSON, nullable=False),
    Column("rule", Text, nullable=False),
    Column("rule_name", Text, nullable=False),
    Column("expr", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("checklist", JSON, nullable=False),
    _time("onset_at", nullable=False),
    _time("detected_at", nullable=False),
    _time("opened_at", nullable=False),
    _time("delivered_at"),
    _time("acknowledged_at"),
    Column("acknowledged_by", Text, nullable=False),
    _time("resolved_at"),
    Column("resolved_by", Text, nullable=False),
    Column("resolve_reason", String(32), nullable=False),
    _time("ended_at"),
    _time("due_at"),
    Column("reopen_count", Integer, nullable=False),
    _time("reopened_at"),
    _time("input_missing_since"),
    Column("revision", Integer, nullable=False),
    # Known only when it was over, since its data came late. With version 2.
    Column("retrospective", Boolean, nullable=False, server_default=text("0")),
)

# The database itself refuses a second open task for one problem.
Index(
    "uq_tasks_open_key",
    tasks.c.key,
    unique=True,
    sqlite_where=tasks.c.state != "resolved",
    postgresql_where=tasks.c.state != "resolved",
)

backlogs = Table(
    "backlogs",
    metadata,
    # Of which host data came late, that the rules have yet to see at its own time. With version 2.
    Column("id", _SERIAL, primary_key=True),
    Column("host", Text, nullable=False),
    _time("since", nullable=False),
    _time("noted_at", nullable=False),
)

task_alerts = Table(
    "task_alerts",
    metadata,
    Column("task_id", BigInteger, ForeignKey("tasks.id"), primary_key=True),
    Column("alert_id", String(32), primary_key=True, index=True),
    Column("labels", JSON, nullable=False),
    Column("instance", Text, nullable=False, index=True),
    _time("joined_at", nullable=False),
    _time("left_at"),
    _time("unknown_since"),
)

timeline = Table(
    "timeline",
    metadata,
    Column("id", _SERIAL, primary_key=True),
    Column("task_id", BigInteger, ForeignKey("tasks.id"), nullable=False, index=True),
    _time("at", nullable=False),
    Column("kind", String(32), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("who", Text, nullable=False),
    Column("text", Text, nullable=False),
)

evidence = Table(
    "evidence",
    metadata,
    Column("id", _SERIAL, primary_key=True),
    Column("task_id", BigInteger, ForeignKey("tasks.id"), nullable=False, index=True),
    # The revision whose delivery carries it; none where an alert joined an open task.
    Column("revision", Integer),
    Column("document", JSON, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("seq", _SERIAL, primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("task_id", BigInteger, ForeignKey("tasks.id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("queue", Text, nullable=False),
    Column("action", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("text", Text, nullable=False),
    # The task's row as it was, so that every attempt sends the same.
    Column("snapshot", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    _time("created_at", nullable=False),
    _time("due_at", nullable=False),
    # Set while an attempt is on its way; a crash leaves it, and the next start takes it back.
    _time("claimed_at"),
    Column("attempts", Integer, nullable=False),
    _time("done_at"),
    Column("error", Text, nullable=False),
    Column("external_ref", Text),
    UniqueConstraint("task_id", "revision", "queue"),
    Index("ix_deliveries_owed", "queue", "state", "due_at"),
)
