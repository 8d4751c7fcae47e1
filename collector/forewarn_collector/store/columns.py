"""The shapes in which signals enter and leave the store: columns, never an object per sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from forewarn_wire import Labels

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples of one request: sample `k` has `times[k]`, `values[k]`, labels `labels[rows[k]]`.

    `labels` are valid and each occurs once; `rows: int64[samples]`, `times: int64[samples]` in
    milliseconds, `values: float64[samples]` bit by bit as they came (stale markers included).
    """

    labels: Sequence[Labels]
    rows: Ints
    times: Ints
    values: Floats


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


@dataclass(frozen=True, slots=True)
class SeriesColumns:
    """Samples of many series, series by series.

    Series `i` has `labels[i]` and the samples `offsets[i]:offsets[i + 1]` of `times` (int64 ms,
    ascending within a series, each time once) and `values` (float64; stale markers included).
    Every series that matches is there, also one with no sample in the range asked for: whoever
    asks can tell "no such series" from "the series has stopped". `offsets: int64[series + 1]`.
    """

    labels: Sequence[Labels]
    times: Ints
    values: Floats
    offsets: Ints


class SeriesSource(Protocol):
    """What the query engine reads from. `Store` is one; tests and backtests have others."""

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> SeriesColumns:
        """Samples with `start <= time <= end` (ms) of all series that match every matcher.

        The sequence `labels` of the answer is the same object as long as the set of series that
        match is the same, so that plans can keep what they derived from it.
        """


@dataclass(frozen=True, slots=True)
class Arrival:
    """What one durable write brought: the metrics it touched and the span of its times (ms)."""

    metrics: frozenset[str]
    earliest: int
    latest: int
