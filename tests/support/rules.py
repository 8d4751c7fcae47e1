"""Rules and alerts for tests, without files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from forewarn_collector.promql import Result, ValueType
from forewarn_collector.rules.alerts import Alert, AlertChange, step
from forewarn_collector.rules.model import AlertingRule, OnMissing, TaskSpec
from forewarn_collector.rules.standing import Standing
from forewarn_collector.rules.templates import Template, TemplateContext
from forewarn_collector.store import SeriesLabels
from forewarn_wire import Labels, labels_from

SECOND = 1_000
MINUTE = 60_000


def rule(
    *,
    for_: int = 0,
    keep_firing_for: int = 0,
    on_missing: OnMissing = OnMissing.HOLD,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> AlertingRule:
    """A rule whose result tests make themselves."""
    return AlertingRule(
        key="group/Broken",
        name="Broken",
        group="group",
        file="rules.yml",
        line=1,
        expr="broken > 0",
        query=cast(Any, None),
        for_=for_,
        keep_firing_for=keep_firing_for,
        labels={name: Template.parse(text) for name, text in (labels or {}).items()},
        annotations={name: Template.parse(text) for name, text in (annotations or {}).items()},
        task=TaskSpec(on_missing=on_missing),
    )


@dataclass
class Inputs:
    """Inputs of which a test says what is missing."""

    gone: set[str] = field(default_factory=set)
    newest: int | None = None

    def missing(self, alert: Alert) -> bool:
        return dict(alert.series)["instance"] in self.gone

    def onset(self, series: Labels, at: int) -> int:
        return at if self.newest is None else self.newest


@dataclass
class Life:
    """A rule lived through, evaluation by evaluation: as the collector does, and step by step."""

    rule: AlertingRule
    changes: list[AlertChange] = field(default_factory=list)
    inputs: Inputs = field(default_factory=Inputs)
    standing: Standing = field(default_factory=Standing)
    _plain: Mapping[Labels, Alert] = field(default_factory=dict)
    _series: SeriesLabels = field(default_factory=SeriesLabels)

    def evaluate(self, at: int, *instances: str, value: float = 1.0, limit: int = 0) -> list[str]:
        """Evaluate with an element for each of these instances; the states that changed."""
        vector = [
            (labels_from({"__name__": "broken", "instance": name}), value) for name in instances
        ]
        return self.see(at, vector, limit)

    def see(self, at: int, vector: Sequence[tuple[Labels, float]], limit: int = 0) -> list[str]:
        """Evaluate with this result; what changed, as `before > after: reason`."""
        context = TemplateContext()
        result = self._result(at, vector)
        standing, changes = self.standing.advance(
            self.rule, result, self.inputs, at, context, limit
        )
        plain, expected = step(self.rule, self._plain, vector, self.inputs, at, context)
        assert standing.alerts() == plain
        assert sorted(map(repr, changes)) == sorted(map(repr, expected))
        self.standing, self._plain = standing, plain
        self.changes += changes
        return [f"{each.before} > {each.after}: {each.reason.name}" for each in changes]

    def _result(self, at: int, vector: Sequence[tuple[Labels, float]]) -> Result:
        """The vector as the query engine gives it: rows of the series that were ever there."""
        more = [labels for labels, _ in vector if labels not in self._series]
        if more:
            self._series = self._series.grown(more)
        values, present = np.zeros((len(self._series), 1)), np.zeros((len(self._series), 1), bool)
        for labels, value in vector:
            row = self._series.index(labels)
            values[row], present[row] = value, True
        return Result(ValueType.VECTOR, self._series, np.array([at]), values, present)

    @property
    def alerts(self) -> Mapping[Labels, Alert]:
        """The alerts that are not inactive, by their labels."""
        return self.standing.alerts()

    @property
    def states(self) -> list[str]:
        """The states of the alerts that are not inactive."""
        return [alert.state.value for alert in self.alerts.values()]

    @property
    def one(self) -> Alert:
        """The only alert."""
        (alert,) = self.alerts.values()
        return alert
