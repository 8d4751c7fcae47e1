"""Maintenance windows and dependencies as gates."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from forewarn_collector.calendars import Dependency, Window, causes
from forewarn_collector.tasks.gates import GatedAlert, Hold, HoldKind
from forewarn_collector.tasks.identity import describe


class Windows:
    """Holds what a maintenance window is about while it lasts; of several, the last to end."""

    def __init__(self, windows: Sequence[Window]) -> None:
        self._windows = tuple(windows)

    def holds(
        self, asked: Sequence[GatedAlert], firing: Collection[GatedAlert], at: int
    ) -> Sequence[Hold | None]:
        """See `Gate`; `ref` is the name of the window."""
        standing = [(window, span) for window in self._windows if (span := window.at(at))]
        if not standing:
            return [None] * len(asked)
        standing.sort(key=lambda each: -each[1].end)
        found: list[Hold | None] = []
        for alert in asked:
            labels = dict(alert.labels)
            held = next((each for each in standing if each[0].concerns(labels)), None)
            found.append(
                None
                if held is None
                else Hold(HoldKind.WINDOW, held[0].name, held[0].said(held[1]), held[1].end)
            )
        return found


class Dependencies:
    """Holds what follows from another alert that fires, or did when its input stopped."""

    def __init__(self, dependencies: Sequence[Dependency]) -> None:
        self._dependencies = tuple(dependencies)

    def holds(
        self, asked: Sequence[GatedAlert], firing: Collection[GatedAlert], at: int
    ) -> Sequence[Hold | None]:
        """See `Gate`; `ref` is the id of the alert that stands at the beginning."""
        targets = [dependency.target.items() for dependency in self._dependencies]
        # Most alerts are nobody's target, and then there is nothing to work out.
        if not any(target <= set(alert.labels) for alert in asked for target in targets):
            return [None] * len(asked)
        alerts = sorted(firing, key=lambda alert: alert.id)
        found = causes(self._dependencies, [dict(alert.labels) for alert in alerts])
        causing = {alerts[index].id: alerts[cause] for index, cause in found.items()}
        return [_hold(causing.get(alert.id)) for alert in asked]


def _hold(cause: GatedAlert | None) -> Hold | None:
    if cause is None:
        return None
    name = dict(cause.labels).get("alertname", "")
    return Hold(HoldKind.DEPENDENCY, cause.id, f"depends on {name} {describe(cause.labels)}")
