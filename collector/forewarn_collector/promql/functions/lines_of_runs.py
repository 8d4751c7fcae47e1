"""Least-squares lines through runs of samples: a forecast over months that were thinned.

A run counts as if its samples were evenly spaced in time, on a line as steep as that from its first
value to its last, about the run's mean. Samples on a line give that very line.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.promql.segments import reduce_windows
from forewarn_collector.promql.values import Bools, Context, WindowRuns, Windows
from forewarn_collector.store.columns import Figure, Floats
from forewarn_collector.store.spans import repeated, running_count, spans

LINE = Figure.FIRST | Figure.TOTAL | Figure.LOW | Figure.HIGH
"""What a line reads of runs."""


def _lines(windows: Windows, runs: WindowRuns, origins: Floats) -> tuple[Floats, Floats, Bools]:
    """Slope (per second) and value at the origin (ms) of each window, and which have two samples.

    Sums are differences of running ones, in extended precision since these are much larger, of what
    is later and higher than each series' first value. Where one is not finite, the line is NaN.
    """
    columns, shape = runs.columns, windows.starts.shape
    first, last = windows.starts.min(axis=1), windows.ends.max(axis=1)
    lengths = last - first
    places = spans(first, lengths)
    shifts = (np.cumsum(lengths) - lengths - first)[:, np.newaxis]
    starts, ends = (windows.starts + shifts).ravel(), (windows.ends + shifts).ravel()
    safe = np.minimum(first, len(windows.times) - 1)

    weights = columns.counts[places]
    began, ended = columns.began[places], windows.times[places]
    opening, closing = columns.first[places], windows.values[places]
    means = columns.total[places] / weights
    finite = np.isfinite(means) & np.isfinite(opening) & np.isfinite(closing)
    means = np.where(finite, means, 0.0)
    bases = np.where(np.isfinite(columns.first[safe]), columns.first[safe], 0.0)
    offs = means - repeated(bases, lengths)
    largest = reduce_windows(np.maximum, np.abs(offs), first + shifts[:, 0], last + shifts[:, 0])
    scales = np.where(largest > 0, largest, 1.0)
    offs = offs / repeated(scales, lengths)
    seconds = ((began + ended) / 2 - repeated(columns.began[safe], lengths)) / 1000
    # Of a run: how its times are spread, and how fast it rises.
    lasts = (ended - began) / 1000
    spreads = lasts * lasts / 12 * (weights + 1) / np.maximum(weights - 1, 1)
    rises = np.where(finite & (lasts > 0), (closing - opening) / np.maximum(lasts, 1e-3), 0.0)
    rises = rises / repeated(scales, lengths)

    def sums(column: Floats) -> NDArray[np.longdouble]:
        terms = (weights * column).astype(np.longdouble)
        running = np.concatenate((np.zeros(1, np.longdouble), np.cumsum(terms)))
        difference: NDArray[np.longdouble] = running[ends] - running[starts]
        return difference

    counts = sums(np.ones(len(places)))
    second, off = sums(seconds) / counts, sums(offs) / counts
    together = sums(seconds * offs + spreads * rises) - counts * second * off
    spread = sums(seconds * seconds + spreads) - counts * second * second
    series = np.arange(starts.size) // shape[1]
    slopes = (together / spread).astype(np.float64) * scales[series]
    ago = second.astype(np.float64) - (origins.ravel() - columns.began[safe][series]) / 1000
    at_origin = bases[series] + off.astype(np.float64) * scales[series] - slopes * ago
    # A constant has no slope, not even that of rounding.
    head = np.minimum(starts, max(len(places) - 1, 0))
    differs = (columns.low[places] != columns.high[places]).astype(np.int64)
    differs[1:] += opening[1:] != closing[:-1]
    totals = np.concatenate(([0], np.cumsum(differs)))
    inside = totals[ends] - totals[np.minimum(starts + 1, ends)]
    constant = (inside == 0) & (columns.low[places] == columns.high[places])[head]
    slopes = np.where(constant, 0.0, slopes)
    at_origin = np.where(constant, opening[head], at_origin)
    unsound = running_count(~finite)
    wild = unsound[ends] > unsound[starts]
    slopes[wild] = at_origin[wild] = np.nan
    return slopes.reshape(shape), at_origin.reshape(shape), (counts >= 2).reshape(shape)


def _any(windows: Windows) -> bool:
    return bool((windows.ends > windows.starts).any())


def nothing(windows: Windows) -> tuple[Floats, Bools]:
    """An answer without any value."""
    shape = windows.starts.shape
    return np.zeros(shape), np.zeros(shape, dtype=np.bool_)


def deriv(
    windows: Windows, runs: WindowRuns, context: Context, parameters: Sequence[Floats]
) -> tuple[Floats, Bools]:
    """The slope of each line."""
    if not _any(windows):
        return nothing(windows)
    slopes, _, enough = _lines(windows, runs, np.zeros(windows.starts.shape))
    return slopes, enough


def predict_linear(
    windows: Windows, runs: WindowRuns, context: Context, parameters: Sequence[Floats]
) -> tuple[Floats, Bools]:
    """What each line says of a time so many seconds later."""
    if not _any(windows):
        return nothing(windows)
    origins = np.broadcast_to(context.times.astype(np.float64), windows.starts.shape)
    slopes, values, enough = _lines(windows, runs, origins)
    return values + slopes * parameters[0], enough
