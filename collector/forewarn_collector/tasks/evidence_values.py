"""The values of a rule's expression around an alert's onset, with what they are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forewarn_collector.promql import Deadline, Query, ValueType, compile_query, plain_float
from forewarn_collector.promql.nodes import (
    Aggregation,
    Binary,
    Call,
    Expr,
    Matching,
    nodes_of,
    unwrapped,
)
from forewarn_collector.promql.operators import COMPARISONS, constant
from forewarn_collector.promql.pretty import one_line
from forewarn_collector.rules.alerts import Alert
from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.store import (
    Floats,
    Ints,
    LatestColumns,
    Matcher,
    MatchOp,
    SeriesColumns,
    SeriesSource,
)
from forewarn_wire import Labels, is_stale, labels_from
from forewarn_wire.labels import METRIC_NAME

HOST = "instance"
AFTER = 15 * 60_000
"""How long (ms) after an alert fired its values are still of interest."""
POINTS = 60
"""At how many times an expression is evaluated."""

_BEFORE = 15 * 60_000
_LONGEST = 24 * 3_600_000
_SHORTEST_STEP = 1_000
_TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
# What is made of series of other hosts too, or gives labels that no series has.
_ACROSS = {"absent", "absent_over_time", "info", "label_join", "label_replace", "scalar", "vector"}


def values_of(
    source: SeriesSource, rule: AlertingRule, alert: Alert, at: int, deadline: Deadline
) -> dict[str, Any]:
    """What the rule measures, from some time before the onset to `at` (ms), for this alert.

    `threshold` is the constant that it is compared with, None where there is none; `step` and `for`
    are in ms. Raises EvalError, also where `deadline` has passed.
    """
    text, operator, threshold = measured(rule.query)
    start = max(min(alert.onset, at) - max(_BEFORE, rule.for_), at - _LONGEST)
    step = max(_SHORTEST_STEP, (at - start) // POINTS)
    return {
        "query": text,
        "operator": operator,
        "threshold": None if threshold is None else plain_float(threshold),
        "for": rule.for_,
        "labels": dict(alert.series),
        "step": step,
        "samples": _evaluated(source, text, alert.series, range(at, start - 1, -step), deadline),
    }


def values_after(
    source: SeriesSource, values: dict[str, Any], fired_at: int, deadline: Deadline
) -> dict[str, Any]:
    """The same for the time after it fired (ms), from what `values_of` gave. Raises as that."""
    step = max(_SHORTEST_STEP, AFTER // POINTS)
    times = range(fired_at + AFTER, fired_at, -step)
    labels = labels_from(values["labels"])
    samples = _evaluated(source, values["query"], labels, times, deadline)
    return {**values, "step": step, "samples": samples}


def measured(query: Query) -> tuple[str, str, float | None]:
    """What a condition measures, and the comparison and constant that it is held against.

    Of `a > 5 and b` that is `a`, ">" and 5; without a comparison it is the whole expression, and
    without a constant the side whose value an alert has.
    """
    node = unwrapped(query.expr)
    while isinstance(node, Binary) and node.operator in {"and", "unless"}:
        node = unwrapped(node.left)
    if not isinstance(node, Binary) or node.operator not in COMPARISONS or node.returns_bool:
        return one_line(node), "", None
    left, right = one_line(node.left), one_line(node.right)
    limit = constant(node.right)
    if limit is not None:
        return left, node.operator, limit
    limit = constant(node.left)
    if limit is not None:
        return right, _TURNED[node.operator], limit
    return (right if compile_query(left).result_type is ValueType.SCALAR else left), "", None


def samples_of(times: Ints, values: Floats) -> list[list[Any]]:
    """Samples as a document has them: the time (ms), and the value as text."""
    return [
        [int(at), "stale" if is_stale(value) else plain_float(value)]
        for at, value in zip(times.tolist(), values.tolist(), strict=True)
    ]


def _evaluated(
    source: SeriesSource, text: str, series: Labels, times: range, deadline: Deadline
) -> list[list[Any]]:
    """The values of the element with these labels, at times that go back in equal steps."""
    query = compile_query(text)
    wanted = _nameless(series)
    host = dict(series).get(HOST)
    if host is not None and _is_of_one_host(query.expr):
        source = _OfHost(source, host)
    found = query.range(source, times[-1], times[0], -times.step, deadline=deadline)
    for row, labels in enumerate(found.labels):
        if _nameless(labels) == wanted and found.present[row].any():
            present = found.present[row]
            return samples_of(found.times[present], found.values[row][present])
    return []


def _nameless(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] != METRIC_NAME)


def _is_of_one_host(expr: Expr) -> bool:
    """Whether each element of the result is made of series of its own host alone."""
    for node in nodes_of(expr):
        match node:
            case Aggregation(labels=labels, without=without) if (HOST in labels) == without:
                return False
            case Binary(matching=Matching(labels=labels, on=on)) if (HOST in labels) != on:
                return False
            case Call(function) if function in _ACROSS:
                return False
    return True


class _OfHost:
    """The series of one host, of a source that has more."""

    def __init__(self, source: SeriesSource, host: str) -> None:
        self._source = source
        self._host = Matcher(HOST, MatchOp.EQUAL, host)

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> SeriesColumns:
        return self._source.select([*matchers, self._host], start, end)

    def read(self, series: Sequence[Labels], start: int, end: int) -> SeriesColumns:
        return self._source.read(series, start, end)

    def latest(self, matchers: Sequence[Matcher], start: int, end: int) -> LatestColumns:
        return self._source.latest([*matchers, self._host], start, end)
