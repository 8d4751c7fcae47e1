"""The gate of inhibition: an alert that another one makes not worth telling."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence

from forewarn_collector.rules.alerts import ALERT_NAME
from forewarn_collector.silencing import Inhibitor, InhibitRule
from forewarn_collector.tasks.gates import GatedAlert, Hold, HoldKind
from forewarn_collector.tasks.identity import describe, label
from forewarn_wire import Labels


class Inhibitions:
    """Alertmanager's `inhibit_rules` over all alerts that fire, whoever found them."""

    def __init__(self, rules: Sequence[InhibitRule]) -> None:
        self._rules = tuple(rules)
        self._inhibitor = Inhibitor(self._rules)
        self._lock = threading.Lock()

    def sources(self, firing: Mapping[str, Labels]) -> dict[str, list[str]]:
        """The ids of the alerts that inhibit each, of those that any inhibits, by its id."""
        inhibitor = Inhibitor(self._rules)
        inhibitor.update(firing)
        found = {name: inhibitor.sources(name) for name in firing}
        return {name: sources for name, sources in found.items() if sources}

    def holds(
        self, asked: Sequence[GatedAlert], firing: Collection[GatedAlert], at: int
    ) -> Sequence[Hold | None]:
        """The gate. Of several sources the first by id, so that the same is said each time."""
        if not self._rules:
            return [None] * len(asked)
        known = {alert.id: alert.labels for alert in firing}
        with self._lock:
            self._inhibitor.update(known)
            return [
                _hold(min(sources, default=""), known)
                for sources in (self._inhibitor.sources(alert.id) for alert in asked)
            ]


def _hold(source: str, labels: Mapping[str, Labels]) -> Hold | None:
    if not source:
        return None
    name = label(labels[source], ALERT_NAME) or "an alert"
    return Hold(HoldKind.INHIBITION, source, f"inhibited by {name} {describe(labels[source])}")
