"""What collectors found when they started, beside what was sent and acknowledged before."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from crash.lives import EVENT_RETENTION, PENDING, RETENTION, Found
from crash.load import Desk, Sender
from crash.truth import NOTHING, SERIES, Columns, faults


@dataclass
class Report:
    """What was seen: `wrong` in words; of alerts when (ms) they began and fired, and how often one
    was found pending by a collector that started."""

    looks: int = 0
    wrong: list[str] = field(default_factory=list)
    active_at: dict[str, int] = field(default_factory=dict)
    carried: int = 0
    fired_at: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Before:
    """What one sender had sent, and knew to be taken, when no collector lived."""

    sender: int
    columns: Columns
    events: frozenset[str]
    event_times: dict[str, int]


def before_start(senders: Sequence[Sender]) -> list[Before]:
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


def compare(report: Report, found: Found, known: Sequence[Before], at: int) -> None:
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


def event_faults(found: Found, known: Sequence[Before], since: int) -> list[str]:
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
    """Alerts whose `for` began anew or ended too soon, and tasks that are doubled."""
    wrong = []
    for alert in found.alerts:
        instance = dict(alert["labels"])["instance"]
        began = report.active_at.setdefault(instance, alert["active_at"])
        report.carried += alert["state"] == "pending"
        if began != alert["active_at"]:
            wrong.append(f"{instance}: the alert of {began} began anew at {alert['active_at']}")
        if alert["fired_at"] is not None:
            late = alert["fired_at"] - began - PENDING
            report.fired_at[instance] = alert["fired_at"]
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
    """What the counter of events stands at, in the file: those of now and those that were late."""
    with closing(sqlite3.connect(data / "store.db")) as connection:
        rows = connection.execute("SELECT labels, value FROM counters").fetchall()
        (late,) = connection.execute("SELECT total(count) FROM late_counts").fetchone()
    return late + sum(value for labels, value in rows if '"crash"' in labels)
