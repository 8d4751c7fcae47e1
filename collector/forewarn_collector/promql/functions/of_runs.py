"""Functions of a range over thinned time: told from runs of samples instead of from each sample.

Each is the same function as the one of its name elsewhere. What is exact is so where no edge of the
range cuts a run; else amounts are those of whole runs, in proportion to the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from forewarn_collector.promql.functions.extrapolation import Edges, extrapolated
from forewarn_collector.promql.functions.lines_of_runs import LINE, deriv, nothing, predict_linear
from forewarn_collector.promql.segments import (
    Segments,
    interpolated,
    quantile_places,
    reduce_windows,
    segments,
    sum_windows,
)
from forewarn_collector.promql.values import Bools, Context, WindowRuns, Windows
from forewarn_collector.store.columns import Figure, Floats, Ints
from forewarn_collector.store.spans import repeated, running_count

Answer = tuple[Floats, Bools]
Compute = Callable[[Windows, WindowRuns, Context, Sequence[Floats]], Answer]
"""Windows and their runs, scalar arguments as `float64[steps]` -> [series, steps] of both."""

NOTHING = Figure(0)


@dataclass(frozen=True, slots=True)
class RunForm:
    """How a function is told from runs, what it reads of them, and whether whole ones suffice."""

    compute: Compute
    figures: Figure = NOTHING
    exact: bool = True


def _over(ufunc: np.ufunc, column: Floats, windows: Windows) -> Floats:
    found = reduce_windows(ufunc, column, windows.starts.ravel(), windows.ends.ravel())
    return found.reshape(windows.starts.shape)


def _filled(windows: Windows) -> Bools:
    filled: Bools = windows.ends > windows.starts
    return filled


def _ends(windows: Windows, filled: Bools) -> tuple[Ints, Ints]:
    """Places of the first and the last run; any at all of empty windows."""
    return np.where(filled, windows.starts, 0), np.where(filled, windows.ends - 1, 0)


def counts_of(windows: Windows, runs: WindowRuns) -> Floats:
    """How many samples the runs of each window have. -> [series, steps]."""
    running = np.concatenate((np.zeros(1), np.cumsum(runs.columns.counts)))
    counts: Floats = running[windows.ends] - running[windows.starts]
    return counts


def _share(windows: Windows, runs: WindowRuns) -> Floats:
    """What part of the time of the runs that are counted a window is; 1 where none is cut."""
    lasts = np.maximum(runs.closes - runs.opens, 1)
    share: Floats = np.where(runs.cut, (windows.closes - windows.opens) / lasts, 1.0)
    return share


def _sums(windows: Windows, runs: WindowRuns) -> Floats:
    sums = sum_windows(runs.columns.total, windows.starts.ravel(), windows.ends.ravel())
    return sums.reshape(windows.starts.shape)


def _sum(windows: Windows, runs: WindowRuns, context: Context, _: Sequence[Floats]) -> Answer:
    return _sums(windows, runs) * _share(windows, runs), _filled(windows)


def _avg(windows: Windows, runs: WindowRuns, context: Context, _: Sequence[Floats]) -> Answer:
    return _sums(windows, runs) / counts_of(windows, runs), _filled(windows)


def _count(windows: Windows, runs: WindowRuns, context: Context, _: Sequence[Floats]) -> Answer:
    return counts_of(windows, runs) * _share(windows, runs), _filled(windows)


def _present(windows: Windows, runs: WindowRuns, context: Context, _: Sequence[Floats]) -> Answer:
    return np.ones(windows.starts.shape), _filled(windows)


def _min(windows: Windows, runs: WindowRuns, context: Context, _: Sequence[Floats]) -> Answer:
    return _over(np.fmin, runs.columns.low, windows), _filled(windows)


def _max(windows: Windows, runs: WindowRuns, context: Context, _: Sequence[Floats]) -> Answer:
    return _over(np.fmax, runs.columns.high, windows), _filled(windows)


def _edge(last: bool, of_times: bool) -> Compute:
    def compute(
        windows: Windows, runs: WindowRuns, context: Context, _: Sequence[Floats]
    ) -> Answer:
        if not len(windows.values):
            return nothing(windows)
        filled = _filled(windows)
        first_place, last_place = _ends(windows, filled)
        if of_times:
            column = (windows.times if last else runs.columns.began) / 1000
        else:
            column = windows.values if last else runs.columns.first
        return column[last_place if last else first_place], filled

    return compute


def _falls(windows: Windows, runs: WindowRuns) -> Bools:
    """Whether each run begins lower than the one before it ended. -> [runs]."""
    falls: Bools = np.zeros(len(windows.values), dtype=np.bool_)
    falls[1:] = runs.columns.first[1:] < windows.values[:-1]
    return falls


def _between(flags: Bools, windows: Windows) -> Ints:
    """How many runs of each window but its first are flagged."""
    totals = running_count(flags)
    first = np.minimum(windows.starts + 1, windows.ends)
    counts: Ints = totals[windows.ends] - totals[first]
    return counts


def _moved(is_counter: bool, is_rate: bool) -> Compute:
    def compute(
        windows: Windows, runs: WindowRuns, context: Context, _: Sequence[Floats]
    ) -> Answer:
        if not len(windows.values):
            return nothing(windows)
        counts = counts_of(windows, runs)
        first, last = _ends(windows, _filled(windows))
        columns = runs.columns
        edges = Edges(
            counts.astype(np.int64),
            columns.began[first],
            columns.first[first],
            windows.times[last],
            windows.values[last],
            runs.opens,
            runs.closes,
        )
        lost = None
        if is_counter:
            # What was lost within runs, and where one begins lower than the one before it ended.
            falls = np.flatnonzero(_falls(windows, runs))
            begin = np.searchsorted(falls, windows.starts.ravel() + 1)
            end = np.searchsorted(falls, windows.ends.ravel())
            between = reduce_windows(np.add, windows.values[falls - 1], begin, end)
            lost = _over(np.add, columns.resets, windows) + between.reshape(windows.starts.shape)
        moved = extrapolated(edges, lost, is_rate=is_rate)
        return moved if is_rate else moved * _share(windows, runs), counts >= 2

    return compute


def _last_two(is_rate: bool) -> Compute:
    def compute(
        windows: Windows, runs: WindowRuns, context: Context, _: Sequence[Floats]
    ) -> Answer:
        if not len(windows.values):
            return nothing(windows)
        columns = runs.columns
        last = _ends(windows, _filled(windows))[1]
        alone = columns.counts[last] == 1
        before = np.maximum(last - 1, 0)
        # Of a run, its own mean step.
        begins = np.where(alone, windows.times[before], columns.began[last])
        from_value = np.where(alone, windows.values[before], columns.first[last])
        latest = windows.values[last]
        moved = latest - from_value
        steps = np.where(alone, 1, columns.counts[last] - 1)
        if is_rate:
            reset = np.where(alone & (latest < from_value), from_value, 0.0)
            moved += np.where(alone, reset, columns.resets[last])
            return moved / ((windows.times[last] - begins) / 1000), counts_of(windows, runs) >= 2
        return moved / steps, counts_of(windows, runs) >= 2

    return compute


def _changes(windows: Windows, runs: WindowRuns, context: Context, _: Sequence[Floats]) -> Answer:
    columns, values = runs.columns, windows.values
    joins = np.zeros(len(values), dtype=np.bool_)
    joins[1:] = (columns.first[1:] != values[:-1]) & ~(
        np.isnan(columns.first[1:]) & np.isnan(values[:-1])
    )
    within = (columns.counts > 1) & (columns.low != columns.high)
    within &= ~(np.isnan(columns.low) & np.isnan(columns.high))
    totals = running_count(within)
    inside = totals[windows.ends] - totals[windows.starts]
    return (_between(joins, windows) + inside).astype(np.float64), _filled(windows)


def _resets(windows: Windows, runs: WindowRuns, context: Context, _: Sequence[Floats]) -> Answer:
    totals = running_count(runs.columns.resets != 0)
    inside = totals[windows.ends] - totals[windows.starts]
    falls = _between(_falls(windows, runs), windows)
    return (falls + inside).astype(np.float64), _filled(windows)


def _of_parts(compute: Callable[[Segments, Floats, Sequence[Floats]], Floats]) -> Compute:
    """A function of the last values of runs and how many samples each of these stands for."""

    def laid_out(
        windows: Windows, runs: WindowRuns, context: Context, parameters: Sequence[Floats]
    ) -> Answer:
        values, present = nothing(windows)
        by_window = [np.broadcast_to(each, values.shape).ravel() for each in parameters]
        places = np.arange(len(windows.times), dtype=np.int64)
        for part in segments(replace(windows, times=places)):
            context.check()
            chosen = [each[part.windows] for each in by_window]
            weights = runs.columns.counts[part.times]
            values.ravel()[part.windows] = compute(part, weights, chosen)
            present.ravel()[part.windows] = True
        return values, present

    return laid_out


def _quantiles(part: Segments, column: Floats, weights: Floats, quantiles: Floats) -> Floats:
    """Quantiles as if each value stood there as often as its weight says."""
    windows = repeated(np.arange(len(part.counts), dtype=np.int64), part.counts)
    order = np.lexsort((column, windows))
    column, times = column[order], weights[order].astype(np.int64)
    edges = np.concatenate(([0], np.cumsum(times)))
    missing = np.concatenate(([0], np.cumsum(np.where(np.isnan(column), times, 0))))
    starts, ends = part.bounds[:-1], part.bounds[1:]
    below, above, fractions = quantile_places(
        edges[ends] - edges[starts], missing[ends] - missing[starts], quantiles
    )
    lower, upper = (
        column[np.searchsorted(edges, edges[starts] + place, "right") - 1]
        for place in (below, above)
    )
    return interpolated(lower, upper, fractions, quantiles)


def _quantile(part: Segments, weights: Floats, parameters: Sequence[Floats]) -> Floats:
    return _quantiles(part, part.values, weights, parameters[0])


def _median_deviation(part: Segments, weights: Floats, parameters: Sequence[Floats]) -> Floats:
    halves = np.full(len(part.windows), 0.5)
    medians = _quantiles(part, part.values, weights, halves)
    return _quantiles(part, np.abs(part.values - part.spread(medians)), weights, halves)


def _variance(part: Segments, weights: Floats, parameters: Sequence[Floats]) -> Floats:
    # Told from the first value, so that equal values have no variance at all.
    totals = part.reduce(np.add, weights)
    moved = part.values - part.spread(part.values[part.bounds[:-1]])
    moved = moved - part.spread(part.reduce(np.add, weights * moved) / totals)
    variances: Floats = part.reduce(np.add, weights * moved * moved) / totals
    return variances


def _deviation(part: Segments, weights: Floats, parameters: Sequence[Floats]) -> Floats:
    deviations: Floats = np.sqrt(_variance(part, weights, parameters))
    return deviations


def _time_of(ufunc: np.ufunc, low: bool) -> Compute:
    """The end of the latest run that bears a window's least or greatest value."""

    def compute(
        windows: Windows, runs: WindowRuns, context: Context, _: Sequence[Floats]
    ) -> Answer:
        values, present = nothing(windows)
        column = runs.columns.low if low else runs.columns.high
        places = np.arange(len(windows.times), dtype=np.int64)
        for part in segments(replace(windows, times=places)):
            context.check()
            found = column[part.times]
            extremes = part.spread(part.reduce(ufunc, found))
            bears = (found == extremes) | np.isnan(extremes)
            times = np.where(bears, windows.times[part.times], np.iinfo(np.int64).min)
            values.ravel()[part.windows] = part.reduce(np.maximum, times.astype(np.float64)) / 1000
            present.ravel()[part.windows] = True
        return values, present

    return compute


_OF_LAST = {
    "quantile_over_time": _quantile,
    "mad_over_time": _median_deviation,
    "stdvar_over_time": _variance,
    "stddev_over_time": _deviation,
}
_COUNTER = Figure.FIRST | Figure.RESETS

OF_RUNS: Mapping[str, RunForm] = {
    "sum_over_time": RunForm(_sum, Figure.TOTAL),
    "avg_over_time": RunForm(_avg, Figure.TOTAL),
    "count_over_time": RunForm(_count),
    "present_over_time": RunForm(_present),
    "min_over_time": RunForm(_min, Figure.LOW),
    "max_over_time": RunForm(_max, Figure.HIGH),
    "first_over_time": RunForm(_edge(last=False, of_times=False), Figure.FIRST),
    "last_over_time": RunForm(_edge(last=True, of_times=False)),
    "ts_of_first_over_time": RunForm(_edge(last=False, of_times=True)),
    "ts_of_last_over_time": RunForm(_edge(last=True, of_times=True)),
    "ts_of_min_over_time": RunForm(_time_of(np.fmin, low=True), Figure.LOW, exact=False),
    "ts_of_max_over_time": RunForm(_time_of(np.fmax, low=False), Figure.HIGH, exact=False),
    "rate": RunForm(_moved(is_counter=True, is_rate=True), _COUNTER),
    "increase": RunForm(_moved(is_counter=True, is_rate=False), _COUNTER),
    "delta": RunForm(_moved(is_counter=False, is_rate=False), Figure.FIRST),
    "irate": RunForm(_last_two(is_rate=True), _COUNTER, exact=False),
    "idelta": RunForm(_last_two(is_rate=False), Figure.FIRST, exact=False),
    "changes": RunForm(_changes, Figure.FIRST | Figure.LOW | Figure.HIGH, exact=False),
    "resets": RunForm(_resets, _COUNTER, exact=False),
    "deriv": RunForm(deriv, LINE, exact=False),
    "predict_linear": RunForm(predict_linear, LINE, exact=False),
    **{name: RunForm(_of_parts(compute), exact=False) for name, compute in _OF_LAST.items()},
}
"""Functions that are not here get the last sample of each run."""
