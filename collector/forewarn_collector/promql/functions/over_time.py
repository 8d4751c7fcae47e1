"""The `*_over_time` family: one number from the samples of a range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from forewarn_collector.promql.annotations import invalid_quantiles
from forewarn_collector.promql.errors import Position
from forewarn_collector.promql.functions.base import Builder, Compiler, over_range, over_segments
from forewarn_collector.promql.nodes import Call, place_of
from forewarn_collector.promql.segments import (
    Segments,
    mean_windows,
    quantile_segments,
    reduce_windows,
    sum_windows,
)
from forewarn_collector.promql.values import (
    Bools,
    Context,
    Plan,
    Scalars,
    Vector,
    Windows,
    any_along,
)
from forewarn_collector.store.columns import Floats

_Parameters = Sequence[Floats]
_Answer = tuple[Floats, Bools]


def _filled(windows: Windows) -> Bools:
    filled: Bools = windows.ends > windows.starts
    return filled


def _sum(windows: Windows, context: Context, parameters: _Parameters) -> _Answer:
    sums = sum_windows(windows.values, windows.starts.ravel(), windows.ends.ravel())
    return sums.reshape(windows.starts.shape), _filled(windows)


def _avg(windows: Windows, context: Context, parameters: _Parameters) -> _Answer:
    means = mean_windows(windows.values, windows.starts.ravel(), windows.ends.ravel())
    return means.reshape(windows.starts.shape), _filled(windows)


def _extreme(ufunc: np.ufunc) -> Builder:
    # fmin and fmax skip NaN, as Prometheus does, unless there is nothing else.
    def compute(windows: Windows, context: Context, parameters: _Parameters) -> _Answer:
        found = reduce_windows(ufunc, windows.values, windows.starts.ravel(), windows.ends.ravel())
        return found.reshape(windows.starts.shape), _filled(windows)

    return over_range(compute)


def _count(windows: Windows, context: Context, parameters: _Parameters) -> _Answer:
    return (windows.ends - windows.starts).astype(np.float64), _filled(windows)


def _present(windows: Windows, context: Context, parameters: _Parameters) -> _Answer:
    return np.ones(windows.starts.shape), _filled(windows)


def _edge(last: bool, of_times: bool) -> Builder:
    def compute(windows: Windows, context: Context, parameters: _Parameters) -> _Answer:
        filled = _filled(windows)
        column = windows.times / 1000 if of_times else windows.values
        if not len(column):
            return np.zeros(filled.shape), filled
        places = windows.ends - 1 if last else windows.starts
        return column[np.where(filled, places, 0)], filled

    return over_range(compute, keeps_name=not of_times)


def _variance(part: Segments, parameters: _Parameters) -> Floats:
    # Told from the first value, so that equal values have no variance at all.
    moved = part.values - part.spread(part.values[part.bounds[:-1]])
    deviations = moved - part.spread(part.mean(moved))
    variances: Floats = part.reduce(np.add, deviations * deviations) / part.counts
    return variances


def _deviation(part: Segments, parameters: _Parameters) -> Floats:
    deviations: Floats = np.sqrt(_variance(part, parameters))
    return deviations


def _quantile(part: Segments, parameters: _Parameters) -> Floats:
    return quantile_segments(part.values, part.bounds, parameters[0])


def _median_deviation(part: Segments, parameters: _Parameters) -> Floats:
    halves = np.full(len(part.windows), 0.5)
    medians = quantile_segments(part.values, part.bounds, halves)
    return quantile_segments(np.abs(part.values - part.spread(medians)), part.bounds, halves)


def _time_of_extreme(ufunc: np.ufunc) -> Builder:
    """The time of the latest sample that bears a window's least or greatest value."""

    def compute(part: Segments, parameters: _Parameters) -> Floats:
        extremes = part.spread(part.reduce(ufunc, part.values))
        bears = (part.values == extremes) | np.isnan(extremes)
        times = np.where(bears, part.times, np.iinfo(np.int64).min)
        latest: Floats = part.reduce(np.maximum, times.astype(np.float64)) / 1000
        return latest

    return over_segments(compute)


@dataclass(frozen=True, slots=True)
class _QuantilePlan:
    """`quantile_over_time`, which says so if its first argument is no quantile."""

    plan: Plan[Vector]
    quantile: Plan[Scalars]
    place: Position | None

    def evaluate(self, context: Context) -> Vector:
        vector = self.plan.evaluate(context)
        quantiles = self.quantile.evaluate(context).values
        for text in invalid_quantiles(quantiles[any_along(vector.present, axis=0)]):
            context.annotations.warn(text, self.place)
        return vector


def _quantile_over_time(compiler: Compiler, call: Call) -> Plan[Vector]:
    plan = over_segments(_quantile, position=1)(compiler, call)
    return _QuantilePlan(plan, compiler.scalars(call.arguments[0]), place_of(call, 0))


OVER_TIME: Mapping[str, Builder] = {
    "sum_over_time": over_range(_sum),
    "avg_over_time": over_range(_avg),
    "min_over_time": _extreme(np.fmin),
    "max_over_time": _extreme(np.fmax),
    "count_over_time": over_range(_count),
    "present_over_time": over_range(_present),
    "first_over_time": _edge(last=False, of_times=False),
    "last_over_time": _edge(last=True, of_times=False),
    "stddev_over_time": over_segments(_deviation),
    "stdvar_over_time": over_segments(_variance),
    "quantile_over_time": _quantile_over_time,
    "mad_over_time": over_segments(_median_deviation),
    "ts_of_first_over_time": _edge(last=False, of_times=True),
    "ts_of_last_over_time": _edge(last=True, of_times=True),
    "ts_of_min_over_time": _time_of_extreme(np.fmin),
    "ts_of_max_over_time": _time_of_extreme(np.fmax),
}
