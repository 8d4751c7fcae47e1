"""The collector is killed between any two steps, and answers are lost: one ticket per problem.

Real processes are killed with SIGKILL; the tracker is a model of one in this process, over HTTP,
and people use it meanwhile. Settings of the environment: `FOREWARN_TICKET_CRASH` is how often to
kill (else 20), `FOREWARN_TICKET_CRASH_SEED` repeats a run.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from crash.ticket_driver import POINTS, clock
from forewarn_collector.queues.ticket_queue import marker_of
from forewarn_collector.queues.tracker import TicketState
from forewarn_collector.tasks import Ledger, Task, TaskFilter, TaskQueries, TimelineKind
from forewarn_collector.tasks.rows import rows_of
from forewarn_collector.tasks.schema import deliveries
from forewarn_collector.tasks.ticket_changes import NOT_REOPENED
from support.databases import DATABASES
from support.trackers.faults import serving
from support.trackers.model import Model, ModelTicket, model_application

DRIVER = Path(__file__).with_name("ticket_driver.py")
KILLS = int(os.environ.get("FOREWARN_TICKET_CRASH", "20"))
SEED = int(os.environ.get("FOREWARN_TICKET_CRASH_SEED", "11"))
KILLS_PER_LEDGER = 30
LOST = 0.06
"""The share of requests whose answer is lost after they were carried out."""
ACTS = 0.12
"""After what share of requests a person does something."""
PEOPLE = ("ann", "bob", "zoe")


@dataclass
class Totals:
    """What all runs of this module came to."""

    kills: Counter[str] = field(default_factory=Counter)
    aims: Counter[str] = field(default_factory=Counter)
    lives: int = 0
    lost: int = 0
    attempts: int = 0
    delivered: int = 0
    tickets_owed: int = 0
    tickets_made: int = 0
    remarks_owed: int = 0
    remarks_made: int = 0
    people: Counter[str] = field(default_factory=Counter)
    read_back: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        read = ", ".join(f"{count} {what}" for what, count in sorted(self.read_back.items()))
        acts = ", ".join(f"{count} {what}" for what, count in sorted(self.people.items()))
        return (
            f"{sum(self.kills.values())} kills at {len(self.kills)} points in {self.lives} lives,"
            f" {self.lost} answers lost; {self.attempts} attempts, {self.delivered} deliveries;"
            f" tickets owed {self.tickets_owed}, made {self.tickets_made};"
            f" remarks owed {self.remarks_owed}, made {self.remarks_made};"
            f" people did: {acts}; read back: {read}"
        )


class Town:
    """The tracker with its people, who act by chance after what we ask of it."""

    def __init__(self, chance: random.Random, totals: Totals) -> None:
        self.model = Model(clock)
        self.said: list[tuple[str, str]] = []
        self._chance = chance
        self._totals = totals
        self.is_open = True

    def after(self, name: str) -> bool:
        """A request was carried out; whether its answer is lost."""
        if not self.is_open:
            return False
        if self._chance.random() < ACTS and self.model.tickets:
            self._act(self._chance.choice(list(self.model.tickets.values())))
        lost = self._chance.random() < LOST
        self._totals.lost += lost
        return lost

    def _act(self, ticket: ModelTicket) -> None:
        who, ref = self._chance.choice(PEOPLE), ticket.ref
        what = self._chance.choice(("comment", "assign", "start", "wait", "close", "reopen"))
        match what:
            case "comment":
                self.said.append((ref, f"{who} says {len(self.said)}"))
                self.model.comment(ref, self.said[-1][1], who=who)
            case "assign":
                self.model.assign(ref, self._chance.choice(("ann", "bob", "")), who)
            case "close":
                outcomes = ("fixed", "fixed", "fixed", "no_action", "duplicate")
                self.model.resolve(ref, self._chance.choice(outcomes), who=who)
            case "reopen":
                self.model.reopen(ref, who=who)
            case _ if ticket.state == "closed":
                return
            case "start":
                self.model.set_state(ref, TicketState.IN_PROGRESS, who)
            case "wait":
                self.model.set_state(ref, TicketState.WAITING, who)
        self._totals.people[what] += 1


class Driver:
    """The process that lives and dies as it is told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def live(self, **wanted: Any) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(wanted)}\n".encode())
        async with asyncio.timeout(60):
            return (await self._process.stdout.readline()).decode().strip()


@asynccontextmanager
async def driver() -> AsyncIterator[Driver]:
    tests = str(Path(__file__).parents[1])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(DRIVER),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": tests},
    )
    try:
        yield Driver(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        assert await process.wait() == 0


@pytest.fixture(scope="module")
def totals() -> Iterator[Totals]:
    found = Totals()
    yield found
    print(f"\n{found}")


@pytest.fixture(scope="module", autouse=True)
def _databases() -> Iterator[None]:
    yield
    DATABASES.close()


def check(folder: Path, url: URL | None, town: Town, totals: Totals) -> None:
    """What holds when all is delivered and read."""
    ledger = Ledger(folder, url)
    ledger.open()
    try:
        queries = TaskQueries(ledger)
        tasks = [queries.one(each.number) for each in queries.list(TaskFilter(), limit=999).tasks]
        with ledger.read() as connection:
            owed = rows_of(connection.execute(deliveries.select().order_by(deliveries.c.seq)))
    finally:
        ledger.close()
    assert {row["state"] for row in owed} == {"delivered"}
    tickets = town.model.tickets
    # One ticket for each task, and it is the one that the task knows.
    assert len(tickets) == len(tasks)
    of_task = {task.id: tickets[task.tickets[0].ref] for task in tasks}
    assert len({ticket.ref for ticket in of_task.values()}) == len(tasks)
    check_remarks(owed, of_task)
    check_people(tasks, of_task, town)
    totals.attempts += sum(row["attempts"] for row in owed)
    totals.delivered += len(owed)
    totals.tickets_owed += len(tasks)
    totals.tickets_made += len(tickets)
    for task in tasks:
        for entry in task.timeline:
            if entry.who.endswith("(support)"):
                totals.read_back[entry.kind.value] += 1
    remarks = [c for ticket in tickets.values() for c in ticket.comments if c["marker"]]
    totals.remarks_owed += sum(row["action"] != "open" for row in owed)
    totals.remarks_made += len(remarks)


def check_remarks(owed: list[dict[str, Any]], of_task: Mapping[int, ModelTicket]) -> None:
    for task_id, ticket in of_task.items():
        mine = [row for row in owed if row["task_id"] == task_id]
        assert ticket.marker == marker_of(mine[0]["id"])
        # Each delivery after the first is one remark, in the order in which they were owed.
        wanted = [marker_of(row["id"]) for row in mine if row["action"] != "open"]
        assert [c["marker"] for c in ticket.comments if c["marker"]] == wanted
        plots = [row["revision"] for row in mine if row["action"] in {"open", "reopen"}]
        assert ticket.files == [f"FW-{task_id}-r{revision}.svg" for revision in plots]


def check_people(tasks: list[Task], of_task: Mapping[int, ModelTicket], town: Town) -> None:
    for task in tasks:
        ticket = of_task[task.id]
        said = [
            entry.text
            for entry in task.timeline
            if entry.kind is TimelineKind.COMMENT and entry.who.endswith("(support)")
        ]
        assert sorted(said) == sorted(text for ref, text in town.said if ref == ticket.ref)
        # Ticket and task agree, but for one that was opened again while a newer task stood.
        refused = any(entry.reason == NOT_REOPENED for entry in task.timeline)
        assert (ticket.state == "closed") == (not task.state.stands) or (
            refused and not task.state.stands
        )
        if task.state.stands:
            assert task.assignee == ticket.assignee


@dataclass
class Collector:
    """One of those that share a ledger, and what it is told."""

    work: Driver
    folder: Path
    address: str
    url: URL | None
    member: str = "one"

    async def live(self, rounds: int, point: str = "", nth: int = 1) -> str:
        shown = None if self.url is None else self.url.render_as_string(hide_password=False)
        return await self.work.live(
            folder=str(self.folder),
            tracker=self.address,
            url=shown,
            member=self.member,
            rounds=rounds,
            seed=SEED,
            point=point,
            nth=nth,
        )

    async def die(self, chance: random.Random, totals: Totals, kills: int, rounds: int) -> int:
        """Live until it was killed so often; how many `rounds` there are by then."""
        killed = 0
        while killed < kills:
            # In turn, the rarest first, so that each is hit; those that do not come, less often.
            point = min(POINTS, key=lambda each: (totals.aims[each], chance.random()))
            totals.aims[point] += 1
            totals.lives += 1
            end = await self.live(rounds, point, chance.choice((1, 1, 1, 2)))
            if end == "ended":
                # There was no such moment: there is more to do in the next life.
                rounds += 2 if rounds else 0
            else:
                totals.kills[end] += 1
                killed += 1
        return rounds


async def run(
    collectors: Callable[[str], list[Collector]],
    chance: random.Random,
    totals: Totals,
    kills: int,
) -> None:
    """One ledger from its first life to its last. The first collector has the alerts."""
    town = Town(chance, totals)
    async with serving(model_application(town.model, town.after)) as address:
        first, *others = collectors(address)
        rounds, *_ = await asyncio.gather(
            first.die(chance, totals, kills, 4),
            *(other.die(chance, totals, kills, 0) for other in others),
        )
        await asyncio.gather(first.live(rounds), *(other.live(0) for other in others))
        # The people go home, and nothing is lost any more: both sides come to agree, and then rest.
        town.is_open = False
        assert await first.live(rounds) == "ended"
        writes = len(town.model.writes)
        assert await first.live(rounds) == "ended"
        assert len(town.model.writes) == writes
    check(first.folder, first.url, town, totals)


async def test_kills_at_any_step_make_no_second_ticket_and_lose_nothing(
    tmp_path: Path, totals: Totals
) -> None:
    chance = random.Random(SEED)
    async with driver() as work:
        for number in range(0, KILLS, KILLS_PER_LEDGER):
            (folder := tmp_path / str(number)).mkdir()
            kills = min(KILLS_PER_LEDGER, KILLS - number)
            await run(lambda at, f=folder: [Collector(work, f, at, None)], chance, totals, kills)
    assert totals.tickets_owed == totals.tickets_made > 0
    assert totals.remarks_owed == totals.remarks_made > 0
    assert totals.lost > 0


async def test_two_collectors_on_one_ledger_make_each_ticket_once_however_they_die(
    tmp_path: Path, totals: Totals
) -> None:
    DATABASES.kind = "postgresql"
    try:
        url = DATABASES.url(tmp_path)
    finally:
        DATABASES.kind = "sqlite"
    async with driver() as one, driver() as two:
        await run(
            lambda at: [
                Collector(one, tmp_path, at, url),
                Collector(two, tmp_path, at, url, "two"),
            ],
            random.Random(SEED),
            totals,
            max(3, KILLS // 10),
        )
    assert totals.tickets_owed == totals.tickets_made > 0
