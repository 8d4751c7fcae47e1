"""Reading tasks: lists with filters, one with all that belongs to it, counts for metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select

from forewarn_collector.tasks.errors import NoSuchTaskError
from forewarn_collector.tasks.ledger import Ledger
from forewarn_collector.tasks.listing import (
    MOST,
    TaskFilter,
    TaskOrder,
    TaskPage,
    conditions,
    cursor_of,
    ordering,
)
from forewarn_collector.tasks.model import Task, id_of
from forewarn_collector.tasks.rows import entry_from_row, member_from_row, rows_of, task_from_row
from forewarn_collector.tasks.schema import evidence, holds, task_alerts, tasks, timeline
from forewarn_collector.tasks.standing import Standing, read_standing
from forewarn_collector.tasks.ticket_rows import tickets_of
from forewarn_collector.tasks.words import STANDING, TaskState


@dataclass(frozen=True, slots=True)
class TaskCount:
    """How many tasks are alike in all of this; `rule` is the name of their alerts."""

    state: TaskState
    severity: str
    kind: str
    customer: str
    rule: str
    queue: str
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

    def list(
        self,
        wanted: TaskFilter,
        *,
        limit: int = 100,
        order: TaskOrder = TaskOrder.STANDING,
        cursor: str = "",
    ) -> TaskPage:
        """Tasks without timeline and evidence, behind those of the page that gave the `cursor`.

        Raises CursorError.
        """
        by, limit = ordering(order), max(0, min(limit, MOST))
        matching = and_(*conditions(wanted), *self._within())
        page = select(tasks, by.rank.label("rank")).where(matching).order_by(*by.columns)
        if cursor:
            page = page.where(by.after(cursor))
        with self._ledger.read() as connection:
            total = connection.execute(
                select(func.count()).select_from(tasks).where(matching)
            ).scalar_one()
            found = rows_of(connection.execute(page.limit(limit + 1)))
        ranks = [row.pop("rank") for row in found]
        listed = tuple(task_from_row(row) for row in found[:limit])
        more = bool(listed) and len(found) > limit
        following = cursor_of(ranks[limit - 1], listed[-1].id) if more else ""
        return TaskPage(listed, total, following)

    def one(self, number: str) -> Task:
        """A task with timeline, members and evidence. Raises NoSuchTaskError."""
        with self._ledger.read() as connection:
            found = whole_task(connection, id_of(number))
        if found is None or self._customer not in ("", found.customer):
            raise NoSuchTaskError(number)
        return found

    def standing(self) -> Standing:
        """What there is to choose from, and to do, among the tasks that stand."""
        with self._ledger.read() as connection:
            return read_standing(connection, self._within())

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

    def counts(self, since: int) -> tuple[TaskCount, ...]:
        """How many tasks stand, or ended since a time (ms), of each sort."""
        columns = (
            tasks.c.state,
            tasks.c.severity,
            tasks.c.kind,
            tasks.c.customer,
            tasks.c.rule_name,
            tasks.c.queue,
        )
        counted = select(*columns, func.count()).where(_current(since))
        with self._ledger.read() as connection:
            rows = connection.execute(counted.group_by(*columns).order_by(*columns)).all()
        return tuple(TaskCount(TaskState(row[0]), *row[1:]) for row in rows)

    def current(self, since: int, limit: int) -> tuple[Task, ...]:
        """Tasks that stand, or else ended since a time (ms); of each the newest."""
        by = ordering(TaskOrder.STANDING).columns
        wanted = select(tasks).where(_current(since)).order_by(*by).limit(limit)
        with self._ledger.read() as connection:
            found = rows_of(connection.execute(wanted))
        return tuple(task_from_row(row) for row in found)


def _current(since: int) -> ColumnElement[bool]:
    stands = tasks.c.state.in_([state.value for state in STANDING])
    return or_(stands, tasks.c.resolved_at >= since, tasks.c.closed_at >= since)


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
        tickets=tickets_of(connection, task_id or 0),
    )


def version_of(connection: Connection, task_id: int) -> str:
    """The version of a task as it is within a transaction; empty if there is none."""
    found = whole_task(connection, task_id)
    return found.version if found is not None else ""
