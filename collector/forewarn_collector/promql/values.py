"""What parts of a plan give each other: whole columns for all series and all steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.promql.annotations import Annotations
from forewarn_collector.promql.deadline import UNLIMITED, Deadline
from forewarn_collector.store.columns import Floats, Ints, RunColumns, SeriesSource
from forewarn_wire.labels import Labels

if TYPE_CHECKING:
    from forewarn_collector.promql.live import LiveWindows

Bools = NDArray[np.bool_]

Nameless = bool | Bools
"""Which series lose their name at the end of the query: all, none, or `bool[series]`.

An operation that makes another quantity of a metric takes its name away, but only at the end, so
that `label_replace` and `by (__name__)` still see it: Prometheus' delayed name removal.
"""

LOOKBACK = 300_000
"""How old, in ms, the latest sample of a series may be to count as its value."""

SUBQUERY_STEP = 60_000
"""Step of `[1h:]` in ms: Prometheus' default evaluation interval."""


@dataclass(frozen=True, slots=True)
class Scalars:
    """One number for each step. `values: float64[steps]`."""

    values: Floats


@dataclass(frozen=True, slots=True)
class Text:
    """A string."""

    value: str


@dataclass(frozen=True, slots=True)
class Vector:
    """An instant vector at every step.

    `values: float64[series, steps]`, `present: bool[series, steps]`; where a series is not
    present its value is anything at all. `labels` is the same object from one evaluation to the
    next while the series are the same, so that what follows can keep its index arrays. `order`
    are rows in the order of the answer where it matters (`sort`, `topk`), else None.
    """

    labels: Sequence[Labels]
    values: Floats
    present: Bools
    order: Ints | None = None
    nameless: Nameless = False


@dataclass(frozen=True, slots=True)
class WindowRuns:
    """What else is known of windows over thinned time, each of whose samples ends a run of them.

    `columns` are parallel to the samples. A run is in a window as a whole or not at all: where one
    is `cut: bool[series, steps]` by an edge of the window, what is counted lasts from `opens` to
    `closes: int64[series, steps]` instead.
    """

    columns: RunColumns
    opens: Ints
    closes: Ints
    cut: Bools


@dataclass(frozen=True, slots=True)
class Windows:
    """A range vector at every step: for series `i` and step `t`, samples `starts[i, t]:ends[i, t]`.

    `times: int64[samples]` (ms) and `values: float64[samples]` hold each series' samples in
    order, without stale markers; `starts`, `ends: int64[series, steps]`. A window is left-open:
    `opens[t] < time <= closes[t]`, both `int64[steps]`. `whole` tells that there is one step and
    the windows are all samples, one after the other. Over thinned time there are `runs`.
    """

    labels: Sequence[Labels]
    times: Ints
    values: Floats
    starts: Ints
    ends: Ints
    opens: Ints
    closes: Ints
    whole: bool
    nameless: Nameless = False
    runs: WindowRuns | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What an evaluation is about: the data and the steps.

    `times: int64[steps]` are the steps in ms, `start` and `end` the first and last one of the
    query, also within a subquery, and `step` what is between two of them. `annotations` are
    filled on the way. `kept` is where values of shared plans are kept, by plan and time; None
    where none are. `live` are windows that are kept from one evaluation to the next; None but
    for rules. `subquery_step` (ms) is that of subqueries that name none. What works for long calls
    `check` between two pieces of work.
    """

    source: SeriesSource
    times: Ints
    start: int
    end: int
    lookback: int
    step: int = 0
    annotations: Annotations = field(default_factory=Annotations)
    kept: dict[tuple[Any, int], Any] | None = None
    live: LiveWindows | None = None
    deadline: Deadline = UNLIMITED
    subquery_step: int = SUBQUERY_STEP

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return len(self.times)

    def at_steps(self, times: Ints) -> Context:
        """The same query at other steps: those of a subquery."""
        return replace(self, times=times, kept=None, live=None)

    def check(self) -> None:
        """Raise EvalError once the evaluation has taken too long or nobody waits for it."""
        self.deadline.check()


Value = TypeVar("Value", covariant=True)
Kept = TypeVar("Kept")


class Plan(Protocol[Value]):
    """A compiled part of an expression. It keeps index arrays between evaluations."""

    def evaluate(self, context: Context) -> Value:
        """The value at every step; raises `EvalError`."""


class Memo(Generic[Kept]):
    """Keeps the last result of a function, for as long as its arguments are the same objects.

    It holds the arguments, so that their identity can't pass to others. Threads may share it:
    at worst both compute.
    """

    __slots__ = ("_compute", "_kept")

    def __init__(self, compute: Callable[..., Kept]) -> None:
        self._compute = compute
        self._kept: tuple[tuple[Any, ...], Kept] | None = None

    def __call__(self, *arguments: Any) -> Kept:
        kept = self._kept
        if kept is not None and all(a is b for a, b in zip(kept[0], arguments, strict=True)):
            return kept[1]
        result = self._compute(*arguments)
        self._kept = (arguments, result)
        return result


def any_along(present: Bools, axis: int) -> Bools:
    """Whether anything is present along an axis, which the answer lacks."""
    found: Bools = np.logical_or.reduce(present, axis=axis)
    return found


def empty_vector(steps: int) -> Vector:
    """A vector of no series."""
    return Vector((), np.zeros((0, steps)), np.zeros((0, steps), dtype=np.bool_))
