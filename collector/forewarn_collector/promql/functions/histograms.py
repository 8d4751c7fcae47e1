"""Quantiles and fractions of classic histograms, whose buckets are series with the label `le`.

Source: prometheus/prometheus `promql/quantile.go`. Native histograms are no samples here, so
the functions that read only those give nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from forewarn_collector.promql.errors import EvalError
from forewarn_collector.promql.functions.base import Builder, Compiler
from forewarn_collector.promql.functions.labelling import with_label
from forewarn_collector.promql.nodes import Call
from forewarn_collector.promql.relabel import relabelled, united
from forewarn_collector.promql.text import open_metrics_float
from forewarn_collector.promql.values import (
    Bools,
    Context,
    Memo,
    Plan,
    Scalars,
    Vector,
    any_along,
    empty_vector,
)
from forewarn_collector.store.columns import Floats, Ints
from forewarn_wire.labels import Labels, without

_BUCKET = "le"

_TOLERANCE = 1e-12
"""Two counts that differ by less, relatively, differ by rounding only."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where each bucket stands in a table of histograms by buckets, ascending by bound.

    `series: int64[buckets]` are the input's rows that are buckets and `cells: int64[buckets]`
    their places in the flattened table; `bounds: float64[histograms, most buckets]`, NaN where
    a histogram has fewer. `labels` are the histograms'; `unique` tells that no two series are
    the same bucket.
    """

    series: Ints
    cells: Ints
    bounds: Floats
    labels: Sequence[Labels]
    unique: bool
    malformed: bool


def _layout(series: Sequence[Labels]) -> _Layout:
    histograms: dict[Labels, dict[float, list[int]]] = {}
    malformed = False
    for row, labels in enumerate(series):
        bound = _bound(dict(labels).get(_BUCKET, ""))
        if bound is None:
            malformed = True
            continue
        buckets = histograms.setdefault(without(labels, (_BUCKET,)), {})
        buckets.setdefault(bound, []).append(row)
    most = max(map(len, histograms.values()), default=0)
    bounds = np.full((len(histograms), most), np.nan)
    rows: list[int] = []
    cells: list[int] = []
    for index, buckets in enumerate(histograms.values()):
        for place, bound in enumerate(sorted(buckets)):
            bounds[index, place] = bound
            rows += buckets[bound]
            cells += [index * most + place] * len(buckets[bound])
    return _Layout(
        np.array(rows, dtype=np.int64),
        np.array(cells, dtype=np.int64),
        bounds,
        tuple(histograms),
        len(set(cells)) == len(cells),
        malformed,
    )


def _bound(text: str) -> float | None:
    try:
        bound = float(text)
    except ValueError:
        return None
    return None if np.isnan(bound) else bound


@dataclass(frozen=True, slots=True)
class _Table:
    """Cumulative counts: `counts: float64[histograms, buckets, steps]`, `seen` likewise."""

    layout: _Layout
    counts: Floats
    seen: Bools

    @property
    def present(self) -> Bools:
        """Which histograms have any bucket. -> bool[histograms, steps]."""
        return any_along(self.seen, axis=1)


def _table(layout: _Layout, vector: Vector) -> _Table:
    steps = vector.values.shape[1]
    shape = (*layout.bounds.shape, steps)
    counts = np.zeros((layout.bounds.size, steps))
    seen = np.zeros((layout.bounds.size, steps), dtype=np.bool_)
    present = vector.present[layout.series]
    values = np.where(present, vector.values[layout.series], 0)
    if layout.unique:
        counts[layout.cells], seen[layout.cells] = values, present
    else:
        np.add.at(counts, layout.cells, values)
        np.logical_or.at(seen, layout.cells, present)
    return _Table(layout, counts.reshape(shape), seen.reshape(shape))


def _monotonic(table: _Table) -> Floats:
    """Counts that never fall from bucket to bucket; a bucket not seen repeats the one before."""
    counts = table.counts.copy()
    reached = np.where(table.seen[:, 0], counts[:, 0], 0.0)
    any_seen = table.seen[:, 0].copy()
    # Each bucket needs the one below; the loop is over bounds, all histograms at once.
    for place in range(counts.shape[1]):
        count, seen = counts[:, place], table.seen[:, place]
        scale = np.minimum(np.abs(count) + np.abs(reached), np.finfo(np.float64).max)
        same = (count < reached) | (np.abs(count - reached) < _TOLERANCE * scale)
        reached = np.where(seen & ~(any_seen & same), count, reached)
        any_seen |= seen
        counts[:, place] = reached
    return counts


def _at(table: Floats, places: Ints) -> Floats:
    """Of `[histograms, buckets, steps]`, the bucket at `places: int64[histograms, steps]`."""
    taken: Floats = np.take_along_axis(table, places[:, np.newaxis, :], axis=1)[:, 0]
    return taken


def _bounds_of(table: _Table) -> Floats:
    return np.broadcast_to(table.layout.bounds[:, :, np.newaxis], table.counts.shape)


def _quantiles(table: _Table, quantiles: Floats) -> Floats:
    """`quantiles: float64[steps]` -> float64[histograms, steps]."""
    seen, bounds = table.seen, _bounds_of(table)
    counts = _monotonic(table)
    places = np.arange(seen.shape[1])[np.newaxis, :, np.newaxis]
    seen_places = np.where(seen, places, -1)
    first = np.argmax(seen, axis=1)
    last = seen_places.max(axis=1)
    observations = _at(counts, np.maximum(last, 0))
    ranks = quantiles * observations
    reaches = seen & (counts >= ranks[:, np.newaxis, :]) & (places < last[:, np.newaxis, :])
    found = np.where(reaches.any(axis=1), np.argmax(reaches, axis=1), np.maximum(last, 0))
    # The bucket before each, among those seen.
    latest = np.maximum.accumulate(seen_places, axis=1)
    before = np.where(found > 0, _at(latest.astype(np.float64), np.maximum(found - 1, 0)), -1)
    before = np.maximum(before, 0).astype(np.int64)
    is_first = found == first
    low = np.where(is_first, 0.0, _at(bounds, before))
    low_count = np.where(is_first, 0.0, _at(counts, before))
    high, high_count = _at(bounds, found), _at(counts, found)
    result = low + (high - low) * ((ranks - low_count) / (high_count - low_count))
    result = np.where(is_first & (high <= 0), high, result)
    result = np.where(found == last, _at(bounds, before), result)
    unknown = (
        (_at(bounds, np.maximum(last, 0)) != np.inf) | (seen.sum(axis=1) < 2) | (observations == 0)
    )
    result = np.where(unknown, np.nan, result)
    result = np.where(quantiles < 0, -np.inf, np.where(quantiles > 1, np.inf, result))
    return np.where(np.isnan(quantiles), np.nan, result)


def _fractions(table: _Table, lower: Floats, upper: Floats) -> Floats:
    """The share of observations between two values, each float64[steps]."""
    places = np.arange(table.seen.shape[1])[np.newaxis, :, np.newaxis]
    last = np.maximum(np.where(table.seen, places, -1).max(axis=1), 0)
    total = _at(table.counts, last)
    shares = (_rank_of(table, upper, total) - _rank_of(table, lower, total)) / total
    unknown = (
        (_at(_bounds_of(table), last) != np.inf) | (total == 0) | np.isnan(lower) | np.isnan(upper)
    )
    return np.where(unknown, np.nan, np.where(lower >= upper, 0.0, shares))


def _rank_of(table: _Table, value: Floats, total: Floats) -> Floats:
    """How many observations lie below a value, interpolated within its bucket."""
    bounds, seen = _bounds_of(table), table.seen
    rank = np.zeros(total.shape)
    first_bound = _at(bounds, np.argmax(seen, axis=1))
    low = np.where(first_bound <= 0, -np.inf, 0.0)
    result, found = total.copy(), np.zeros(total.shape, dtype=np.bool_)
    for place in range(seen.shape[1]):
        here, high, count = seen[:, place], bounds[:, place], table.counts[:, place]
        below = here & ~found & (low >= value)
        result, found = np.where(below, rank, result), found | below
        inside = here & ~found & (low < value) & (high > value)
        share = rank + (count - rank) * (value - low) / (high - low)
        share = np.where(np.isneginf(low), count, share)
        result, found = np.where(inside, share, result), found | inside
        rank, low = np.where(here, count, rank), np.where(here, high, low)
    return np.minimum(result, total)


class _HistogramPlan:
    """Reads the buckets and hands them, with the scalar arguments, to `compute`."""

    def __init__(
        self,
        argument: Plan[Vector],
        parameters: Sequence[Plan[Scalars]],
        compute: Callable[..., Floats],
    ) -> None:
        self._argument = argument
        self._parameters = parameters
        self._compute = compute
        self._layout: Memo[_Layout] = Memo(_layout)

    def evaluate(self, context: Context) -> Vector:
        parameters = [parameter.evaluate(context).values for parameter in self._parameters]
        table = _read(self._argument, self._layout, context)
        if not table.counts.size:
            return empty_vector(context.steps)
        values = self._compute(table, *parameters)
        return Vector(table.layout.labels, values, table.present, nameless=True)


def _read(argument: Plan[Vector], layouts: Memo[_Layout], context: Context) -> _Table:
    vector = argument.evaluate(context)
    layout = layouts(vector.labels)
    if layout.malformed and vector.present.any():
        context.warn("bucket label le is missing or has a malformed value")
    return _table(layout, vector)


def _histogram_quantile(compiler: Compiler, call: Call) -> Plan[Vector]:
    quantile, vector = call.arguments
    return _HistogramPlan(compiler.vector(vector), [compiler.scalars(quantile)], _quantiles)


def _histogram_fraction(compiler: Compiler, call: Call) -> Plan[Vector]:
    *edges, vector = call.arguments
    parameters = [compiler.scalars(edge) for edge in edges]
    return _HistogramPlan(compiler.vector(vector), parameters, _fractions)


class _QuantilesPlan:
    """`histogram_quantiles`: several quantiles, told apart by a label."""

    def __init__(
        self, argument: Plan[Vector], label: str, quantiles: Sequence[Plan[Scalars]]
    ) -> None:
        self._argument = argument
        self._label = label
        self._quantiles = quantiles
        self._layout: Memo[_Layout] = Memo(_layout)

    def evaluate(self, context: Context) -> Vector:
        table = _read(self._argument, self._layout, context)
        if not table.counts.size:
            return empty_vector(context.steps)
        if any(self._label in dict(labels) for labels in table.layout.labels):
            raise EvalError(f"label {self._label} is already present on the input series")
        labels: list[Labels] = []
        values: list[Floats] = []
        for plan in self._quantiles:
            quantiles = plan.evaluate(context).values
            text = open_metrics_float(float(quantiles[0]))
            labels += [with_label(name, self._label, text) for name in table.layout.labels]
            values.append(_quantiles(table, quantiles))
        present = np.concatenate([table.present] * len(values))
        return united(relabelled(labels, nameless=True), np.concatenate(values), present)


def _histogram_quantiles(compiler: Compiler, call: Call) -> Plan[Vector]:
    vector, label, *quantiles = call.arguments
    return _QuantilesPlan(
        compiler.vector(vector),
        compiler.text(label),
        [compiler.scalars(quantile) for quantile in quantiles],
    )


@dataclass(frozen=True, slots=True)
class _NothingPlan:
    argument: Plan[Vector]

    def evaluate(self, context: Context) -> Vector:
        self.argument.evaluate(context)
        return empty_vector(context.steps)


def _of_native(compiler: Compiler, call: Call) -> Plan[Vector]:
    return _NothingPlan(compiler.vector(call.arguments[-1]))


HISTOGRAMS: Mapping[str, Builder] = {
    "histogram_quantile": _histogram_quantile,
    "histogram_quantiles": _histogram_quantiles,
    "histogram_fraction": _histogram_fraction,
    "histogram_avg": _of_native,
    "histogram_count": _of_native,
    "histogram_sum": _of_native,
    "histogram_stddev": _of_native,
    "histogram_stdvar": _of_native,
}
