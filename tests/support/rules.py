"""Rules and alerts for tests, without files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from forewarn_collector.rules.alerts import Alert, AlertChange, step
from forewarn_collector.rules.model import AlertingRule, OnMissing, TaskSpec
from forewarn_collector.rules.templates import Template, TemplateContext
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
    """A rule lived through, evaluation by evaluation."""

    rule: AlertingRule
    alerts: Mapping[Labels, Alert] = field(default_factory=dict)
    changes: list[AlertChange] = field(default_factory=list)
    inputs: Inputs = field(default_factory=Inputs)

    def evaluate(self, at: int, *instances: str, value: float = 1.0, limit: int = 0) -> list[str]:
        """Evaluate with an element for each of these instances; the states that changed."""
        vector = [
            (labels_from({"__name__": "broken", "instance": name}), value) for name in instances
        ]
        return self.see(at, vector, limit)

    def see(self, at: int, vector: Sequence[tuple[Labels, float]], limit: int = 0) -> list[str]:
        """Evaluate with this result; what changed, as `before > after: reason`."""
        self.alerts, changes = step(
            self.rule, self.alerts, vector, self.inputs, at, TemplateContext(), limit
        )
        self.changes += changes
        return [f"{each.before} > {each.after}: {each.reason.name}" for each in changes]

    @property
    def states(self) -> list[str]:
        """The states of the alerts that are not inactive."""
        return [alert.state.value for alert in self.alerts.values()]

    @property
    def one(self) -> Alert:
        """The only alert."""
        (alert,) = self.alerts.values()
        return alert
