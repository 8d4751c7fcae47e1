"""The workers: what is owed arrives, in order, once, however the queues behave."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
import pytest_asyncio
from aiohttp import web

from forewarn_collector.queues import BackOff, DeliveryError, Queue, QueueWorkers, WebhookQueue
from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.tasks import (
    Actor,
    AuditLog,
    Delivery,
    DeliveryState,
    LedgerError,
    Outbox,
    TaskCommands,
    TaskQueries,
    TimelineKind,
)
from forewarn_collector.tasks.delivery_log import DeliveryLog, NotDeadError
from forewarn_wire.document import Section
from support.alerts import T0, Desk, alert_of, change, rule_of
from support.deliveries import Posted, webhook_receiver
from support.waiting import wait_until

FIRING, INACTIVE = AlertState.FIRING, AlertState.INACTIVE
FAST = BackOff(first=20, most=40)
RULE = rule_of()


def now() -> int:
    return int(time.time() * 1000)


@dataclass
class Bench:
    """A queue that raises or returns its `outcomes` in turn, the last for ever."""

    kind: ClassVar[str] = "bench"
    outcomes: list[object] = field(default_factory=lambda: [None])
    taken: list[Delivery] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event | None = None

    @classmethod
    def from_section(cls, name: str, section: Section, environ: Mapping[str, str]) -> Bench:
        return cls()

    async def deliver(self, delivery: Delivery) -> str | None:
        self.taken.append(delivery)
        self.changed.set()
        if self.gate is not None:
            await self.gate.wait()
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        assert outcome is None or isinstance(outcome, str)
        return outcome

    async def close(self) -> None: ...

    async def count(self, number: int) -> None:
        async with asyncio.timeout(10):
            while len(self.taken) < number:
                self.changed.clear()
                await self.changed.wait()


@pytest_asyncio.fixture
async def desk(tmp_path: Path, each_database: str) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


@asynccontextmanager
async def workers(desk: Desk, **queues: Queue) -> AsyncIterator[QueueWorkers]:
    running = QueueWorkers(desk.ledger, queues, now, FAST)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


async def until(what: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_until, "the ledger shows it", what, 10, 0.005)


def fire(desk: Desk, instance: str = "a", at: int = T0, **task: object) -> None:
    rule = rule_of(**task)
    desk.apply(change(rule, alert_of(rule, {"instance": instance}), FIRING, at))


def end(desk: Desk, instance: str = "a", at: int = T0 + 1) -> None:
    desk.apply(change(RULE, alert_of(RULE, {"instance": instance}), INACTIVE, at))


def states(desk: Desk) -> list[DeliveryState]:
    return [status.state for status in reversed(Outbox(desk.ledger).statuses())]


async def test_what_is_owed_at_the_start_is_sent_and_noted(desk: Desk) -> None:
    fire(desk)
    queue = Bench(outcomes=["TICKET-9"])
    async with workers(desk, support=queue):
        await until(lambda: states(desk) == [DeliveryState.DELIVERED])
    task = TaskQueries(desk.ledger).one("FW-1")
    assert task.delivered_at is not None
    assert task.timeline[-1].kind is TimelineKind.DELIVERED
    assert "TICKET-9" in task.timeline[-1].text


async def test_a_notice_from_another_thread_wakes_the_worker(desk: Desk) -> None:
    queue = Bench()
    async with workers(desk, support=queue) as running:

        def write() -> None:
            fire(desk)
            running.notify()

        thread = threading.Thread(target=write)
        thread.start()
        await queue.count(1)
        await asyncio.to_thread(thread.join)


async def test_a_notice_is_harmless_before_the_start_and_after_the_end(desk: Desk) -> None:
    running = QueueWorkers(desk.ledger, {"support": Bench()}, now)
    running.notify()
    await running.start()
    await running.stop()
    running.notify()


async def test_a_task_is_told_in_order_also_when_an_attempt_fails(desk: Desk) -> None:
    fire(desk)
    TaskCommands(desk.ledger, desk.told.extend).acknowledge("FW-1", "ann", T0)
    end(desk)
    later = DeliveryError("later", permanent=False)
    queue = Bench(outcomes=[later, later, "TICKET-1", None])
    async with workers(desk, support=queue):
        await until(lambda: states(desk) == [DeliveryState.DELIVERED] * 3)
    assert [(d.action.value, d.attempt) for d in queue.taken] == [
        ("open", 1),
        ("open", 2),
        ("open", 3),
        ("update", 1),
        ("resolve", 1),
    ]
    assert len({delivery.id for delivery in queue.taken}) == 3
    # What the queue called it comes along from then on, and the thread is the first delivery.
    assert [d.external_ref for d in queue.taken[-2:]] == ["TICKET-1", "TICKET-1"]
    assert {d.thread_id for d in queue.taken} == {queue.taken[0].id}


async def test_each_delivery_shows_the_task_as_it_was_then(desk: Desk) -> None:
    fire(desk)
    end(desk)
    queue = Bench()
    async with workers(desk, support=queue):
        await queue.count(2)
    assert [(d.task.state.value, d.task.revision) for d in queue.taken] == [
        ("open", 1),
        ("resolved", 2),
    ]
    assert [len(d.task.evidence) for d in queue.taken] == [1, 0]


async def test_what_is_refused_for_good_is_seen_and_holds_nothing_up(desk: Desk) -> None:
    fire(desk)
    end(desk)
    queue = Bench(outcomes=[DeliveryError("no such project", permanent=True), None])
    async with workers(desk, support=queue) as running:
        await until(lambda: states(desk) == [DeliveryState.DEAD, DeliveryState.DELIVERED])
        outbox = Outbox(desk.ledger)
        (dead,) = outbox.statuses(state=DeliveryState.DEAD)
        assert (dead.number, dead.error, dead.attempts) == ("FW-1", "no such project", 1)
        kinds = [entry.kind for entry in TaskQueries(desk.ledger).one("FW-1").timeline]
        assert TimelineKind.UNDELIVERABLE in kinds
        counts = outbox.counts()["support"]
        assert (counts.owed, counts.delivered, counts.dead) == (0, 1, 1)
        assert counts.failed_attempts == 1
        # Once the project is there, it can be sent after all.
        log = DeliveryLog(desk.ledger)
        assert log.revive("support", dead.id, Actor("ann", "admin"), now()).state == "owed"
        with pytest.raises(NotDeadError):
            log.revive("support", dead.id, Actor("ann", "admin"), now())
        (entry,) = AuditLog(desk.ledger).list(who="ann")
        assert (entry.action, entry.object) == ("delivery revived", "FW-1")
        assert entry.detail["delivery"] == dead.id
        running.notify()
        await until(lambda: states(desk) == [DeliveryState.DELIVERED] * 2)
    assert queue.taken[0].id == queue.taken[2].id


async def test_a_slow_queue_holds_up_no_other(desk: Desk) -> None:
    fire(desk, queue="slow")
    fire(desk, "b", queue="quick")
    slow, quick = Bench(gate=asyncio.Event()), Bench()
    async with workers(desk, slow=slow, quick=quick):
        await slow.count(1)
        await quick.count(1)
        assert slow.gate is not None
        slow.gate.set()
        await until(lambda: states(desk) == [DeliveryState.DELIVERED] * 2)


async def test_a_task_that_a_queue_rejects_holds_up_no_other_task(desk: Desk) -> None:
    fire(desk)
    fire(desk, "b")
    queue = Bench(outcomes=[DeliveryError("busy", permanent=False, retry_after=3_600_000), None])
    async with workers(desk, support=queue):
        await until(lambda: states(desk)[1] is DeliveryState.DELIVERED)
    assert states(desk) == [DeliveryState.OWED, DeliveryState.DELIVERED]


async def test_retry_after_is_obeyed(desk: Desk) -> None:
    fire(desk)
    queue = Bench(outcomes=[DeliveryError("busy", permanent=False, retry_after=300), None])
    async with workers(desk, support=queue):
        began = time.monotonic()
        await queue.count(2)
        assert time.monotonic() - began >= 0.29


async def test_an_error_of_our_own_is_retried_and_ends_no_worker(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    fire(desk)
    queue = Bench(outcomes=[KeyError("ours"), None])
    async with workers(desk, support=queue):
        await until(lambda: states(desk) == [DeliveryState.DELIVERED])
    assert "failed unexpectedly" in caplog.text


async def test_what_was_on_its_way_at_a_crash_is_sent_again_as_the_same(desk: Desk) -> None:
    fire(desk)
    outbox = Outbox(desk.ledger)
    (delivery,) = outbox.due_deliveries("support", now(), 10)
    assert outbox.claim(delivery, now())
    assert not outbox.claim(delivery, now())
    assert outbox.due_deliveries("support", now(), 10) == []
    queue = Bench()
    async with workers(desk, support=queue):
        await queue.count(1)
    assert (queue.taken[0].id, queue.taken[0].attempt) == (delivery.id, 2)


async def test_stopping_lets_what_is_on_its_way_arrive(desk: Desk) -> None:
    fire(desk)
    queue = Bench(gate=asyncio.Event())
    running = QueueWorkers(desk.ledger, {"support": queue}, now, FAST)
    await running.start()
    await queue.count(1)
    stopping = asyncio.create_task(running.stop())
    assert queue.gate is not None
    queue.gate.set()
    await stopping
    assert states(desk) == [DeliveryState.DELIVERED]


async def test_a_ledger_that_cannot_note_a_success_is_asked_until_it_can(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    fire(desk)
    real, failures = Outbox.delivered, [1, 2]

    def full_for_a_while(self: Outbox, *noted: Any) -> None:
        if failures:
            failures.pop()
            raise LedgerError("disk full", retryable=True)
        real(self, *noted)

    monkeypatch.setattr(Outbox, "delivered", full_for_a_while)
    queue = Bench()
    async with workers(desk, support=queue):
        await until(lambda: states(desk) == [DeliveryState.DELIVERED])
    assert len(queue.taken) == 1


async def test_a_ledger_that_cannot_be_read_is_asked_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fire(desk)
    real, failures = Outbox.due_deliveries, [1, 2]

    def locked_for_a_while(self: Outbox, queue: str, at: int, limit: int) -> list[Delivery]:
        if failures:
            failures.pop()
            raise LedgerError("locked", retryable=True)
        return real(self, queue, at, limit)

    monkeypatch.setattr(Outbox, "due_deliveries", locked_for_a_while)
    queue = Bench()
    async with workers(desk, support=queue):
        await queue.count(1)
    assert "waits for the ledger: locked" in caplog.text


async def test_an_idle_worker_asks_the_ledger_for_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = Outbox.due_deliveries

    def counting(self: Outbox, queue: str, at: int, limit: int) -> list[Delivery]:
        asked.append(queue)
        return real(self, queue, at, limit)

    monkeypatch.setattr(Outbox, "due_deliveries", counting)
    fire(desk)
    # Owed to someone not configured, and behind one that waits an hour: both are no reason to look.
    queue = Bench(outcomes=[DeliveryError("busy", permanent=False, retry_after=3_600_000)])
    fire(desk, "b", queue="elsewhere")
    end(desk)
    async with workers(desk, support=queue):
        await queue.count(1)
        await asyncio.sleep(0.3)
    assert len(asked) <= 3


async def test_deliveries_owed_to_no_queue_are_warned_of(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    fire(desk, queue="elsewhere")
    async with workers(desk, support=Bench()):
        pass
    assert "1 deliveries are owed to the queue elsewhere, which is not configured" in caplog.text


async def test_a_real_receiver_gets_each_delivery_once_over_lost_answers(desk: Desk) -> None:
    for number in range(10):
        fire(desk, f"host{number}")
    async with webhook_receiver() as receiver:
        seen: dict[str, bytes] = {}

        async def take_but_say_no(posted: Posted) -> web.StreamResponse:
            key = posted.headers["Idempotency-Key"]
            if key not in seen:
                seen[key] = posted.raw
                return web.Response(status=500)
            assert seen[key] == posted.raw
            return web.Response(status=200)

        receiver.answer = take_but_say_no
        queue = WebhookQueue("support", receiver.url)
        async with workers(desk, support=queue):
            await until(lambda: set(states(desk)) == {DeliveryState.DELIVERED})
    assert len(seen) == 10
    assert len(receiver.posted) == 20


def test_back_off_doubles_with_jitter_up_to_its_most() -> None:
    back_off = BackOff(first=1_000, most=60_000)
    for attempt, least, most in ((1, 500, 1_000), (2, 1_000, 2_000), (7, 30_000, 60_000)):
        assert all(least <= back_off.after(attempt, None) <= most for _ in range(50))
    assert 30_000 <= back_off.after(10_000, None) <= 60_000
    assert 90_000 <= back_off.after(1, 90_000) <= 91_000
    assert back_off.after(1, 0) >= 1_000
    assert len({back_off.after(5, None) for _ in range(50)}) > 10


@dataclass
class Closing(Bench):
    """One that says when it is let go of."""

    closed: int = 0

    async def close(self) -> None:
        assert self.gate is None or self.gate.is_set(), "closed with a delivery on its way"
        self.closed += 1


async def test_queues_come_go_and_change_while_deliveries_are_on_their_way(desk: Desk) -> None:
    before, after = Closing(gate=asyncio.Event()), Closing()
    gone, come = Closing(), Closing()
    fire(desk)
    fire(desk, "b", queue="gone")
    async with workers(desk, support=before, gone=gone) as running:
        await before.count(1)
        await gone.count(1)
        await running.change({"support": after, "come": come}, ["gone"])
        await until(lambda: gone.closed == 1)
        end(desk)
        fire(desk, "c", queue="come")
        fire(desk, "d", queue="gone")
        running.notify()
        await come.count(1)
        # What was on its way arrives once, and only then its queue is let go of.
        assert (before.closed, after.taken) == (0, [])
        assert before.gate is not None
        before.gate.set()
        await after.count(1)
        assert before.closed == 1
    assert [len(each.taken) for each in (before, after, gone, come)] == [1, 1, 1, 1]
    assert (after.closed, come.closed, gone.closed) == (1, 1, 1)


async def test_a_queue_that_is_wrong_is_tried_with_one_delivery_at_a_time(desk: Desk) -> None:
    wrong = DeliveryError("the token is revoked", permanent=False, whole_queue=True)
    queue = Bench(outcomes=[wrong, wrong, wrong, None])
    for instance in "abcdef":
        fire(desk, instance)
    gate = queue.gate = asyncio.Event()
    async with workers(desk, support=queue) as running:
        await queue.count(1)
        # The first look finds all six, and they are on their way already.
        gate.set()
        await queue.count(6)
        await until(lambda: states(desk) == [DeliveryState.DELIVERED] * 6)
    assert len(queue.taken) == 9
    assert running.pauses() == {}


async def test_a_pause_says_why_and_holds_all_that_is_owed(desk: Desk) -> None:
    limited = DeliveryError("slow down", permanent=False, whole_queue=True, retry_after=3_600_000)
    limited_queue, other = Bench(outcomes=[limited]), Bench()
    fire(desk, "a")
    fire(desk, "b", queue="other")
    async with workers(desk, support=limited_queue, other=other) as running:
        await until(lambda: "support" in running.pauses())
        fire(desk, "c", T0 + 1)
        fire(desk, "d", T0 + 1, queue="other")
        running.notify()
        await other.count(2)
    pause = running.pauses()["support"]
    assert pause.why == "slow down"
    assert pause.until >= now() + 3_500_000
    assert len(limited_queue.taken) == 1
