"""Operators between numbers: what they compute, and their plans with at most one vector."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from forewarn_collector.promql.nodes import Binary, Call, Expr, Negation, Number, unwrapped
from forewarn_collector.promql.values import Bools, Context, Plan, Scalars, Vector
from forewarn_collector.store.columns import Floats

ARITHMETIC: Mapping[str, Callable[[Floats, Floats], Floats]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}

COMPARISONS: Mapping[str, Callable[[Floats, Floats], Bools]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}


def of_scalars(operator: str, left: Floats, right: Floats) -> Floats:
    """An operator between two scalars, where a comparison is always 0 or 1."""
    if operator in ARITHMETIC:
        return ARITHMETIC[operator](left, right)
    return COMPARISONS[operator](left, right).astype(np.float64)


def constant(node: Expr) -> float | None:
    """The value of a scalar that is the same at all times; None if it is not, or no scalar."""
    match unwrapped(node):
        case Number(value):
            return value
        case Negation(expr):
            value_of = constant(expr)
            return None if value_of is None else -value_of
        case Call("pi"):
            return math.pi
        case Call("scalar", (argument,)) if isinstance(inner := unwrapped(argument), Call):
            return constant(inner.arguments[0]) if inner.function == "vector" else None
        case Binary(operator, left, right) if operator in ARITHMETIC or operator in COMPARISONS:
            first, second = constant(left), constant(right)
            if first is None or second is None:
                return None
            with np.errstate(all="ignore"):
                return float(of_scalars(operator, np.array([first]), np.array([second]))[0])
    return None


@dataclass(frozen=True, slots=True)
class ScalarsPlan:
    """An operator between two scalars."""

    operator: str
    left: Plan[Scalars]
    right: Plan[Scalars]

    def evaluate(self, context: Context) -> Scalars:
        left, right = self.left.evaluate(context).values, self.right.evaluate(context).values
        return Scalars(of_scalars(self.operator, left, right))


@dataclass(frozen=True, slots=True)
class VectorScalarPlan:
    """An operator between a vector and a scalar; `swapped` if the scalar stands left."""

    operator: str
    returns_bool: bool
    vector: Plan[Vector]
    scalar: Plan[Scalars]
    swapped: bool

    def evaluate(self, context: Context) -> Vector:
        vector = self.vector.evaluate(context)
        scalar = self.scalar.evaluate(context).values
        values, present = vector.values, vector.present
        left, right = (scalar, values) if self.swapped else (values, scalar)
        if self.operator in ARITHMETIC:
            values = ARITHMETIC[self.operator](left, right)
            return Vector(vector.labels, values, present, nameless=True)
        holds = COMPARISONS[self.operator](left, right)
        if self.returns_bool:
            values = holds.astype(np.float64)
            return Vector(vector.labels, values, present, nameless=True)
        return Vector(vector.labels, values, present & holds, nameless=vector.nameless)


@dataclass(frozen=True, slots=True)
class NegationPlan:
    """`-vector`."""

    argument: Plan[Vector]

    def evaluate(self, context: Context) -> Vector:
        vector = self.argument.evaluate(context)
        return Vector(vector.labels, -vector.values, vector.present, nameless=True)


@dataclass(frozen=True, slots=True)
class ScalarNegationPlan:
    """`-scalar`."""

    argument: Plan[Scalars]

    def evaluate(self, context: Context) -> Scalars:
        return Scalars(-self.argument.evaluate(context).values)
