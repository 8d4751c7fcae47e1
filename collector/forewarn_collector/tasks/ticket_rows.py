"""The rows of tickets: where each stands as far as is known, and what a delivery left of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, insert, select, update

from forewarn_collector.tasks.model import TaskTicket
from forewarn_collector.tasks.rows import rows_of
from forewarn_collector.tasks.schema import deliveries
from forewarn_collector.tasks.schema_tickets import tickets
from forewarn_collector.tasks.words import DeliveryState, TicketState

SWEEP = 6 * 3_600_000
"""How long (ms) a ticket of a task that stands is left unread, whatever its tracker lists: what
was deleted is in no list of changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketLeft:
    """A ticket as a delivery left it.

    `state` and `assignee` (the tracker's name, empty for nobody) are None where the delivery set
    nothing of the kind. What people do after that differs from it, and is found by that. `moved`
    where another ticket goes on in its place: `ref` is the reference of that one.
    """

    ref: str
    url: str = ""
    state: TicketState | None = None
    assignee: str | None = None
    moved: bool = False


def of_ticket(task_id: int, queue: str) -> ColumnElement[bool]:
    """The condition of one ticket."""
    return and_(tickets.c.task_id == task_id, tickets.c.queue == queue)


def is_owed(task_id: Any, queue: Any) -> ColumnElement[bool]:
    """The condition of deliveries that a task's queue is owed, or is being given."""
    return and_(
        deliveries.c.task_id == task_id,
        deliveries.c.queue == queue,
        deliveries.c.state == DeliveryState.OWED.value,
    )


def leave(connection: Connection, task_id: int, queue: str, left: TicketLeft, at: int) -> None:
    """Within the transaction of a delivery that was taken: how it left the ticket."""
    changed: dict[str, Any] = {}
    if left.state is not None:
        changed["state"] = left.state.value
    if left.assignee is not None:
        changed["assignee"] = left.assignee
    if left.moved:
        changed |= {"ref": left.ref, "url": left.url}
    found = select(tickets.c.task_id).where(of_ticket(task_id, queue))
    if connection.execute(found).first() is None:
        row = {
            "task_id": task_id,
            "queue": queue,
            "ref": left.ref,
            "url": left.url,
            "made_at": at,
            "state": TicketState.NEW.value,
            "due_at": at + SWEEP,
            **changed,
        }
        connection.execute(insert(tickets), [row])
        return
    changed["due_at"] = func.coalesce(tickets.c.due_at, at + SWEEP)
    there = and_(of_ticket(task_id, queue), tickets.c.gone_at.is_(None))
    connection.execute(update(tickets).where(there).values(changed))


def disturb(connection: Connection, task_id: int, queue: str) -> None:
    """Within the transaction that ends a delivery: whoever reads the ticket has to begin anew.

    What they have seen may be from before it.
    """
    reading = and_(of_ticket(task_id, queue), tickets.c.claimed_at.is_not(None))
    connection.execute(update(tickets).where(reading).values(claimed_at=None))


def ref_of(connection: Connection, task_id: int, queue: str) -> str | None:
    """What the tracker calls a task's ticket now; None where there is none yet."""
    found = select(tickets.c.ref).where(of_ticket(task_id, queue))
    ref: str | None = connection.execute(found).scalar_one_or_none()
    return ref


def tickets_of(connection: Connection, task_id: int) -> tuple[TaskTicket, ...]:
    """The tickets of a task, by queue."""
    found = select(tickets).where(tickets.c.task_id == task_id).order_by(tickets.c.queue)
    return tuple(
        TaskTicket(
            row["queue"],
            row["ref"],
            row["url"],
            TicketState(row["state"]),
            row["assignee"],
            row["gone_at"],
        )
        for row in rows_of(connection.execute(found))
    )
