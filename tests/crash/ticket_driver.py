"""A collector's half of tickets that kills itself at a given moment; run by test_tickets.py.

`ticket_driver.py` reads one JSON object per line and life from standard input: the `folder` of the
data, the `tracker`'s address, the ledger's `url` (null: a file in the folder), the `member`, up to
which of the `rounds` of alerts to go (0: only deliver and read), the moment to die (`point`, and at
the how-manieth time, `nth`; empty for never) and a `seed`. Each life
is a child process of its own, forked so that nothing is imported anew. It prints `ended`, or where
it died.

Time flies: a second lasts a millisecond, so that leases and back-offs are over soon.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from forewarn_collector.queues import BackOff, QueueWorkers, TicketReaders
from forewarn_collector.rules.alerts import Alert, AlertChange, AlertState
from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.tasks import (
    STANDING,
    ByRule,
    Ledger,
    LedgerError,
    Outbox,
    Policy,
    TaskCommands,
    TaskFilter,
    TaskKeeper,
    TaskQueries,
    Tickets,
)
from forewarn_collector.tasks.service import BySeverity
from support.alerts import NoEvidence, alert_of, change, rule_of
from support.trackers.model import Call, model_queue, over_http

RULE = rule_of(group_by=("instance",))
HOSTS = "abcd"
SPEED = 1_000
EPOCH = 1_790_000_000_000
SETTINGS = "on_resolve: close\nassignee: {ann: ann, bob: bob}\npoll: 10s"

CALLS = ("find", "create", "comment", "attach", "resolve", "reopen", "read", "comments", "changed")
LEDGER = (
    (Outbox, "claim", "claim"),
    (Outbox, "delivered", "confirm"),
    (Outbox, "failed", "note a failure"),
    (Tickets, "begin_poll", "begin a poll"),
    (Tickets, "polled", "mark"),
    (Tickets, "claim_due", "claim a reading"),
    (Tickets, "apply", "apply"),
)
POINTS = [
    f"{when} {what}"
    for what in (*CALLS, *(name for _, _, name in LEDGER))
    for when in ("before", "after")
]


class Life:
    """Counts how often this process came to each point, and ends it at the one asked for."""

    def __init__(self, point: str, nth: int, say: Path) -> None:
        self._point, self._left, self._say = point, nth, say
        self.polls = 0

    def at(self, point: str) -> None:
        self.polls += point == "after mark"
        if point != self._point:
            return
        self._left -= 1
        if self._left == 0:
            self._say.write_text(point)
            os.kill(os.getpid(), signal.SIGKILL)


class PlottedEvidence(NoEvidence):
    """Evidence of which there is a plot, so that something is attached."""

    def gather(self, wanted: Sequence[tuple[AlertingRule, Alert]], at: int) -> list[dict[str, Any]]:
        series = [{"labels": {}, "samples": [[at - 1_000, "1"], [at, "2"]]}]
        inputs = [{"query": "disk_free", "series": series}]
        return [{**each, "inputs": inputs} for each in super().gather(wanted, at)]


def clock() -> int:
    """Milliseconds, in all lives and processes the same, each shorter than it seems."""
    return EPOCH + int((time.time() * 1000 - EPOCH) * SPEED)


def watched(call: Call, life: Life) -> Call:
    async def watching(name: str, arguments: Mapping[str, Any]) -> Any:
        life.at(f"before {name}")
        answer = await call(name, arguments)
        life.at(f"after {name}")
        return answer

    return watching


def watch_ledger(life: Life) -> None:
    def around(real: Callable[..., Any], name: str) -> Callable[..., Any]:
        @functools.wraps(real)
        def watching(*given: Any, **named: Any) -> Any:
            life.at(f"before {name}")
            answer = real(*given, **named)
            life.at(f"after {name}")
            return answer

        return watching

    for owner, method, name in LEDGER:
        setattr(owner, method, around(getattr(owner, method), name))


def round_of(number: int, seed: int) -> list[AlertChange]:
    """What alerts do in a round: each host fires, or ends, by chance."""
    chance = random.Random(f"{seed} {number}")
    at = clock()
    found = []
    for host in HOSTS:
        if number == 0 or chance.random() < 0.5:
            fires = number == 0 or chance.random() < 0.5
            before = AlertState.INACTIVE if fires else AlertState.FIRING
            alert = alert_of(RULE, {"instance": host}, state=before)
            after = AlertState.FIRING if fires else AlertState.INACTIVE
            found.append(change(RULE, alert, after, at))
    return found


async def work(ledger: Ledger, keeper: TaskKeeper, wanted: Mapping[str, Any]) -> None:
    """The rounds that are left, each noted when it is done; a person says something in between."""
    progress = Path(wanted["folder"]) / "progress"
    first = int(progress.read_text()) if progress.exists() else 0
    commands = TaskCommands(ledger, lambda _: None)
    for number in range(first, wanted["rounds"]):
        await asyncio.to_thread(keeper.apply, round_of(number, wanted["seed"]), clock())
        standing = TaskQueries(ledger).list(TaskFilter(states=STANDING)).tasks
        for task in standing[:2]:
            await asyncio.to_thread(
                commands.comment, task.number, "carl", f"round {number}", clock()
            )
        draft = progress.with_suffix(".new")
        draft.write_text(str(number + 1))
        draft.replace(progress)
        await asyncio.sleep(0.02)


async def live(wanted: Mapping[str, Any], life: Life) -> None:
    url = wanted["url"] and make_url(wanted["url"])
    ledger = Ledger(Path(wanted["folder"]), url, wanted["member"])
    ledger.open()
    watch_ledger(life)
    call, close = over_http(wanted["tracker"])
    queues = {"support": model_queue(watched(call, life), SETTINGS)}
    workers = QueueWorkers(ledger, queues, clock, BackOff(1_000, 20_000))
    readers = TicketReaders(
        ledger, queues, clock, lambda _: None, BySeverity(), BackOff(1_000, 20_000)
    )
    keeper = TaskKeeper(
        ledger,
        PlottedEvidence(),
        Policy(ByRule("support"), damping=None),
        clock,
        lambda _: workers.notify(),
    )
    await workers.start()
    await readers.start()

    async def fly() -> None:
        while True:
            await asyncio.sleep(0.02)
            workers.notify()
            readers.look_now("support")

    flying = asyncio.create_task(fly())
    await work(ledger, keeper, wanted)
    # Until nothing is owed, and all that people did is read: polls that found nothing.
    outbox, tickets = Outbox(ledger), readers.tickets
    wanted_polls = life.polls + 2
    while life.polls < wanted_polls:
        await asyncio.sleep(0.01)
        counts = outbox.counts().get("support")
        due = tickets.next_due("support")
        if counts is None or counts.owed or (due is not None and due <= clock()):
            wanted_polls = life.polls + 2
    flying.cancel()
    await workers.stop()
    await readers.stop()
    await close()
    ledger.close()


def main() -> None:
    for line in sys.stdin:
        wanted = json.loads(line)
        say = Path(wanted["folder"]) / f"died-{wanted['member']}"
        child = os.fork()
        if child == 0:
            life = Life(wanted["point"], wanted["nth"], say)
            try:
                asyncio.run(live(wanted, life))
            except LedgerError as error:
                print(error, file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status and not os.WIFSIGNALED(status):
            sys.exit("a life failed")
        print(say.read_text() if status else "ended", flush=True)


if __name__ == "__main__":
    main()
