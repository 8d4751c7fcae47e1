"""Reading tasks: lists with filters, one with all that belongs to it, counts for metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Connection, and_, case, exists, func, or_, select

from forewarn_collector.tasks.errors import NoSuchTaskError
from forewarn_collector.tasks.ledger import Ledger
from forewarn_collector.tasks.model import STANDING, Task, TaskState, id_of
from forewarn_collector.tasks.rows import entry_from_row, member_from_row, rows_of, task_from_row
from forewarn_collector.tasks.schema import evidence, holds, task_alerts, tasks, timeline

MOST = 1_000
"""The most tasks that one page of a list holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """Which tasks to list; an empty field admits all.

    `rule` is a rule's key or its name, `text` a part of the title, description or key in any
    case, or a task's number. `instance` finds tasks with an alert of that host, now or before.
    """

    states: tuple[TaskState, ...] = ()
    severity: str = ""
    customer: str = ""
    instance: str = ""
    rule: str = ""
    queue: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class TaskPage:
    """A part of a list, and how many tasks match in all."""

    tasks: tuple[Task, ...]
    total: int


@dataclass(frozen=True, slots=True)
class TaskCount:
    """How many tasks stand in a state with a severity and of a kind."""

    state: TaskState
    severity: str
    kind: str
    tasks: int


class TaskQueries:
    """Reads of the ledger. Every method may raise LedgerError."""

    def __init__(self, ledger: Ledger, customer: str = "") -> None:
        """Of one customer there is nothing but its own tasks; of none, those of all."""
        self._ledger = ledger
        self._customer = customer

    def of(self, customer: str) -> TaskQueries:
        """The same of one customer; of all where that is empty."""
        return TaskQueries(self._ledger, customer)

    def list(self, wanted: TaskFilter, *, limit: int = 100, offset: int = 0) -> TaskPage:
        """Tasks without timeline and evidence: those that stand first, then the newest."""
        condition = and_(*_conditions(wanted), *self._within())
        ended_last = case((tasks.c.state.in_([state.value for state in STANDING]), 0), else_=1)
        page = (
            select(tasks)
            .where(condition)
            .order_by(ended_last, tasks.c.id.desc())
            .limit(max(0, min(limit, MOST)))
            .offset(max(0, offset))
        )
        with self._ledger.read() as connection:
            total = connection.execute(
                select(func.count()).select_from(tasks).where(condition)
            ).scalar_one()
            rows = rows_of(connection.execute(page))
            return TaskPage(tuple(task_from_row(row) for row in rows), total)

    def one(self, number: str) -> Task:
        """A task with timeline, members and evidence. Raises NoSuchTaskError."""
        with self._ledger.read() as connection:
            found = whole_task(connection, id_of(number))
        if found is None or self._customer not in ("", found.customer):
            raise NoSuchTaskError(number)
        return found

    def _within(self) -> Sequence[ColumnElement[bool]]:
        return [tasks.c.customer == self._customer] if self._customer else []

    def in_time(self, since: int, within: int) -> tuple[int, int]:
        """How many tasks opened since then (ms), and how many of these within this time (ms).

        Only those of which that can be said: what was held back, or came from outside or late, is
        not among them.
        """
        lag = tasks.c.open_lag
        found = select(func.count(lag), func.count(case((lag <= within, 1)))).where(
            tasks.c.opened_at >= since
        )
        with self._ledger.read() as connection:
            row = connection.execute(found).one()
        return row[0], row[1]

    def held(self) -> dict[str, int]:
        """How many alerts are held now, by the kind of hold."""
        counted = select(holds.c.kind, func.count()).where(holds.c.ended_at.is_(None))
        with self._ledger.read() as connection:
            rows = connection.execute(counted.group_by(holds.c.kind)).all()
        return {row[0]: row[1] for row in rows}

    def counts(self) -> tuple[TaskCount, ...]:
        """Tasks by state, severity and kind."""
        columns = (tasks.c.state, tasks.c.severity, tasks.c.kind)
        counted = select(*columns, func.count()).group_by(*columns).order_by(*columns)
        with self._ledger.read() as connection:
            rows = connection.execute(counted).all()
        return tuple(TaskCount(TaskState(row[0]), row[1], row[2], row[3]) for row in rows)


def whole_task(connection: Connection, task_id: int | None) -> Task | None:
    """A task with timeline, members and evidence, within a transaction; None if there is none."""
    found = rows_of(connection.execute(select(tasks).where(tasks.c.id == task_id)))
    if not found:
        return None
    of_task = timeline.c.task_id == task_id
    entries = connection.execute(select(timeline).where(of_task).order_by(timeline.c.id))
    members = connection.execute(
        select(task_alerts)
        .where(task_alerts.c.task_id == task_id)
        .order_by(task_alerts.c.joined_at, task_alerts.c.alert_id)
    )
    documents = connection.execute(
        select(evidence.c.document).where(evidence.c.task_id == task_id).order_by(evidence.c.id)
    )
    following = select(tasks.c.id).where(tasks.c.previous == task_id).order_by(tasks.c.id)
    return replace(
        task_from_row(found[0]),
        following=tuple(connection.execute(following).scalars()),
        timeline=tuple(entry_from_row(entry) for entry in rows_of(entries)),
        members=tuple(member_from_row(member) for member in rows_of(members)),
        evidence=tuple(documents.scalars()),
    )


def version_of(connection: Connection, task_id: int) -> str:
    """The version of a task as it is within a transaction; empty if there is none."""
    found = whole_task(connection, task_id)
    return found.version if found is not None else ""


def _conditions(wanted: TaskFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [tasks.c.id > 0]
    if wanted.states:
        found.append(tasks.c.state.in_([state.value for state in wanted.states]))
    for name in ("severity", "customer", "queue"):
        value = getattr(wanted, name)
        if value:
            found.append(tasks.c[name] == value)
    if wanted.rule:
        found.append(or_(tasks.c.rule == wanted.rule, tasks.c.rule_name == wanted.rule))
    if wanted.instance:
        found.append(
            exists().where(
                task_alerts.c.task_id == tasks.c.id, task_alerts.c.instance == wanted.instance
            )
        )
    if wanted.text:
        needle = wanted.text.lower()
        parts = [
            func.lower(column).contains(needle, autoescape=True)
            for column in (tasks.c.title, tasks.c.description, tasks.c.key)
        ]
        task_id = id_of(wanted.text)
        if task_id is not None:
            parts.append(tasks.c.id == task_id)
        found.append(or_(*parts))
    return found
