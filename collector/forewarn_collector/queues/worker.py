"""What sends: for each queue one worker, which sleeps until something is owed and due.

A worker claims a delivery in the ledger, hands it to the queue, and writes the outcome. Killed in
between, it finds the claim at its next start and sends the delivery again, with the same id.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

from forewarn_collector.queues.base import DeliveryError, Queue
from forewarn_collector.queues.ticket_queue import TicketQueue
from forewarn_collector.queues.tracker_http import SETTLE
from forewarn_collector.tasks import Delivery, Ledger, LedgerError, Outbox, TicketLeft
from forewarn_wire.clock import Clock

log = logging.getLogger(__name__)

_AT_ONCE = 8
"""How many tasks' deliveries one queue is sent side by side."""
_ATTEMPT_SECONDS = 90.0
"""No queue may take longer than this, whatever its own time-out."""
_LONGEST_SLEEP = 60.0
"""The wall clock may be set: look again at least this often (s)."""
_GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class BackOff:
    """How long (ms) to wait before the next attempt: doubling from `first` to `most`."""

    first: int = 1_000
    most: int = 300_000

    def after(self, attempt: int, retry_after: int | None) -> int:
        """The wait after a failed attempt (from 1), with jitter; at least what the queue asked."""
        # Jitter needs no cryptography. It keeps many waiting deliveries from coming as one wave.
        jitter = random.random()  # noqa: S311
        if retry_after is not None:
            return max(retry_after, self.first) + int(self.first * jitter)
        doubled = min(self.most, self.first << min(attempt - 1, 30))
        return doubled // 2 + int(doubled / 2 * jitter)


@dataclass(frozen=True, slots=True)
class Pause:
    """Why a whole queue is left alone, and until when (ms)."""

    until: int
    why: str


class QueueWorkers:
    """The workers of all queues. `start` and `stop` on the event loop; `notify` from anywhere."""

    def __init__(
        self,
        ledger: Ledger,
        queues: Mapping[str, Queue],
        clock: Clock,
        back_off: BackOff | None = None,
        first_delivered: Callable[[int], None] = lambda _: None,
        external_url: str = "",
    ) -> None:
        """`first_delivered` hears how long (ms) after a task opened a queue first took it.

        `external_url` is where people reach the collector.
        """
        self._outbox = Outbox(ledger, external_url)
        self._make = partial(
            _Worker,
            outbox=self._outbox,
            clock=clock,
            back_off=back_off or BackOff(),
            first_delivered=first_delivered,
        )
        self._workers = {name: self._make(name, queue) for name, queue in queues.items()}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Send what is owed from before, then whatever becomes due."""
        self._loop = asyncio.get_running_loop()
        for worker in self._workers.values():
            self._run(worker)
        await self._warn_of_strangers()

    async def change(self, queues: Mapping[str, Queue], gone: Collection[str]) -> None:
        """While they run: these queues are new or others than before, those `gone` are no more.

        What is on its way to a queue arrives, or is sent again by another.
        """
        for name in gone:
            self._workers.pop(name).end()
        for name, queue in queues.items():
            known = self._workers.get(name)
            if known is None:
                self._workers[name] = self._make(name, queue)
                self._run(self._workers[name])
            else:
                known.become(queue)
        await self._warn_of_strangers()

    def _run(self, worker: _Worker) -> None:
        running = asyncio.create_task(worker.run(), name=f"queue {worker.name}")
        self._running.append(running)
        running.add_done_callback(self._running.remove)

    def notify(self) -> None:
        """Say that the ledger may owe something new. Never blocks; harmless at any time."""
        loop = self._loop
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            # The loop has ended, and the workers with it.
            return

    async def stop(self) -> None:
        """Let what is on its way arrive, for a few seconds; the rest stays owed."""
        self._loop = None
        for worker in self._workers.values():
            worker.end()
        running = [*self._running]
        if running:
            await asyncio.wait(running, timeout=_GRACE_SECONDS)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def pauses(self) -> dict[str, Pause]:
        """The queues that are left alone for now, by name."""
        found = {worker.name: worker.pause for worker in self._workers.values()}
        return {name: pause for name, pause in found.items() if pause is not None}

    def _wake(self) -> None:
        for worker in self._workers.values():
            worker.wake()

    async def _warn_of_strangers(self) -> None:
        try:
            counts = await asyncio.to_thread(self._outbox.counts)
        except LedgerError as error:
            log.warning("the deliveries owed can't be counted: %s", error)
            return
        for name, count in counts.items():
            if count.owed and name not in self._workers:
                log.warning(
                    "%d deliveries are owed to the queue %s, which is not configured;"
                    " they wait until it is",
                    count.owed,
                    name,
                )


class _Worker:
    def __init__(
        self,
        name: str,
        queue: Queue,
        outbox: Outbox,
        clock: Clock,
        back_off: BackOff,
        first_delivered: Callable[[int], None],
    ) -> None:
        self._first_delivered = first_delivered
        self.name = name
        self.queue = queue
        self._outbox = outbox
        self._clock = clock
        self._back_off = back_off
        self._woken = asyncio.Event()
        self._ended = asyncio.Event()
        self._troubles = 0
        self._left: list[Queue] = []
        self.pause: Pause | None = None
        """Set while the whole queue is down, limited or wrong: one delivery at a time tries it."""
        self._failures = 0

    def wake(self) -> None:
        self._woken.set()

    def become(self, queue: Queue) -> None:
        """Deliver to this one from now on."""
        self._left.append(self.queue)
        self.queue = queue
        self.pause, self._failures = None, 0
        self._woken.set()

    def end(self) -> None:
        self._ended.set()
        self._woken.set()

    async def run(self) -> None:
        try:
            await self._deliver()
        finally:
            self._left.append(self.queue)
            await self._close_left()

    async def _close_left(self) -> None:
        """Let go of queues that nothing is on its way to any more."""
        while self._left:
            await self._left.pop().close()

    async def _deliver(self) -> None:
        recovered = False
        while not self._ended.is_set():
            # Cleared before looking: what is written after the look wakes us again.
            self._woken.clear()
            await self._close_left()
            try:
                if not recovered:
                    # What was on its way may take effect yet, and must be found then.
                    settle = SETTLE if isinstance(self.queue, TicketQueue) else 0
                    due_at = self._clock() + settle
                    await asyncio.to_thread(self._outbox.recover, self.name, due_at)
                    recovered = True
                if await self._send_due():
                    continue
                next_due = await asyncio.to_thread(self._outbox.next_due, self.name)
                self._troubles = 0
            except LedgerError as error:
                log.warning("queue %s waits for the ledger: %s", self.name, error)
                # An outcome may be unwritten, its claim left behind.
                recovered = False
                await self._pause()
                continue
            await self._sleep(next_due)

    async def _send_due(self) -> bool:
        """Send what is due; whether there was anything."""
        now = self._clock()
        if self.pause is not None and now < self.pause.until:
            return False
        limit = _AT_ONCE if self.pause is None else 1
        due = await asyncio.to_thread(self._outbox.due_deliveries, self.name, now, limit)
        # At most one of each task, so sending them together keeps each task's order.
        results = await asyncio.gather(
            *(self._send(delivery) for delivery in due), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return bool(due)

    async def _send(self, delivery: Delivery) -> None:
        if not await asyncio.to_thread(self._outbox.claim, delivery, self._clock()):
            return
        what = f"{delivery.task.number} {delivery.action.value}"
        try:
            async with asyncio.timeout(_ATTEMPT_SECONDS):
                ref, ticket = await self._hand_over(delivery)
        except DeliveryError as error:
            await self._failed(delivery, what, error)
            return
        except TimeoutError:
            message = f"no end within {_ATTEMPT_SECONDS:g} s"
            await self._failed(delivery, what, DeliveryError(message, permanent=False))
            return
        except Exception as error:
            # A fault of ours in one kind of queue must not end its worker.
            log.exception("queue %s: %s failed unexpectedly", self.name, what)
            message = f"{type(error).__name__}: {error}"
            await self._failed(delivery, what, DeliveryError(message, permanent=False))
            return
        await self._confirm(delivery, ref, ticket)

    async def _hand_over(self, delivery: Delivery) -> tuple[str | None, TicketLeft | None]:
        """The queue's reference, and how it left the ticket where it is a ticket system."""
        if not isinstance(self.queue, TicketQueue):
            return await self.queue.deliver(delivery), None
        ticket = await self.queue.hand_over(delivery)
        return (None if ticket is None else ticket.ref), ticket

    async def _confirm(
        self, delivery: Delivery, ref: str | None, ticket: TicketLeft | None
    ) -> None:
        """Write that it was taken, however long the ledger is out of order: it must go once."""
        if self.pause is not None:
            log.info("queue %s takes deliveries again", self.name)
        self.pause, self._failures = None, 0
        while True:
            try:
                took = await asyncio.to_thread(
                    self._outbox.delivered, delivery.id, ref, self._clock(), ticket
                )
                if took is not None:
                    self._first_delivered(took)
                return
            except LedgerError as error:
                log.warning(
                    "queue %s took %s, but the ledger can't note it: %s",
                    self.name,
                    delivery.task.number,
                    error,
                )
                if self._ended.is_set():
                    return
                await self._pause()

    async def _failed(self, delivery: Delivery, what: str, error: DeliveryError) -> None:
        now = self._clock()
        retry_at = None
        if error.permanent:
            log.error("queue %s refused %s for good: %s", self.name, what, error)
        else:
            attempt = delivery.attempt
            if error.whole_queue:
                # Of the queue's failures, not of this delivery's: a thousand that are owed must not
                # try a token that is revoked a thousand times.
                self._failures += 1
                attempt = self._failures
            wait = self._back_off.after(attempt, error.retry_after)
            retry_at = now + wait
            if error.whole_queue:
                self.pause = Pause(max(retry_at, self.pause.until if self.pause else 0), str(error))
            log.warning(
                "queue %s did not take %s (attempt %d), again in %.1f s: %s",
                self.name,
                what,
                delivery.attempt,
                wait / 1000,
                error,
            )
        await asyncio.to_thread(self._outbox.failed, delivery.id, str(error), retry_at, now)

    async def _sleep(self, next_due: int | None) -> None:
        seconds = _LONGEST_SLEEP
        if next_due is not None:
            if self.pause is not None:
                next_due = max(next_due, self.pause.until)
            # Never shorter than this, so that no mistake in the ledger makes the worker spin.
            seconds = min(seconds, max(0.01, (next_due - self._clock()) / 1000))
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _pause(self) -> None:
        """Wait for trouble with the ledger to pass, or for the end."""
        self._troubles += 1
        seconds = self._back_off.after(self._troubles, None) / 1000
        try:
            async with asyncio.timeout(min(seconds, _LONGEST_SLEEP)):
                await self._ended.wait()
        except TimeoutError:
            return
