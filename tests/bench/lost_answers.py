"""Real ticket systems whose answers get lost by chance: tickets and remarks owed, and made.

python tests/bench/lost_answers.py [PROBLEMS] [SEED]: each problem is three deliveries (a ticket, a
remark, its end), and most of those meet a fault: a connection that breaks, an error or nonsense in
place of an answer, before the tracker has the request or after.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from forewarn_collector.queues import DeliveryError
from forewarn_collector.queues.tracker import TicketState
from forewarn_collector.tasks import Delivery, DeliveryAction
from support.deliveries import OPEN, RESOLVE, TASK
from support.trackers import STAGES
from support.trackers.faults import READS, WRITES, Fault, When
from support.trackers.real import REAL
from support.trackers.stage import Stage

FAULTY = 0.8
"""The share of deliveries that meet a fault."""
_BODIES = (b"", b"<html>Sign in</html>", b'{"half":', b"{}", b"[]")


def fault_by(chance: random.Random) -> Fault:
    """A fault of one of a delivery's requests."""
    status = chance.choice((0, 0, 200, 500, 502, 503, 504))
    return Fault(
        status=status,
        body=chance.choice(_BODIES) if status == 200 else b"",
        when=chance.choice(list(When)),
        methods=chance.choice((READS, WRITES, WRITES, WRITES)),
        skip=chance.randrange(3),
    )


def deliveries_of(number: int) -> tuple[Delivery, ...]:
    """A problem's three deliveries."""
    task = replace(TASK, id=number)
    thread = f"{number:08d}-0000-5000-8000-000000000000"
    ids = [f"{number:08d}-000{which}-5000-8000-000000000000" for which in range(3)]
    said = replace(
        OPEN,
        id=ids[1],
        thread_id=thread,
        action=DeliveryAction.UPDATE,
        reason="comment",
        text="ann: I look at it.",
        task=replace(task, evidence=()),
    )
    ended = replace(RESOLVE.task, id=number, resolve_reason="person", resolved_by="ann")
    return (
        replace(OPEN, id=thread, thread_id=thread, task=task),
        said,
        replace(RESOLVE, id=ids[2], thread_id=thread, task=ended),
    )


async def deliver(stage: Stage, delivery: Delivery, ref: str | None, counts: Counter[str]) -> str:
    """Deliver as the worker does, until it is taken."""
    for attempt in range(1, 20):
        counts["attempts"] += 1
        try:
            given = replace(delivery, external_ref=ref, attempt=attempt)
            taken = await stage.queue.deliver(given)
        except DeliveryError as error:
            counts["attempts that failed"] += 1
            if error.permanent:
                raise
            continue
        assert taken is not None
        return taken
    raise AssertionError("not taken in 20 attempts")


async def run(name: str, problems: int, seed: int) -> None:
    """One tracker: its counts."""
    chance = random.Random(seed)
    counts: Counter[str] = Counter()
    async with STAGES[name]() as stage:
        for number in range(1, problems + 1):
            ref = None
            for delivery in deliveries_of(number):
                stage.faults.clear()
                if chance.random() < FAULTY:
                    stage.faults.plan(fault_by(chance))
                counts["deliveries"] += 1
                ref = await deliver(stage, delivery, ref, counts)
        tickets = await stage.world.tickets()
    remarks = sum(len(ticket.comments) for ticket in tickets)
    files = sum(len(ticket.files) for ticket in tickets)
    closed = sum(ticket.state is TicketState.CLOSED for ticket in tickets)
    said = ", ".join(f"{count} {what}" for what, count in counts.items())
    print(f"{name}: {said}")
    print(f"  tickets owed {problems}, made {len(tickets)}, closed {closed}")
    print(f"  remarks owed {2 * problems}, made {remarks}; plots owed {problems}, made {files}")
    assert len(tickets) == closed == files == problems
    assert remarks == 2 * problems


def main() -> None:
    """Every real ticket system."""
    problems = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    try:
        for name in STAGES:
            if name.endswith("-real"):
                asyncio.run(run(name, problems, seed))
    finally:
        REAL.close()


if __name__ == "__main__":
    main()
