"""A collector under load is killed again and again; nothing that it acknowledged is lost or doubled.

Settings of the environment: `FOREWARN_CRASH` is how often to kill (else 200), `FOREWARN_CRASH_SEED`
repeats where a run aimed. What a kill hits is a matter of time, so the test counts it.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from crash.lives import EVENT_RETENTION, RETENTION, Death, Found, Lives, lives
from crash.load import Desk, DeskServer, Faults, Sender, now
from crash.phases import Aim, Point
from crash.truth import NOTHING, SERIES, Columns, faults

WANTED = int(os.environ.get("FOREWARN_CRASH", "200"))
SEED = int(os.environ.get("FOREWARN_CRASH_SEED", "5"))
PENDING = 2_000
LONGEST_LIFE = 0.6
BEHIND = (0, 0, 49 * 3_600_000, RETENTION - 10_000)
"""How far (ms) senders are behind: one brings what is of a day that is over, so that days are
merged, and one what is too old soon, so that retention has work."""
PHASES = (
    "start",
    "journal commit",
    "event insert",
    "ledger write",
    "seal: put",
    "seal: drop from the journal",
    "seal: drop from memory",
    "retention",
    "event upkeep",
)
LEAST = min(WANTED // 50, 10)
"""Kills that must have hit each phase."""


@dataclass
class Report:
    """What was seen."""

    kills: int = 0
    looks: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    active_at: dict[str, int] = field(default_factory=dict)
    carried: int = 0
    late: dict[str, int] = field(default_factory=dict)
    tasks: int = 0

    def __str__(self) -> str:
        lines = [f"{self.kills} kills, {self.looks} restarts compared, seed {SEED}"]
        lines += [f"  {name:30} {self.hits[name]:5}" for name in (*PHASES, "nothing of these")]
        lines.append(f"  {self.carried} times an alert was found pending, and went on")
        lines.append(
            f"  {self.tasks} faults had one task each, opened at most"
            f" {max(self.late.values(), default=0)} ms after their `for`"
        )
        return "\n".join(lines)


def aimed(dice: random.Random, hits: Counter[str]) -> Aim:
    """Where the next kill aims: at what was hit least, or at any phase, or at any time."""
    after = dice.uniform(0.1, LONGEST_LIFE)
    kind = dice.random()
    if kind < 0.25:
        return Aim("start", 0, Point.WITHIN, 0, after)
    phase = dice.choice(PHASES) if kind < 0.5 else min(PHASES, key=lambda name: hits[name])
    # A collector starts once.
    nth = 1 if phase == "start" else dice.randint(1, 4)
    point = dice.choice((Point.ENTRY, Point.WITHIN, Point.WITHIN, Point.EXIT))
    return Aim(phase, nth, point, dice.random(), after + LONGEST_LIFE)


@dataclass(frozen=True, slots=True)
class Before:
    """What one sender had sent, and knew to be taken, when no collector lived."""

    sender: int
    columns: Columns
    events: frozenset[str]
    event_times: dict[str, int]


def before_start(senders: list[Sender]) -> list[Before]:
    """What is known of all senders now."""
    return [
        Before(
            sender.sent.sender,
            sender.sent.columns(),
            frozenset(sender.events),
            dict(sender.event_times),
        )
        for sender in senders
    ]


def compare(report: Report, found: Found, known: list[Before], at: int) -> None:
    """What a collector found when it started, at `at` (ms), beside what was known before."""
    report.looks += 1
    since = at - RETENTION
    for before in known:
        for series in range(SERIES):
            stored = found.series.get((before.sender, series), NOTHING)
            where = before.sender, series
            report.wrong += faults(where, before.columns, stored, since)
    report.wrong += event_faults(found, known, at - EVENT_RETENTION)
    report.wrong += [f"damaged: {found.damaged}"] if any(found.damaged) else []
    report.wrong += alert_faults(report, found)


def event_faults(found: Found, known: list[Before], since: int) -> list[str]:
    """Events that are lost, doubled or nobody's."""
    counted = Counter(found.events)
    wrong = [f"event {uid} is there {count} times" for uid, count in counted.items() if count > 1]
    sent = set().union(*(before.event_times for before in known))
    wrong += [f"event {uid} was never sent" for uid in counted.keys() - sent]
    for before in known:
        lost = before.events - counted.keys()
        wrong += [f"event {uid} is lost" for uid in lost if before.event_times[uid] >= since]
    return wrong


def alert_faults(report: Report, found: Found) -> list[str]:
    """Alerts whose `for` began anew or ended at another time, and tasks that are doubled."""
    wrong = []
    for alert in found.alerts:
        instance = dict(alert["labels"])["instance"]
        began = report.active_at.setdefault(instance, alert["active_at"])
        report.carried += alert["state"] == "pending"
        if began != alert["active_at"]:
            wrong.append(f"{instance}: the alert of {began} began anew at {alert['active_at']}")
        if alert["fired_at"] is not None:
            late = alert["fired_at"] - began - PENDING
            report.late[instance] = late
            if late < 0:
                wrong.append(f"{instance} fired {-late} ms too soon")
    owners = Counter(dict(task["labels"])["instance"] for task in found.tasks)
    wrong += [f"{instance} has {count} tasks" for instance, count in owners.items() if count > 1]
    return wrong


def task_faults(found: Found, over: list[str], desk: Desk) -> list[str]:
    """Tasks that are missing or doubled, of faults that came to their end."""
    owners = Counter(dict(task["labels"])["instance"] for task in found.tasks)
    wrong = [f"{name} has {owners[name]} tasks" for name in over if owners[name] != 1]
    wrong += [f"{name} has a task and no fault" for name in owners.keys() - set(over)]
    wrong += [
        f"task {task['id']} is {task['state']}"
        for task in found.tasks
        if task["state"] != "resolved" or task["reopen_count"]
    ]
    for name in over:
        for action in ("open", "resolve"):
            count = desk.ids()[name, action]
            wrong += [f"{name}: {count} deliveries {action}"] if count != 1 else []
    return wrong


def counted_events(data: Path) -> float:
    """What the counter of events stands at, in the file."""
    with closing(sqlite3.connect(data / "store.db")) as connection:
        rows = connection.execute("SELECT labels, value FROM counters").fetchall()
    return sum(value for labels, value in rows if '"crash"' in labels)


@pytest.fixture
def desk() -> Iterator[Desk]:
    with DeskServer() as desk:
        yield desk


def kill_again_and_again(
    report: Report, collectors: Lives, senders: list[Sender], dice: random.Random
) -> None:
    """Start and kill collectors until there were enough kills."""
    while report.kills < WANTED:
        known, at = before_start(senders), now()
        collectors.begin(aimed(dice, report.hits))
        death = collectors.end()
        assert isinstance(death, Death), death
        assert death.status == -signal.SIGKILL, collectors.log[-3000:]
        report.kills += 1
        report.hits.update(death.phases or ["nothing of these"])
        found = collectors.found()
        if found is not None:
            compare(report, found, known, now())
        assert not report.wrong, f"after kill {report.kills}: {report.wrong[:5]}\n{report}"


def test_what_is_acknowledged_outlives_hundreds_of_kills_once(
    tmp_path: Path, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    report, ended = Report(), threading.Event()
    with lives(tmp_path, desk.url, f"{PENDING}ms") as collectors:
        senders = [Sender(number, collectors, ended, SEED, 0.03) for number in range(3)]
        lanes = [Faults(lane, collectors, desk, ended) for lane in range(3)]
        threads = [*senders, *lanes]
        for thread in threads:
            thread.start()
        try:
            kill_again_and_again(report, collectors, senders, random.Random(SEED))
            # The last one lives until all faults have come to their end.
            collectors.begin(look=False)
            collectors.listening()
            for lane in lanes:
                lane.finish()
            for lane in lanes:
                lane.join(60)
            ended.set()
            for thread in threads:
                thread.join(10)
            collectors.stop()
        finally:
            ended.set()
            for thread in threads:
                thread.join(10)
        known, at = before_start(senders), now()
        collectors.begin()
        collectors.listening()
        collectors.stop()
        found = collectors.found()
        assert found is not None
        compare(report, found, known, now())
        over = [name for lane in lanes for name in lane.over]
        report.wrong += task_faults(found, over, desk)
        report.tasks = len(over)
        sent = sum(len(sender.events) for sender in senders)
        counted = counted_events(collectors.data)
        with capsys.disabled():
            print(f"\n{report}")
    assert not report.wrong, report.wrong[:10]
    assert len(found.tasks) == len(over) > 0
    assert counted == sent
    assert not [name for name in PHASES if report.hits[name] < LEAST]
