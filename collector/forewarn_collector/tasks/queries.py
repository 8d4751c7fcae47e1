"""Reading tasks: lists with filters, one with all that belongs to it, counts for metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Connection, and_, case, func, select

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
from forewarn_collector.tasks.model import Task, TaskState, id_of
from forewarn_collector.tasks.rows import entry_from_row, member_from_row, rows_of, task_from_row
from forewarn_collector.tasks.schema import evidence, holds, task_alerts, tasks, timeline
from forewarn_collector.tasks.ticket_rows import tickets_of


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
        tickets=tickets_of(connection, task_id or 0),
    )


def version_of(connection: Connection, task_id: int) -> str:
    """The version of a task as it is within a transaction; empty if there is none."""
    found = whole_task(connection, task_id)
    return found.version if found is not None else ""
