"""Functions of a range whose value is kept up as samples arrive, for rules.

Each is the same function as the one of its name elsewhere, told from what `promql.live` keeps
instead of from all samples of the range.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from forewarn_collector.promql.functions.extrapolation import Edges, extrapolated
from forewarn_collector.promql.live import (
    Changes,
    Extremes,
    Falls,
    Lines,
    LiveWindow,
    Maxima,
    Minima,
    Sums,
)
from forewarn_collector.promql.values import Bools
from forewarn_collector.store.columns import Floats, Ints

NOWHERE: Ints = np.zeros(0, dtype=np.int64)


class LiveAnswer(NamedTuple):
    """`values: float64[series]`, `present: bool[series]`, and rows to compute in full instead."""

    values: Floats
    present: Bools
    unsure: Ints = NOWHERE


LiveForm = Callable[[LiveWindow, Sequence[Floats]], LiveAnswer]
"""A window, and scalar arguments as `float64[1]`."""


def _moved(*, is_counter: bool, is_rate: bool) -> LiveForm:
    def compute(live: LiveWindow, parameters: Sequence[Floats]) -> LiveAnswer:
        window = live.window
        edges = Edges(
            window.counts,
            window.first_times,
            window.first_values,
            window.last_times,
            window.last_values,
            np.array([window.opens]),
            np.array([window.closes]),
        )
        lost = live.kept(Falls).reached if is_counter else None
        return LiveAnswer(extrapolated(edges, lost, is_rate=is_rate), window.counts >= 2)

    return compute


def _resets(live: LiveWindow, parameters: Sequence[Floats]) -> LiveAnswer:
    return LiveAnswer(live.kept(Falls).counts.copy(), live.counts > 0)


def _changes(live: LiveWindow, parameters: Sequence[Floats]) -> LiveAnswer:
    return LiveAnswer(live.kept(Changes).counts.copy(), live.counts > 0)


def _sum(live: LiveWindow, parameters: Sequence[Floats]) -> LiveAnswer:
    sums = live.kept(Sums)
    totals = sums.totals()
    return LiveAnswer(totals, live.counts > 0, _unsure(sums.odd, totals, live.counts))


def _avg(live: LiveWindow, parameters: Sequence[Floats]) -> LiveAnswer:
    sums = live.kept(Sums)
    totals = sums.totals()
    unsure = _unsure(sums.odd, totals, live.counts)
    return LiveAnswer(totals / live.counts, live.counts > 0, unsure)


def _unsure(odd: Floats, totals: Floats, counts: Ints) -> Ints:
    """Windows with a sample, or a sum, that is not finite."""
    return np.flatnonzero(((odd != 0) | ~np.isfinite(totals)) & (counts > 0))


def _count(live: LiveWindow, parameters: Sequence[Floats]) -> LiveAnswer:
    return LiveAnswer(live.counts.astype(np.float64), live.counts > 0)


def _present(live: LiveWindow, parameters: Sequence[Floats]) -> LiveAnswer:
    return LiveAnswer(np.ones(len(live.counts)), live.counts > 0)


def _first(live: LiveWindow, parameters: Sequence[Floats]) -> LiveAnswer:
    return LiveAnswer(live.window.first_values.copy(), live.counts > 0)


def _last(live: LiveWindow, parameters: Sequence[Floats]) -> LiveAnswer:
    return LiveAnswer(live.window.last_values.copy(), live.counts > 0)


def _extreme(kind: type[Extremes]) -> LiveForm:
    return lambda live, parameters: LiveAnswer(live.kept(kind).values.copy(), live.counts > 0)


def _deriv(live: LiveWindow, parameters: Sequence[Floats]) -> LiveAnswer:
    slopes, _, unsure = _lines(live)
    return LiveAnswer(slopes, live.counts >= 2, unsure)


def _predict_linear(live: LiveWindow, parameters: Sequence[Floats]) -> LiveAnswer:
    slopes, at_close, unsure = _lines(live)
    return LiveAnswer(at_close + slopes * parameters[0], live.counts >= 2, unsure)


def _lines(live: LiveWindow) -> tuple[Floats, Floats, Ints]:
    """Slope, and value at the window's end, of each line; and the rows where these are unsure."""
    lines = live.kept(Lines)
    slopes, mean_seconds, mean_values = lines.fit(live.counts)
    # A constant has no slope, not even that of rounding.
    constant = live.kept(Changes).counts == 0
    slopes = np.where(constant, 0.0, slopes)
    ahead = (live.window.closes - lines.origins) / 1000 - mean_seconds
    at_close = np.where(
        constant, live.window.first_values, lines.bases + mean_values + slopes * ahead
    )
    wild = (lines.odd != 0) | ~np.isfinite(at_close)
    return slopes, at_close, np.flatnonzero(wild & (live.counts >= 2))


LIVE: Mapping[str, LiveForm] = {
    "rate": _moved(is_counter=True, is_rate=True),
    "increase": _moved(is_counter=True, is_rate=False),
    "delta": _moved(is_counter=False, is_rate=False),
    "changes": _changes,
    "resets": _resets,
    "sum_over_time": _sum,
    "avg_over_time": _avg,
    "min_over_time": _extreme(Minima),
    "max_over_time": _extreme(Maxima),
    "count_over_time": _count,
    "present_over_time": _present,
    "first_over_time": _first,
    "last_over_time": _last,
    "deriv": _deriv,
    "predict_linear": _predict_linear,
}
"""The functions that have a live form."""
