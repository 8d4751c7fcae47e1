"""Operators between two vectors: arithmetic, comparison, and the set operators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forewarn_collector.promql.errors import EvalError
from forewarn_collector.promql.nodes import Cardinality, Matching
from forewarn_collector.promql.operators import ARITHMETIC, COMPARISONS
from forewarn_collector.promql.pairing import (
    NOBODY,
    Pairing,
    Pairs,
    Repeated,
    Signatures,
    signatures,
)
from forewarn_collector.promql.parts import check_size
from forewarn_collector.promql.relabel import Relabelled, relabelled, united
from forewarn_collector.promql.text import series_text
from forewarn_collector.promql.values import (
    Bools,
    Context,
    Memo,
    Nameless,
    Plan,
    Vector,
    any_along,
)
from forewarn_collector.store.columns import Floats, Ints
from forewarn_wire.labels import Labels

_NOT_EXPLICIT = (
    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
)
_NOT_UNIQUE = "multiple matches for labels: grouping labels must ensure unique matches"


MOST_PAIRS = 10_000
"""Pairs beyond twice the series of both sides that are kept for series that are not there."""


class VectorsPlan:
    """Arithmetic or comparison between the series of two vectors that belong together."""

    def __init__(
        self,
        operator: str,
        returns_bool: bool,
        matching: Matching,
        left: Plan[Vector],
        right: Plan[Vector],
    ) -> None:
        self._operator = operator
        self._returns_bool = returns_bool
        self._left = left
        self._right = right
        self._swapped = matching.cardinality is Cardinality.ONE_TO_MANY
        self._one_to_one = matching.cardinality is Cardinality.ONE_TO_ONE
        self._fills = matching.fills[::-1] if self._swapped else matching.fills
        self._signatures = signatures(matching)
        self._pairs = Pairing(matching, operator in ARITHMETIC, self._signatures)

    def evaluate(self, context: Context) -> Vector:
        many, one = self._left.evaluate(context), self._right.evaluate(context)
        context.check()
        if self._swapped:
            many, one = one, many
        ids = self._signatures(many.labels, one.labels)
        # Before pairs are made: of sides that repeat there would be their product.
        self._check_one_side(ids, many, one, context)
        if ids.pairs > MOST_PAIRS + 2 * (len(many.labels) + len(one.labels)):
            one = _only_present(one)
            ids = self._signatures(many.labels, one.labels)
        check_size(ids.pairs, context.steps)
        nameless = self._returns_bool or many.nameless
        pairs = self._pairs(many.labels, one.labels, nameless)
        many_values, one_values, present = self._operands(pairs, ids, many, one)
        left, right = (one_values, many_values) if self._swapped else (many_values, one_values)
        values = left
        if self._operator in ARITHMETIC:
            values = ARITHMETIC[self._operator](left, right)
        else:
            holds = COMPARISONS[self._operator](left, right)
            if self._returns_bool:
                values = holds.astype(np.float64)
            else:
                present = present & holds
        if pairs.pairs_repeated is not None:
            crowded = any_along(_crowded(pairs.pairs_repeated, present), axis=0)
            if crowded.any():
                raise EvalError(_NOT_EXPLICIT, context.times[crowded])
        message = _NOT_EXPLICIT if self._one_to_one else _NOT_UNIQUE
        return united(pairs.result, values, present, message, context.times)

    def _operands(
        self, pairs: Pairs, ids: Signatures, many: Vector, one: Vector
    ) -> tuple[Floats, Floats, Bools]:
        """Values of both sides and presence, pair by pair. -> [pairs, steps]."""
        if self._fills == (None, None):
            present = many.present[pairs.many] & one.present[pairs.one]
            return many.values[pairs.many], one.values[pairs.one], present
        fill_many, fill_one = self._fills
        alone_many = ~_any_by(ids.right, ids.count, one.present)
        alone_one = ~_any_by(ids.left, ids.count, many.present)
        many_values, many_present = _filled(many, pairs.many, fill_many, alone_one[pairs.ids])
        one_values, one_present = _filled(one, pairs.one, fill_one, alone_many[pairs.ids])
        return many_values, one_values, many_present & one_present

    def _check_one_side(self, ids: Signatures, many: Vector, one: Vector, context: Context) -> None:
        series = ids.right_repeated
        if series is None:
            return
        crowded = _crowded(series, one.present)
        if self._fills == (None, None):
            # With nothing on one side nothing can match, so nothing can be wrong.
            crowded &= any_along(many.present, axis=0)
        if not crowded.any():
            return
        place, step = np.argwhere(crowded)[0]
        edges = np.append(series.starts, len(series.rows))
        rows = series.rows[edges[place] : edges[place + 1]]
        first, second = rows[one.present[rows, step]][:2]
        group = ids.labels[ids.right[first]]
        side = "left" if self._swapped else "right"
        raise EvalError(
            f"found duplicate series for the match group {series_text(group)} on the {side} "
            f"hand-side of the operation: [{series_text(one.labels[first])}, "
            f"{series_text(one.labels[second])}];many-to-many matching not allowed: matching "
            "labels must be unique on one side",
            context.times[any_along(crowded, axis=0)],
        )


def _only_present(vector: Vector) -> Vector:
    """The series that are there at any step: those that ended long ago make no pairs."""
    rows = np.flatnonzero(any_along(vector.present, axis=1))
    labels = tuple(vector.labels[row] for row in rows.tolist())
    return Vector(labels, vector.values[rows], vector.present[rows])


def _crowded(series: Repeated, present: Bools) -> Bools:
    """For each repeated signature and step, whether more than one series is there."""
    counts = np.add.reduceat(present[series.rows], series.starts, axis=0, dtype=np.int64)
    crowded: Bools = counts > 1
    return crowded


def _any_by(ids: Ints, count: int, present: Bools) -> Bools:
    """For each signature and step, whether any series is there. -> bool[signatures, steps]."""
    found = np.zeros((count, present.shape[1]), dtype=np.bool_)
    rows, steps = np.nonzero(present)
    found[ids[rows], steps] = True
    return found


def _filled(vector: Vector, rows: Ints, fill: float | None, alone: Bools) -> tuple[Floats, Bools]:
    """One side's values, pair by pair; where there is no row, the fill, if the other is alone."""
    nobody = (rows == NOBODY)[:, np.newaxis]
    if not len(vector.labels):
        shape = (len(rows), vector.values.shape[1])
        return np.full(shape, fill if fill is not None else np.nan), alone & nobody
    values = np.where(nobody, fill if fill is not None else np.nan, vector.values[rows])
    return values, np.where(nobody, alone, vector.present[rows])


class SetPlan:
    """`and`, `or`, `unless`: series of one vector, by whether the other has their like."""

    def __init__(
        self, operator: str, matching: Matching, left: Plan[Vector], right: Plan[Vector]
    ) -> None:
        self._operator = operator
        self._left = left
        self._right = right
        self._signatures = signatures(matching)
        self._both: Memo[Relabelled] = Memo(_both)

    def evaluate(self, context: Context) -> Vector:
        left, right = self._left.evaluate(context), self._right.evaluate(context)
        context.check()
        ids = self._signatures(left.labels, right.labels)
        if self._operator == "or":
            lacking = ~_any_by(ids.left, ids.count, left.present)[ids.right]
            return united(
                self._both(left.labels, right.labels, left.nameless, right.nameless),
                np.concatenate((left.values, right.values)),
                np.concatenate((left.present, right.present & lacking)),
            )
        matched = _any_by(ids.right, ids.count, right.present)[ids.left]
        wanted = matched if self._operator == "and" else ~matched
        return Vector(left.labels, left.values, left.present & wanted, nameless=left.nameless)


def _both(
    left: Sequence[Labels], right: Sequence[Labels], of_left: Nameless, of_right: Nameless
) -> Relabelled:
    """The series of two vectors, one after the other."""
    if isinstance(of_left, bool) and of_left is of_right:
        return relabelled((*left, *right), of_left)
    marks = (np.broadcast_to(of_left, len(left)), np.broadcast_to(of_right, len(right)))
    return relabelled((*left, *right), np.concatenate(marks))
