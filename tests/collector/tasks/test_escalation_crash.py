"""kill -9 at every statement of an escalation: each step is taken once, and told once."""

from __future__ import annotations

import os
import random
from pathlib import Path

from sqlalchemy import select

from forewarn_collector.tasks.ledger import Ledger
from forewarn_collector.tasks.queries import TaskQueries
from forewarn_collector.tasks.schema import deliveries
from forewarn_collector.tasks.words import TimelineKind
from support.databases import DATABASES
from support.dying import driver_of

DRIVER = Path(__file__).with_name("escalation_driver.py")
KILLS = int(os.environ.get("FOREWARN_KILLS", "6"))


def test_each_step_is_taken_once_wherever_the_collector_dies(
    tmp_path: Path, each_database: str
) -> None:
    kills = KILLS if each_database == "sqlite" else KILLS // 2
    chance = random.Random(7)

    def folder(name: object) -> Path:
        made = tmp_path / str(name)
        made.mkdir()
        return made

    with driver_of(DRIVER) as work:
        steps = int(work.live(folder("whole"), 0).removeprefix("ended "))
        check(tmp_path / "whole")
        for fatal in chance.sample(range(1, steps + 1), kills):
            place = folder(fatal)
            assert work.live(place, fatal) == "killed"
            # Once more, soon after the start or not at all, and then to the end.
            work.live(place, chance.randint(1, steps))
            assert work.live(place, 0).startswith("ended")
            check(place)
    print(f"{kills} of {steps} places to die")


def check(folder: Path) -> None:
    ledger = Ledger(folder, DATABASES.url(folder))
    ledger.open()
    task = TaskQueries(ledger).one("FW-1")
    taken = [entry.reason for entry in task.timeline if entry.kind is TimelineKind.ESCALATED]
    assert taken == ["all/remind", "all/hand over", "all/raise"]
    assert (task.severity, task.escalation_step) == ("critical", 3)
    with ledger.read() as connection:
        rows = connection.execute(select(deliveries).order_by(deliveries.c.seq)).all()
    owed = [(row.queue, row.action, row.revision) for row in rows]
    assert sorted(owed) == [
        ("managers", "open", 2),
        ("managers", "update", 3),
        ("managers", "update", 4),
        ("support", "open", 1),
        ("support", "update", 2),
        ("support", "update", 3),
        ("support", "update", 4),
    ]
    ledger.close()
