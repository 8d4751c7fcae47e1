"""Classic histograms: series with the label `le` as a table of cumulative counts.

Source: prometheus/prometheus `promql/quantile.go`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forewarn_collector.promql.annotations import Remarks, bad_bucket_label, remarks
from forewarn_collector.promql.values import Bools, Vector, any_along
from forewarn_collector.store.columns import Floats, Ints
from forewarn_wire.labels import Labels, metric_name, without

_BUCKET = "le"

_TOLERANCE = 1e-12
"""Two counts that differ by less, relatively, differ by rounding only."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each bucket stands in a table of histograms by buckets, ascending by bound.

    `series: int64[buckets]` are the input's rows that are buckets and `cells: int64[buckets]`
    their places in the flattened table; `bounds: float64[histograms, most buckets]`, NaN where
    a histogram has fewer. `labels` are the histograms'; `unique` tells that no two series are
    the same bucket; `malformed` says which series are no buckets.
    """

    series: Ints
    cells: Ints
    bounds: Floats
    labels: Sequence[Labels]
    unique: bool
    malformed: Remarks


def layout_of(series: Sequence[Labels]) -> Layout:
    """Find the buckets among series."""
    histograms: dict[Labels, dict[float, list[int]]] = {}
    for row, labels in enumerate(series):
        bound = _bound(dict(labels).get(_BUCKET, ""))
        if bound is None:
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
    return Layout(
        np.array(rows, dtype=np.int64),
        np.array(cells, dtype=np.int64),
        bounds,
        tuple(histograms),
        len(set(cells)) == len(cells),
        remarks(_complaint)(series),
    )


_NUMBER = re.compile(r"[+-]?([0-9.]+(e[+-]?[0-9]+)?|inf|infinity)", re.IGNORECASE)


def _bound(text: str) -> float | None:
    # Python reads more than Go does: spaces, underscores, digits of all scripts.
    try:
        return float(text) if _NUMBER.fullmatch(text) else None
    except ValueError:
        return None


def _complaint(labels: Labels) -> str | None:
    text = dict(labels).get(_BUCKET, "")
    return bad_bucket_label(text, metric_name(labels)) if _bound(text) is None else None


@dataclass(frozen=True, slots=True)
class Table:
    """Cumulative counts: `counts: float64[histograms, buckets, steps]`, `seen` likewise."""

    layout: Layout
    counts: Floats
    seen: Bools

    @property
    def present(self) -> Bools:
        """Which histograms have any bucket. -> bool[histograms, steps]."""
        return any_along(self.seen, axis=1)

    @property
    def complete(self) -> Bools:
        """Which histograms have a bucket for everything. -> bool[histograms, steps]."""
        unbounded = np.isposinf(self.layout.bounds)[:, :, np.newaxis]
        return any_along(self.seen & unbounded, axis=1)


def table_of(layout: Layout, vector: Vector) -> Table:
    """Put a vector's values where its buckets stand."""
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
    return Table(layout, counts.reshape(shape), seen.reshape(shape))


@dataclass(frozen=True, slots=True)
class Fall:
    """Counts that are less than those of the bucket below, which Prometheus takes instead.

    `where: bool[histograms, steps]`; `bounds: float64[histograms]` are the bucket's, and
    `missing: float64[histograms, steps]` how much less.
    """

    where: Bools
    bounds: Floats
    missing: Floats


def monotonic(table: Table) -> tuple[Table, list[Fall]]:
    """Counts that never fall from bucket to bucket; a bucket not seen repeats the one before.

    Differences by rounding are mended silently.
    """
    falls: list[Fall] = []
    counts = table.counts.copy()
    reached = np.where(table.seen[:, 0], counts[:, 0], 0.0)
    any_seen = table.seen[:, 0].copy()
    # Each bucket needs the one below; the loop is over bounds, all histograms at once.
    for place in range(counts.shape[1]):
        count, seen = counts[:, place], table.seen[:, place]
        scale = np.minimum(np.abs(count) + np.abs(reached), np.finfo(np.float64).max)
        same = np.abs(count - reached) < _TOLERANCE * scale
        less = count < reached
        fallen = seen & any_seen & less & ~same
        if fallen.any():
            falls.append(Fall(fallen, table.layout.bounds[:, place], reached - count))
        reached = np.where(seen & ~(any_seen & (less | same)), count, reached)
        any_seen |= seen
        counts[:, place] = reached
    return Table(table.layout, counts, table.seen), falls


def _at(table: Floats, places: Ints) -> Floats:
    """Of `[histograms, buckets, steps]`, the bucket at `places: int64[histograms, steps]`."""
    taken: Floats = np.take_along_axis(table, places[:, np.newaxis, :], axis=1)[:, 0]
    return taken


def _bounds_of(table: Table) -> Floats:
    return np.broadcast_to(table.layout.bounds[:, :, np.newaxis], table.counts.shape)


def quantiles_of(table: Table, quantiles: Floats) -> Floats:
    """Of a monotonic table; `quantiles: float64[steps]` -> float64[histograms, steps]."""
    seen, bounds, counts = table.seen, _bounds_of(table), table.counts
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


def fractions_of(table: Table, lower: Floats, upper: Floats) -> Floats:
    """The share of observations between two values, each float64[steps]."""
    places = np.arange(table.seen.shape[1])[np.newaxis, :, np.newaxis]
    last = np.maximum(np.where(table.seen, places, -1).max(axis=1), 0)
    total = _at(table.counts, last)
    shares = (_rank_of(table, upper, total) - _rank_of(table, lower, total)) / total
    unknown = (
        (_at(_bounds_of(table), last) != np.inf) | (total == 0) | np.isnan(lower) | np.isnan(upper)
    )
    return np.where(unknown, np.nan, np.where(lower >= upper, 0.0, shares))


def _rank_of(table: Table, value: Floats, total: Floats) -> Floats:
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
