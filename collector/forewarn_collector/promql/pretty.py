"""An expression written out as Prometheus formats it: on one line, or broken where too long.

Source: prometheus/prometheus `promql/parser/printer.go` and `prettier.go`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from forewarn_collector.promql.nodes import (
    Aggregation,
    At,
    AtEdge,
    Binary,
    Call,
    Cardinality,
    Expr,
    LabelMatchers,
    Matching,
    Negation,
    Number,
    Paren,
    Range,
    Selector,
    String,
    Subquery,
)
from forewarn_collector.promql.text import plain_float, quoted
from forewarn_collector.store.columns import Matcher, MatchOp
from forewarn_wire.durations import format_duration
from forewarn_wire.labels import METRIC_NAME

LONGEST_LINE = 100
"""Bytes of an expression beyond which it is broken."""

_INDENT = "  "
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def pretty(node: Expr, level: int = 0) -> str:
    """The expression, each part that is too long on lines of its own; indented by `level`."""
    indent = _INDENT * level
    line = one_line(node)
    if isinstance(node, Negation):
        return f"{indent}-{pretty(node.expr, level).strip()}"
    if len(line.encode()) <= LONGEST_LINE:
        # Prometheus leaves a subquery where it is.
        return line if isinstance(node, Subquery) else indent + line
    match node:
        case Paren(expr):
            return f"{indent}(\n{pretty(expr, level + 1)}\n{indent})"
        case Subquery(expr):
            return pretty(expr, level) + subquery_suffix(node)
        case Call(function, arguments) if arguments:
            return f"{indent}{function}(\n{_lines(arguments, level + 1)}\n{indent})"
        case Aggregation(_, expr, parameter):
            parts = (expr,) if parameter is None else (parameter, expr)
            head = aggregation_head(node)
            return f"{indent}{head}(\n{_lines(parts, level + 1)}\n{indent})"
        case Binary(_, left, right):
            left_lines, right_lines = pretty(left, level + 1), pretty(right, level + 1)
            return f"{left_lines}\n{indent}{operator_text(node)}\n{right_lines}"
    return indent + line


def one_line(node: Expr) -> str:
    """The expression on one line, as Prometheus normalizes it."""
    match node:
        case Number(value):
            return plain_float(value)
        case String(value):
            return quoted(value)
        case Paren(expr):
            return f"({one_line(expr)})"
        case Negation(expr):
            return f"-{one_line(expr)}"
        case LabelMatchers(matchers):
            return _braces(matchers)
        case Selector():
            return _series(node.matchers) + _moved(node.at, node.offset)
        case Range(selector, length):
            duration = format_duration(length)
            return f"{_series(selector.matchers)}[{duration}]{_moved(selector.at, selector.offset)}"
        case Subquery(expr):
            return one_line(expr) + subquery_suffix(node)
        case Call(function, arguments):
            return f"{function}({', '.join(map(one_line, arguments))})"
        case Aggregation(_, expr, parameter):
            first = "" if parameter is None else f"{one_line(parameter)}, "
            return f"{aggregation_head(node)}({first}{one_line(expr)})"
        case Binary(_, left, right):
            return f"{one_line(left)} {operator_text(node)} {one_line(right)}"


def _lines(parts: Sequence[Expr], level: int) -> str:
    return ",\n".join(pretty(part, level) for part in parts)


def _series(matchers: Sequence[Matcher]) -> str:
    name = next((each for each in matchers if _is_plain_name(each)), None)
    if name is None:
        return _braces(matchers)
    others = list(matchers)
    others.remove(name)
    return name.value + (_braces(others) if others else "")


def _is_plain_name(matcher: Matcher) -> bool:
    named = matcher.name == METRIC_NAME and matcher.op is MatchOp.EQUAL
    return named and _METRIC.fullmatch(matcher.value) is not None


def _braces(matchers: Sequence[Matcher]) -> str:
    conditions = (f"{_label(each.name)}{each.op}{quoted(each.value)}" for each in matchers)
    return f"{{{','.join(sorted(conditions))}}}"


def _moved(at: At, offset: int) -> str:
    match at:
        case None:
            text = ""
        case AtEdge():
            text = f" @ {at}()"
        case _:
            text = f" @ {at / 1000:.3f}"
    if offset:
        text += f" offset {'-' if offset < 0 else ''}{format_duration(abs(offset))}"
    return text


def subquery_suffix(node: Subquery) -> str:
    """What stands behind the expression of a subquery."""
    step = "" if node.step is None else format_duration(node.step)
    return f"[{format_duration(node.range)}:{step}]{_moved(node.at, node.offset)}"


def aggregation_head(node: Aggregation) -> str:
    """What stands before the parentheses of an aggregation."""
    if node.without:
        return f"{node.operator} without ({_labels(node.labels)}) "
    return f"{node.operator} by ({_labels(node.labels)}) " if node.labels else node.operator


def operator_text(node: Binary) -> str:
    """What stands between the two sides."""
    return node.operator + (" bool" if node.returns_bool else "") + _matching(node.matching)


def _matching(matching: Matching) -> str:
    sides = {Cardinality.MANY_TO_ONE: "left", Cardinality.ONE_TO_MANY: "right"}
    side = sides.get(matching.cardinality)
    text = ""
    if matching.labels or matching.on or side:
        text = f" {'on' if matching.on else 'ignoring'} ({_labels(matching.labels)})"
    if side:
        text += f" group_{side} ({_labels(matching.include)})"
    left, right = matching.fills
    if left is not None and left == right:
        return f"{text} fill ({plain_float(left)})"
    for name, value in (("left", left), ("right", right)):
        if value is not None:
            text += f" fill_{name} ({plain_float(value)})"
    return text


def _labels(names: Sequence[str]) -> str:
    return ", ".join(map(_label, names))


def _label(name: str) -> str:
    return name if _LABEL.fullmatch(name) else quoted(name)
