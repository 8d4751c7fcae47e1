"""Functions of one value alone: rounding, roots, logarithms, angles, clamps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from forewarn_collector.promql.functions.base import Builder, Compiler, Elementwise, elementwise
from forewarn_collector.promql.nodes import Call
from forewarn_collector.promql.values import Context, Plan, Scalars, Vector
from forewarn_collector.store.columns import Floats


def _round(values: Floats, nearest: Floats | None = None) -> Floats:
    # The inverse makes round(x, 0.1) exact where 1 / 0.1 is.
    inverse = 1.0 if nearest is None else 1.0 / nearest
    rounded: Floats = np.floor(values * inverse + 0.5) / inverse
    return rounded


def _greater(values: Floats, others: Floats) -> Floats:
    """As Go's `math.Max`, to which an infinity that is greater than all is so than NaN, too."""
    greater: Floats = np.maximum(values, others)
    return np.where(np.isposinf(values) | np.isposinf(others), np.inf, greater)


def _lesser(values: Floats, others: Floats) -> Floats:
    """As Go's `math.Min`."""
    return -_greater(-values, -others)


def _sign(values: Floats) -> Floats:
    # Zero keeps its own sign.
    return np.where(values == 0, values, np.sign(values))


@dataclass(frozen=True, slots=True)
class _ClampPlan:
    argument: Plan[Vector]
    least: Plan[Scalars]
    greatest: Plan[Scalars]

    def evaluate(self, context: Context) -> Vector:
        vector = self.argument.evaluate(context)
        least, greatest = (bound.evaluate(context).values for bound in (self.least, self.greatest))
        values = _greater(least, _lesser(greatest, vector.values))
        # Bounds the wrong way round leave nothing.
        return Vector(vector.labels, values, vector.present & ~(least > greatest), nameless=True)


def _clamp(compiler: Compiler, call: Call) -> Plan[Vector]:
    vector, least, greatest = call.arguments
    return _ClampPlan(compiler.vector(vector), compiler.scalars(least), compiler.scalars(greatest))


_PLAIN: Mapping[str, Elementwise] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sgn": _sign,
    "round": _round,
    "clamp_min": _greater,
    "clamp_max": _lesser,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "deg": np.degrees,
    "rad": np.radians,
}

ARITHMETIC: Mapping[str, Builder] = {
    **{name: elementwise(compute) for name, compute in _PLAIN.items()},
    "clamp": _clamp,
}
