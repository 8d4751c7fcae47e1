"""Functions of how a series moves: rate, increase, delta, changes, resets.

Source: prometheus/prometheus `promql/functions.go`, `extrapolatedRate` and what follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from forewarn_collector.promql.annotations import Remarks, possible_non_counter, remarks
from forewarn_collector.promql.errors import Position
from forewarn_collector.promql.functions.base import Builder, over_range
from forewarn_collector.promql.functions.extrapolation import Edges, extrapolated
from forewarn_collector.promql.nodes import place_of
from forewarn_collector.promql.segments import reduce_windows
from forewarn_collector.promql.values import Bools, Context, Memo, Plan, Vector, Windows
from forewarn_collector.store.columns import Floats, Ints
from forewarn_collector.store.spans import running_count
from forewarn_wire.labels import Labels, metric_name


def _ends(windows: Windows, least: int) -> tuple[Bools, Ints, Ints]:
    """Which windows have at least `least` samples, and their first and last sample's index."""
    present = windows.ends - windows.starts >= least
    if present.all():
        return present, windows.starts, windows.ends - 1
    return (
        present,
        np.where(present, windows.starts, 0),
        np.where(present, windows.ends - 1, 0),
    )


def _absent(windows: Windows) -> tuple[Floats, Bools]:
    shape = windows.starts.shape
    return np.zeros(shape), np.zeros(shape, dtype=np.bool_)


def _lost_to_resets(windows: Windows) -> Floats:
    """What each counter had reached at its resets within each window. -> [series, steps]."""
    values = windows.values
    falls = np.flatnonzero(values[1:] < values[:-1]) + 1
    # Falls from one series to the next are in no window, since a window's first sample is out.
    first = np.searchsorted(falls, windows.starts.ravel() + 1)
    end = np.searchsorted(falls, windows.ends.ravel())
    reached = values[falls - 1]
    return reduce_windows(np.add, reached, first, end).reshape(windows.starts.shape)


def _extrapolated(is_counter: bool, is_rate: bool) -> Builder:
    def compute(
        windows: Windows, context: Context, parameters: Sequence[Floats]
    ) -> tuple[Floats, Bools]:
        if not len(windows.values):
            return _absent(windows)
        present, first, last = _ends(windows, 2)
        values, times = windows.values, windows.times
        edges = Edges(
            windows.ends - windows.starts,
            times[first],
            values[first],
            times[last],
            values[last],
            windows.opens,
            windows.closes,
        )
        lost = _lost_to_resets(windows) if is_counter else None
        return extrapolated(edges, lost, is_rate=is_rate), present

    return over_range(compute)


def _last_two(is_rate: bool) -> Builder:
    def compute(
        windows: Windows, context: Context, parameters: Sequence[Floats]
    ) -> tuple[Floats, Bools]:
        if not len(windows.values):
            return _absent(windows)
        present, _, last = _ends(windows, 2)
        before = last - 1
        latest = windows.values[last]
        moved = latest - windows.values[before]
        if is_rate:
            # After a reset the counter came from zero.
            moved = np.where(latest < windows.values[before], latest, moved)
            moved = moved / ((windows.times[last] - windows.times[before]) / 1000)
        return moved, present

    return over_range(compute)


def _times_that(flags_of: str) -> Builder:
    def compute(
        windows: Windows, context: Context, parameters: Sequence[Floats]
    ) -> tuple[Floats, Bools]:
        if not len(windows.values):
            return _absent(windows)
        values = windows.values
        before, after = values[:-1], values[1:]
        if flags_of == "resets":
            flags = after < before
        else:
            flags = (after != before) & ~(np.isnan(after) & np.isnan(before))
        totals = np.concatenate(([0], running_count(flags)))
        present, first, last = _ends(windows, 1)
        return (totals[last + 1] - totals[first + 1]).astype(np.float64), present

    return over_range(compute)


class _CounterPlan:
    """`rate` and `increase`, which say so if a metric is no counter by its name."""

    def __init__(self, plan: Plan[Vector], place: Position | None) -> None:
        self._plan = plan
        self._place = place
        self._remarks: Memo[Remarks] = Memo(remarks(_doubt))

    def evaluate(self, context: Context) -> Vector:
        vector = self._plan.evaluate(context)
        for text in self._remarks(vector.labels).about(vector.present):
            context.annotations.inform(text, self._place)
        return vector


def _doubt(labels: Labels) -> str | None:
    name = metric_name(labels)
    if not name or name.endswith(("_total", "_sum", "_count", "_bucket")):
        return None
    return possible_non_counter(name)


def _of_counter(is_rate: bool) -> Builder:
    moved = _extrapolated(is_counter=True, is_rate=is_rate)
    return lambda compiler, call: _CounterPlan(moved(compiler, call), place_of(call, 0))


COUNTERS: Mapping[str, Builder] = {
    "rate": _of_counter(is_rate=True),
    "increase": _of_counter(is_rate=False),
    "delta": _extrapolated(is_counter=False, is_rate=False),
    "irate": _last_two(is_rate=True),
    "idelta": _last_two(is_rate=False),
    "changes": _times_that("changes"),
    "resets": _times_that("resets"),
}
