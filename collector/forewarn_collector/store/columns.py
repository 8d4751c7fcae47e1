"""The shapes in which signals enter and leave the store: columns, never an object per sample."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from enum import Flag, StrEnum, auto
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from forewarn_wire import STALE_NAN_BITS, Labels

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NEVER = int(np.iinfo(np.int64).min)
"""A time before all others."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Layout:
    """Which series the samples of a batch are of, for as long as a sender keeps to the same.

    One object for all batches that are alike in that, so that what was derived from it once can
    be kept by its identity.
    """

    labels: Sequence[Labels]
    rows: Ints


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples of one request: sample `k` has `times[k]`, `values[k]`, labels `labels[rows[k]]`.

    `labels` are valid; `rows: int64[samples]`, `times: int64[samples]` in milliseconds, `values:
    float64[samples]` bit by bit as they came (stale markers included). Of several samples of one
    series and time the first stays. A `layout` has these very `labels` and `rows`.
    """

    labels: Sequence[Labels]
    rows: Ints
    times: Ints
    values: Floats
    layout: Layout | None = None


@dataclass(frozen=True, slots=True)
class Increases:
    """A batch whose values say by how much each series grew up to that time.

    `starts: int64[samples]` is when each increase began (ms), NEVER where that is unknown.
    """

    batch: Batch
    starts: Ints


class MatchOp(StrEnum):
    """How a matcher compares."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on one label; an absent label is the empty string. Regexes are anchored RE2."""

    name: str
    op: MatchOp
    value: str


class SeriesLabels(tuple[Labels, ...]):
    """The labels of the series that were found, each once.

    Whoever finds the same series again gives the same object, so that others can keep what they
    derived from it; and whoever finds more, makes them one that `continues` it.
    """

    _lineage: object

    def __new__(cls, labels: Iterable[Labels] = (), lineage: object = None) -> Self:
        """Labels; `lineage` is shared by those that continue each other."""
        self = super().__new__(cls, labels)
        self._lineage = lineage or object()
        return self

    def grown(self, more: Iterable[Labels]) -> SeriesLabels:
        """These and more behind them. To be called once on each object at most."""
        return SeriesLabels((*self, *more), self._lineage)

    def continues(self, other: SeriesLabels) -> bool:
        """Whether these are the other ones, or those and more behind them."""
        return self._lineage is other._lineage and len(self) >= len(other)


class Figure(Flag):
    """What may be asked of runs beside their bounds, their last value and how many they are of."""

    FIRST = auto()
    LOW = auto()
    HIGH = auto()
    TOTAL = auto()
    RESETS = auto()


@dataclass(frozen=True, slots=True)
class RunColumns:
    """What is known of samples that were thinned: each element stands for a run of them.

    A run lasts from `began: int64` (ms) to its time in `SeriesColumns.times`, those of its first
    and its last value; it is of `counts: float64` values, 1 where a sample was not thinned and 0
    for a stale marker. `marked: bool` where a stale marker followed. `first`, `low`, `high`, their
    `total` and `resets` (the sum of values that a lower one followed) are `float64`; those that
    were not asked for mean nothing.
    """

    began: Ints
    counts: Floats
    marked: NDArray[np.bool_]
    first: Floats
    low: Floats
    high: Floats
    total: Floats
    resets: Floats

    def where(self, kept: NDArray[np.bool_]) -> RunColumns:
        """Some of the runs."""
        return RunColumns(*(getattr(self, field.name)[kept] for field in fields(self)))


def runs_of_samples(times: Ints, values: Floats) -> RunColumns:
    """Each sample as a run of its own."""
    real = np.ascontiguousarray(values).view(np.int64) != STALE_NAN_BITS
    nothing = np.zeros(len(times))
    figures = (values, values, values, values, nothing)
    return RunColumns(times, real.astype(np.float64), np.zeros_like(real), *figures)


def joined_runs(parts: Sequence[RunColumns]) -> RunColumns:
    """The runs of one part (there is one at least) after those of the other."""
    names = [field.name for field in fields(RunColumns)]
    return RunColumns(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True, slots=True)
class SeriesColumns:
    """Samples of many series, series by series.

    Series `i` has `labels[i]` and the samples `offsets[i]:offsets[i + 1]` of `times` (int64 ms,
    ascending within a series, each time once) and `values` (float64; stale markers included).
    Every series that matches is there, also one with no sample in the range asked for: whoever
    asks can tell "no such series" from "the series has stopped". `offsets: int64[series + 1]`.
    Where `runs` are there, each sample is the last one of its run.
    """

    labels: SeriesLabels
    times: Ints
    values: Floats
    offsets: Ints
    runs: RunColumns | None = None

    def latest(self) -> LatestColumns:
        """The last sample of each series, stale markers included."""
        filled = np.diff(self.offsets) > 0
        last = self.offsets[1:][filled] - 1
        times = np.full(len(self.labels), NEVER)
        values = np.zeros(len(self.labels))
        times[filled], values[filled] = self.times[last], self.values[last]
        return LatestColumns(self.labels, times, values)


@dataclass(frozen=True, slots=True)
class LatestColumns:
    """The newest sample of each of many series: `times: int64[series]` (ms), `values: float64`.

    A time before the start of what was asked for means that there is none.
    """

    labels: SeriesLabels
    times: Ints
    values: Floats


class SeriesSource(Protocol):
    """What the query engine reads from. `Store` is one; tests and backtests have others."""

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> SeriesColumns:
        """Samples with `start <= time <= end` (ms) of all series that match every matcher.

        `labels` of the answer is the same object as long as the set of series that match is the
        same, so that plans can keep what they derived from it.
        """

    def read(self, series: Sequence[Labels], start: int, end: int) -> SeriesColumns:
        """The same of the series that have one of these label sets; others are left out."""

    def latest(self, matchers: Sequence[Matcher], start: int, end: int) -> LatestColumns:
        """The newest sample with `start <= time <= end` of all series that match every matcher."""


@runtime_checkable
class ThinnedSource(SeriesSource, Protocol):
    """A source some of whose samples may be thinned. `Store` is one."""

    def thinned_until(self) -> int:
        """No sample later than this (ms) is thinned; NEVER where none is."""

    def select_runs(
        self, matchers: Sequence[Matcher], start: int, end: int, figures: Figure
    ) -> SeriesColumns:
        """As `select`, with `runs`: those with any time in `start` to `end`."""


@runtime_checkable
class PacedSource(SeriesSource, Protocol):
    """A source of more samples than fit into memory. `Store` is one."""

    def cuts(self, matchers: Sequence[Matcher], start: int, end: int, most: int) -> Ints:
        """Times (ms) that cut a span into parts of about `most` samples of the series."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What one durable write brought: the series it touched and the span of its times (ms).

    `refs: int64[series]` are the store's numbers of the series, each once, never given to another;
    `firsts: int64[series]` (ms) the oldest time that each of them got; `moment` is when it was
    announced, in seconds of `time.monotonic`.
    """

    refs: Ints
    firsts: Ints
    earliest: int
    latest: int
    moment: float
