"""The ledger's tables, in SQL that SQLite and PostgreSQL share."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    event,
    false,
)

from forewarn_collector.tasks.schema_triggers import ONLY_GROWS

SCHEMA_VERSION = 4
"""The last of the revisions in `revisions/versions`; a change of a table needs a new one."""

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


class WritableText(TypeDecorator[str]):
    """Text that PostgreSQL takes: it has no NUL, which a label may have."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or dialect.name != "postgresql":
            return value
        return value.replace("\x00", "\ufffd")


_TEXT = WritableText()


def _time(name: str, *, nullable: bool = True) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


facts = Table(
    "facts",
    metadata,
    # What is true of the ledger as a whole: schema_version, ledger_id, next_task.
    Column("name", String(64), primary_key=True),
    Column("value", _TEXT, nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    # A digest of rule and labels: labels themselves may be longer than an index admits.
    Column("id", String(32), primary_key=True),
    Column("rule_key", _TEXT, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("series", JSON, nullable=False),
    Column("annotations", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    # Values are text, as in Prometheus' API: SQLite turns a NaN into NULL.
    Column("value", _TEXT, nullable=False),
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
    Column("key", _TEXT, nullable=False, index=True),
    Column("state", String(16), nullable=False, index=True),
    Column("title", _TEXT, nullable=False),
    Column("description", _TEXT, nullable=False),
    Column("severity", _TEXT, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("customer", _TEXT, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("annotations", JSON, nullable=False),
    Column("rule", _TEXT, nullable=False),
    Column("rule_name", _TEXT, nullable=False),
    Column("expr", _TEXT, nullable=False),
    Column("value", _TEXT, nullable=False),
    Column("queue", _TEXT, nullable=False),
    Column("checklist", JSON, nullable=False),
    _time("onset_at", nullable=False),
    _time("detected_at", nullable=False),
    _time("opened_at", nullable=False),
    _time("delivered_at"),
    _time("acknowledged_at"),
    Column("acknowledged_by", _TEXT, nullable=False),
    _time("resolved_at"),
    Column("resolved_by", _TEXT, nullable=False),
    Column("resolve_reason", String(32), nullable=False),
    _time("ended_at"),
    _time("due_at"),
    Column("reopen_count", Integer, nullable=False),
    _time("reopened_at"),
    _time("input_missing_since"),
    Column("revision", Integer, nullable=False),
    # Known only when it was over, since its data came late. With version 2.
    Column("retrospective", Boolean, nullable=False, server_default=false()),
    # All below with version 3.
    Column("assignee", _TEXT, nullable=False, server_default=""),
    _time("assigned_at"),
    _time("waiting_until"),
    _time("closed_at"),
    Column("closed_by", _TEXT, nullable=False, server_default=""),
    Column("close_reason", String(16), nullable=False, server_default=""),
    # Ids of other tasks: the one that this is a duplicate of, the one before, the one it is under.
    Column("duplicate_of", BigInteger),
    Column("previous", BigInteger, index=True),
    Column("parent", BigInteger, index=True),
    Column("flap_count", Integer, nullable=False, server_default="0"),
    Column("flap_penalty", Integer, nullable=False, server_default="0"),
    _time("flapped_at"),
    _time("flapping_since"),
    _time("calm_at"),
    _time("quiet_since"),
    Column("quiet_by", _TEXT, nullable=False, server_default=""),
    Column("mute_for", BigInteger),
    Column("mute_severity", _TEXT, nullable=False, server_default=""),
    Column("escalation_step", Integer, nullable=False, server_default="0"),
    Column("next_escalation_at", BigInteger, index=True),
    Column("incident", _TEXT, nullable=False, server_default=""),
    Column("origin", String(16), nullable=False, server_default="rule"),
    Column("service", _TEXT, nullable=False, server_default=""),
    _time("held_since"),
    Column("open_lag", BigInteger),
    Index("ix_tasks_opened_at", "opened_at"),
)

_STANDING = tasks.c.state.not_in(["resolved", "closed"])

# The database itself refuses a second open task for one problem.
Index(
    "uq_tasks_open_key",
    tasks.c.key,
    unique=True,
    sqlite_where=_STANDING,
    postgresql_where=_STANDING,
)

backlogs = Table(
    "backlogs",
    metadata,
    # Of which host data came late, that the rules have yet to see at its own time. With version 2.
    Column("id", _SERIAL, primary_key=True),
    Column("host", _TEXT, nullable=False),
    _time("since", nullable=False),
    _time("noted_at", nullable=False),
)

task_alerts = Table(
    "task_alerts",
    metadata,
    Column("task_id", BigInteger, ForeignKey("tasks.id"), primary_key=True),
    Column("alert_id", String(32), primary_key=True, index=True),
    Column("labels", JSON, nullable=False),
    Column("instance", _TEXT, nullable=False, index=True),
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
    Column("who", _TEXT, nullable=False),
    Column("text", _TEXT, nullable=False),
)

evidence = Table(
    "evidence",
    metadata,
    Column("id", _SERIAL, primary_key=True),
    Column("task_id", BigInteger, ForeignKey("tasks.id"), nullable=False, index=True),
    # The revision whose delivery carries it; none where an alert joined an open task.
    Column("revision", Integer),
    Column("document", JSON, nullable=False),
    # Until its follow-up is kept: when that is due, and which collector has its samples. With
    # version 3.
    _time("follow_up_at"),
    Column("gathered_by", _TEXT, nullable=False, server_default=""),
    Index("ix_evidence_follow_up_at", "follow_up_at"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("seq", _SERIAL, primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("task_id", BigInteger, ForeignKey("tasks.id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("queue", _TEXT, nullable=False),
    Column("action", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("text", _TEXT, nullable=False),
    # The task's row as it was, so that every attempt sends the same.
    Column("snapshot", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    _time("created_at", nullable=False),
    _time("due_at", nullable=False),
    # Set while an attempt is on its way; a crash leaves it, and the next start takes it back.
    _time("claimed_at"),
    # Which collector claimed it last, where several share one ledger. With version 3.
    Column("claimed_by", _TEXT, nullable=False, server_default=""),
    Column("attempts", Integer, nullable=False),
    _time("done_at"),
    Column("error", _TEXT, nullable=False),
    Column("external_ref", _TEXT),
    UniqueConstraint("task_id", "revision", "queue"),
    Index("ix_deliveries_owed", "queue", "state", "due_at"),
)

holds = Table(
    "holds",
    metadata,
    # An alert that fires and may open no task. Rows stay for a while when the hold has ended.
    Column("id", _SERIAL, primary_key=True),
    Column("alert_id", String(32), nullable=False, index=True),
    Column("rule_key", _TEXT, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("ref", _TEXT, nullable=False),
    Column("text", _TEXT, nullable=False),
    _time("since", nullable=False),
    _time("until"),
    _time("ended_at"),
    Column("outcome", String(16), nullable=False, server_default=""),
)

Index(
    "uq_holds_current",
    holds.c.alert_id,
    unique=True,
    sqlite_where=holds.c.ended_at.is_(None),
    postgresql_where=holds.c.ended_at.is_(None),
)

audit = Table(
    "audit",
    metadata,
    # Who did what to what, and why; rows are only ever added, triggers see to that.
    Column("id", _SERIAL, primary_key=True),
    _time("at", nullable=False),
    Column("who", _TEXT, nullable=False),
    Column("role", String(32), nullable=False),
    Column("action", String(32), nullable=False),
    Column("object", _TEXT, nullable=False, index=True),
    Column("reason", _TEXT, nullable=False),
    Column("detail", JSON, nullable=False),
)


@event.listens_for(audit, "after_create")
def _only_grows(_: Table, connection: Connection, **_more: object) -> None:
    for statement in ONLY_GROWS[connection.dialect.name]:
        connection.exec_driver_sql(statement)
