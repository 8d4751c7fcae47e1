"""What each queue is owed, got and refused, for people; and dead deliveries, owed again."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, func, select, update

from forewarn_collector.tasks.audit import Actor, AuditEntry, add_audit
from forewarn_collector.tasks.errors import TaskError
from forewarn_collector.tasks.ledger import Ledger
from forewarn_collector.tasks.model import number_of
from forewarn_collector.tasks.once import Once
from forewarn_collector.tasks.outbox import DeliveryStatus, status_of
from forewarn_collector.tasks.rows import rows_of
from forewarn_collector.tasks.schema import deliveries
from forewarn_collector.tasks.words import DeliveryState

MOST = 1_000
"""The most deliveries that one page of the list holds."""

_OF_A_TASK = 20


class DeliveryView(StrEnum):
    """Which deliveries to list."""

    OWED = "owed"
    FAILED = "failed"
    """Owed, and tried in vain."""
    DELIVERED = "delivered"
    DEAD = "dead"


class NotDeadError(TaskError):
    """There is no such dead delivery."""

    def __init__(self, delivery_id: str, queue: str) -> None:
        super().__init__(f"{queue} has no dead delivery {delivery_id}: only these can be revived")


class DeliveryLog:
    """The deliveries of all queues. Times in ms. Every method may raise LedgerError."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def failing(self) -> dict[str, int]:
        """How many deliveries each queue is owed that were tried in vain."""
        counted = select(deliveries.c.queue, func.count()).where(_VIEWS[DeliveryView.FAILED])
        with self._ledger.read() as connection:
            rows = connection.execute(counted.group_by(deliveries.c.queue)).all()
        return {row[0]: row[1] for row in rows}

    def list(
        self,
        queue: str,
        view: DeliveryView | None = None,
        *,
        before: int | None = None,
        limit: int = 100,
    ) -> tuple[list[DeliveryStatus], int | None]:
        """Deliveries to a queue, the newest first, and what to give as `before` for the next."""
        limit = max(1, min(limit, MOST))
        found = select(deliveries).where(deliveries.c.queue == queue)
        if view is not None:
            found = found.where(_VIEWS[view])
        if before is not None:
            found = found.where(deliveries.c.seq < before)
        page = found.order_by(deliveries.c.seq.desc()).limit(limit + 1)
        with self._ledger.read() as connection:
            rows = rows_of(connection.execute(page))
        following = int(rows[limit - 1]["seq"]) if len(rows) > limit else None
        return [status_of(row) for row in rows[:limit]], following

    def of_task(self, task_id: int) -> Sequence[DeliveryStatus]:
        """The last deliveries of a task, the newest first."""
        found = select(deliveries).where(deliveries.c.task_id == task_id)
        with self._ledger.read() as connection:
            rows = rows_of(
                connection.execute(found.order_by(deliveries.c.seq.desc()).limit(_OF_A_TASK))
            )
        return [status_of(row) for row in rows]

    def revive(
        self, queue: str, delivery_id: str, actor: Actor, at: int, once: Once | None = None
    ) -> DeliveryStatus:
        """Owe a dead delivery again, at once. Raises NotDeadError."""
        this = and_(deliveries.c.id == delivery_id, deliveries.c.queue == queue)
        owed = {"state": DeliveryState.OWED.value, "due_at": at, "done_at": None}
        with self._ledger.write() as connection:
            if once is not None:
                once.begin(connection, at)
            dead = and_(this, deliveries.c.state == DeliveryState.DEAD.value)
            if connection.execute(update(deliveries).where(dead).values(owed)).rowcount != 1:
                raise NotDeadError(delivery_id, queue)
            row = rows_of(connection.execute(select(deliveries).where(this)))[0]
            detail = actor.detail({"queue": queue, "delivery": delivery_id, "error": row["error"]})
            number = number_of(row["task_id"])
            entry = AuditEntry(
                at, actor.name, actor.role, "delivery revived", number, detail=detail
            )
            add_audit(connection, [entry])
            status = status_of(row)
            if once is not None:
                once.end(connection, status.to_json(), at)
        return status


_VIEWS: dict[DeliveryView, ColumnElement[bool]] = {
    DeliveryView.OWED: deliveries.c.state == DeliveryState.OWED.value,
    DeliveryView.FAILED: and_(
        deliveries.c.state == DeliveryState.OWED.value, deliveries.c.error != ""
    ),
    DeliveryView.DELIVERED: deliveries.c.state == DeliveryState.DELIVERED.value,
    DeliveryView.DEAD: deliveries.c.state == DeliveryState.DEAD.value,
}
