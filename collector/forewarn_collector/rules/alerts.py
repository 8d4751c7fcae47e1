"""The life of an alert: one pure step from the past state and a fresh result to the next state.

Source: prometheus/prometheus `rules/alerting.go` (`for`, `keep_firing_for`, labels), to which we
add the state `unknown` for an alert whose input stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

import numpy as np

from forewarn_collector.rules.model import AlertingRule, OnMissing
from forewarn_collector.rules.templates import TemplateContext, TemplateData
from forewarn_wire import Labels, labels_from, without
from forewarn_wire.labels import METRIC_NAME

ALERT_NAME = "alertname"

OUTAGE_TOLERANCE = 3_600_000
"""How long (ms) a pending alert is kept while its input is missing: Prometheus' default of
`--rules.alert.for-outage-tolerance`. After that its `for` starts anew."""

NEVER_DUE = int(np.iinfo(np.int64).max)

SAME_LABELS = "vector contains metrics with the same labelset after applying alert labels"

Element = tuple[Labels, float]
"""One element of an instant vector."""


class AlertState(StrEnum):
    """Where an alert stands."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    UNKNOWN = "unknown"


class ChangeReason(StrEnum):
    """Why an alert changed."""

    CONDITION_MET = "condition met"
    FOR_ELAPSED = "condition met for long enough"
    CONDITION_CLEARED = "condition no longer met"
    KEPT_FIRING = "condition no longer met, kept firing for a while"
    KEEP_FIRING_ELAPSED = "condition not met for long enough"
    CONDITION_RECURRED = "condition met again while kept firing"
    INPUT_MISSING = "input stopped"
    INPUT_RETURNED = "input returned, condition still met"
    RULE_REMOVED = "rule removed"


@dataclass(frozen=True, slots=True)
class Alert:
    """One label set for which a rule holds. Times are ms since epoch, None where it never was so.

    `labels` are final: the element's labels less the metric's name, the rule's labels, and
    `alertname`. `series` are the element's own labels, by which its inputs are found. `onset` is
    the own time of the newest input sample that made it true. `evaluated_at` is when the
    condition was last seen to hold.
    """

    labels: Labels
    series: Labels
    annotations: Labels
    value: float
    state: AlertState
    onset: int
    active_at: int
    evaluated_at: int
    fired_at: int | None = None
    keep_firing_since: int | None = None
    unknown_since: int | None = None
    resolved_at: int | None = None


@dataclass(frozen=True, slots=True)
class AlertChange:
    """One change of one alert, with its reason: a row in the ledger.

    `before` and `after` are both firing where only `keep_firing_since` changed.
    """

    rule: AlertingRule
    alert: Alert
    before: AlertState
    after: AlertState
    reason: ChangeReason
    at: int


class Inputs(Protocol):
    """What is known of the samples that a rule read, see `forewarn_collector.rules.inputs`."""

    def missing(self, alert: Alert) -> bool:
        """Whether an input of this alert stopped, so that nothing is known of it now."""

    def onset(self, series: Labels, at: int) -> int:
        """The own time of the newest sample behind an element; `at` where there is none."""


class DuplicateAlertsError(ValueError):
    """Two elements of a result give the same alert; the rule needs labels that tell them apart."""


class LimitExceededError(ValueError):
    """A rule has more alerts than its group's `limit` allows."""


def step(
    rule: AlertingRule,
    previous: Mapping[Labels, Alert],
    vector: Sequence[Element],
    inputs: Inputs,
    at: int,
    context: TemplateContext,
    *,
    reuse: bool = False,
) -> tuple[dict[Labels, Alert], list[AlertChange]]:
    """The alerts of a rule after an evaluation at `at`, and what changed.

    `previous` and the result hold the alerts that are not inactive, by their final labels; those of
    the vector come first, in its order. `reuse` says that the annotations in `previous` were made
    by this very rule, so that they still hold where element and value are the same. Raises
    DuplicateAlertsError.
    """
    following: dict[Labels, Alert] = {}
    changes: list[AlertChange] = []
    reuse = reuse and not any(text.asks_queries for text in rule.annotations.values())
    for element, value in vector:
        data = TemplateData(dict(element), value)
        series = without(element, {METRIC_NAME})
        labels = _labels(rule, series, data, context)
        if labels in following:
            raise DuplicateAlertsError(SAME_LABELS)
        known = previous.get(labels)
        if known is not None and reuse and (known.series, known.value) == (series, value):
            before = replace(known, evaluated_at=at)
        else:
            annotations = expand_annotations(rule, data, context)
            before = _seen(known, labels, series, annotations, value, inputs, at)
        alert, reason = _condition_met(rule, before, at)
        following[labels] = alert
        if reason is not None:
            changes.append(AlertChange(rule, alert, before.state, alert.state, reason, at))
    for labels, before in previous.items():
        if labels in following:
            continue
        alert, reason = _condition_unmet(rule, before, inputs, at)
        if alert.state is not AlertState.INACTIVE:
            following[labels] = alert
        if reason is not None:
            changes.append(AlertChange(rule, alert, before.state, alert.state, reason, at))
    return following, changes


def next_change(rule: AlertingRule, alert: Alert) -> int:
    """When (ms) the next step changes an alert whose condition goes on to hold."""
    if alert.state is AlertState.FIRING and alert.keep_firing_since is None:
        return NEVER_DUE
    if alert.state is AlertState.PENDING:
        return alert.active_at + rule.for_
    return alert.evaluated_at


def next_change_unmet(rule: AlertingRule, alert: Alert) -> int:
    """When (ms) the next step changes an alert whose condition is still not met, by time alone.

    What is known of its input must stay as it is.
    """
    if alert.keep_firing_since is not None:
        return alert.keep_firing_since + rule.keep_firing_for
    if alert.state is not AlertState.PENDING:
        return NEVER_DUE
    if rule.task.on_missing is OnMissing.FIRE:
        return alert.active_at + rule.for_
    return alert.evaluated_at + OUTAGE_TOLERANCE + 1


def check_limit(limit: int, alerts: int) -> None:
    """Raise LimitExceededError where more alerts than `limit` (0: any number) would be active."""
    if limit and alerts > limit:
        raise LimitExceededError(f"exceeded limit of {limit} with {alerts} alerts")


def remove(rule: AlertingRule, alert: Alert, at: int) -> AlertChange:
    """The end of an alert whose rule is no longer in any file."""
    ended = _resolved(alert, at)
    return AlertChange(rule, ended, alert.state, AlertState.INACTIVE, ChangeReason.RULE_REMOVED, at)


def _labels(
    rule: AlertingRule, series: Labels, data: TemplateData, context: TemplateContext
) -> Labels:
    labels = dict(series)
    for name, text in rule.labels.items():
        labels[name] = text.expand(data, context)
    labels[ALERT_NAME] = rule.name
    return labels_from(labels)


def expand_annotations(rule: AlertingRule, data: TemplateData, context: TemplateContext) -> Labels:
    """The annotations of an element."""
    return tuple(
        sorted((name, text.expand(data, context)) for name, text in rule.annotations.items())
    )


def _seen(
    known: Alert | None,
    labels: Labels,
    series: Labels,
    annotations: Labels,
    value: float,
    inputs: Inputs,
    at: int,
) -> Alert:
    """The alert of an element, before what follows from it: a new one, or the known one."""
    if known is not None:
        return replace(known, series=series, annotations=annotations, value=value, evaluated_at=at)
    onset = inputs.onset(series, at)
    return Alert(labels, series, annotations, value, AlertState.INACTIVE, onset, at, at)


def _condition_met(rule: AlertingRule, alert: Alert, at: int) -> tuple[Alert, ChangeReason | None]:
    if alert.state is AlertState.FIRING:
        if alert.keep_firing_since is None:
            return alert, None
        return replace(alert, keep_firing_since=None), ChangeReason.CONDITION_RECURRED
    if alert.state is AlertState.UNKNOWN:
        back = replace(alert, state=AlertState.FIRING, unknown_since=None)
        return back, ChangeReason.INPUT_RETURNED
    if at - alert.active_at >= rule.for_:
        fired = replace(alert, state=AlertState.FIRING, fired_at=at)
        first = alert.state is AlertState.INACTIVE
        return fired, ChangeReason.CONDITION_MET if first else ChangeReason.FOR_ELAPSED
    if alert.state is AlertState.INACTIVE:
        return replace(alert, state=AlertState.PENDING), ChangeReason.CONDITION_MET
    return alert, None


def _condition_unmet(
    rule: AlertingRule, alert: Alert, inputs: Inputs, at: int
) -> tuple[Alert, ChangeReason | None]:
    # An alert that is merely kept firing was seen to be over: a later gap changes nothing.
    if (
        rule.task.on_missing is not OnMissing.RESOLVE
        and alert.keep_firing_since is None
        and inputs.missing(alert)
    ):
        return _input_missing(rule, alert, at)
    if alert.state is AlertState.PENDING:
        return _resolved(alert, at), ChangeReason.CONDITION_CLEARED
    if not rule.keep_firing_for:
        return _resolved(alert, at), ChangeReason.CONDITION_CLEARED
    if alert.keep_firing_since is None:
        kept = replace(alert, state=AlertState.FIRING, unknown_since=None, keep_firing_since=at)
        return kept, ChangeReason.KEPT_FIRING
    if at - alert.keep_firing_since < rule.keep_firing_for:
        return alert, None
    return _resolved(alert, at), ChangeReason.KEEP_FIRING_ELAPSED


def _input_missing(rule: AlertingRule, alert: Alert, at: int) -> tuple[Alert, ChangeReason | None]:
    if rule.task.on_missing is OnMissing.FIRE:
        return _condition_met(rule, alert, at)
    if alert.state is AlertState.FIRING:
        unknown = replace(alert, state=AlertState.UNKNOWN, unknown_since=at)
        return unknown, ChangeReason.INPUT_MISSING
    if alert.state is AlertState.PENDING and at - alert.evaluated_at > OUTAGE_TOLERANCE:
        return _resolved(alert, at), ChangeReason.INPUT_MISSING
    return alert, None


def _resolved(alert: Alert, at: int) -> Alert:
    return replace(alert, state=AlertState.INACTIVE, resolved_at=at)
