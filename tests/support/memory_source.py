"""A source of samples for tests: a dictionary, in the shape of a store."""

from __future__ import annotations

import queue
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from time import monotonic

import numpy as np

from forewarn_collector.store import (
    Arrival,
    Batch,
    Ints,
    LatestColumns,
    Matcher,
    MatchOp,
    SeriesColumns,
    SeriesLabels,
)
from forewarn_wire import Labels, labels_from, metric_name

LABELS = re.compile(r"(\w+)=\"([^\"]*)\"")


def labels_of(text: str) -> Labels:
    """`up{instance="a"}` as a label set."""
    name, _, rest = text.partition("{")
    return labels_from({"__name__": name, **dict(LABELS.findall(rest))})


class MemorySource:
    """Samples by series. What is appended is announced, as by a store."""

    def __init__(self) -> None:
        self.samples: dict[Labels, dict[int, float]] = {}
        self.arrivals: queue.SimpleQueue[Arrival] = queue.SimpleQueue()
        self.appended: list[tuple[str, int, float]] = []
        self.broken = False
        self._refs: dict[Labels, int] = {}

    def add(self, series: str, *samples: tuple[int, float]) -> None:
        """Add samples to a series written as in PromQL, and announce them."""
        labels = labels_of(series)
        self.samples.setdefault(labels, {}).update(samples)
        times = [time for time, _ in samples]
        if times:
            self._announce([labels], min(times), max(times))

    def every(self, series: str, step: int, start: int, end: int, value: float) -> None:
        """Add a sample of this value every `step` ms from `start` to `end`."""
        self.add(series, *((time, value) for time in range(start, end + 1, step)))

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> SeriesColumns:
        found = [labels for labels in self.samples if all(_meets(labels, m) for m in matchers)]
        return self._columns(found, start, end)

    def has_series(self, matchers: Sequence[Matcher]) -> bool:
        return any(all(_meets(labels, m) for m in matchers) for labels in self.samples)

    def _columns(self, found: Sequence[Labels], start: int, end: int) -> SeriesColumns:
        chosen = [
            sorted(pair for pair in self.samples[labels].items() if start <= pair[0] <= end)
            for labels in found
        ]
        flat = [pair for pairs in chosen for pair in pairs]
        return SeriesColumns(
            labels=SeriesLabels(found),
            times=np.array([time for time, _ in flat], dtype=np.int64),
            values=np.array([value for _, value in flat], dtype=np.float64),
            offsets=np.cumsum([0, *map(len, chosen)], dtype=np.int64),
        )

    def read(self, series: Sequence[Labels], start: int, end: int) -> SeriesColumns:
        return self._columns([labels for labels in series if labels in self.samples], start, end)

    def latest(self, matchers: Sequence[Matcher], start: int, end: int) -> LatestColumns:
        return self.select(matchers, start, end).latest()

    def append(self, batch: Batch) -> Future[None]:
        """Take what recording rules give."""
        done: Future[None] = Future()
        if self.broken:
            done.set_exception(OSError("disk full"))
            return done
        for row, time, value in zip(
            batch.rows.tolist(), batch.times.tolist(), batch.values.tolist(), strict=True
        ):
            labels = batch.labels[row]
            self.samples.setdefault(labels, {}).setdefault(time, value)
            self.appended.append((_written(labels), time, value))
        self._announce(batch.labels, int(batch.times.min()), int(batch.times.max()))
        done.set_result(None)
        return done

    def labels_of(self, refs: Ints) -> list[Labels]:
        known = list(self._refs)
        return [known[ref] for ref in refs.tolist()]

    def _announce(self, series: Iterable[Labels], earliest: int, latest: int) -> None:
        refs = {self._refs.setdefault(labels, len(self._refs)) for labels in series}
        numbers = np.array(sorted(refs), dtype=np.int64)
        firsts = np.full(len(numbers), earliest)
        self.arrivals.put(Arrival(numbers, firsts, earliest, latest, monotonic()))


def _written(labels: Labels) -> str:
    pairs = ",".join(f'{name}="{value}"' for name, value in labels if name != "__name__")
    return f"{metric_name(labels)}{{{pairs}}}"


def _meets(labels: Iterable[tuple[str, str]], matcher: Matcher) -> bool:
    value = dict(labels).get(matcher.name, "")
    if matcher.op in {MatchOp.EQUAL, MatchOp.NOT_EQUAL}:
        return (value == matcher.value) == (matcher.op is MatchOp.EQUAL)
    return bool(re.fullmatch(matcher.value, value)) == (matcher.op is MatchOp.REGEX)
