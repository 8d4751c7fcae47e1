"""kill -9 between any two steps: nothing is lost or doubled, and a resend is known as one."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from pathlib import Path

from forewarn_collector.tasks import Ledger, TaskFilter, TaskQueries, TaskState
from support.databases import DATABASES
from support.deliveries import Posted, webhook_receiver
from support.dying import driver_of

DRIVER = Path(__file__).with_name("crash_driver.py")
KILLS = 18


async def test_kills_at_any_step_lose_nothing_and_double_nothing(
    tmp_path: Path, each_database: str
) -> None:
    kills = KILLS if each_database == "sqlite" else KILLS // 2
    chance = random.Random(7)
    killed = resent = 0
    async with webhook_receiver() as receiver:
        with driver_of(DRIVER, receiver.url) as work:
            # Several lives of one piece of work, each killed until it is done; then a fresh piece.
            while killed < kills:
                folder = tmp_path / str(killed)
                folder.mkdir()
                receiver.posted.clear()
                while True:
                    fatal = chance.choice(["sent", str(chance.randint(30, 120))])
                    when = fatal if killed < kills else "never"
                    async with asyncio.timeout(20):
                        answer = await asyncio.to_thread(work.live, folder, when)
                    if answer.startswith("ended"):
                        break
                    killed += 1
                check_ledger(folder)
                resent += check_receiver(receiver.posted)
    print(f"{killed} kills, {resent} deliveries sent again")
    assert resent > 0


def check_ledger(folder: Path) -> None:
    ledger = Ledger(folder, DATABASES.url(folder))
    ledger.open()
    tasks = sorted(TaskQueries(ledger).list(TaskFilter()).tasks, key=lambda task: task.id)
    assert ledger.load_alerts() == []
    ledger.close()
    # One task each for the hosts a, b and c; b's came back once. All ended.
    assert [dict(task.labels)["instance"] for task in tasks] == ["a", "b", "c"]
    assert [task.reopen_count for task in tasks] == [0, 1, 0]
    assert {task.state for task in tasks} == {TaskState.RESOLVED}


def check_receiver(posted: Sequence[Posted]) -> int:
    """What a receiver that knows its keys has seen; returns how much came again."""
    once: dict[str, bytes] = {}
    told: dict[str, list[str]] = {}
    for request in posted:
        key = request.headers["Idempotency-Key"]
        if key in once:
            assert once[key] == request.raw
            assert int(request.headers["Forewarn-Attempt"]) > 1
            continue
        once[key] = request.raw
        body = json.loads(request.raw)
        told.setdefault(body["task"]["number"], []).append(body["action"])
    assert told == {
        "FW-1": ["open", "resolve"],
        "FW-2": ["open", "resolve", "reopen", "resolve"],
        "FW-3": ["open", "resolve"],
    }
    return len(posted) - len(once)
