"""Which times are taken: not those of before what is kept, nor those that are far ahead.

A time that is far ahead would outlive every retention, and the total of a delta series, which goes
on from its newest sample, would stand still. What is old would be gone within a minute. Both are
mostly a wrong unit or a wrong clock, of which the sender must hear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.ingest.limits import Kind, Rejected
from forewarn_collector.ingest.series import show
from forewarn_collector.store import Batch, Increases
from forewarn_wire import Event

_NAMED = 5
"""So many of the series that are refused are told by name: more are never shown."""


@dataclass(frozen=True, slots=True)
class Span:
    """The times (ms) that are taken, both included."""

    earliest: int
    latest: int

    def batch(self, batch: Batch) -> tuple[Batch, list[Rejected]]:
        """What of a batch is within, and for each series with samples that are not, why."""
        within = self._within(batch)
        if within is None:
            return batch, []
        return _part(batch, within), self._refused(batch, ~within)

    def increases(self, increases: Increases) -> tuple[Increases, list[Rejected]]:
        """As `batch`."""
        batch = increases.batch
        within = self._within(batch)
        if within is None:
            return increases, []
        kept = Increases(_part(batch, within), increases.starts[within])
        return kept, self._refused(batch, ~within)

    def events(self, events: Sequence[Event]) -> tuple[list[Event], list[Rejected]]:
        """The events that are not ahead; those of before what is kept the store knows itself."""
        ahead = [event for event in events if event.time > self.latest]
        kept = [event for event in events if event.time <= self.latest] if ahead else list(events)
        return kept, [
            Rejected(Kind.BAD_TIME, show(event.labels), self._reason(1, event.time))
            for event in ahead
        ]

    def _within(self, batch: Batch) -> NDArray[np.bool_] | None:
        """Which samples are within; None where all are."""
        times = batch.times
        if not len(times) or (times.min() >= self.earliest and times.max() <= self.latest):
            return None
        within: NDArray[np.bool_] = (times >= self.earliest) & (times <= self.latest)
        return within

    def _refused(self, batch: Batch, out: NDArray[np.bool_]) -> list[Rejected]:
        rows, firsts, counts = np.unique(batch.rows[out], return_index=True, return_counts=True)
        found = [
            Rejected(
                Kind.BAD_TIME,
                show(batch.labels[row]),
                self._reason(count, int(batch.times[out][first])),
            )
            for row, first, count in zip(
                rows[:_NAMED].tolist(), firsts.tolist(), counts.tolist(), strict=False
            )
        ]
        # A body may have very many: the rest is only counted.
        return found + found[-1:] * (len(rows) - len(found))

    def _reason(self, count: int, time: int) -> str:
        bound, what = (
            (self.latest, "later than a day from now")
            if time > self.latest
            else (self.earliest, "older than what is kept")
        )
        return (
            f"{count} with a time {what} ({_shown(bound)}), such as {time} ms ({_shown(time)});"
            " check the clocks of sender and collector, and the unit"
        )


def _part(batch: Batch, within: NDArray[np.bool_]) -> Batch:
    rows, places = np.unique(batch.rows[within], return_inverse=True)
    labels = [batch.labels[row] for row in rows.tolist()]
    return Batch(labels, places.astype(np.int64), batch.times[within], batch.values[within])


def _shown(time: int) -> str:
    return datetime.fromtimestamp(time / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
