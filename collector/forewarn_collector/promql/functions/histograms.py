"""Quantiles and fractions of classic histograms.

Native histograms are no samples here, so the functions that read only those give nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from forewarn_collector.promql.annotations import forced_monotonicity, invalid_quantiles
from forewarn_collector.promql.buckets import (
    Fall,
    Layout,
    Table,
    fractions_of,
    layout_of,
    monotonic,
    quantiles_of,
    table_of,
)
from forewarn_collector.promql.errors import EvalError
from forewarn_collector.promql.functions.base import Builder, Compiler
from forewarn_collector.promql.functions.labelling import with_label
from forewarn_collector.promql.nodes import Call, place_of
from forewarn_collector.promql.relabel import relabelled, united
from forewarn_collector.promql.text import open_metrics_float
from forewarn_collector.promql.values import (
    Bools,
    Context,
    Memo,
    Plan,
    Vector,
    any_along,
    empty_vector,
)
from forewarn_collector.store.columns import Floats, Ints
from forewarn_wire.labels import Labels, metric_name


class _Quantile:
    """An argument that is a quantile; says so if it is none."""

    def __init__(self, compiler: Compiler, call: Call, argument: int) -> None:
        self._plan = compiler.scalars(call.arguments[argument])
        self._place = place_of(call, argument)

    def evaluate(self, context: Context) -> Floats:
        quantiles = self._plan.evaluate(context).values
        for text in invalid_quantiles(quantiles):
            context.annotations.warn(text, self._place)
        return quantiles


class _Buckets:
    """An argument that has the buckets; says what is wrong with them."""

    def __init__(self, compiler: Compiler, call: Call, argument: int) -> None:
        self._plan = compiler.vector(call.arguments[argument])
        self._place = place_of(call, argument)
        self._layout: Memo[Layout] = Memo(layout_of)

    def table(self, context: Context) -> Table:
        """The histograms as they are."""
        vector = self._plan.evaluate(context)
        layout = self._layout(vector.labels)
        for text in layout.malformed.about(vector.present):
            context.annotations.warn(text, self._place)
        return table_of(layout, vector)

    def monotonic(self, context: Context, quantiles: Sequence[Floats]) -> Table:
        """The histograms with mended counts, for these quantiles, each `float64[steps]`."""
        table = self.table(context)
        if not table.counts.size:
            return table
        table, falls = monotonic(table)
        if falls:
            asked = [np.flatnonzero((each >= 0) & (each <= 1)) for each in quantiles]
            self._tell(table, falls, np.concatenate(asked), context)
        return table

    def _tell(self, table: Table, falls: Sequence[Fall], steps: Ints, context: Context) -> None:
        """`steps: int64[n]` are those at which a quantile is asked for, each for each quantile."""
        names = [metric_name(labels) for labels in table.layout.labels]
        for name in sorted(set(names)):
            of_name = np.array([one == name for one in names])[:, np.newaxis]
            counted = of_name & table.complete[:, steps]
            found = [(fall, fall.where[:, steps] & counted) for fall in falls]
            samples: Bools = np.logical_or.reduce([where for _, where in found])
            if not samples.any():
                continue
            bounds = np.concatenate([fall.bounds[any_along(where, 1)] for fall, where in found])
            missing = np.concatenate([fall.missing[:, steps][where] for fall, where in found])
            text = forced_monotonicity(
                name,
                (float(bounds.min()), float(bounds.max())),
                float(missing.max()),
                int(samples.sum()),
                context.times[steps][any_along(samples, 0)],
            )
            context.annotations.inform(text, self._place)


class _QuantilePlan:
    """`histogram_quantile`."""

    def __init__(self, compiler: Compiler, call: Call) -> None:
        self._quantile = _Quantile(compiler, call, 0)
        self._buckets = _Buckets(compiler, call, 1)

    def evaluate(self, context: Context) -> Vector:
        quantiles = self._quantile.evaluate(context)
        table = self._buckets.monotonic(context, [quantiles])
        if not table.counts.size:
            return empty_vector(context.steps)
        values = quantiles_of(table, quantiles)
        return Vector(table.layout.labels, values, table.present, nameless=True)


class _QuantilesPlan:
    """`histogram_quantiles`: several quantiles, told apart by a label."""

    def __init__(self, compiler: Compiler, call: Call) -> None:
        self._buckets = _Buckets(compiler, call, 0)
        self._label = compiler.text(call.arguments[1])
        self._quantiles = [
            _Quantile(compiler, call, argument) for argument in range(2, len(call.arguments))
        ]

    def evaluate(self, context: Context) -> Vector:
        asked = [quantile.evaluate(context) for quantile in self._quantiles]
        table = self._buckets.monotonic(context, asked)
        if not table.counts.size:
            return empty_vector(context.steps)
        histograms = table.layout.labels
        if any(self._label in dict(labels) for labels in histograms):
            raise EvalError(f"label {self._label} is already present on the input series")
        labels: list[Labels] = []
        values: list[Floats] = []
        present: list[Bools] = []
        for quantiles in asked:
            computed = quantiles_of(table, quantiles)
            # One value, unless the argument is no constant.
            for quantile in np.unique(quantiles):
                text = open_metrics_float(float(quantile))
                labels += [with_label(one, self._label, text) for one in histograms]
                values.append(computed)
                steps = (quantiles == quantile) | np.isnan([quantile]) & np.isnan(quantiles)
                present.append(table.present & steps)
        relabelling = relabelled(labels, nameless=True)
        return united(relabelling, np.concatenate(values), np.concatenate(present))


class _FractionPlan:
    """`histogram_fraction`."""

    def __init__(self, compiler: Compiler, call: Call) -> None:
        self._edges = [compiler.scalars(edge) for edge in call.arguments[:2]]
        self._buckets = _Buckets(compiler, call, 2)

    def evaluate(self, context: Context) -> Vector:
        lower, upper = (edge.evaluate(context).values for edge in self._edges)
        table = self._buckets.table(context)
        if not table.counts.size:
            return empty_vector(context.steps)
        values = fractions_of(table, lower, upper)
        return Vector(table.layout.labels, values, table.present, nameless=True)


@dataclass(frozen=True, slots=True)
class _NothingPlan:
    argument: Plan[Vector]

    def evaluate(self, context: Context) -> Vector:
        self.argument.evaluate(context)
        return empty_vector(context.steps)


def _of_native(compiler: Compiler, call: Call) -> Plan[Vector]:
    return _NothingPlan(compiler.vector(call.arguments[-1]))


HISTOGRAMS: Mapping[str, Builder] = {
    "histogram_quantile": _QuantilePlan,
    "histogram_quantiles": _QuantilesPlan,
    "histogram_fraction": _FractionPlan,
    "histogram_avg": _of_native,
    "histogram_count": _of_native,
    "histogram_sum": _of_native,
    "histogram_stddev": _of_native,
    "histogram_stdvar": _of_native,
}
