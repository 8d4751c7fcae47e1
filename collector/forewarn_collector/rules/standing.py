"""The alerts of a rule between two evaluations, so that an evaluation costs what changes.

An alert that fires and goes on to fire changes nothing but its value. Such alerts stand in columns;
only those that begin, end or wait for something take the step of `forewarn_collector.rules.alerts`.
What people see of the others (value, annotations) is made when somebody looks.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.promql import Result, continues
from forewarn_collector.rules.alerts import (
    NEVER_DUE,
    SAME_LABELS,
    Alert,
    AlertChange,
    AlertState,
    DuplicateAlertsError,
    Inputs,
    check_limit,
    expand_annotations,
    next_change,
    next_change_unmet,
    step,
)
from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.rules.templates import TemplateContext, TemplateData
from forewarn_collector.store import NEVER, Floats, Ints
from forewarn_wire import Labels

AlertsByLabels = Mapping[Labels, Alert]

Begin = tuple[int, int]
"""The onset of an alert, and when its condition was first met (ms)."""

_NO_ROWS: Ints = np.zeros(0, dtype=np.int64)


class Standing:
    """A rule's alerts after an evaluation; never changed, an evaluation gives the next one.

    `waiting` are alerts that are not in the rule's last result, by their final labels.
    """

    def __init__(self, waiting: AlertsByLabels | None = None) -> None:
        """Before the first evaluation, with the alerts that are known."""
        self._rule: AlertingRule | None = None
        self._context: TemplateContext | None = None
        self._steady = False
        self._at = NEVER
        self._waiting: AlertsByLabels = waiting or {}
        # One element per alert in the result: its row, the alert as it was when something last
        # happened to it, its value now, and when (ms) the next thing happens by time alone.
        self._labels: Sequence[Labels] = ()
        self._rows = _NO_ROWS
        self._alerts: NDArray[np.object_] = np.zeros(0, dtype=np.object_)
        self._values: Floats = np.zeros(0)
        self._due = _NO_ROWS
        self._seen: dict[Labels, Alert] | None = None

    def __len__(self) -> int:
        return len(self._rows) + len(self._waiting)

    def states(self) -> Counter[AlertState]:
        """How many alerts are in each state."""
        found = Counter(alert.state for alert in self._waiting.values())
        found.update(alert.state for alert in self._alerts)
        return found

    def alerts(self) -> dict[Labels, Alert]:
        """All alerts that are not inactive, by their final labels."""
        if self._seen is None:
            current = (self._current(place) for place in range(len(self._rows)))
            self._seen = {alert.labels: alert for alert in current} | dict(self._waiting)
        return self._seen

    def advance(
        self,
        rule: AlertingRule,
        result: Result,
        inputs: Inputs,
        at: int,
        context: TemplateContext,
        limit: int = 0,
    ) -> tuple[Standing, list[AlertChange]]:
        """The alerts after a result at `at` (ms), and what changed; see `alerts.step`."""
        rows = np.sort(result.rows())
        values = result.values[rows, 0] if len(rows) else np.zeros(0)
        known = rule is self._rule
        steady = known and self._steady and continues(result.labels, self._labels)
        places = _places(rows, self._rows) if steady else np.full(len(rows), -1)
        stayed = places >= 0
        touched = ~stayed
        touched[stayed] = self._due[places[stayed]] <= at
        stepping = np.ones(len(self._rows), dtype=np.bool_)
        stepping[places[~touched]] = False
        previous = dict(self._waiting)
        for place in np.flatnonzero(stepping).tolist():
            alert = self._current(place)
            previous[alert.labels] = alert
        taking = np.flatnonzero(touched)
        vector = [
            (result.labels[row], value)
            for row, value in zip(rows[taking].tolist(), values[taking].tolist(), strict=True)
        ]
        following, changes = step(rule, previous, vector, inputs, at, context, reuse=known)
        check_limit(limit, len(rows) - len(vector) + len(following))
        # The step takes the result first, in its order.
        ordered = list(following.values())
        taken, waiting = ordered[: len(vector)], ordered[len(vector) :]
        alerts = np.empty(len(rows), dtype=np.object_)
        alerts[~touched] = self._alerts[places[~touched]]
        if not stayed.all():
            _check_distinct(taken, alerts[~touched])
        due = np.zeros(len(rows), dtype=np.int64)
        due[~touched] = self._due[places[~touched]]
        for place, alert in zip(taking.tolist(), taken, strict=True):
            alerts[place] = alert
            due[place] = next_change(rule, alert)
        after = Standing({alert.labels: alert for alert in waiting})
        after._rule, after._context, after._at = rule, context, at
        after._steady = self._steady if known else rule.is_steady
        after._labels, after._rows, after._values = result.labels, rows, values
        after._alerts, after._due = alerts, due
        return after, changes

    def begun_earlier(self, rule: AlertingRule, begins: Mapping[Labels, Begin]) -> Standing:
        """The same alerts, of which some are known to have begun before, by their final labels."""
        after = copy.copy(self)
        after._seen = None
        after._waiting = {
            labels: begun(alert, begins.get(labels)) for labels, alert in self._waiting.items()
        }
        after._alerts, after._due = self._alerts.copy(), self._due.copy()
        for place, alert in enumerate(self._alerts):
            if alert.labels in begins:
                after._alerts[place] = begun(alert, begins[alert.labels])
                after._due[place] = next_change(rule, after._alerts[place])
        return after

    def next_change(self) -> int:
        """When (ms) an evaluation with the same result changes an alert, by time alone.

        What is known of inputs that stopped must stay as it is, see `waiting_for_input`.
        """
        due = int(self._due.min(initial=NEVER_DUE))
        if self._rule is None:
            return due
        rule = self._rule
        return min([due, *(next_change_unmet(rule, each) for each in self._waiting.values())])

    def waiting_for_input(self) -> list[Alert]:
        """The alerts that are as they are only because an input stopped."""
        return [alert for alert in self._waiting.values() if alert.keep_firing_since is None]

    def _current(self, place: int) -> Alert:
        """An alert as it is now."""
        alert: Alert = self._alerts[place]
        value = float(self._values[place])
        if self._rule is None or self._context is None:
            return alert
        annotations = alert.annotations
        if alert.value != value:
            data = TemplateData(dict(self._labels[self._rows[place]]), value)
            annotations = expand_annotations(self._rule, data, self._context)
        return replace(alert, value=value, annotations=annotations, evaluated_at=self._at)


def begun(alert: Alert, begin: Begin | None) -> Alert:
    """The alert, which began then, if that is earlier."""
    if begin is None:
        return alert
    onset, active_at = begin
    return replace(alert, onset=min(alert.onset, onset), active_at=min(alert.active_at, active_at))


def _places(rows: Ints, among: Ints) -> Ints:
    """Where each row stands in `among`, -1 if nowhere; both ascending."""
    if not len(among):
        return np.full(len(rows), -1)
    places = np.minimum(np.searchsorted(among, rows), len(among) - 1)
    return np.where(among[places] == rows, places, -1)


def _check_distinct(taken: Sequence[Alert], others: NDArray[np.object_]) -> None:
    known = {alert.labels for alert in others}
    if any(alert.labels in known for alert in taken):
        raise DuplicateAlertsError(SAME_LABELS)
