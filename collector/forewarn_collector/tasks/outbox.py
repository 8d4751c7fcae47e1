"""Deliveries owed to queues: due, on their way, made, or refused for good.

A delivery is written in the transaction that causes it and confirmed after the queue took it. In
between, each attempt is claimed by compare-and-set, so that two workers never send the same, and
an attempt above the first says that the queue may have it already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, func, insert, select, update

from forewarn_collector.tasks.ledger import Ledger
from forewarn_collector.tasks.model import (
    Delivery,
    TimelineEntry,
    number_of,
)
from forewarn_collector.tasks.rows import entry_to_row, rows_of, task_from_row
from forewarn_collector.tasks.schema import deliveries, evidence, tasks, timeline
from forewarn_collector.tasks.ticket_rows import TicketLeft, disturb, leave, ref_of
from forewarn_collector.tasks.told import alerts_of
from forewarn_collector.tasks.words import (
    DeliveryAction,
    DeliveryState,
    TimelineKind,
)

LEASE = 600_000
"""How long (ms) an attempt may take before another worker may make it anew."""


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """A queue's deliveries by state, and how many attempts have failed in all."""

    owed: int = 0
    delivered: int = 0
    dead: int = 0
    failed_attempts: int = 0


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """Where one delivery stands, for people. Times in ms; `due_at` is that of the next attempt."""

    id: str
    number: str
    revision: int
    queue: str
    action: DeliveryAction
    state: DeliveryState
    created_at: int
    due_at: int
    attempts: int
    done_at: int | None
    error: str
    external_ref: str | None

    def to_json(self) -> dict[str, Any]:
        """The status as the API shows it."""
        return {
            "id": self.id,
            "number": self.number,
            "revision": self.revision,
            "queue": self.queue,
            "action": self.action.value,
            "state": self.state.value,
            "created_at": self.created_at,
            "due_at": self.due_at,
            "attempts": self.attempts,
            "done_at": self.done_at,
            "error": self.error,
            "external_ref": self.external_ref,
        }


class Outbox:
    """The rows of deliveries. Times in ms. Every method may raise LedgerError."""

    def __init__(self, ledger: Ledger, external_url: str = "") -> None:
        """`external_url` is where people reach the collector, for links in deliveries."""
        self._ledger = ledger
        self._external_url = external_url.rstrip("/")

    def recover(self, queue: str, due_at: int) -> None:
        """Take back what this collector had on its way when it died; it is due at a time (ms).

        What another collector claimed is its own until the lease is over.
        """
        lost = and_(
            _owed_to(queue),
            deliveries.c.claimed_at.is_not(None),
            deliveries.c.claimed_by == self._ledger.member,
        )
        with self._ledger.write() as connection:
            connection.execute(
                update(deliveries).where(lost).values(claimed_at=None, due_at=due_at)
            )

    def due_deliveries(self, queue: str, now: int, limit: int) -> list[Delivery]:
        """What may be sent now, the oldest first; of each task only the first that is owed."""
        due = and_(_first_owed_to(queue), deliveries.c.due_at <= now)
        with self._ledger.read() as connection:
            rows = rows_of(
                connection.execute(
                    select(deliveries).where(due).order_by(deliveries.c.seq).limit(limit)
                )
            )
            return [self._delivery(connection, row, now) for row in rows]

    def next_due(self, queue: str) -> int | None:
        """When the next delivery is to be tried; None where nothing is owed."""
        with self._ledger.read() as connection:
            due_at: int | None = connection.execute(
                select(func.min(deliveries.c.due_at)).where(_first_owed_to(queue))
            ).scalar_one()
            return due_at

    def claim(self, delivery: Delivery, now: int) -> bool:
        """Write that this attempt is about to be made; False where another worker makes it."""
        mine = and_(
            deliveries.c.id == delivery.id,
            deliveries.c.state == DeliveryState.OWED.value,
            deliveries.c.attempts == delivery.attempt - 1,
        )
        with self._ledger.write() as connection:
            claimed = connection.execute(
                update(deliveries)
                .where(mine)
                .values(
                    attempts=delivery.attempt,
                    claimed_at=now,
                    claimed_by=self._ledger.member,
                    due_at=now + LEASE,
                )
            )
            return claimed.rowcount == 1

    def delivered(
        self,
        delivery_id: str,
        external_ref: str | None,
        at: int,
        ticket: TicketLeft | None = None,
    ) -> int | None:
        """The queue took it. `external_ref` is what the queue calls it, where it said so.

        `ticket` is how a ticket system's ticket was left. Returns how long (ms) after the task
        opened that was, if this is the first that a queue took of it.
        """
        with self._ledger.write() as connection:
            row = _finish(
                connection, delivery_id, DeliveryState.DELIVERED, at, external_ref=external_ref
            )
            if row is None:
                return None
            if ticket is not None:
                leave(connection, row["task_id"], row["queue"], ticket, at)
            first = and_(tasks.c.id == row["task_id"], tasks.c.delivered_at.is_(None))
            told = update(tasks).where(first).values(delivered_at=at).returning(tasks.c.opened_at)
            opened_at = connection.execute(told).scalar_one_or_none()
            ref = f" as {external_ref}" if external_ref else ""
            text = f"Delivered to {row['queue']}{ref} ({row['action']})."
            _note(connection, row["task_id"], TimelineEntry(at, TimelineKind.DELIVERED, text))
        return None if opened_at is None else max(0, at - opened_at)

    def failed(self, delivery_id: str, error: str, retry_at: int | None, at: int) -> None:
        """The attempt failed: try again at `retry_at`, or, where that is None, never."""
        with self._ledger.write() as connection:
            if retry_at is not None:
                connection.execute(
                    update(deliveries)
                    .where(_is_owed(delivery_id))
                    .values(claimed_at=None, due_at=retry_at, error=error)
                )
                return
            row = _finish(connection, delivery_id, DeliveryState.DEAD, at, error=error)
            if row is not None:
                text = f"Delivery to {row['queue']} ({row['action']}) given up: {error}"
                entry = TimelineEntry(at, TimelineKind.UNDELIVERABLE, text)
                _note(connection, row["task_id"], entry)

    def counts(self) -> dict[str, QueueCounts]:
        """What each queue is owed, got and refused."""
        # A delivery's last attempt succeeded; all others, and every one of a dead one, failed.
        failures = deliveries.c.attempts
        columns = (deliveries.c.queue, deliveries.c.state)
        counted = select(*columns, func.count(), func.sum(failures)).group_by(*columns)
        found: dict[str, QueueCounts] = {}
        with self._ledger.read() as connection:
            rows = connection.execute(counted).all()
        for queue, state, count, attempts in rows:
            known = found.get(queue, QueueCounts())
            failed = attempts - (count if state == DeliveryState.DELIVERED else 0)
            known = replace(known, failed_attempts=known.failed_attempts + failed)
            found[queue] = replace(known, **{str(state): count})
        return found

    def statuses(
        self,
        *,
        number_id: int | None = None,
        state: DeliveryState | None = None,
        limit: int = 100,
    ) -> list[DeliveryStatus]:
        """Deliveries, of one task (by its id) or in one state, the newest first."""
        found = select(deliveries).order_by(deliveries.c.seq.desc()).limit(limit)
        if number_id is not None:
            found = found.where(deliveries.c.task_id == number_id)
        if state is not None:
            found = found.where(deliveries.c.state == state.value)
        with self._ledger.read() as connection:
            return [status_of(row) for row in rows_of(connection.execute(found))]

    def _delivery(self, connection: Connection, row: Mapping[str, Any], now: int) -> Delivery:
        of_task = and_(deliveries.c.task_id == row["task_id"], deliveries.c.queue == row["queue"])
        first = connection.execute(
            select(deliveries.c.id).where(of_task).order_by(deliveries.c.revision).limit(1)
        ).scalar_one()
        # A ticket may have been moved since.
        known = (
            ref_of(connection, row["task_id"], row["queue"])
            or connection.execute(
                select(deliveries.c.external_ref)
                .where(of_task, deliveries.c.external_ref.is_not(None))
                .order_by(deliveries.c.revision.desc())
                .limit(1)
            ).scalar_one_or_none()
        )
        carried = connection.execute(
            select(evidence.c.document)
            .where(evidence.c.task_id == row["task_id"], evidence.c.revision == row["revision"])
            .order_by(evidence.c.id)
        ).scalars()
        task, action = task_from_row(row["snapshot"]), DeliveryAction(row["action"])
        return Delivery(
            id=row["id"],
            thread_id=first,
            queue=row["queue"],
            action=action,
            revision=row["revision"],
            reason=row["reason"],
            text=row["text"],
            task=replace(task, evidence=tuple(carried)),
            created_at=row["created_at"],
            attempt=row["attempts"] + 1,
            sent_at=now,
            external_ref=known,
            external_url=self._external_url,
            **alerts_of(row["snapshot"], task, action),
        )


def _owed_to(queue: str) -> ColumnElement[bool]:
    return and_(deliveries.c.queue == queue, deliveries.c.state == DeliveryState.OWED.value)


def _first_owed_to(queue: str) -> ColumnElement[bool]:
    """Of each task only the first: a queue must not hear of an end before the beginning."""
    earlier = deliveries.alias("earlier")
    waits = exists().where(
        earlier.c.task_id == deliveries.c.task_id,
        earlier.c.queue == deliveries.c.queue,
        earlier.c.state == DeliveryState.OWED.value,
        earlier.c.revision < deliveries.c.revision,
    )
    return and_(_owed_to(queue), ~waits)


def _is_owed(delivery_id: str) -> ColumnElement[bool]:
    return and_(deliveries.c.id == delivery_id, deliveries.c.state == DeliveryState.OWED.value)


def _finish(
    connection: Connection,
    delivery_id: str,
    state: DeliveryState,
    at: int,
    *,
    error: str = "",
    external_ref: str | None = None,
) -> Mapping[str, Any] | None:
    """Bring a delivery to its end; None where it was there already."""
    changed = connection.execute(
        update(deliveries)
        .where(_is_owed(delivery_id))
        .values(
            state=state.value, claimed_at=None, done_at=at, error=error, external_ref=external_ref
        )
    )
    if changed.rowcount != 1:
        return None
    found = select(deliveries).where(deliveries.c.id == delivery_id)
    row = rows_of(connection.execute(found))[0]
    disturb(connection, row["task_id"], row["queue"])
    return row


def _note(connection: Connection, task_id: int, entry: TimelineEntry) -> None:
    connection.execute(insert(timeline), [entry_to_row(task_id, entry)])


def status_of(row: Mapping[str, Any]) -> DeliveryStatus:
    """The status that a row of `deliveries` tells."""
    return DeliveryStatus(
        id=row["id"],
        number=number_of(row["task_id"]),
        revision=row["revision"],
        queue=row["queue"],
        action=DeliveryAction(row["action"]),
        state=DeliveryState(row["state"]),
        created_at=row["created_at"],
        due_at=row["due_at"],
        attempts=row["attempts"],
        done_at=row["done_at"],
        error=row["error"],
        external_ref=row["external_ref"],
    )
