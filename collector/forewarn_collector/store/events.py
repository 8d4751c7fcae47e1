"""The counters `forewarn_events_total`, by which rules see events."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from forewarn_collector.store.journal import labels_from_text, labels_to_text
from forewarn_wire import Event, Labels, Sample, labels_from

EVENTS_METRIC = "forewarn_events_total"
LATE = 60_000
"""From what age (ms) on what arrives is late, and an event counts at its own time, not now."""
OVERFLOW = "otel_metric_overflow"
COUNTER_LEAD = 1_000
"""How long before its first event a counter has a sample of 0, so that increase() sees it (ms)."""


def counter_labels(event: Event) -> Labels:
    """The series that counts events like this one."""
    own = {"__name__": EVENTS_METRIC, "type": event.type, "severity": event.severity.value}
    return labels_from({**dict(event.labels), **own})


def overflow_labels(event: Event, customer: str) -> Labels:
    """The series that counts events like this one where a counter of their own is over a limit.

    `customer` is the label that it has of the event. The mark is OpenTelemetry's, for the same.
    """
    kept = {name: value for name, value in event.labels if name == customer}
    own = {"__name__": EVENTS_METRIC, "severity": event.severity.value, OVERFLOW: "true"}
    return labels_from({**kept, **own})


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
        self, events: Iterable[Labels], late: Iterable[Labels], resample: int | None, now: int
    ) -> tuple[list[Sample], dict[Labels, EventCounter]]:
        """The samples and the counters that new events make at `now` (ms).

        `events` are their counters, `late` those of late events, which stay as they are, a new one
        at 0.
        `resample` asks for a sample of every other counter as well, at that time. A counter's
        times always ascend, also where two changes share a millisecond or the clock steps back.
        """
        samples: list[Sample] = []
        planned: dict[Labels, EventCounter] = {}
        for labels, count in Counter(events).items():
            before = self._counters.get(labels)
            if before is None:
                samples.append(Sample(labels, now - COUNTER_LEAD, 0.0))
                before = EventCounter(0.0, now, now - COUNTER_LEAD)
            at = max(now, before.sampled + 1)
            planned[labels] = EventCounter(before.value + count, now, at)
            samples.append(Sample(labels, at, before.value + count))
        for labels in late:
            if labels not in planned:
                before = self._counters.get(labels)
                if before is None:
                    samples.append(Sample(labels, now, 0.0))
                    before = EventCounter(0.0, now, now)
                planned[labels] = replace(before, changed=now)
        if resample is not None:
            for labels, counter in self._counters.items():
                if labels in planned:
                    continue
                if counter.sampled < resample:
                    planned[labels] = replace(counter, sampled=resample)
                    samples.append(Sample(labels, resample, counter.value))
                elif self.is_ahead(labels, resample):
                    samples.append(Sample(labels, resample, counter.value))
        return samples, planned

    def is_ahead(self, labels: Labels, now: int) -> bool:
        """Whether a counter has samples of a clock that was ahead of the one now.

        Until then its events count as late ones do, which raises those samples as well: if they
        counted after them, no rule would see them, and if before, the counter would fall.
        """
        counter = self._counters.get(labels)
        return counter is not None and counter.sampled > now + LATE

    def __contains__(self, labels: Labels) -> bool:
        return labels in self._counters

    def accept(self, planned: Mapping[Labels, EventCounter]) -> None:
        """Take over what was planned, now that it is durable."""
        self._counters.update(planned)

    def unchanged_since(self, cutoff: int) -> list[Labels]:
        """The counters that last changed before `cutoff` (ms)."""
        return [labels for labels, item in self._counters.items() if item.changed < cutoff]

    def forget(self, gone: Iterable[Labels]) -> None:
        """Forget counters, as the journal has."""
        for labels in gone:
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
