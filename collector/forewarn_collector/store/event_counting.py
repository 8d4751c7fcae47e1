"""New events of a commit: stored once, and each counted by a series, now or at its own time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from forewarn_collector.store.eventlog import EventLog, Inserted
from forewarn_collector.store.events import (
    LATE,
    EventCounter,
    EventCounters,
    counter_labels,
    overflow_labels,
)
from forewarn_collector.store.index import LabelIndex
from forewarn_collector.store.jobs import AppendedEvents
from forewarn_collector.store.late_events import LateEvents, late_among
from forewarn_collector.store.quota import SeriesQuota
from forewarn_wire import Event, Labels, Sample


@dataclass(frozen=True, slots=True)
class CountedEvents:
    """What a commit makes of events: of each request those that are new, and how they count.

    `samples` and `counters` are of now, `late` what counts at its own time; `overflowing` are
    counters over a limit, whose events count together.
    """

    inserted: Sequence[Inserted]
    samples: Sequence[Sample]
    counters: dict[Labels, EventCounter]
    late: LateEvents
    overflowing: frozenset[Labels]

    def answers(self, sizes: Iterable[int]) -> Iterator[AppendedEvents]:
        """What each request of so many events is answered."""
        for size, inserted in zip(sizes, self.inserted, strict=True):
            added, over = len(inserted.added), 0
            if self.overflowing:
                over = sum(counter_labels(event) in self.overflowing for event in inserted.added)
            yield AppendedEvents(added, size - added - inserted.late, inserted.late, over)


class EventCounting:
    """Used by the writer's thread alone, within its transactions."""

    def __init__(
        self, log: EventLog, counters: EventCounters, index: LabelIndex, quota: SeriesQuota
    ) -> None:
        self._log = log
        self._counters = counters
        self._index = index
        self._quota = quota

    def take(
        self, requests: Sequence[Iterable[Event]], resample: int | None, now: int
    ) -> CountedEvents:
        """Store the events of requests; `resample` as in `EventCounters.plan`."""
        inserted = self._log.insert(requests) if requests else []
        timely: list[Labels] = []
        late: list[tuple[Labels, int]] = []
        instead: dict[Labels, Labels] = {}
        for event in (event for each in inserted for event in each.added):
            labels = self._counter(event, instead, now)
            if event.time < now - LATE or self._counters.is_ahead(labels, now):
                late.append((labels, min(event.time, now)))
            else:
                timely.append(labels)
        counts = late_among(late)
        samples, counters = self._counters.plan(timely, counts.labels, resample, now)
        over = frozenset(own for own, given in instead.items() if own != given)
        return CountedEvents(inserted, samples, counters, counts, over)

    def accept(self, counted: CountedEvents) -> None:
        """Take over the counters, now that they are durable."""
        self._counters.accept(counted.counters)

    def forget(self) -> None:
        """Forget what was stored: the transaction failed."""
        self._log.forget()

    def _counter(self, event: Event, instead: dict[Labels, Labels], now: int) -> Labels:
        """The labels of an event's counter: its own, or where it is over a limit a common one."""
        labels = counter_labels(event)
        if self._quota.unlimited or labels in self._counters:
            return labels
        if labels not in instead:
            refused = self._index.ref(labels) is None and self._quota.refusal(labels, now)
            instead[labels] = overflow_labels(event, self._quota.label) if refused else labels
        return instead[labels]
