"""A keeper and a worker that kill themselves at a given step; run by test_crash.py.

`crash_driver.py URL` reads lines `FOLDER WHEN`: when to die with SIGKILL. WHEN is the number of a
step, or `sent` for the moment between a receiver's answer and noting it, or `never`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from forewarn_collector.queues import BackOff, QueueWorkers, WebhookQueue
from forewarn_collector.rules.alerts import AlertChange, AlertState
from forewarn_collector.tasks import ByRule, Delivery, Ledger, Outbox, Policy, TaskKeeper
from support.alerts import T0, NoEvidence, alert_of, change, rule_of
from support.databases import DATABASES
from support.dying import Steps, serve_lives
from support.waiting import wait_until

RULE = rule_of(group_by=("instance",))


def rounds() -> list[list[AlertChange]]:
    """Three hosts fire, one of them twice over, one returns, all end: 3 tasks, 8 deliveries."""

    def of(name: str, mountpoint: str, state: AlertState, at: int) -> AlertChange:
        alert = alert_of(RULE, {"instance": name, "mountpoint": mountpoint})
        return change(RULE, alert, state, at)

    fires, ends = AlertState.FIRING, AlertState.INACTIVE
    return [
        [of("a", "/", fires, T0), of("b", "/", fires, T0)],
        [of("a", "/home", fires, T0 + 1), of("c", "/", AlertState.PENDING, T0 + 1)],
        [of("b", "/", ends, T0 + 2), of("c", "/", fires, T0 + 2)],
        [of("b", "/", fires, T0 + 3), of("a", "/", ends, T0 + 3)],
        [of("a", "/home", ends, T0 + 4), of("b", "/", ends, T0 + 4), of("c", "/", ends, T0 + 4)],
    ]


class DyingQueue(WebhookQueue):
    """A webhook that may die right before a request, and right after its answer."""

    steps: Steps

    async def deliver(self, delivery: Delivery) -> str | None:
        self.steps.step()
        answer = await super().deliver(delivery)
        self.steps.step("sent")
        return answer


def now() -> int:
    return int(time.time() * 1000)


async def run(folder: Path, url: str, steps: Steps) -> None:
    ledger = Ledger(folder, DATABASES.url(folder))
    ledger.open()
    steps.watch(ledger.engine)
    queue = DyingQueue("support", url)
    queue.steps = steps
    workers = QueueWorkers(ledger, {"support": queue}, now, BackOff(10, 20))
    keeper = TaskKeeper(
        ledger, NoEvidence(), Policy(ByRule("support")), now, lambda _: workers.notify()
    )
    await workers.start()
    # Written after the round, so a round that was applied may be applied again.
    progress = folder / "progress"
    first = int(progress.read_text()) if progress.exists() else 0
    for number, changes in enumerate(rounds()[first:], first + 1):
        await asyncio.to_thread(keeper.apply, changes, changes[0].at)
        steps.step()
        partial = folder / "progress.new"
        partial.write_text(str(number))
        partial.replace(progress)
    outbox = Outbox(ledger)
    await asyncio.to_thread(wait_until, "all is sent", lambda: not outbox.counts()["support"].owed)
    await workers.stop()
    ledger.close()


def live(words: list[str]) -> None:
    folder, fatal = words
    asyncio.run(run(Path(folder), sys.argv[1], Steps(fatal)))


if __name__ == "__main__":
    serve_lives(live)
