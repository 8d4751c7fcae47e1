"""Leaves of a plan: samples from the source, each time range read once for all steps.

Source of the semantics: Prometheus 3, where look-back and ranges are left-open.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from forewarn_collector.promql.annotations import BETWEEN_ROWS
from forewarn_collector.promql.errors import EvalError
from forewarn_collector.promql.live import LiveWindow
from forewarn_collector.promql.nodes import At, AtEdge, Range, Selector, Subquery
from forewarn_collector.promql.parts import check_size, in_parts
from forewarn_collector.promql.runs import run_at, windows_of_runs
from forewarn_collector.promql.values import (
    Bools,
    Context,
    Plan,
    Vector,
    Windows,
    empty_vector,
)
from forewarn_collector.store.columns import Figure, Floats, Ints, SeriesColumns, SeriesLabels
from forewarn_collector.store.spans import repeated, running_count, slices
from forewarn_collector.store.thinned import select_runs, thinned_until
from forewarn_wire.signals import STALE_NAN_BITS

_SLICE_SAMPLES = 250_000


def moved(times: Ints, at: At, offset: int, context: Context) -> Ints:
    """The times that steps look at: `@` sets them all to one, `offset` moves them back."""
    if at is None:
        return times - offset
    match at:
        case AtEdge.START:
            time = context.start
        case AtEdge.END:
            time = context.end
        case _:
            time = at
    return np.full(len(times), time - offset, dtype=np.int64)


def places_after(columns: SeriesColumns, instants: Ints) -> Ints:
    """For series `i` and instant `t`, the index of the first sample later than the instant.

    `instants: int64[steps]` -> `int64[series, steps]`; an index may be that of the next series'
    first sample, or lie behind the last one.
    """
    series = len(columns.labels)
    first = columns.offsets[:-1, np.newaxis]
    counts = np.diff(columns.offsets)
    if not len(columns.times):
        return np.zeros((series, len(instants)), dtype=np.int64)
    if (counts == counts[0]).all():
        rows = columns.times.reshape(series, counts[0])
        if (rows == rows[0]).all():
            found: Ints = first + np.searchsorted(rows[0], instants, "right")
            return found
    # One ascending key for many series, so that one search serves them all; in slices, which stay
    # in the processor's cache.
    least = min(int(columns.times.min()), int(instants.min()))
    span = max(int(columns.times.max()), int(instants.max())) - least + 1
    places = np.empty((series, len(instants)), dtype=np.int64)
    for low, high in slices(columns.offsets, _SLICE_SAMPLES):
        begin, end = columns.offsets[low], columns.offsets[high]
        rises = np.arange(high - low) * span - least
        keys = columns.times[begin:end] + repeated(rises, counts[low:high])
        wanted = (instants + rises[:, np.newaxis]).ravel()
        places[low:high] = np.searchsorted(keys, wanted, "right").reshape(high - low, -1) + begin
    return places


def is_thinned(context: Context, opens: int) -> bool:
    """Whether samples after a time (ms) may be thinned."""
    return opens < thinned_until(context.source)


class InstantSelector:
    """The latest sample of each series at each step, none older than the look-back."""

    def __init__(self, node: Selector) -> None:
        self._node = node

    def evaluate(self, context: Context) -> Vector:
        """The values, part by part of a long time."""

        def values(part: Context) -> Vector:
            labels, _, found, present = self._latest(part)
            return Vector(labels, found, present)

        return in_parts(values, self._node, context.lookback, context)

    def timestamps(self, context: Context) -> Vector:
        """The times of the samples (seconds) in place of their values: `timestamp()`."""

        def times(part: Context) -> Vector:
            labels, found, _, present = self._latest(part)
            return Vector(labels, found / 1000, present)

        return in_parts(times, self._node, context.lookback, context)

    def _latest(self, context: Context) -> tuple[SeriesLabels, Ints, Floats, Bools]:
        """Labels, and the times, values and presence of samples [series, steps]."""
        node = self._node
        instants = moved(context.times, node.at, node.offset, context)
        if context.steps == 1 and not is_thinned(context, int(instants[0]) - context.lookback):
            return self._newest(int(instants[0]), context)
        columns = select_runs(
            context.source,
            node.matchers,
            int(instants.min()) - context.lookback + 1,
            int(instants.max()),
            Figure.FIRST,
        )
        context.check()
        check_size(len(columns.labels), context.steps)
        places = places_after(columns, instants) - 1
        present: Bools = places >= columns.offsets[:-1, np.newaxis]
        if not len(columns.times):
            return columns.labels, places, np.zeros(places.shape), present
        times, values = columns.times[places], columns.values[places]
        present &= times > instants - context.lookback
        present &= values.view(np.int64) != STALE_NAN_BITS
        if columns.runs is not None:
            # Whether a run had ended is known; within it, its first value is the latest known one.
            present &= ~columns.runs.marked[places] | (times == instants)
            within, runs = run_at(places + 1, columns.offsets, columns.runs.began, instants)
            if within.any():
                context.annotations.inform(BETWEEN_ROWS, node.place)
                times = np.where(within, columns.runs.began[runs], times)
                values = np.where(within, columns.runs.first[runs], values)
                present |= within
        return columns.labels, times, values, present

    def _newest(self, instant: int, context: Context) -> tuple[SeriesLabels, Ints, Floats, Bools]:
        """The same at one step, for which the newest sample of each series is at hand."""
        node = self._node
        opens = instant - context.lookback
        if context.live is not None and node.at is None and node.offset > 0:
            window = context.live.window(node.matchers, context.lookback, instant).window
            # Copies, since the window slides on.
            labels = window.labels
            times, values = window.last_times.copy(), window.last_values.copy()
            present = (window.counts > 0) & ~window.ended
        else:
            latest = context.source.latest(node.matchers, opens + 1, instant)
            labels, times, values = latest.labels, latest.times, latest.values
            present = (times > opens) & (values.view(np.int64) != STALE_NAN_BITS)
        check_size(len(labels), 1)
        return labels, times[:, np.newaxis], values[:, np.newaxis], present[:, np.newaxis]


class RangeSelector:
    """The samples of each series in a range before each step, stale markers left out."""

    def __init__(self, node: Range) -> None:
        self._node = node

    def in_parts(self, evaluate: Callable[[Context], Vector], context: Context) -> Vector:
        """What `evaluate` makes of the windows, part by part of a long time."""
        return in_parts(evaluate, self._node.selector, self._node.range, context)

    def live(self, context: Context) -> LiveWindow | None:
        """The window that is kept from one evaluation of a rule to the next; None if there is none.

        A fixed time leaves nothing to keep up, and windows are of samples, not of rows.
        """
        selector = self._node.selector
        if context.live is None or selector.at is not None:
            return None
        closes = int(context.times[0]) - selector.offset
        if is_thinned(context, closes - self._node.range):
            return None
        return context.live.window(selector.matchers, self._node.range, closes)

    def evaluate(self, context: Context) -> Windows:
        """The windows; over thinned time, of runs."""
        return self.read(context, Figure(0))

    def read(self, context: Context, figures: Figure) -> Windows:
        """The same with some figures of runs."""
        selector, length = self._node.selector, self._node.range
        closes = moved(context.times, selector.at, selector.offset, context)
        opens = closes - length
        columns = select_runs(
            context.source, selector.matchers, int(opens.min()) + 1, int(closes.max()), figures
        )
        context.check()
        check_size(len(columns.labels), context.steps)
        columns = _without_stale(columns)
        whole = context.steps == 1 and columns.runs is None
        if whole:
            starts, ends = columns.offsets[:-1, np.newaxis], columns.offsets[1:, np.newaxis]
        else:
            starts, ends = places_after(columns, opens), places_after(columns, closes)
        if columns.runs is not None:
            return windows_of_runs(columns, columns.runs, starts, ends, opens, closes)
        return Windows(
            columns.labels, columns.times, columns.values, starts, ends, opens, closes, whole
        )


def _without_stale(columns: SeriesColumns) -> SeriesColumns:
    live = columns.values.view(np.int64) != STALE_NAN_BITS
    if live.all():
        return columns
    return SeriesColumns(
        columns.labels,
        columns.times[live],
        columns.values[live],
        running_count(live)[columns.offsets],
        None if columns.runs is None else columns.runs.where(live),
    )


class SubquerySelector:
    """An expression evaluated at its own steps, in ranges before each step of the query."""

    def __init__(self, node: Subquery, inner: Plan[Vector]) -> None:
        self._node = node
        self._inner = inner

    def evaluate(self, context: Context) -> Windows:
        node = self._node
        closes = moved(context.times, node.at, node.offset, context)
        opens = closes - node.range
        step = node.step or context.subquery_step
        # Steps are multiples of the step's length, whatever the query's own start.
        first = (int(opens.min()) // step + 1) * step
        check_size(1, (int(closes.max()) - first) // step + 1)
        grid = np.arange(first, int(closes.max()) + 1, step, dtype=np.int64)
        try:
            vector = self._inner.evaluate(context.at_steps(grid)) if len(grid) else empty_vector(0)
        except EvalError as error:
            # It knows its own steps, not those of the query.
            error.times = None
            raise
        context.check()
        check_size(len(vector.labels), max(context.steps, len(grid)))
        starts, ends = (
            _found_on(grid, vector.present, opens),
            _found_on(grid, vector.present, closes),
        )
        present = vector.present
        times = np.broadcast_to(grid, present.shape)[present]
        return Windows(
            vector.labels,
            times,
            vector.values[present],
            starts,
            ends,
            opens,
            closes,
            whole=False,
            nameless=vector.nameless,
        )


def _found_on(grid: Ints, present: Bools, instants: Ints) -> Ints:
    """`places_after` for samples on a common grid of which only those present count."""
    before = np.zeros((present.shape[0], len(grid) + 1), dtype=np.int64)
    np.cumsum(present.astype(np.int64), axis=1, out=before[:, 1:])
    totals = np.cumsum(before[:, -1])
    before[1:] += totals[:-1, np.newaxis]
    return before[:, np.searchsorted(grid, instants, "right")]
