"""The syntax tree of an expression as JSON: what Prometheus' `parse_query` answers.

Source: prometheus/prometheus `web/api/v1/translate_ast.go`.
"""

from __future__ import annotations

from typing import Any

import promql_parser

from forewarn_collector.promql.compile import value_type
from forewarn_collector.promql.nodes import (
    Aggregation,
    At,
    AtEdge,
    Binary,
    Call,
    Expr,
    Negation,
    Number,
    Paren,
    Range,
    Selector,
    String,
    Subquery,
    ValueType,
)
from forewarn_collector.promql.text import plain_float
from forewarn_collector.store.columns import MatchOp
from forewarn_wire.labels import METRIC_NAME

_EXAMPLES = {
    ValueType.SCALAR: "1",
    ValueType.STRING: '""',
    ValueType.VECTOR: "x",
    ValueType.MATRIX: "x[1m]",
}


def tree_json(node: Expr) -> dict[str, Any]:
    """A node and all below it. Durations and times in ms, as in Prometheus."""
    match node:
        case Number(value):
            return {"type": "numberLiteral", "val": plain_float(value)}
        case String(value):
            return {"type": "stringLiteral", "val": value}
        case Paren(expr):
            return {"type": "parenExpr", "expr": tree_json(expr)}
        case Negation(expr):
            return {"type": "unaryExpr", "op": "-", "expr": tree_json(expr)}
        case Selector():
            return {"type": "vectorSelector", **_series(node)}
        case Range(selector, length):
            return {"type": "matrixSelector", "range": length, **_series(selector)}
        case Subquery(expr, length, step, offset, at):
            return {
                "type": "subquery",
                "expr": tree_json(expr),
                "range": length,
                "offset": offset,
                "step": step or 0,
                "alignEvalTime": False,
                **_at(at),
            }
        case Call(function, arguments):
            return {
                "type": "call",
                "func": _signature(function, arguments),
                "args": [tree_json(argument) for argument in arguments],
            }
        case Aggregation(operator, expr, parameter, labels, without):
            return {
                "type": "aggregation",
                "op": operator,
                "expr": tree_json(expr),
                "param": None if parameter is None else tree_json(parameter),
                "grouping": list(labels),
                "without": without,
            }
        case Binary(operator, left, right, returns_bool):
            return {
                "type": "binaryExpr",
                "op": operator,
                "lhs": tree_json(left),
                "rhs": tree_json(right),
                "matching": _matching(node),
                "bool": returns_bool,
            }


def _series(node: Selector) -> dict[str, Any]:
    names = [
        matcher.value
        for matcher in node.matchers
        if matcher.name == METRIC_NAME and matcher.op is MatchOp.EQUAL
    ]
    return {
        "name": names[0] if names else "",
        "offset": node.offset,
        "matchers": [
            {"name": matcher.name, "value": matcher.value, "type": matcher.op.value}
            for matcher in node.matchers
        ],
        "anchored": False,
        "smoothed": False,
        **_at(node.at),
    }


def _at(at: At) -> dict[str, Any]:
    if isinstance(at, AtEdge):
        return {"timestamp": None, "startOrEnd": at.value}
    return {"timestamp": at, "startOrEnd": None}


def _signature(function: str, arguments: tuple[Expr, ...]) -> dict[str, Any]:
    # The library knows it, and tells it of a call: of one with arguments of the same types.
    examples = ", ".join(_EXAMPLES[value_type(argument)] for argument in arguments)
    call: Any = promql_parser.parse(f"{function}({examples})")
    known = call.func
    return {
        "name": function,
        "argTypes": [_type_name(kind) for kind in known.arg_types],
        "variadic": known.variadic,
        "returnType": _type_name(known.return_type),
    }


def _type_name(kind: object) -> str:
    return str(kind).rpartition(".")[2].lower()


def _matching(node: Binary) -> dict[str, Any] | None:
    """Only two vectors are matched."""
    if not value_type(node.left) is value_type(node.right) is ValueType.VECTOR:
        return None
    matching = node.matching
    return {
        "card": matching.cardinality.value,
        "labels": list(matching.labels),
        "on": matching.on,
        "include": list(matching.include),
        "fillValues": {"lhs": matching.fills[0], "rhs": matching.fills[1]},
    }
