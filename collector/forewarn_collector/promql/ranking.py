"""Aggregations that choose series, or count values: topk, bottomk, limitk, limit_ratio, ..."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from forewarn_collector.promql.aggregation import Groups, grouping
from forewarn_collector.promql.errors import EvalError, PromQLError
from forewarn_collector.promql.functions.labelling import with_label
from forewarn_collector.promql.relabel import relabelled
from forewarn_collector.promql.text import plain_float, series_text
from forewarn_collector.promql.values import Bools, Context, Memo, Plan, Scalars, Vector
from forewarn_collector.store.columns import Floats, Ints
from forewarn_wire.labels import Labels

RANKINGS = ("topk", "bottomk", "limitk")


class RankingPlan:
    """The `k` greatest, least or first series of each group at each step, as they are."""

    def __init__(
        self,
        operator: str,
        argument: Plan[Vector],
        parameter: Plan[Scalars],
        names: Sequence[str],
        without: bool,
    ) -> None:
        self._operator = operator
        self._argument = argument
        self._parameter = parameter
        self._groups: Memo[Groups] = Memo(grouping(names, without))

    def evaluate(self, context: Context) -> Vector:
        most = _whole(self._parameter.evaluate(context).values)
        vector = self._argument.evaluate(context)
        if not len(vector.labels):
            return vector
        context.check()
        ids = self._groups(vector.labels).ids[:, np.newaxis]
        order = self._order(vector, np.where(vector.present, ids, len(vector.labels)))
        ordered_ids = np.take_along_axis(np.broadcast_to(ids, order.shape), order, axis=0)
        ordered_present = np.take_along_axis(vector.present, order, axis=0)
        chosen = ordered_present & (_ranks(ordered_ids, ordered_present) < most)
        present = np.zeros(vector.present.shape, dtype=np.bool_)
        np.put_along_axis(present, order, chosen, axis=0)
        return Vector(
            vector.labels,
            vector.values,
            present,
            order[:, 0] if context.steps == 1 else None,
            vector.nameless,
        )

    def _order(self, vector: Vector, ids: Ints) -> Ints:
        """Series by group, then best first, NaN last. -> int64[series, steps]."""
        if self._operator == "limitk":
            return np.argsort(ids, axis=0, kind="stable")
        best_first = -vector.values if self._operator == "topk" else vector.values
        order: Ints = np.lexsort((best_first, ids), axis=0)
        return order


def _ranks(ids: Ints, present: Bools) -> Ints:
    """Places within each run of one group, those not present being at the end."""
    places = np.arange(len(ids))[:, np.newaxis]
    begins = np.ones(ids.shape, dtype=np.bool_)
    begins[1:] = (ids[1:] != ids[:-1]) | (present[1:] != present[:-1])
    starts = np.maximum.accumulate(np.where(begins, places, 0), axis=0)
    ranks: Ints = places - starts
    return ranks


def _whole(parameter: Floats) -> Ints:
    if np.isnan(parameter).any():
        raise EvalError("Parameter value is NaN")
    beyond = np.abs(parameter) >= 2.0**63
    if beyond.any():
        raise EvalError(f"Scalar value {plain_float(float(parameter[beyond][0]))} overflows int64")
    return parameter.astype(np.int64)


class LimitRatioPlan:
    """A share of all series, always the same ones; a negative ratio gives the others.

    Prometheus chooses by its own hash of the labels, this by another: the share is the same,
    the series are not.
    """

    def __init__(self, argument: Plan[Vector], parameter: Plan[Scalars]) -> None:
        self._argument = argument
        self._parameter = parameter
        self._shares: Memo[Floats] = Memo(_shares)

    def evaluate(self, context: Context) -> Vector:
        ratios = self._parameter.evaluate(context).values
        if np.isnan(ratios).any():
            raise EvalError("Ratio value is NaN")
        ratios = np.clip(ratios, -1, 1)
        vector = self._argument.evaluate(context)
        shares = self._shares(vector.labels)[:, np.newaxis]
        chosen = np.where(ratios >= 0, shares < ratios, shares >= 1 + ratios)
        return replace(vector, present=vector.present & chosen)


def _shares(series: Sequence[Labels]) -> Floats:
    hashes = [zlib.crc32(series_text(labels).encode()) for labels in series]
    return np.array(hashes, dtype=np.float64) / 2.0**32


class CountValuesPlan:
    """How many series of each group have each value; the value becomes a label."""

    def __init__(
        self, argument: Plan[Vector], label: str, names: Sequence[str], without: bool
    ) -> None:
        if not label:
            raise PromQLError(f"invalid label name {label!r} in count_values()")
        self._argument = argument
        self._label = label
        divide: Callable[[Sequence[Labels]], Groups] = grouping(names, without)
        self._groups: Memo[Groups] = Memo(divide)

    def evaluate(self, context: Context) -> Vector:
        vector = self._argument.evaluate(context)
        context.check()
        groups = self._groups(vector.labels)
        series, steps = np.nonzero(vector.present)
        # Labels made of values can't be kept; equal bits are equal texts, and all NaN are one.
        values = vector.values[series, steps]
        values = np.where(np.isnan(values), np.nan, values)
        bits = values.view(np.int64)
        pairs, rows = np.unique(np.stack([groups.ids[series], bits]), axis=1, return_inverse=True)
        labels = [
            with_label(groups.labels[group], self._label, plain_float(float(value)))
            for group, value in zip(pairs[0], pairs[1].copy().view(np.float64), strict=True)
        ]
        # Groups that differ in the very label that the value replaces are one now.
        relabelling = relabelled(labels)
        new_rows = rows.ravel() if relabelling.rows is None else relabelling.rows[rows.ravel()]
        counts = np.zeros((len(relabelling.labels), context.steps))
        np.add.at(counts, (new_rows, steps), 1.0)
        return Vector(relabelling.labels, counts, counts > 0)
