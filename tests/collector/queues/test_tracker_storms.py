"""Many problems at once over a bad line: exactly one ticket each, and each remark once."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from forewarn_collector.queues import DeliveryError
from forewarn_collector.queues.tracker import TicketState
from forewarn_collector.tasks import Delivery, DeliveryAction
from support.deliveries import OPEN, RESOLVE, TASK
from support.trackers import STAGES
from support.trackers.faults import Fault, When
from support.trackers.stage import Stage

_PROBLEMS = 24
_FAULTS = (
    *(Fault(when=when) for when in When),
    *(Fault(status=status, when=when) for status in (500, 502, 503, 504) for when in When),
    Fault(status=429, headers={"Retry-After": "1"}),
)


async def carried(stage: Stage, delivery: Delivery, random: Random, count: Counter[str]) -> str:
    """Deliver as the worker does, each attempt over a line that fails every third time."""
    for attempt in range(1, 100):
        if random.random() < 0.4:
            skip = random.randrange(4)
            stage.faults.plan(replace(random.choice(_FAULTS), skip=skip))
        count["attempts"] += 1
        try:
            ref = await stage.queue.deliver(replace(delivery, attempt=attempt))
        except DeliveryError as error:
            if error.permanent:
                raise
            count["failures"] += 1
            continue
        assert ref is not None
        return ref
    raise AssertionError("not taken in 99 attempts")


@pytest.mark.parametrize("kind", ["github", "gitlab", "jira", "jira-server"])
async def test_a_storm_over_a_bad_line_makes_one_ticket_for_each_problem(kind: str) -> None:
    random, count = Random(f"storm {kind}"), Counter[str]()
    async with STAGES[kind]() as stage:

        async def problem(number: int) -> None:
            thread = f"{number:08d}-0000-5000-8000-000000000000"
            task = replace(TASK, id=number, title=f"problem {number}", evidence=())
            opening = replace(OPEN, id=thread, thread_id=thread, task=task)
            ref = await carried(stage, opening, random, count)
            remark = replace(opening, id=f"a{thread}", action=DeliveryAction.UPDATE, text="More.")
            remark = replace(remark, reason="comment", external_ref=ref)
            await carried(stage, remark, random, count)
            task = replace(RESOLVE.task, id=number, resolve_reason="person", evidence=())
            end = replace(RESOLVE, id=f"b{thread}", thread_id=thread, task=task, external_ref=ref)
            await carried(stage, end, random, count)

        for start in range(1, _PROBLEMS + 1, 8):
            await asyncio.gather(*(problem(number) for number in range(start, start + 8)))
        stage.faults.clear()
        tickets = await stage.world.tickets()
    assert len({ticket.title for ticket in tickets}) == len(tickets) == _PROBLEMS
    assert {len(ticket.comments) for ticket in tickets} == {2}
    assert {ticket.state for ticket in tickets} == {TicketState.CLOSED}
    # The line was bad indeed.
    assert count["failures"] > _PROBLEMS / 2
