"""Events on disk, and the counters `forewarn_events_total` by which rules see them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from forewarn_collector.store.columns import Matcher
from forewarn_collector.store.journal import labels_from_text, labels_to_text
from forewarn_collector.store.matching import labels_predicate
from forewarn_wire import Event, Labels, Sample, Severity, labels_from

EVENTS_METRIC = "forewarn_events_total"
COUNTER_LEAD = 1_000
"""How long before its first event a counter has a sample of 0, so that increase() sees it (ms)."""

_INSERT = """
INSERT INTO events (uid, time, type, severity, labels, body, attributes)
VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (uid) DO NOTHING
"""
_COLUMNS = "uid, time, type, severity, labels, body, attributes"
_NEWEST_FIRST = f"""
SELECT {_COLUMNS} FROM events WHERE time BETWEEN ? AND ? ORDER BY time DESC, id DESC
"""  # noqa: S608 - the columns are our own constant


def insert_events(connection: sqlite3.Connection, events: Iterable[Event]) -> list[Event]:
    """Within a transaction: add events; those that were not there already."""
    added = []
    for event in events:
        row = (
            event.uid,
            event.time,
            event.type,
            event.severity.value,
            labels_to_text(event.labels),
            event.body,
            json.dumps(dict(event.attributes)),
        )
        if connection.execute(_INSERT, row).rowcount == 1:
            added.append(event)
    return added


def find_events(
    connection: sqlite3.Connection, matchers: Sequence[Matcher], start: int, end: int, limit: int
) -> list[Event]:
    """Events with `start <= time <= end` that meet the matchers, newest first, at most `limit`.

    Matchers see the labels and, as labels too, `type` and `severity`. ValueError: bad regex.
    """
    meets = labels_predicate(matchers)
    found: list[Event] = []
    if limit <= 0:
        return found
    for row in connection.execute(_NEWEST_FIRST, (start, end)):
        uid, time, kind, severity, labels, body, attributes = row
        own = labels_from_text(labels)
        if meets((("type", kind), ("severity", severity), *own)):
            event = Event(time, kind, Severity(severity), own, body, uid, json.loads(attributes))
            found.append(event)
            if len(found) == limit:
                break
    return found


def counter_labels(event: Event) -> Labels:
    """The series that counts events like this one."""
    own = {"__name__": EVENTS_METRIC, "type": event.type, "severity": event.severity.value}
    return labels_from({**dict(event.labels), **own})


@dataclass(frozen=True, slots=True)
class EventCounter:
    """`value` events so far, the last of them at `changed`; its newest sample is at `sampled`."""

    value: float
    changed: int
    sampled: int


class EventCounters:
    """The counters' values in memory; a change is planned, made durable, then accepted."""

    def __init__(self, counters: Mapping[Labels, EventCounter]) -> None:
        self._counters = dict(counters)

    def plan(
        self, events: Iterable[Event], resample: int | None, now: int
    ) -> tuple[list[Sample], dict[Labels, EventCounter]]:
        """The samples and the counters that new events make at `now` (ms).

        `resample` asks for a sample of every other counter as well, at that time. A counter's
        times always ascend, also where two changes share a millisecond or the clock steps back.
        """
        counts: dict[Labels, int] = {}
        for event in events:
            labels = counter_labels(event)
            counts[labels] = counts.get(labels, 0) + 1
        samples: list[Sample] = []
        planned: dict[Labels, EventCounter] = {}
        for labels, count in counts.items():
            before = self._counters.get(labels)
            if before is None:
                samples.append(Sample(labels, now - COUNTER_LEAD, 0.0))
                before = EventCounter(0.0, now, now - COUNTER_LEAD)
            at = max(now, before.sampled + 1)
            planned[labels] = EventCounter(before.value + count, now, at)
            samples.append(Sample(labels, at, before.value + count))
        if resample is not None:
            for labels, counter in self._counters.items():
                if labels not in planned and counter.sampled < resample:
                    planned[labels] = replace(counter, sampled=resample)
                    samples.append(Sample(labels, resample, counter.value))
        return samples, planned

    def accept(self, planned: Mapping[Labels, EventCounter]) -> None:
        """Take over what was planned, now that it is durable."""
        self._counters.update(planned)

    def forget(self, cutoff: int) -> None:
        """Forget counters that last changed before `cutoff`, as the journal has."""
        for labels in [key for key, item in self._counters.items() if item.changed < cutoff]:
            del self._counters[labels]


def save_counters(connection: sqlite3.Connection, planned: Mapping[Labels, EventCounter]) -> None:
    """Within a transaction: note the counters' values."""
    connection.executemany(
        "INSERT INTO counters (labels, value, changed) VALUES (?, ?, ?) ON CONFLICT (labels)"
        " DO UPDATE SET value = excluded.value, changed = excluded.changed",
        ((labels_to_text(key), item.value, item.changed) for key, item in planned.items()),
    )


def load_counters(connection: sqlite3.Connection) -> dict[Labels, tuple[float, int]]:
    """Every counter's value and when it last changed (ms)."""
    rows = connection.execute("SELECT labels, value, changed FROM counters")
    return {labels_from_text(text): (value, changed) for text, value, changed in rows}
