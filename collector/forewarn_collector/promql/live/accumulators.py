"""What is kept up about the windows of many series as samples enter and leave them.

Each column has one element per series. Sums are kept with a compensation for what rounding loses
(Knuth, The Art of Computer Programming, vol. 2, 4.2.2), so that a sample that leaves takes away
just what it brought.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from forewarn_collector.promql.segments import reduce_windows, sum_windows
from forewarn_collector.promql.values import Bools
from forewarn_collector.store.columns import Floats, Ints
from forewarn_collector.store.sliding import Contents, SlidingWindow, Turn

_NONE: Ints = np.zeros(0, dtype=np.int64)

CANCELLED = 1e-14
"""A kept sum that is smaller than this share of the largest that passed through it is doubtful."""


CLOSE_TOGETHER = 1e-6
"""A share of the squares of some times that is too little to tell the variance of these from."""


class Accumulator(Protocol):
    """Something that is kept up."""

    def resize(self, series: int) -> None:
        """Make room for so many series; those that are new are renewed next."""

    def renew(self, rows: Ints, contents: Contents) -> None:
        """Compute some series from all samples of their windows."""

    def enter(self, turn: Turn) -> None:
        """Take in samples."""

    def leave(self, turn: Turn) -> None:
        """Take away samples."""

    def doubtful(self, window: SlidingWindow) -> Ints:
        """The series that must be renewed, after all that entered or left their window."""


def _resized(column: Floats, series: int) -> Floats:
    if len(column) >= series:
        return column[:series]
    return np.concatenate((column, np.zeros(series - len(column))))


def _reduced(ufunc: np.ufunc, column: Floats, contents: Contents) -> Floats:
    return reduce_windows(ufunc, column, contents.offsets[:-1], contents.offsets[1:])


class _CompensatedSum:
    """Sums that terms are added to and taken from again."""

    def __init__(self) -> None:
        self._sums = np.zeros(0)
        self._lost = np.zeros(0)
        self._peaks = np.zeros(0)

    def resize(self, series: int) -> None:
        self._sums = _resized(self._sums, series)
        self._lost = _resized(self._lost, series)
        self._peaks = _resized(self._peaks, series)

    def renew(self, rows: Ints, column: Floats, contents: Contents) -> None:
        """Sum the finite `column`, parallel to the contents' samples."""
        starts, ends = contents.offsets[:-1], contents.offsets[1:]
        self._sums[rows] = sum_windows(column, starts, ends)
        self._lost[rows] = 0.0
        self._peaks[rows] = _reduced(np.maximum, np.abs(column), contents)

    def add(self, rows: Ints, terms: Floats) -> None:
        """Add one term to each of some sums."""
        sums = self._sums[rows]
        totals = sums + terms
        rounded = totals - sums
        self._lost[rows] += (sums - (totals - rounded)) + (terms - rounded)
        self._sums[rows] = totals
        self._peaks[rows] = np.maximum(self._peaks[rows], np.abs(terms))

    def clear(self, rows: Ints) -> None:
        """Begin some sums anew."""
        self._sums[rows] = self._lost[rows] = self._peaks[rows] = 0.0

    def totals(self) -> Floats:
        """The sums."""
        totals: Floats = self._sums + self._lost
        return totals

    def doubtful(self) -> Ints:
        """The sums of which nothing may be left but what rounding has left."""
        totals = np.abs(self.totals())
        return np.flatnonzero(~(totals >= CANCELLED * self._peaks))


class Falls:
    """Where each counter falls between two neighbouring samples, and what it had reached there."""

    def __init__(self) -> None:
        self.counts = np.zeros(0)
        self.reached = np.zeros(0)
        self._inexact: list[Ints] = []

    def resize(self, series: int) -> None:
        if series < len(self.counts):
            self._inexact = []  # all rows are others now, and renewed
        self.counts = _resized(self.counts, series)
        self.reached = _resized(self.reached, series)

    def renew(self, rows: Ints, contents: Contents) -> None:
        before, after = _neighbours(contents)
        fell = contents.values[after] < contents.values[before]
        lost = np.where(fell, contents.values[before], 0.0)
        places = _rows_of_pairs(contents)
        if len(rows) == len(self.counts):
            self._inexact = []
        self.counts[rows] = np.bincount(places, fell, minlength=len(rows))
        self.reached[rows] = np.bincount(places, lost, minlength=len(rows))

    def enter(self, turn: Turn) -> None:
        fell = turn.linked & (turn.values < turn.neighbours)
        if fell.any():
            self.counts[turn.rows[fell]] += 1
            self.reached[turn.rows[fell]] += turn.neighbours[fell]

    def leave(self, turn: Turn) -> None:
        fell = turn.linked & (turn.neighbours < turn.values)
        if not fell.any():
            return
        rows = turn.rows[fell]
        self.counts[rows] -= 1
        self.reached[rows] = 0.0
        self._inexact.append(rows[self.counts[rows] > 0])

    def doubtful(self, window: SlidingWindow) -> Ints:
        rows = np.unique(np.concatenate((_NONE, *self._inexact)))
        self._inexact = []
        return rows


class Changes:
    """How often each series' value changes between two neighbouring samples."""

    def __init__(self) -> None:
        self.counts = np.zeros(0)

    def resize(self, series: int) -> None:
        self.counts = _resized(self.counts, series)

    def renew(self, rows: Ints, contents: Contents) -> None:
        before, after = _neighbours(contents)
        changed = _differ(contents.values[before], contents.values[after])
        self.counts[rows] = np.bincount(_rows_of_pairs(contents), changed, minlength=len(rows))

    def enter(self, turn: Turn) -> None:
        self.counts[turn.rows] += turn.linked & _differ(turn.values, turn.neighbours)

    def leave(self, turn: Turn) -> None:
        self.counts[turn.rows] -= turn.linked & _differ(turn.values, turn.neighbours)

    def doubtful(self, window: SlidingWindow) -> Ints:
        return _NONE


class Sums:
    """The sum of each window's finite samples; `odd` counts the others."""

    def __init__(self) -> None:
        self._sum = _CompensatedSum()
        self.odd = np.zeros(0)

    def resize(self, series: int) -> None:
        self._sum.resize(series)
        self.odd = _resized(self.odd, series)

    def renew(self, rows: Ints, contents: Contents) -> None:
        finite = np.isfinite(contents.values)
        self._sum.renew(rows, np.where(finite, contents.values, 0.0), contents)
        self.odd[rows] = _reduced(np.add, (~finite).astype(np.float64), contents)

    def enter(self, turn: Turn) -> None:
        self._sum.clear(turn.rows[~turn.linked])
        self._add(turn, 1.0)

    def leave(self, turn: Turn) -> None:
        self._add(turn, -1.0)

    def _add(self, turn: Turn, sign: float) -> None:
        finite = np.isfinite(turn.values)
        if finite.all():
            self._sum.add(turn.rows, sign * turn.values)
            return
        self._sum.add(turn.rows[finite], sign * turn.values[finite])
        self.odd[turn.rows[~finite]] += sign

    def doubtful(self, window: SlidingWindow) -> Ints:
        return self._sum.doubtful()

    def totals(self) -> Floats:
        """The sums."""
        return self._sum.totals()


class Lines:
    """The sums that a least-squares line through each window's samples needs.

    Seconds count from `origins` (ms), values from `bases`: the last sample and the mean when the
    window was last renewed (0 where the values were far from their mean). So little is lost to
    rounding, until the window has moved away from there.
    """

    def __init__(self) -> None:
        self._seconds = _CompensatedSum()
        self._squares = _CompensatedSum()
        self._values = _CompensatedSum()
        self._products = _CompensatedSum()
        self._parts = (self._seconds, self._squares, self._values, self._products)
        self.origins = np.zeros(0)
        self.bases = np.zeros(0)
        self.odd = np.zeros(0)

    def resize(self, series: int) -> None:
        for part in self._parts:
            part.resize(series)
        self.origins = _resized(self.origins, series)
        self.bases = _resized(self.bases, series)
        self.odd = _resized(self.odd, series)

    def renew(self, rows: Ints, contents: Contents) -> None:
        counts = np.diff(contents.offsets)
        finite = np.isfinite(contents.values)
        filled = counts > 0
        last = contents.offsets[1:][filled] - 1
        self.origins[rows[filled]] = contents.times[last]
        plain = np.where(finite, contents.values, 0.0)
        means = _reduced(np.add, plain / np.repeat(counts, counts), contents)
        spreads = _reduced(np.maximum, np.abs(plain - np.repeat(means, counts)), contents)
        self.bases[rows] = np.where(spreads < np.abs(means), means, 0.0)
        seconds = (contents.times - np.repeat(self.origins[rows], counts)) / 1000
        values = plain - np.repeat(self.bases[rows], counts)
        self._seconds.renew(rows, seconds, contents)
        self._squares.renew(rows, seconds * seconds, contents)
        self._values.renew(rows, values, contents)
        self._products.renew(rows, seconds * values, contents)
        self.odd[rows] = _reduced(np.add, (~finite).astype(np.float64), contents)

    def enter(self, turn: Turn) -> None:
        # The first sample of an empty window is where its line counts from.
        alone = ~turn.linked
        if alone.any():
            first = turn.rows[alone]
            for part in self._parts:
                part.clear(first)
            self.origins[first] = turn.times[alone]
            values = turn.values[alone]
            self.bases[first] = np.where(np.isfinite(values), values, 0.0)
        self._add(turn, 1.0)

    def leave(self, turn: Turn) -> None:
        self._add(turn, -1.0)

    def _add(self, turn: Turn, sign: float) -> None:
        rows = turn.rows
        finite = np.isfinite(turn.values)
        values = turn.values
        if not finite.all():
            values = np.where(finite, values, 0.0)
            self.odd[rows[~finite]] += sign
        seconds = (turn.times - self.origins[rows]) / 1000
        values = values - self.bases[rows]
        self._seconds.add(rows, sign * seconds)
        self._squares.add(rows, sign * (seconds * seconds))
        self._values.add(rows, sign * values)
        self._products.add(rows, sign * (seconds * values))

    def doubtful(self, window: SlidingWindow) -> Ints:
        # Also where the values have become small beside what they are counted from.
        means = self._values.totals() / window.counts + self.bases
        far = np.abs(means) < 0.01 * np.abs(self.bases)
        # Not all of them at once, so that no single evaluation is long.
        ranges = 2 + np.arange(len(far)) % 16 / 16
        far |= window.closes - self.origins > ranges * (window.closes - window.opens)
        # And where the samples are close together beside their distance from there.
        squares = self._squares.totals()
        spread = squares - self._seconds.totals() ** 2 / window.counts
        far |= spread < CLOSE_TOGETHER * squares
        far &= window.counts > 1
        return np.unique(
            np.concatenate(
                (np.flatnonzero(far), self._values.doubtful(), self._products.doubtful())
            )
        )

    def fit(self, counts: Ints) -> tuple[Floats, Floats, Floats]:
        """Slope (per second), mean second and mean value of each line, counted as said above."""
        seconds, values = self._seconds.totals(), self._values.totals()
        mean_seconds, mean_values = seconds / counts, values / counts
        covariances = self._products.totals() - seconds * mean_values
        variances = self._squares.totals() - seconds * mean_seconds
        return covariances / variances, mean_seconds, mean_values


class Extremes:
    """The extreme of each window, NaN left out, and how many of its samples have that value."""

    ufunc: np.ufunc

    def __init__(self) -> None:
        self.values = np.zeros(0)
        self._ties = np.zeros(0)

    def resize(self, series: int) -> None:
        self.values = _resized(self.values, series)
        self._ties = _resized(self._ties, series)

    def renew(self, rows: Ints, contents: Contents) -> None:
        self.values[rows] = _reduced(self.ufunc, contents.values, contents)
        spread = np.repeat(self.values[rows], np.diff(contents.offsets))
        ties = _equal(contents.values, spread).astype(np.float64)
        self._ties[rows] = _reduced(np.add, ties, contents)

    def enter(self, turn: Turn) -> None:
        rows = turn.rows
        known = np.where(turn.linked, self.values[rows], np.nan)
        extremes = self.ufunc(known, turn.values)
        ties = np.where(turn.linked & _equal(known, extremes), self._ties[rows], 0.0)
        self._ties[rows] = ties + _equal(turn.values, extremes)
        self.values[rows] = extremes

    def leave(self, turn: Turn) -> None:
        self._ties[turn.rows] -= _equal(turn.values, self.values[turn.rows])

    def doubtful(self, window: SlidingWindow) -> Ints:
        return np.flatnonzero((self._ties <= 0) & (window.counts > 0))


class Minima(Extremes):
    """The least sample of each window."""

    ufunc = np.fmin


class Maxima(Extremes):
    """The greatest sample of each window."""

    ufunc = np.fmax


def _equal(one: Floats, other: Floats) -> Bools:
    """Equal, NaN being equal to NaN."""
    same: Bools = (one == other) | (np.isnan(one) & np.isnan(other))
    return same


def _differ(one: Floats, other: Floats) -> Bools:
    return ~_equal(one, other)


def _neighbours(contents: Contents) -> tuple[Ints, Ints]:
    """Places of each sample that another one of its window follows, and of that."""
    inside = np.ones(len(contents.values), dtype=np.bool_)
    filled = np.diff(contents.offsets) > 0
    inside[contents.offsets[:-1][filled]] = False
    after = np.flatnonzero(inside)
    return after - 1, after


def _rows_of_pairs(contents: Contents) -> Ints:
    """The window of each of `_neighbours`."""
    pairs = np.maximum(np.diff(contents.offsets) - 1, 0)
    return np.repeat(np.arange(len(pairs)), pairs)
