"""Alerts whose expression is true as long as anything is there at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from forewarn_collector.promql.nodes import (
    Binary,
    Call,
    Expr,
    Selector,
    children,
    nodes_of,
    unwrapped,
)
from forewarn_collector.promql.operators import COMPARISONS
from forewarn_collector.rules.lint.model import Lint, Remark, Ruleset, Subject
from forewarn_collector.rules.model import RecordingRule
from forewarn_collector.store.matching import metric_of


def _find(subject: Subject, ruleset: Ruleset) -> Iterator[Remark]:
    expr = subject.rule.query.expr
    # Without a selector it is meant to fire always, to show that alerts arrive.
    if subject.alert is None or not any(isinstance(node, Selector) for node in nodes_of(expr)):
        return
    # A plain selection of some series: that these are there may well be what is wrong.
    top = unwrapped(expr)
    if isinstance(top, Selector) and len(top.matchers) > 1:
        return
    if not _chooses(expr, ruleset.recorded):
        compares = any(isinstance(node, Binary) and node.returns_bool for node in nodes_of(expr))
        message = (
            "the alert has no condition: it fires for every series there is, whatever its value"
        )
        remedy = "compare it with a limit, such as > 0"
        if compares:
            message = (
                "the alert has no condition: a comparison with bool gives 0 instead of nothing"
            )
            remedy = "leave out bool, or add == 1"
        yield Remark(("expr",), message, remedy)


def _chooses(node: Expr, recorded: Mapping[str, Sequence[RecordingRule]]) -> bool:
    """Whether an expression may give less than there is."""
    match unwrapped(node):
        case Binary("and" | "unless"):
            return True
        case Binary("or", left, right):
            return _chooses(left, recorded) and _chooses(right, recorded)
        case Binary(operator, _, _, False) if operator in COMPARISONS:
            return True
        case Call("absent" | "absent_over_time"):
            return True
        case Selector(matchers):
            return _tells_by_being_there(metric_of(matchers), recorded)
        case other:
            return any(_chooses(child, recorded) for child in children(other))


def _tells_by_being_there(metric: str, recorded: Mapping[str, Sequence[RecordingRule]]) -> bool:
    rules = recorded.get(metric, ())
    return metric in {"", "ALERTS", "ALERTS_FOR_STATE"} or any(
        _chooses(rule.query.expr, {}) for rule in rules
    )


CONDITIONS = Lint(
    "alert-without-condition",
    "an alert that fires for all that is there, since nothing is compared",
    _find,
)
