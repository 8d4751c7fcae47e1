"""Functions that fit a line or a trend to the samples of a range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.promql.errors import EvalError
from forewarn_collector.promql.functions.base import Builder, over_range, over_segments
from forewarn_collector.promql.segments import Segments, mean_windows, reduce_windows, segments
from forewarn_collector.promql.values import Bools, Context, Windows
from forewarn_collector.store.columns import Floats
from forewarn_collector.store.spans import repeated, spans

_OVERLAP = 16
"""How many windows a sample must be in, on average, for sums that run on from one to the next."""


def _line(part: Segments, origins: Floats) -> tuple[Floats, Floats]:
    """Slope (per second) and value at the origin (ms) of each window's least-squares line."""
    seconds = (part.times - part.spread(origins)) / 1000
    mean_second, mean_value = part.mean(seconds), part.mean(part.values)
    off_second = seconds - part.spread(mean_second)
    off_value = part.values - part.spread(mean_value)
    slope = part.reduce(np.add, off_second * off_value) / part.reduce(
        np.add, off_second * off_second
    )
    # A constant has no slope, not even that of rounding; a constant infinity has no line.
    first = part.values[part.bounds[:-1]]
    differs = (part.values != part.spread(first)).astype(np.float64)
    constant = part.reduce(np.add, differs) == 0
    slope = np.where(constant, np.where(np.isinf(first), np.nan, 0.0), slope)
    at_origin = np.where(
        constant, np.where(np.isinf(first), np.nan, first), mean_value - slope * mean_second
    )
    return slope, at_origin


def _sliding_lines(windows: Windows, origins: Floats, enough: Bools) -> tuple[Floats, Floats]:
    """The lines of windows that overlap so much that sums are taken as differences of running ones.

    Of those windows, laid out as one column, that have `enough` samples, all of them finite. The
    sums run in extended precision, since they are much larger than their differences.
    """
    first, last = windows.starts.min(axis=1), windows.ends.max(axis=1)
    lengths = last - first
    places = spans(first, lengths)
    bases = np.cumsum(lengths) - lengths
    columns = windows.values[places]
    # Times and values of each series from its first sample and its mean, and values in parts of its
    # largest, so that the sums are small and no series' are lost in those of another.
    begins = windows.times[np.minimum(first, len(windows.times) - 1)]
    means = mean_windows(windows.values, first, last)
    seconds = ((windows.times[places] - repeated(begins, lengths)) / 1000).astype(np.longdouble)
    largest = reduce_windows(np.maximum, np.abs(windows.values), first, last)
    scales = np.where(largest > 0, largest, 1.0)
    offs = (columns.astype(np.longdouble) - repeated(means, lengths)) / repeated(scales, lengths)
    moved = (bases - first)[:, np.newaxis]
    starts = (windows.starts + moved).ravel()[enough]
    ends = (windows.ends + moved).ravel()[enough]

    def sums(column: NDArray[np.longdouble]) -> NDArray[np.longdouble]:
        running = np.concatenate((np.zeros(1, np.longdouble), np.cumsum(column)))
        difference: NDArray[np.longdouble] = running[ends] - running[starts]
        return difference

    counts = (ends - starts).astype(np.longdouble)
    second, off = sums(seconds) / counts, sums(offs) / counts
    together = sums(seconds * offs) - counts * second * off
    series = np.flatnonzero(enough) // windows.starts.shape[1]
    spread = sums(seconds * seconds) - counts * second * second
    slopes = (together / spread).astype(np.float64) * scales[series]
    # A constant has no slope, not even that of rounding.
    changes = np.cumsum(np.append(0, columns[1:] != columns[:-1]))
    constant = changes[ends - 1] == changes[starts]
    slopes[constant] = 0.0
    ago = second.astype(np.float64) - (origins[enough] - begins[series]) / 1000
    at_origin = means[series] + off.astype(np.float64) * scales[series] - slopes * ago
    at_origin[constant] = columns[starts[constant]]
    return slopes, at_origin


def _deriv(part: Segments, parameters: Sequence[Floats]) -> Floats:
    return _line(part, part.times[part.bounds[:-1]].astype(np.float64))[0]


def _predict_linear(
    windows: Windows, context: Context, parameters: Sequence[Floats]
) -> tuple[Floats, Bools]:
    shape = windows.starts.shape
    values, present = np.zeros(shape), np.zeros(shape, dtype=np.bool_)
    origins = np.broadcast_to(context.times.astype(np.float64), shape).ravel()
    ahead = np.broadcast_to(parameters[0], shape).ravel()
    counts = (windows.ends - windows.starts).ravel()
    if counts.sum() > _OVERLAP * len(windows.values) and np.isfinite(windows.values).all():
        enough = counts > 1
        slope, at_origin = _sliding_lines(windows, origins, enough)
        values.ravel()[enough] = at_origin + slope * ahead[enough]
        return values, enough.reshape(shape)
    for part in segments(windows, 2):
        context.check()
        slope, at_origin = _line(part, origins[part.windows])
        values.ravel()[part.windows] = at_origin + slope * ahead[part.windows]
        present.ravel()[part.windows] = True
    return values, present


def _smoothed(
    windows: Windows, context: Context, parameters: Sequence[Floats]
) -> tuple[Floats, Bools]:
    shape = windows.starts.shape
    values, present = np.zeros(shape), np.zeros(shape, dtype=np.bool_)
    by_window = [np.broadcast_to(parameter, shape).ravel() for parameter in parameters]
    # Wrong factors are refused wherever there is a sample, though one alone has no trend.
    for part in segments(windows, 1):
        context.check()
        chosen = [parameter[part.windows] for parameter in by_window]
        values.ravel()[part.windows] = _smoothing(part, chosen)
        present.ravel()[part.windows] = part.counts >= 2
    return values, present


def _smoothing(part: Segments, parameters: Sequence[Floats]) -> Floats:
    """Holt's double exponential smoothing."""
    smoothing, trending = parameters
    for name, factors in (("smoothing", smoothing), ("trend", trending)):
        wrong = ~((factors > 0) & (factors < 1))
        if wrong.any():
            raise EvalError(
                f"invalid {name} factor. Expected: 0 < {name[0]}f < 1, got: {factors[wrong][0]:f}"
            )
    counts, firsts = part.counts, part.bounds[:-1]
    level = part.values[firsts]
    before = level
    trend = part.values[np.minimum(firsts + 1, part.bounds[1:] - 1)] - level
    # Each value needs the one before, so the loop goes along the windows, all of them at once.
    for place in range(1, int(counts.max())):
        longer = counts > place
        value = part.values[np.where(longer, firsts + place, firsts)]
        if place > 1:
            next_trend = trending * (level - before) + (1 - trending) * trend
            trend = np.where(longer, next_trend, trend)
        before = level
        level = np.where(longer, smoothing * value + (1 - smoothing) * (level + trend), level)
    return level


TRENDS: Mapping[str, Builder] = {
    "deriv": over_segments(_deriv, least=2),
    "predict_linear": over_range(_predict_linear),
    "double_exponential_smoothing": over_range(_smoothed),
}
