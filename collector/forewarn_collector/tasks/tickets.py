"""Reading tickets back: which are to be read, and what was seen applied to their tasks.

A ticket is read by one collector at a time: it is claimed by compare-and-set, and what was seen
counts only while the claim stands. A delivery to the ticket takes the claim away when it ends, and
nothing is read while one is owed: what was seen may be from before our own close or reopen. The
ticket then stays to be read.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from forewarn_collector.tasks.audit import Actor
from forewarn_collector.tasks.ledger import Ledger, chunks
from forewarn_collector.tasks.lifecycle import Draft
from forewarn_collector.tasks.model import Notify, Task
from forewarn_collector.tasks.rows import rows_of, task_from_row
from forewarn_collector.tasks.schema import tasks
from forewarn_collector.tasks.schema_tickets import queue_reads, ticket_comments, tickets
from forewarn_collector.tasks.service import ServiceLevels
from forewarn_collector.tasks.ticket_changes import (
    Known,
    Remark,
    Seen,
    follow,
    is_opened_again,
    lose,
)
from forewarn_collector.tasks.ticket_rows import SWEEP, is_owed, of_ticket
from forewarn_collector.tasks.words import STANDING, TicketState
from forewarn_collector.tasks.work import Work

LEASE = 300_000
"""How long (ms) a reading may take before another collector may begin anew."""
FOLLOWED = 30 * 86_400_000
"""How long (ms) after its task's end a ticket is still looked at, if its tracker lists it."""
OVERLAP = 120_000
"""How far (ms) the tracker's clock may be behind ours, for its list of changes to miss nothing."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A ticket that this collector reads. `task` is without timeline and the like."""

    known: Known
    task: Task
    asked: int
    claimed_at: int

    @property
    def ref(self) -> str:
        """What the tracker calls it."""
        return self.known.ref


@dataclass(frozen=True, slots=True)
class Poll:
    """What to ask a tracker: what of `refs` changed at `since` (ms) or later."""

    since: int
    refs: tuple[str, ...]
    began_at: int


class Tickets:
    """The ledger's side of reading back. Times in ms. Every method may raise LedgerError."""

    def __init__(self, ledger: Ledger, notify: Notify, levels: ServiceLevels) -> None:
        self._ledger = ledger
        self._notify = notify
        self._levels = levels

    def recover(self, queue: str) -> None:
        """Let go of what this collector was reading when it died."""
        mine = and_(tickets.c.queue == queue, tickets.c.claimed_by == self._ledger.member)
        with self._ledger.write() as connection:
            connection.execute(update(tickets).where(mine).values(claimed_at=None))

    def begin_poll(self, queue: str, every: int, now: int) -> Poll | None:
        """Ask for the changes of a queue's tickets, unless somebody did so less than `every` ago.

        None where there is nothing to ask for.
        """
        of_queue = queue_reads.c.queue == queue
        with self._ledger.write() as connection:
            row = connection.execute(select(queue_reads).where(of_queue).with_for_update()).first()
            if row is None:
                found = {"queue": queue, "since": now - OVERLAP, "polled_at": now}
                connection.execute(insert(queue_reads), [found])
            # A clock that was set back must not stop it.
            elif 0 <= now - row.polled_at < every:
                return None
            else:
                connection.execute(update(queue_reads).where(of_queue).values(polled_at=now))
            since = now - OVERLAP if row is None else row.since
            refs = tuple(connection.execute(_followed(queue, now)).scalars())
        return Poll(since, refs, now)

    def polled(self, queue: str, poll: Poll, changed: Collection[str], now: int) -> None:
        """These changed, and are to be read; the next poll asks for what comes after this one."""
        since = max(poll.since, poll.began_at - OVERLAP)
        with self._ledger.write() as connection:
            for refs in chunks(sorted(set(changed) & set(poll.refs))):
                _ask(connection, and_(tickets.c.queue == queue, tickets.c.ref.in_(refs)), now)
            done = update(queue_reads).where(queue_reads.c.queue == queue)
            connection.execute(done.values(since=since))

    def next_due(self, queue: str) -> int | None:
        """When the next ticket is to be read; None where none is."""
        with self._ledger.read() as connection:
            # What another collector reads is ours only when it seems to have died.
            ours = case(
                (tickets.c.claimed_at.is_not(None), tickets.c.claimed_at + LEASE),
                else_=tickets.c.due_at,
            )
            due_at: int | None = connection.execute(
                select(func.min(ours)).where(_readable(queue))
            ).scalar_one()
            return due_at

    def claim_due(self, queue: str, now: int, limit: int) -> list[Reading]:
        """Begin to read tickets that are due, those that wait longest first."""
        free = or_(tickets.c.claimed_at.is_(None), tickets.c.claimed_at <= now - LEASE)
        due = and_(_readable(queue), tickets.c.due_at <= now, free)
        claimed: list[Reading] = []
        with self._ledger.read() as connection:
            if connection.execute(select(tickets.c.task_id).where(due).limit(1)).first() is None:
                return []
        with self._ledger.write() as connection:
            rows = rows_of(
                connection.execute(
                    select(tickets)
                    .where(due)
                    .order_by(tickets.c.due_at, tickets.c.task_id)
                    .limit(limit)
                )
            )
            for row in rows:
                mine = and_(of_ticket(row["task_id"], queue), free)
                values = {"claimed_at": now, "claimed_by": self._ledger.member}
                if connection.execute(update(tickets).where(mine).values(values)).rowcount == 1:
                    known = Known(queue, row["ref"], TicketState(row["state"]), row["assignee"])
                    found = select(tasks).where(tasks.c.id == row["task_id"])
                    task = task_from_row(rows_of(connection.execute(found))[0])
                    claimed.append(Reading(known, task, row["asked"], now))
        return claimed

    def apply(self, reading: Reading, seen: Seen | None, now: int) -> bool:
        """Do to the task what people did to its ticket (None: it is gone), in one transaction.

        False, with nothing done, where what was seen may be outdated; it is read again then.
        """
        task_id, queue = reading.task.id, reading.known.queue
        with self._ledger.write() as connection:
            if not self._holds(connection, reading):
                return False
            owed = select(is_owed_exists(task_id, queue))
            if connection.execute(owed).scalar_one():
                self._release(connection, reading, None)
                return False
            work = Work(self._ledger, connection, now, self._levels, Actor(queue, "queue"))
            work.load([task_id])
            draft = work.drafts[task_id]
            values: dict[str, Any] = {"claimed_at": None, "read_at": now}
            if seen is None:
                lose(draft, reading.known)
                values |= {"gone_at": now, "due_at": None}
            else:
                remarks = _new_remarks(connection, task_id, queue, seen)
                newer = None
                if is_opened_again(reading.known, seen) and not draft.task.state.stands:
                    newer = work.standing_id(draft.task.key)
                follow(draft, reading.known, seen, remarks, newer)
                values |= _as_seen(draft, reading, seen, now)
                _keep_remarks(connection, task_id, queue, remarks)
            connection.execute(update(tickets).where(of_ticket(task_id, queue)).values(values))
            told = work.save()
        if told:
            self._notify(told)
        return True

    def put_off(self, reading: Reading, until: int) -> None:
        """It could not be read; try again at a time (ms)."""
        with self._ledger.write() as connection:
            if self._holds(connection, reading):
                self._release(connection, reading, until)

    def counts(self) -> dict[tuple[str, str], int]:
        """How many tickets stand in each state (`gone` among them), by queue and state."""
        state = case((tickets.c.gone_at.is_not(None), "gone"), else_=tickets.c.state)
        counted = select(tickets.c.queue, state, func.count()).group_by(tickets.c.queue, state)
        with self._ledger.read() as connection:
            return {(row[0], row[1]): row[2] for row in connection.execute(counted).all()}

    def _holds(self, connection: Connection, reading: Reading) -> bool:
        """Whether the claim stands, which nobody can take until this transaction ends."""
        mine = and_(
            of_ticket(reading.task.id, reading.known.queue),
            tickets.c.claimed_at == reading.claimed_at,
            tickets.c.claimed_by == self._ledger.member,
        )
        same = update(tickets).where(mine).values(claimed_at=reading.claimed_at)
        return connection.execute(same).rowcount == 1

    def _release(self, connection: Connection, reading: Reading, until: int | None) -> None:
        values: dict[str, Any] = {"claimed_at": None}
        if until is not None:
            values["due_at"] = until
        this = of_ticket(reading.task.id, reading.known.queue)
        connection.execute(update(tickets).where(this).values(values))


def is_owed_exists(task_id: Any, queue: Any) -> ColumnElement[bool]:
    """Whether a task's queue is owed anything, or is being given it."""
    return exists().where(is_owed(task_id, queue))


def _readable(queue: str) -> ColumnElement[bool]:
    """Of a queue's tickets those that may be read: nothing is on its way to them."""
    return and_(
        tickets.c.queue == queue,
        tickets.c.due_at.is_not(None),
        ~is_owed_exists(tickets.c.task_id, tickets.c.queue),
    )


def _followed(queue: str, now: int) -> Any:
    ended = func.coalesce(tasks.c.closed_at, tasks.c.resolved_at)
    standing = tasks.c.state.in_([state.value for state in STANDING])
    return (
        select(tickets.c.ref)
        .join(tasks, tasks.c.id == tickets.c.task_id)
        .where(tickets.c.queue == queue, tickets.c.gone_at.is_(None))
        .where(or_(standing, ended > now - FOLLOWED))
        .order_by(tickets.c.task_id)
    )


def _ask(connection: Connection, which: ColumnElement[bool], now: int) -> None:
    """Have tickets read soon; those that are being read, once more."""
    due_at = case((tickets.c.due_at < now, tickets.c.due_at), else_=now)
    values = {"due_at": due_at, "asked": tickets.c.asked + 1}
    there = and_(which, tickets.c.gone_at.is_(None))
    connection.execute(update(tickets).where(there).values(values))


def _new_remarks(connection: Connection, task_id: int, queue: str, seen: Seen) -> list[Remark]:
    of_this = and_(ticket_comments.c.task_id == task_id, ticket_comments.c.queue == queue)
    known = set(connection.execute(select(ticket_comments.c.comment_id).where(of_this)).scalars())
    found: dict[str, Remark] = {}
    for remark in seen.remarks:
        if remark.id not in known:
            found.setdefault(remark.id, remark)
    return list(found.values())


def _keep_remarks(
    connection: Connection, task_id: int, queue: str, remarks: Collection[Remark]
) -> None:
    rows = [{"task_id": task_id, "queue": queue, "comment_id": each.id} for each in remarks]
    if rows:
        connection.execute(insert(ticket_comments), rows)


def _as_seen(draft: Draft, reading: Reading, seen: Seen, now: int) -> dict[str, Any]:
    """What the row of a ticket is to be, now that its task has followed."""
    closed = seen.state is TicketState.CLOSED
    # Somebody who asked meanwhile knows of something that this reading may not have seen.
    asked_again = tickets.c.asked != reading.asked
    stands, known = draft.task.state.stands, reading.known
    swept = now + SWEEP if stands else None
    return {
        "ref": seen.ref,
        "url": seen.url,
        "state": seen.state.value,
        "outcome": seen.outcome.value if closed else "",
        # Whose the ticket became while its task was over counts when the task stands again.
        "assignee": seen.assignee if draft.loaded.state.stands or stands else known.assignee,
        "due_at": case((asked_again, tickets.c.due_at), else_=swept),
    }
