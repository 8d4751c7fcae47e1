"""A ticket that is closed for good: its problem goes on in another one, and so does its task."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from forewarn_collector.queues import BackOff
from forewarn_collector.queues.ticket_reader import TicketReader
from support.alerts import T0
from support.trackers.stage import Stage
from support.trackers.zendesk import ANN, FakeZendesk, ZendeskWorld, zendesk_stage
from support.two_ways import TwoWays


class Desk:
    """A ledger, its reader and worker, and a Zendesk account whose clock is the collector's."""

    def __init__(self, two: TwoWays, stage: Stage, fake: FakeZendesk) -> None:
        self.two = two
        self.fake = fake
        two.queue = stage.queue
        two.reader = TicketReader(
            "support", stage.queue, two.tickets, two.desk.clock, BackOff(1_000, 60_000)
        )

    def now(self) -> None:
        self.fake.seconds = max(self.fake.seconds, (self.two.later() - T0) // 1000)

    async def deliver(self) -> None:
        self.now()
        await self.two.deliver()

    async def read(self) -> None:
        await self.two.read()
        self.now()


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with zendesk_stage() as stage:
        assert isinstance(stage.world, ZendeskWorld)
        two = TwoWays(tmp_path)
        yield Desk(two, stage, stage.world.fake)
        two.close()


async def test_a_task_goes_on_in_the_follow_up_of_its_ticket(desk: Desk) -> None:
    two, fake = desk.two, desk.fake
    two.fires()
    await desk.deliver()
    await desk.read()
    [first] = fake.tickets
    two.ends()
    await desk.deliver()
    desk.now()
    fake.set(first, status="closed", assignee_id=ANN)
    await desk.read()

    two.fires()
    await desk.deliver()
    [_, after] = fake.tickets
    assert fake.tickets[first]["followup_ids"] == [after]
    assert two.task().state.stands
    assert [ticket.ref for ticket in two.task().tickets] == [str(after)]

    # What people do there reaches the task, and what is told of the task goes there.
    desk.now()
    fake.write(after, ANN, "<p>Old core files again.</p>")
    await desk.read()
    assert any("Old core files again." in text for _, _, text in two.entries())
    two.ends()
    await desk.deliver()
    assert "resolve:" in fake.comments[after][-1]["body"]
    assert two.owed().get("support", 0) == 0
