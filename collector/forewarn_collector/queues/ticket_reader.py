"""What reads back: for each ticket queue a reader, which asks its tracker what people did.

It asks for the tickets that changed (`poll` of the queue's settings, or at once when the tracker
calls our hook), marks them to be read, reads them, and has the ledger do the same to their tasks.
Killed in between, it goes on where the ledger says. It never writes to the tracker.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from forewarn_collector.queues.base import DeliveryError, Queue
from forewarn_collector.queues.ticket_queue import TicketQueue
from forewarn_collector.queues.tracker import Comment, Ticket
from forewarn_collector.queues.tracker_http import GoneError
from forewarn_collector.queues.worker import BackOff, Pause
from forewarn_collector.tasks import (
    CloseReason,
    Ledger,
    LedgerError,
    Notify,
    ServiceLevels,
    Tickets,
)
from forewarn_collector.tasks.ticket_changes import Remark, Seen
from forewarn_collector.tasks.tickets import Reading
from forewarn_wire.clock import Clock

log = logging.getLogger(__name__)

T = TypeVar("T")

CLOSEST = 5_000
"""How soon (ms) after a poll the next may come, however often the tracker calls."""
MOST_CHANGED = 1_000
"""A list of changes of this length may not have all of them."""

_AT_ONCE = 4
_READ_SECONDS = 90.0
_LONGEST_SLEEP = 60.0
_NEVER = 365 * 86_400_000
_GRACE_SECONDS = 2.0


@dataclass
class ReadCounts:
    """What a reader has done since the start: tickets read, and attempts that failed."""

    reads: int = 0
    errors: int = 0


class TicketReaders:
    """The readers of all ticket queues. `start`, `stop` and `look_now` on the event loop."""

    def __init__(
        self,
        ledger: Ledger,
        queues: Mapping[str, Queue],
        clock: Clock,
        notify: Notify,
        levels: ServiceLevels,
        back_off: BackOff | None = None,
    ) -> None:
        """`notify` hears of what was done to tasks; `levels` say how those escalate."""
        self.tickets = Tickets(ledger, notify, levels)
        self._readers = {
            name: TicketReader(name, queue, self.tickets, clock, back_off or BackOff())
            for name, queue in queues.items()
            if isinstance(queue, TicketQueue)
            and (queue.settings.poll or queue.settings.hook_secret)
        }
        self._running: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to read."""
        self._running = [
            asyncio.create_task(reader.run(), name=f"reader {name}")
            for name, reader in self._readers.items()
        ]

    async def stop(self) -> None:
        """End; what was not applied yet is read again."""
        for reader in self._readers.values():
            reader.end()
        if self._running:
            await asyncio.wait(self._running, timeout=_GRACE_SECONDS)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._running = []

    def look_now(self, queue: str) -> None:
        """Ask a queue's tracker at once, or as soon as it may be asked again."""
        if queue in self._readers:
            self._readers[queue].look_now()

    def pauses(self) -> dict[str, Pause]:
        """The queues whose trackers are left alone for now, by name."""
        found = {name: reader.pause for name, reader in self._readers.items()}
        return {name: pause for name, pause in found.items() if pause is not None}

    def counts(self) -> dict[str, ReadCounts]:
        """What was done since the start, by queue."""
        return {name: reader.counts for name, reader in self._readers.items()}


class TicketReader:
    """The reader of one queue."""

    def __init__(
        self, name: str, queue: TicketQueue, tickets: Tickets, clock: Clock, back_off: BackOff
    ) -> None:
        self.name = name
        self.pause: Pause | None = None
        self.counts = ReadCounts()
        self._queue = queue
        self._tickets = tickets
        self._clock = clock
        self._back_off = back_off
        self._every = queue.settings.poll or _NEVER
        self._polled_at = 0
        self._asked = False
        self._failures = 0
        self._troubles = 0
        self._woken = asyncio.Event()
        self._ended = asyncio.Event()

    def look_now(self) -> None:
        """Poll at once, or as soon as that may be."""
        self._asked = True
        self._woken.set()

    def end(self) -> None:
        """Stop after what is being read."""
        self._ended.set()
        self._woken.set()

    async def run(self) -> None:
        """Poll and read until the end."""
        recovered = False
        while not self._ended.is_set():
            self._woken.clear()
            try:
                if not recovered:
                    await asyncio.to_thread(self._tickets.recover, self.name)
                    recovered = True
                await self.step()
                next_due = await asyncio.to_thread(self._tickets.next_due, self.name)
                self._troubles = 0
            except LedgerError as error:
                log.warning("the reader of %s waits for the ledger: %s", self.name, error)
                recovered = False
                self._troubles += 1
                next_due = self._clock() + self._back_off.after(self._troubles, None)
            await self._sleep(next_due)

    async def step(self) -> None:
        """Poll if it is time to, and read what is due. Raises LedgerError."""
        if self._is_paused():
            return
        try:
            if self._clock() >= self._next_poll():
                await self._poll()
            while await self._read_due() and not self._ended.is_set():
                pass
        except DeliveryError as error:
            self._failed(error)
            return
        if self.pause is not None:
            log.info("the tracker of queue %s answers its reader again", self.name)
        self.pause, self._failures = None, 0

    def _is_paused(self) -> bool:
        return self.pause is not None and self._clock() < self.pause.until

    def _next_poll(self) -> int:
        return self._polled_at + (min(CLOSEST, self._every) if self._asked else self._every)

    async def _poll(self) -> None:
        asked, self._asked = self._asked, False
        now = self._clock()
        self._polled_at = now
        # A little less, so that a poll of ours is never taken for one that came just now.
        every = CLOSEST if asked else self._every
        poll = await asyncio.to_thread(self._tickets.begin_poll, self.name, every * 9 // 10, now)
        if poll is None:
            # Another collector did; what it marked is read by either.
            self._asked = asked
            return
        changed: list[str] = []
        if poll.refs:
            try:
                changed = await self._answer(self._queue.tracker.changed(poll.since, poll.refs))
            except DeliveryError:
                self._asked = asked
                raise
        if len(changed) >= MOST_CHANGED:
            # Which others did is not known.
            changed = list(poll.refs)
        await asyncio.to_thread(self._tickets.polled, self.name, poll, changed, self._clock())

    async def _read_due(self) -> bool:
        """Read some tickets; whether there were any. Raises DeliveryError of the whole queue."""
        due = await asyncio.to_thread(self._tickets.claim_due, self.name, self._clock(), _AT_ONCE)
        results = await asyncio.gather(
            *(self._read(reading) for reading in due), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return bool(due)

    async def _read(self, reading: Reading) -> None:
        try:
            seen = await self._answer(self._see(reading))
        except DeliveryError as error:
            now = self._clock()
            again = now if error.whole_queue else now + self._back_off.most
            await asyncio.to_thread(self._tickets.put_off, reading, again)
            if error.whole_queue:
                raise
            self.counts.errors += 1
            log.warning("queue %s: %s can't be read: %s", self.name, reading.ref, error)
            return
        if await asyncio.to_thread(self._tickets.apply, reading, seen, self._clock()):
            self.counts.reads += 1

    async def _answer(self, asked: Awaitable[T]) -> T:
        """What the tracker answers. Raises DeliveryError, whatever goes wrong."""
        try:
            async with asyncio.timeout(_READ_SECONDS):
                return await asked
        except DeliveryError:
            raise
        except TimeoutError as error:
            said = f"no end within {_READ_SECONDS:g} s"
            raise DeliveryError(said, permanent=False, whole_queue=True) from error
        except Exception as error:
            # A fault of ours in one kind of tracker must not end its reader.
            log.exception("queue %s: reading failed unexpectedly", self.name)
            raise DeliveryError(f"{type(error).__name__}: {error}", permanent=False) from error

    async def _see(self, reading: Reading) -> Seen | None:
        tracker, settings = self._queue.tracker, self._queue.settings
        ticket = await tracker.read(reading.ref)
        if ticket is None:
            # A token that lost a project is told the same of every ticket in it.
            project = settings.fields(reading.task, tracker.longest_title).project
            try:
                await tracker.check(project)
            except GoneError as error:
                said = f"{tracker.project_setting} {project} is gone, or hidden: {error}"
                raise DeliveryError(said, permanent=False, whole_queue=True) from error
            return None
        comments = await tracker.comments(ticket.ref)
        return self._seen(ticket, comments)

    def _seen(self, ticket: Ticket, comments: list[Comment]) -> Seen:
        person = self._queue.settings.person
        return Seen(
            ref=ticket.ref,
            url=self._queue.tracker.link(ticket.ref),
            state=ticket.state,
            outcome=CloseReason(ticket.outcome.value),
            assignee=ticket.assignee,
            person=person(ticket.assignee),
            who=person(ticket.changed_by),
            remarks=tuple(
                Remark(each.id, person(each.who), each.text, each.at)
                for each in comments
                if not each.marker
            ),
        )

    def _failed(self, error: DeliveryError) -> None:
        self.counts.errors += 1
        self._failures += 1
        wait = self._back_off.after(self._failures, error.retry_after)
        self.pause = Pause(self._clock() + wait, str(error))
        log.warning("queue %s can't be read, again in %.1f s: %s", self.name, wait / 1000, error)

    async def _sleep(self, next_due: int | None) -> None:
        due = [self._next_poll(), *([] if next_due is None else [next_due])]
        until = min(due)
        if self.pause is not None:
            until = max(until, self.pause.until)
        # Never shorter than this, so that no mistake in the ledger makes the reader spin.
        seconds = min(_LONGEST_SLEEP, max(0.05, (until - self._clock()) / 1000))
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return
