"""Aggregations that choose series, or count values: topk, bottomk, limitk, limit_ratio, ..."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import xxhash

from forewarn_collector.promql.aggregation import grouping
from forewarn_collector.promql.annotations import invalid_ratio
from forewarn_collector.promql.errors import EvalError, Position, PromQLError
from forewarn_collector.promql.functions.labelling import with_label
from forewarn_collector.promql.relabel import relabelled
from forewarn_collector.promql.text import general_float, plain_float
from forewarn_collector.promql.uniques import unique_columns
from forewarn_collector.promql.values import (
    Bools,
    Context,
    Memo,
    Plan,
    Scalars,
    Vector,
    empty_vector,
)
from forewarn_collector.store.columns import Floats, Ints
from forewarn_wire.labels import METRIC_NAME, Labels

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
        self._groups = grouping(names, without)

    def evaluate(self, context: Context) -> Vector:
        parameter = self._parameter.evaluate(context).values
        if parameter.max() < 1:
            return empty_vector(context.steps)
        most = _whole(parameter)
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
        value = float(parameter[beyond][0])
        how = "overflows" if value > 0 else "underflows"
        raise EvalError(f"Scalar value {general_float(value)} {how} int64")
    return parameter.astype(np.int64)


class LimitRatioPlan:
    """A share of all series, always the same ones; a negative ratio gives the others."""

    def __init__(
        self, argument: Plan[Vector], parameter: Plan[Scalars], place: Position | None = None
    ) -> None:
        """`place` is that of the parameter."""
        self._argument = argument
        self._parameter = parameter
        self._place = place
        self._shares: Memo[Floats] = Memo(_shares)

    def evaluate(self, context: Context) -> Vector:
        ratios = self._parameter.evaluate(context).values
        if np.isnan(ratios).any():
            raise EvalError("Ratio value is NaN")
        for extreme in (float(ratios.max()), float(ratios.min())):
            if abs(extreme) > 1:
                text = invalid_ratio(extreme, math.copysign(1, extreme))
                context.annotations.warn(text, self._place)
        ratios = np.clip(ratios, -1, 1)
        vector = self._argument.evaluate(context)
        shares = self._shares(vector.labels)[:, np.newaxis]
        chosen = np.where(ratios >= 0, shares < ratios, shares >= 1 + ratios)
        return replace(vector, present=vector.present & chosen)


def _shares(series: Sequence[Labels]) -> Floats:
    """Where each series stands between 0 and 1: by the hash that Prometheus takes."""
    hashes = [xxhash.xxh64_intdigest(_encoded(labels)) for labels in series]
    return np.array(hashes, dtype=np.float64) / (2.0**64 - 1)


def _encoded(labels: Labels) -> bytes:
    """Names and values, each behind its length: one byte below 255, else 255 and three more.

    Source: prometheus/prometheus `model/labels/labels_stringlabels.go`.
    """
    texts = (text.encode() for pair in labels for text in pair)
    return b"".join(
        (bytes((len(text),)) if len(text) < 255 else b"\xff" + len(text).to_bytes(3, "little"))
        + text
        for text in texts
    )


class CountValuesPlan:
    """How many series of each group have each value; the value becomes a label."""

    def __init__(
        self, argument: Plan[Vector], label: str, names: Sequence[str], without: bool
    ) -> None:
        if not label:
            raise PromQLError(f"invalid label name {label!r} in count_values()")
        self._argument = argument
        # What `without` takes away it also takes from the label of the values.
        self._label = None if without and label in {*names, METRIC_NAME} else label
        self._groups = grouping(names, without)

    def evaluate(self, context: Context) -> Vector:
        vector = self._argument.evaluate(context)
        context.check()
        groups = self._groups(vector.labels)
        series, steps = np.nonzero(vector.present)
        # Labels made of values can't be kept; equal bits are equal texts, and all NaN are one.
        values = vector.values[series, steps]
        values = np.where(np.isnan(values), np.nan, values)
        bits = values.view(np.int64)
        pairs, rows = unique_columns(np.stack([groups.ids[series], bits]))
        labels = [
            groups.labels[group]
            if self._label is None
            else with_label(groups.labels[group], self._label, plain_float(float(value)))
            for group, value in zip(pairs[0], pairs[1].copy().view(np.float64), strict=True)
        ]
        # Groups that differ in the very label that the value replaces are one now.
        relabelling = relabelled(labels)
        new_rows = rows if relabelling.rows is None else relabelling.rows[rows]
        shape = len(relabelling.labels), context.steps
        cells = new_rows * context.steps + steps
        counts = np.bincount(cells, minlength=shape[0] * shape[1]).astype(np.float64).reshape(shape)
        return Vector(relabelling.labels, counts, counts > 0)
