"""Alerts without `for` on what jumps: one sample, or two, then open a task."""

from __future__ import annotations

from collections.abc import Iterator

from forewarn_collector.promql.errors import Position
from forewarn_collector.promql.nodes import (
    Binary,
    Call,
    Expr,
    Number,
    Range,
    Selector,
    Subquery,
    children,
    unwrapped,
)
from forewarn_collector.promql.operators import COMPARISONS
from forewarn_collector.rules.lint.model import Lint, Remark, Ruleset, Subject
from forewarn_collector.store.matching import metric_of
from forewarn_wire.durations import format_duration

_LAST_TWO = frozenset({"irate", "idelta"})
_SLOPES = frozenset({"rate", "deriv"})
_SHORT = 300_000
"""Milliseconds below which a range holds so few samples that one of them decides."""
_PROBES = frozenset({"up", "probe_success"})
_REMEDY = "add for: 2m or longer, or write for: 0s if a single evaluation is meant to be enough"


def _find(subject: Subject, ruleset: Ruleset) -> Iterator[Remark]:
    if subject.alert is None or "for" in subject.reader.section:
        return
    for place, reason in _noisy(subject.rule.query.expr):
        yield subject.at(place, f"an alert without for on {reason}", _REMEDY)
        return


def _noisy(node: Expr) -> Iterator[tuple[Position | None, str]]:
    match node:
        case Subquery():
            # What is taken over a range of it evens out.
            return
        case Call(function, arguments, places):
            place = places.start if places else None
            if function in _LAST_TWO:
                yield place, f"{function}(), which goes by two samples"
            if function == "predict_linear":
                yield place, "predict_linear(), which leaps with every change of the trend"
            for argument in map(unwrapped, arguments):
                if isinstance(argument, Range) and function in _SLOPES and argument.range < _SHORT:
                    yield place, f"{function}() over {format_duration(argument.range)}"
        case Binary(operator, left, right) if operator in COMPARISONS:
            found = _probe(unwrapped(left), operator, unwrapped(right))
            if found is not None:
                yield found.place, f"{metric_of(found.matchers)}, which one failed try makes 0"
    for child in children(node):
        yield from _noisy(child)


def _probe(left: Expr, operator: str, right: Expr) -> Selector | None:
    """The selector of `up == 0`, `up != 1` or `up < 1`."""
    if not (isinstance(left, Selector) and isinstance(right, Number)):
        return None
    failed = metric_of(left.matchers) in _PROBES and (operator, right.value) in _FAILED
    return left if failed else None


_FAILED = {("==", 0.0), ("!=", 1.0), ("<", 1.0)}

NOISE = Lint(
    "alert-without-for",
    "an alert without `for` on what a sample or two decide",
    _find,
)
