"""Sums, extremes and quantiles over many windows of one column at once.

Windows may overlap and be empty; what is said of an empty window is anything at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from forewarn_collector.promql.values import Windows
from forewarn_collector.store.columns import Floats, Ints
from forewarn_collector.store.spans import repeated

CHUNK_SAMPLES = 500_000
"""Samples of overlapping windows laid end to end at once: 4 MB a column."""

CANCELLED = 1e-6
"""A sum smaller than this share of its absolute terms is summed again, with compensation."""


def reduce_windows(ufunc: np.ufunc, column: Floats, starts: Ints, ends: Ints) -> Floats:
    """`ufunc` over `column[start:end]` of each window. `starts`, `ends`: int64[windows]."""
    filled = ends > starts
    if not filled.any():
        return np.zeros(len(starts))
    if filled.all():
        return _reduce_filled(ufunc, column, starts, ends)
    result = np.zeros(len(starts))
    result[filled] = _reduce_filled(ufunc, column, starts[filled], ends[filled])
    return result


def _reduce_filled(ufunc: np.ufunc, column: Floats, starts: Ints, ends: Ints) -> Floats:
    if np.array_equal(starts[1:], ends[:-1]):
        reduced: Floats = ufunc.reduceat(column[: ends[-1]], starts)
        return reduced
    # reduceat takes single indices: a start, then an end, of which every second result counts.
    edges = np.empty(2 * len(starts), dtype=np.int64)
    edges[0::2], edges[1::2] = starts, ends
    padded = np.append(column, 0.0)  # so that an end may lie behind the last sample
    pairs: Floats = ufunc.reduceat(padded, edges)
    return pairs[0::2]


def sum_windows(column: Floats, starts: Ints, ends: Ints) -> Floats:
    """Sums as exact as Prometheus' compensated ones. Shapes as in `reduce_windows`."""
    sums = reduce_windows(np.add, column, starts, ends)
    if not len(column) or column.min() >= 0:
        return sums
    scales = reduce_windows(np.add, np.abs(column), starts, ends)
    poor = np.flatnonzero(cancelled(sums, scales) & (ends > starts))
    if len(poor):
        sums[poor] = compensated_sums(column, starts[poor], ends[poor])
    return sums


def cancelled(sums: Floats, scales: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Which sums are small beside the sum of their absolute terms."""
    small: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = np.isfinite(scales) & (
        np.abs(sums) < CANCELLED * scales
    )
    return small


def compensated_sums(column: Floats, starts: Ints, ends: Ints) -> Floats:
    """Neumaier's sums, which Prometheus takes: what is lost to rounding is summed apart.

    The loop goes along the windows, all of them at once: each sum needs the one before.
    """
    sums, lost = np.zeros(len(starts)), np.zeros(len(starts))
    for place in range(int((ends - starts).max())):
        inside = starts + place < ends
        terms = np.where(inside, column[np.where(inside, starts + place, 0)], 0.0)
        totals = sums + terms
        larger = np.abs(sums) >= np.abs(terms)
        lost += np.where(larger, (sums - totals) + terms, (terms - totals) + sums)
        sums = totals
    return sums + lost


def mean_windows(column: Floats, starts: Ints, ends: Ints) -> Floats:
    """Means; a sum that would overflow does not spoil one."""
    counts = np.maximum(ends - starts, 1)
    sums = sum_windows(column, starts, ends)
    means: Floats = sums / counts
    for window in np.flatnonzero(~np.isfinite(sums) & (ends > starts)):
        terms = column[starts[window] : ends[window]]
        if np.isfinite(terms).all():
            means[window] = (terms / len(terms)).sum()
    return means


@dataclass(frozen=True, slots=True)
class Segments:
    """Windows laid end to end: window `w` is `bounds[w]:bounds[w + 1]` of times and values.

    None is empty. `windows: int64[windows]` are their places among all windows asked for.
    """

    windows: Ints
    times: Ints
    values: Floats
    bounds: Ints

    @property
    def counts(self) -> Ints:
        """Samples of each window."""
        return np.diff(self.bounds)

    def reduce(self, ufunc: np.ufunc, column: Floats) -> Floats:
        """`ufunc` over each window of a column that is parallel to `values`."""
        return reduce_windows(ufunc, column, self.bounds[:-1], self.bounds[1:])

    def sum(self, column: Floats) -> Floats:
        """The sum of each window of a column that is parallel to `values`."""
        return sum_windows(column, self.bounds[:-1], self.bounds[1:])

    def mean(self, column: Floats) -> Floats:
        """The mean of each window of a column that is parallel to `values`."""
        return mean_windows(column, self.bounds[:-1], self.bounds[1:])

    def spread(self, column: Floats) -> Floats:
        """One value for each window, repeated for each of its samples."""
        return repeated(column, self.counts)


def segments(windows: Windows, least: int = 1) -> Iterator[Segments]:
    """All windows of at least `least` samples, in chunks that fit into memory."""
    starts, ends = windows.starts.ravel(), windows.ends.ravel()
    counts = ends - starts
    chosen = np.flatnonzero(counts >= least)
    if windows.whole and len(chosen) == len(counts):
        if len(chosen):
            yield Segments(chosen, windows.times, windows.values, np.append(starts, ends[-1]))
        return
    totals = np.cumsum(counts[chosen])
    first = 0
    while first < len(chosen):
        before = totals[first - 1] if first else 0
        end = max(first + 1, int(np.searchsorted(totals, before + CHUNK_SAMPLES, "right")))
        part = chosen[first:end]
        bounds = np.concatenate(([0], np.cumsum(counts[part])))
        places = repeated(starts[part] - bounds[:-1], counts[part]) + np.arange(bounds[-1])
        yield Segments(part, windows.times[places], windows.values[places], bounds)
        first = end


def quantile_segments(column: Floats, bounds: Ints, quantiles: Floats) -> Floats:
    """The quantile of each window, interpolated, NaN being the smallest value.

    `bounds: int64[windows + 1]`, none empty; `quantiles: float64[windows]`. Outside of 0 to 1
    it is an infinity. Source: prometheus/prometheus `promql/quantile.go`.
    """
    counts = np.diff(bounds)
    if len(counts) and (counts == counts[0]).all():
        ordered = np.sort(column.reshape(len(counts), counts[0]), axis=1).ravel()
    else:
        ordered = column[np.lexsort((column, repeated(np.arange(len(counts)), counts)))]
    nans = reduce_windows(np.add, np.isnan(ordered).astype(np.float64), bounds[:-1], bounds[1:])
    return pick_quantiles(ordered, bounds[:-1], counts, nans.astype(np.int64), quantiles)


def pick_quantiles(
    ordered: Floats, starts: Ints, counts: Ints, nans: Ints, quantiles: Floats
) -> Floats:
    """Quantiles of windows of `ordered`, each sorted with its `nans` at the end.

    `starts`, `counts` (at least 1), `nans` and `quantiles` have one element for each window.
    """
    below, above, weights = quantile_places(counts, nans, quantiles)
    return interpolated(ordered[starts + below], ordered[starts + above], weights, quantiles)


def quantile_places(counts: Ints, nans: Ints, quantiles: Floats) -> tuple[Ints, Ints, Floats]:
    """Between which values of each window, from its first, a quantile lies, and how far on."""
    inside = (quantiles >= 0) & (quantiles <= 1)
    ranks = np.where(inside, quantiles, 0.0) * (counts - 1)
    lower = np.floor(ranks).astype(np.int64)
    upper = np.minimum(counts - 1, lower + 1)
    # numpy puts NaN last, Prometheus first.
    return (lower - nans) % counts, (upper - nans) % counts, np.subtract(ranks, lower)


def interpolated(below: Floats, above: Floats, weights: Floats, quantiles: Floats) -> Floats:
    """Quantiles between two values each."""
    result: Floats = below * (1 - weights) + above * weights
    result[quantiles < 0] = -np.inf
    result[quantiles > 1] = np.inf
    result[np.isnan(quantiles)] = np.nan
    return result
