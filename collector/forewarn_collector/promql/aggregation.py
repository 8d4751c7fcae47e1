"""Aggregation of series into groups: sum, avg, min, max, count, group, deviations, quantile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.promql.annotations import Annotations, invalid_quantile
from forewarn_collector.promql.errors import Position
from forewarn_collector.promql.growing import Distinct, Growing
from forewarn_collector.promql.segments import cancelled, compensated_sums, pick_quantiles
from forewarn_collector.promql.values import (
    Bools,
    Context,
    Nameless,
    Plan,
    Scalars,
    Vector,
    any_along,
)
from forewarn_collector.store.columns import Floats, Ints
from forewarn_wire.labels import METRIC_NAME, Labels

Cell = TypeVar("Cell", np.float64, np.int64, np.bool_)


@dataclass(frozen=True, slots=True)
class Groups:
    """Which series belong together.

    `ids: int64[series]` is each series' group, `order: int64[series]` puts them group by group
    (None if they stand so already), `starts: int64[groups]` are the groups' first places in it.
    """

    labels: Sequence[Labels]
    ids: Ints
    order: Ints | None
    starts: Ints

    def ordered(self, table: NDArray[Cell]) -> NDArray[Cell]:
        """Rows of `[series, steps]`, group by group."""
        return table if self.order is None else table[self.order]


def grouping(names: Sequence[str], without: bool) -> Growing[Groups]:
    """How `by` or `without` these labels divides series."""
    listed = frozenset(names) | ({METRIC_NAME} if without else frozenset())
    return Growing(lambda: _Grouping(listed, without))


class _Grouping:
    """Puts series into groups one after the other."""

    def __init__(self, names: frozenset[str], without: bool) -> None:
        self._names = names
        self._without = without
        self._groups = Distinct()
        self._ids: list[int] = []

    def derive(self, *series: Sequence[Labels]) -> Groups:
        (labels,) = series
        names, without = self._names, self._without
        self._ids += self._groups.numbers(
            tuple(pair for pair in each if (pair[0] in names) is not without)
            for each in labels[len(self._ids) :]
        )
        ids = np.array(self._ids, dtype=np.int64)
        in_order = bool((ids[1:] >= ids[:-1]).all())
        order = None if in_order else np.argsort(ids, kind="stable")
        ordered = ids if order is None else ids[order]
        starts = np.searchsorted(ordered, np.arange(len(self._groups)))
        return Groups(self._groups.labels, ids, order, starts)


@dataclass(frozen=True, slots=True)
class _Members:
    """A vector's series, group by group: `values`, `present` [series, steps] in group order.

    `counts: int64[groups, steps]` are those present.
    """

    groups: Groups
    values: Floats
    present: Bools
    counts: Ints

    def reduce(self, ufunc: np.ufunc, table: Floats) -> Floats:
        """`ufunc` over each group of a table in group order. -> [groups, steps]."""
        reduced: Floats
        if table.shape[1] == 1:
            # Much faster on a plain column than along an axis.
            reduced = ufunc.reduceat(table.ravel(), self.groups.starts)[:, np.newaxis]
        else:
            reduced = ufunc.reduceat(table, self.groups.starts, axis=0)
        return reduced

    def filled(self, value: float) -> Floats:
        """Values with something else where a series is not present."""
        return np.where(self.present, self.values, value)

    def spread(self, table: NDArray[Cell]) -> NDArray[Cell]:
        """A row for each group, repeated for each of its series."""
        sizes = np.diff(self.groups.starts, append=len(self.values))
        # numpy's repeat of a table would hold the interpreter's lock until it is done.
        return table[np.repeat(np.arange(len(sizes)), sizes)]


_Parameter = Floats | None


def _sum(members: _Members, parameter: _Parameter) -> Floats:
    return _sum_of(members, members.filled(0.0))


def _sum_of(members: _Members, filled: Floats) -> Floats:
    """Sums of each group of a table in group order that has 0 where nothing is present."""
    sums = members.reduce(np.add, filled)
    if filled.min() >= 0:
        return sums
    scales = members.reduce(np.add, np.abs(filled))
    groups, steps = np.nonzero(cancelled(sums, scales))
    if len(groups):
        edges = np.append(members.groups.starts, len(filled))
        column = filled.T.ravel()  # step by step, so that a group is a window of it
        before = steps * len(filled)
        sums[groups, steps] = compensated_sums(
            column, before + edges[groups], before + edges[groups + 1]
        )
    return sums


def _avg(members: _Members, parameter: _Parameter) -> Floats:
    filled = members.filled(0.0)
    means: Floats = _sum_of(members, filled) / members.counts
    if np.isfinite(means).all():
        return means
    # A sum that overflows does not spoil the mean.
    shares = _sum_of(members, filled / np.maximum(members.spread(members.counts), 1))
    return np.where(np.isinf(means), shares, means)


def _extreme(ufunc: np.ufunc) -> Callable[[_Members, _Parameter], Floats]:
    # fmin and fmax skip NaN, as Prometheus does, unless there is nothing else.
    return lambda members, parameter: members.reduce(ufunc, members.filled(np.nan))


def _count(members: _Members, parameter: _Parameter) -> Floats:
    return members.counts.astype(np.float64)


def _group(members: _Members, parameter: _Parameter) -> Floats:
    return np.ones(members.counts.shape)


def _variance(members: _Members, parameter: _Parameter) -> Floats:
    # Told from the least value, so that equal values have no variance at all.
    least = members.spread(members.reduce(np.fmin, members.filled(np.nan)))
    moved = np.where(members.present, members.values - least, 0.0)
    means = members.spread(_sum_of(members, moved) / members.counts)
    deviations = np.where(members.present, moved - means, 0.0)
    variances: Floats = members.reduce(np.add, deviations * deviations) / members.counts
    return variances


def _deviation(members: _Members, parameter: _Parameter) -> Floats:
    return np.sqrt(_variance(members, parameter))


def _quantile(members: _Members, parameter: _Parameter) -> Floats:
    if parameter is None:
        raise TypeError("quantile has a parameter")
    groups, steps = members.counts.shape
    ids = np.repeat(np.arange(groups), np.diff(members.groups.starts, append=len(members.values)))
    # Step by step, then group by group, those not present behind all groups.
    by_step = members.values.T
    keys = np.where(members.present.T, ids, groups)
    order = np.lexsort((by_step, keys), axis=1)
    ordered = np.take_along_axis(by_step, order, axis=1).ravel()
    counts = members.counts.T
    starts = np.cumsum(counts, axis=1) - counts + np.arange(steps)[:, np.newaxis] * len(ids)
    nans = members.reduce(np.add, (np.isnan(members.values) & members.present).astype(np.float64))
    chosen = counts.ravel() > 0
    result = np.zeros(counts.size)
    result[chosen] = pick_quantiles(
        ordered,
        starts.ravel()[chosen],
        counts.ravel()[chosen],
        nans.T.ravel()[chosen].astype(np.int64),
        np.repeat(parameter, groups)[chosen],
    )
    return result.reshape(counts.shape).T


AGGREGATIONS: Mapping[str, Callable[[_Members, _Parameter], Floats]] = {
    "sum": _sum,
    "avg": _avg,
    "min": _extreme(np.fmin),
    "max": _extreme(np.fmax),
    "count": _count,
    "group": _group,
    "stddev": _deviation,
    "stdvar": _variance,
    "quantile": _quantile,
}


class AggregationPlan:
    """One value for each group of series and each step."""

    def __init__(
        self,
        operator: str,
        argument: Plan[Vector],
        parameter: Plan[Scalars] | None,
        names: Sequence[str],
        without: bool,
        place: Position | None = None,
    ) -> None:
        """`place` is that of the parameter."""
        self._compute = AGGREGATIONS[operator]
        self._argument = argument
        self._parameter = parameter
        self._groups = grouping(names, without)
        self._place = place
        self._by_name = METRIC_NAME in names and not without

    def evaluate(self, context: Context) -> Vector:
        parameter = self._parameter.evaluate(context).values if self._parameter else None
        if parameter is not None:
            self._check(parameter, context.annotations)
        vector = self._argument.evaluate(context)
        context.check()
        groups = self._groups(vector.labels)
        if not len(groups.labels):
            return Vector(groups.labels, vector.values, vector.present)
        present = groups.ordered(vector.present)
        counts = np.add.reduceat(present, groups.starts, axis=0, dtype=np.int64)
        members = _Members(groups, groups.ordered(vector.values), present, counts)
        values = self._compute(members, parameter)
        nameless = self._by_name and _nameless(vector, groups)
        return Vector(groups.labels, values, counts > 0, nameless=nameless)

    def _check(self, quantiles: Floats, annotations: Annotations) -> None:
        # Of all that are no quantiles Prometheus names three at most.
        known = quantiles[~np.isnan(quantiles)]
        if len(known) < len(quantiles):
            annotations.warn(invalid_quantile(np.nan), self._place)
        for extreme in {float(known.max()), float(known.min())} if len(known) else ():
            if not 0 <= extreme <= 1:
                annotations.warn(invalid_quantile(extreme), self._place)


def _nameless(vector: Vector, groups: Groups) -> Nameless:
    """A group loses its name if any of its series does."""
    if isinstance(vector.nameless, bool):
        return vector.nameless
    losing = any_along(vector.present, axis=1) & vector.nameless
    found: Bools = np.logical_or.reduceat(groups.ordered(losing[:, np.newaxis]), groups.starts)
    return found[:, 0]
