"""The values of a rule's expression around an alert's onset, with what they are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from forewarn_collector.promql import (
    Deadline,
    EvalError,
    Query,
    ValueType,
    compile_query,
    depends_on_steps,
    plain_float,
)
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
    SeriesSource,
)
from forewarn_collector.tasks.evidence_scope import HOST, Scopes, of_hosts
from forewarn_collector.tasks.identity import CUSTOMER
from forewarn_wire import Labels, is_stale, labels_from
from forewarn_wire.labels import METRIC_NAME

Document = dict[str, Any]

AFTER = 15 * 60_000
"""How long (ms) after an alert fired its values are still of interest."""
POINTS = 60
"""At how many times an expression is evaluated."""

_BEFORE = 15 * 60_000
_LONGEST = 24 * 3_600_000
_SUDDEN = 16_000
"""A step (ms) up to which the last one is shown by seconds: that of what fires at once."""
_HOSTS = 100
"""For how many alerts one evaluation is: so that of very many, some are done in time."""
_TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
# What is made of series of other hosts too, or gives labels that no series has.
_ACROSS = {"absent", "absent_over_time", "info", "label_join", "label_replace", "scalar", "vector"}


@dataclass(slots=True)
class _Group:
    """Alerts whose values one evaluation gives."""

    query: Query
    customer: str
    step: int
    series: Sequence[Labels]
    hosts: Sequence[str]
    """Whose series are enough; empty where all are needed."""
    found: dict[Labels, list[list[Any]]] | EvalError | None = None


class SharedValues:
    """What their rules measure, from some time before the onset to `at` (ms), for some alerts.

    An expression is evaluated once for many alerts of a customer whose time is about the same.
    """

    def __init__(
        self,
        scopes: Scopes,
        wanted: Sequence[tuple[AlertingRule, Alert]],
        at: int,
        deadline: Deadline,
    ) -> None:
        self._scopes = scopes
        self._wanted = wanted
        self._at = at
        self._deadline = deadline
        self._measured: dict[str, tuple[Query, str, float | None]] = {}

    def frame(self, place: int) -> dict[str, Any]:
        """What is measured for an alert, without samples.

        `threshold` is the constant that it is compared with, None where there is none; `step` and
        `for` are in ms.
        """
        rule, alert = self._wanted[place]
        query, operator, threshold = self._of_rule(rule)
        return {
            "query": query.text,
            "operator": operator,
            "threshold": None if threshold is None else plain_float(threshold),
            "for": rule.for_,
            "labels": dict(alert.series),
            "step": self._groups[place].step,
        }

    def samples(self, place: int) -> list[list[Any]]:
        """The values for an alert. Raises EvalError, also where the deadline has passed."""
        group = self._groups[place]
        if group.found is None:
            group.found = self._evaluated(group)
        if isinstance(group.found, EvalError):
            raise group.found
        return group.found.get(_nameless(self._wanted[place][1].series), [])

    def _of_rule(self, rule: AlertingRule) -> tuple[Query, str, float | None]:
        if rule.key not in self._measured:
            text, operator, threshold = measured(rule.query)
            self._measured[rule.key] = compile_query(text), operator, threshold
        return self._measured[rule.key]

    @cached_property
    def _groups(self) -> list[_Group]:
        """The group of each alert, in order: one object for all that share it."""
        alike: dict[tuple[Query, str, int, bool], list[int]] = {}
        for place, (rule, alert) in enumerate(self._wanted):
            query = self._of_rule(rule)[0]
            reach = max(_BEFORE, rule.for_) + max(0, self._at - alert.onset)
            alone = HOST in dict(alert.series) and _is_of_one_host(query.expr)
            customer = dict(alert.labels).get(CUSTOMER, "")
            key = query, customer, _step(min(reach, _LONGEST)), alone
            alike.setdefault(key, []).append(place)
        groups: dict[int, _Group] = {}
        for (query, customer, step, alone), places in alike.items():
            most = _HOSTS if alone else len(places)
            for first in range(0, len(places), most):
                chosen = places[first : first + most]
                series = [self._wanted[place][1].series for place in chosen]
                hosts = sorted({dict(labels)[HOST] for labels in series}) if alone else ()
                groups |= dict.fromkeys(chosen, _Group(query, customer, step, series, hosts))
        return [groups[place] for place in range(len(self._wanted))]

    def _evaluated(self, group: _Group) -> dict[Labels, list[list[Any]]] | EvalError:
        source = self._scopes.of(group.customer)
        if group.hosts:
            source = of_hosts(source, group.hosts)
        times = range(self._at, self._at - POINTS * group.step - 1, -group.step)
        try:
            self._deadline.check()
            # What fires at once is a fall of a second, and not a slope of a quarter of a minute.
            last = range(self._at - 1_000, self._at - group.step, -1_000)
            closer = last if group.step <= _SUDDEN else None
            return _values(source, group.query, group.series, times, self._deadline, closer)
        except EvalError as error:
            return error


def values_after(source: SeriesSource, before: Mapping[str, Any], deadline: Deadline) -> Document:
    """The values after an alert fired, from the document of then; with those before, if owed.

    Raises EvalError.
    """
    fired_at = before["gathered_at"]
    frame, start = before.get("values"), fired_at
    if frame is None:
        frame = before["owed"]
        start -= POINTS * frame["step"] + 1
    step = _step(fired_at + AFTER - start)
    labels = labels_from(frame["labels"])
    query = compile_query(frame["query"])
    host = dict(labels).get(HOST)
    if host is not None and _is_of_one_host(query.expr):
        source = of_hosts(source, [host])
    found = _values(source, query, [labels], range(fired_at + AFTER, start, -step), deadline)
    return {**frame, "step": step, "samples": found.get(_nameless(labels), [])}


def _step(reach: int) -> int:
    """Between points (ms): whole seconds, so that alerts of one minute have the same."""
    return max(1, -(-reach // (POINTS * 1_000))) * 1_000


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


def _values(
    source: SeriesSource,
    query: Query,
    series: Sequence[Labels],
    times: range,
    deadline: Deadline,
    closer: range | None = None,
) -> dict[Labels, list[list[Any]]]:
    """The values of the elements with these labels, at times that go back in equal steps.

    And at those of `closer`, unless the expression speaks of steps.
    """
    wanted = {_nameless(labels) for labels in series}
    if closer is None or depends_on_steps(query.expr):
        found = query.range(source, times[-1], times[0], -times.step, deadline=deadline)
    else:
        every = np.unique(np.array([*times, *closer], dtype=np.int64))
        found = query.over(source, every, deadline=deadline)
    values: dict[Labels, list[list[Any]]] = {}
    for row, labels in enumerate(found.labels):
        name, present = _nameless(labels), found.present[row]
        if name in wanted and name not in values and present.any():
            values[name] = samples_of(found.times[present], found.values[row][present])
    return values


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
