"""In what an expression counts, by the names of its metrics, and in what Grafana's units do.

A quantity is powers of seconds and bytes with a scale: bits a second are eight times bytes and one
over seconds. Source of the suffixes: https://prometheus.io/docs/practices/naming/#base-units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeGuard

from forewarn_collector.promql import nodes
from forewarn_collector.store import MatchOp

_OVER_TIME = {"rate", "irate", "deriv"}
_COUNTING = {"changes", "resets", "count_over_time", "present_over_time", "absent"}
_CLOCK = {"time", "timestamp"}


@dataclass(frozen=True)
class Quantity:
    """Powers of seconds and of bytes, and how many of these units one of the value is.

    `literal` is the value of a number: it is of any quantity when added or compared.
    """

    seconds: int = 0
    bytes: int = 0
    scale: float = 1
    literal: float | None = None

    def times(self, other: Quantity, sign: int = 1) -> Quantity:
        """The product with another one, or the quotient."""
        return Quantity(
            self.seconds + sign * other.seconds,
            self.bytes + sign * other.bytes,
            self.scale * other.scale**sign,
        )


NUMBER = Quantity()
SECOND = Quantity(seconds=1)
BYTE = Quantity(bytes=1)

UNITS = {
    "none": NUMBER,
    "percentunit": NUMBER,
    "s": SECOND,
    "d": Quantity(seconds=1, scale=1 / 86_400),
    "bytes": BYTE,
    "binBps": Quantity(seconds=-1, bytes=1),
    "bps": Quantity(seconds=-1, bytes=1, scale=8),
    "cps": Quantity(seconds=-1),
    "iops": Quantity(seconds=-1),
    "pps": Quantity(seconds=-1),
    # A time in ms, shown as how long ago it is.
    "dateTimeFromNow": Quantity(seconds=1, scale=1000),
}


# blackbox_exporter's name for a time.
_NAMED_OTHERWISE = {"probe_ssl_earliest_cert_expiry": SECOND}


class MixedError(ValueError):
    """Two quantities that are not of one kind are added or compared."""


def quantity_of(node: nodes.Expr) -> Quantity:
    """In what an expression counts. Raises MixedError."""
    match node:
        case nodes.Number(value):
            return Quantity(literal=value, scale=abs(value) or 1)
        case nodes.String():
            return NUMBER
        case nodes.Selector():
            return _of_metric(node)
        case nodes.Range(selector):
            return quantity_of(selector)
        case nodes.Paren(expr) | nodes.Subquery(expr) | nodes.Negation(expr):
            return quantity_of(expr)
        case nodes.Aggregation(operator, expr):
            return NUMBER if operator in {"count", "group", "count_values"} else quantity_of(expr)
        case nodes.Call("histogram_quantile", (_, buckets)):
            # Buckets are counted, and what is measured is their bounds.
            return next(
                _of_metric(below) for below in nodes.nodes_of(buckets) if _is_selector(below)
            )
        case nodes.Call(function, arguments):
            return _of_call(function, [quantity_of(argument) for argument in arguments])
        case nodes.Binary(operator, left, right, returns_bool):
            pair = quantity_of(left), quantity_of(right)
            return NUMBER if returns_bool else _of_two(operator, *pair)
    raise AssertionError(f"{type(node).__name__} is not known here")


def _of_two(operator: str, left: Quantity, right: Quantity) -> Quantity:
    if operator in {"*", "/"}:
        return left.times(right, 1 if operator == "*" else -1)
    if operator in {"and", "unless"}:
        return left
    if left.literal is not None:
        return right
    if right.literal is None and left != right:
        raise MixedError(f"{left} {operator} {right}")
    return left


def _of_call(function: str, arguments: list[Quantity]) -> Quantity:
    if function in _CLOCK:
        return SECOND
    if function in _COUNTING:
        return NUMBER
    if function == "quantile_over_time":
        return arguments[1]
    if function in _OVER_TIME:
        return arguments[0].times(SECOND, -1)
    return arguments[0]


def _is_selector(node: nodes.Expr) -> TypeGuard[nodes.Selector]:
    return isinstance(node, nodes.Selector)


def _of_metric(selector: nodes.Selector) -> Quantity:
    name = next(
        matcher.value
        for matcher in selector.matchers
        if matcher.name == "__name__" and matcher.op is MatchOp.EQUAL
    )
    base = name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_total")
    if name in _NAMED_OTHERWISE:
        return _NAMED_OTHERWISE[name]
    if base.endswith("_seconds"):
        return SECOND
    return BYTE if base.endswith("_bytes") else NUMBER
