"""Functions that tell whether anything is there, or turn vectors into scalars and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from forewarn_collector.promql.annotations import cut_rows
from forewarn_collector.promql.errors import Position
from forewarn_collector.promql.functions.base import Builder, Compiler
from forewarn_collector.promql.functions.dates import NO_LABELS
from forewarn_collector.promql.nodes import Call, Expr, Range, Selector, place_of, unwrapped
from forewarn_collector.promql.values import (
    Bools,
    Context,
    Plan,
    Scalars,
    Vector,
    Windows,
    any_along,
)
from forewarn_collector.store.columns import MatchOp
from forewarn_wire.labels import METRIC_NAME, Labels, labels_from


def labels_wanted(node: Expr) -> Labels:
    """The labels that an absent series must have had: those matched by `=`, and only once."""
    node = unwrapped(node)
    selector = node.selector if isinstance(node, Range) else node
    if not isinstance(selector, Selector):
        return ()
    wanted: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in selector.matchers:
        if matcher.name == METRIC_NAME:
            continue
        if matcher.op is MatchOp.EQUAL and matcher.name not in seen:
            wanted[matcher.name] = matcher.value
            seen.add(matcher.name)
        else:
            wanted.pop(matcher.name, None)
    return labels_from(wanted)


def _one_where(labels: Sequence[Labels], present: Bools) -> Vector:
    return Vector(labels, np.ones((1, len(present))), present[np.newaxis, :])


@dataclass(frozen=True, slots=True)
class _AbsentPlan:
    argument: Plan[Vector]
    labels: Sequence[Labels]

    def evaluate(self, context: Context) -> Vector:
        return _one_where(self.labels, ~any_along(self.argument.evaluate(context).present, axis=0))


@dataclass(frozen=True, slots=True)
class _AbsentOverTimePlan:
    argument: Plan[Windows]
    labels: Sequence[Labels]
    place: Position | None

    def evaluate(self, context: Context) -> Vector:
        windows = self.argument.evaluate(context)
        if windows.runs is not None and windows.runs.cut.any():
            context.annotations.inform(cut_rows("absent_over_time"), self.place)
        return _one_where(self.labels, ~any_along(windows.ends > windows.starts, axis=0))


def _absent(compiler: Compiler, call: Call) -> Plan[Vector]:
    (argument,) = call.arguments
    return _AbsentPlan(compiler.vector(argument), (labels_wanted(argument),))


def _absent_over_time(compiler: Compiler, call: Call) -> Plan[Vector]:
    (argument,) = call.arguments
    labels = (labels_wanted(argument),)
    return _AbsentOverTimePlan(compiler.windows(argument), labels, place_of(call, 0))


@dataclass(frozen=True, slots=True)
class _OfScalarPlan:
    argument: Plan[Scalars]

    def evaluate(self, context: Context) -> Vector:
        values = self.argument.evaluate(context).values
        return Vector(NO_LABELS, values[np.newaxis, :], np.ones((1, len(values)), dtype=np.bool_))


def _vector(compiler: Compiler, call: Call) -> Plan[Vector]:
    return _OfScalarPlan(compiler.scalars(call.arguments[0]))


@dataclass(frozen=True, slots=True)
class _ScalarPlan:
    argument: Plan[Vector]

    def evaluate(self, context: Context) -> Scalars:
        vector = self.argument.evaluate(context)
        alone = vector.present.sum(axis=0) == 1
        values = np.full(context.steps, np.nan)
        rows = vector.present.argmax(axis=0) if len(vector.labels) else np.zeros(0, dtype=np.int64)
        values[alone] = vector.values[rows[alone], np.flatnonzero(alone)] if alone.any() else 0.0
        return Scalars(values)


@dataclass(frozen=True, slots=True)
class _TimePlan:
    def evaluate(self, context: Context) -> Scalars:
        return Scalars(context.times / 1000)


@dataclass(frozen=True, slots=True)
class ConstantPlan:
    """The same number at every step."""

    value: float

    def evaluate(self, context: Context) -> Scalars:
        return Scalars(np.full(context.steps, self.value))


def scalar_call(compiler: Compiler, call: Call) -> Plan[Scalars]:
    """The plan of a call that gives a scalar."""
    match call.function:
        case "scalar":
            return _ScalarPlan(compiler.vector(call.arguments[0]))
        case "time":
            return _TimePlan()
        case "pi":
            return ConstantPlan(np.pi)
    return _OfQueryPlan(_OF_QUERY[call.function])


@dataclass(frozen=True, slots=True)
class _OfQueryPlan:
    """What a query is asked for, in seconds, also within a subquery."""

    milliseconds: Callable[[Context], int]

    def evaluate(self, context: Context) -> Scalars:
        return Scalars(np.full(context.steps, self.milliseconds(context) / 1000))


_OF_QUERY: Mapping[str, Callable[[Context], int]] = {
    "start": lambda context: context.start,
    "end": lambda context: context.end,
    "range": lambda context: context.end - context.start,
    "step": lambda context: context.step,
}

SCALAR_FUNCTIONS = frozenset({"scalar", "time", "pi", *_OF_QUERY})

PRESENCE: Mapping[str, Builder] = {
    "absent": _absent,
    "absent_over_time": _absent_over_time,
    "vector": _vector,
}
