"""Syntax tree to plan: chosen once for each kind of node, then evaluated any number of times."""

from __future__ import annotations

from forewarn_collector.promql.aggregation import AggregationPlan
from forewarn_collector.promql.binary import SetPlan, VectorsPlan
from forewarn_collector.promql.errors import PromQLError
from forewarn_collector.promql.functions import (
    FUNCTIONS,
    SCALAR_FUNCTIONS,
    ConstantPlan,
    scalar_call,
)
from forewarn_collector.promql.nodes import (
    Aggregation,
    Binary,
    Call,
    Expr,
    Negation,
    Number,
    Range,
    Selector,
    String,
    Subquery,
    ValueType,
    place_of,
    unwrapped,
)
from forewarn_collector.promql.operators import (
    NegationPlan,
    ScalarNegationPlan,
    ScalarsPlan,
    VectorScalarPlan,
    constant,
)
from forewarn_collector.promql.parse import SET_OPERATORS
from forewarn_collector.promql.ranking import (
    RANKINGS,
    CountValuesPlan,
    LimitRatioPlan,
    RankingPlan,
)
from forewarn_collector.promql.selection import InstantSelector, RangeSelector, SubquerySelector
from forewarn_collector.promql.shared import SharedPlans
from forewarn_collector.promql.values import Plan, Scalars, Vector, Windows


def value_type(node: Expr) -> ValueType:
    """What an expression gives, which its form alone decides."""
    match unwrapped(node):
        case Number():
            return ValueType.SCALAR
        case String():
            return ValueType.STRING
        case Range() | Subquery():
            return ValueType.MATRIX
        case Negation(expr):
            return value_type(expr)
        case Call(function) if function in SCALAR_FUNCTIONS:
            return ValueType.SCALAR
        case Binary(_, left, right) if value_type(left) is value_type(right) is ValueType.SCALAR:
            return ValueType.SCALAR
    return ValueType.VECTOR


class PlanCompiler:
    """Builds plans. The parser has checked types, so each method may trust its node's."""

    def __init__(self, shared: SharedPlans | None = None) -> None:
        """`shared` has the plans of what occurs in several expressions."""
        self._shared = shared or SharedPlans(())

    def vector(self, node: Expr) -> Plan[Vector]:
        """The plan of an expression that gives an instant vector."""
        return self._shared.plan("vector", unwrapped(node), self._vector)

    def scalars(self, node: Expr) -> Plan[Scalars]:
        """The plan of an expression that gives a scalar."""
        value = constant(node)
        if value is not None:
            return ConstantPlan(value)
        return self._shared.plan("scalars", unwrapped(node), self._scalars)

    def windows(self, node: Expr) -> Plan[Windows]:
        """The plan of an expression that gives a range vector."""
        node = unwrapped(node)
        if isinstance(node, Range):
            # What its samples give is shared, not they themselves.
            return RangeSelector(node)
        return self._shared.plan("windows", node, self._windows)

    def text(self, node: Expr) -> str:
        """The value of a string literal."""
        match unwrapped(node):
            case String(value):
                return value
        raise PromQLError("expected a string literal")

    def _vector(self, node: Expr) -> Plan[Vector]:
        match node:
            case Selector() as selector:
                return InstantSelector(selector)
            case Negation(expr):
                return NegationPlan(self.vector(expr))
            case Call() as call:
                if call.function not in FUNCTIONS:
                    raise PromQLError(f"function {call.function!r} is not supported")
                return FUNCTIONS[call.function](self, call)
            case Aggregation() as aggregation:
                return self._aggregation(aggregation)
            case Binary() as binary:
                return self._binary(binary)
        raise PromQLError("expected an instant vector")

    def _scalars(self, node: Expr) -> Plan[Scalars]:
        match node:
            case Negation(expr):
                return ScalarNegationPlan(self.scalars(expr))
            case Call() as call:
                return scalar_call(self, call)
            case Binary(operator, left, right):
                return ScalarsPlan(operator, self.scalars(left), self.scalars(right))
        raise PromQLError("expected a scalar")

    def _windows(self, node: Expr) -> Plan[Windows]:
        match node:
            case Subquery() as subquery:
                return SubquerySelector(subquery, self.vector(subquery.expr))
        raise PromQLError("expected a range vector")

    def _aggregation(self, node: Aggregation) -> Plan[Vector]:
        argument = self.vector(node.expr)
        if node.operator == "count_values" and node.parameter is not None:
            label = self.text(node.parameter)
            return CountValuesPlan(argument, label, node.labels, node.without)
        parameter = None if node.parameter is None else self.scalars(node.parameter)
        if parameter is not None and node.operator in RANKINGS:
            return RankingPlan(node.operator, argument, parameter, node.labels, node.without)
        if parameter is not None and node.operator == "limit_ratio":
            return LimitRatioPlan(argument, parameter, place_of(node, 0))
        return AggregationPlan(
            node.operator, argument, parameter, node.labels, node.without, place_of(node, 0)
        )

    def _binary(self, node: Binary) -> Plan[Vector]:
        operator, returns_bool = node.operator, node.returns_bool
        scalar_left = value_type(node.left) is ValueType.SCALAR
        if scalar_left or value_type(node.right) is ValueType.SCALAR:
            vector, scalar = (node.right, node.left) if scalar_left else (node.left, node.right)
            return VectorScalarPlan(
                operator,
                returns_bool,
                self.vector(vector),
                self.scalars(scalar),
                scalar_left,
            )
        left, right = self.vector(node.left), self.vector(node.right)
        if operator in SET_OPERATORS:
            return SetPlan(operator, node.matching, left, right)
        return VectorsPlan(operator, returns_bool, node.matching, left, right)
