"""A delivery to a receiver of an alertmanager.yml, as the notification that it would get."""

from __future__ import annotations

from dataclasses import dataclass, replace

from forewarn_collector.notifications import Notification
from forewarn_collector.silencing import Route, fingerprint
from forewarn_collector.tasks import Delivery


@dataclass(frozen=True, slots=True)
class Recipient:
    """A receiver by its name. `root` says by which labels it is grouped.

    Without `send_resolved` it hears of no alert's end; `max_alerts` are told of at most, all where
    that is 0. `external_url` is where people reach the collector.
    """

    name: str
    root: Route
    external_url: str
    send_resolved: bool = True
    max_alerts: int = 0

    def notification(self, delivery: Delivery) -> Notification:
        """What it would be told: the group is the task, its key the task's."""
        alerts = [
            replace(
                alert,
                fingerprint=fingerprint(alert.labels),
                generator_url=alert.generator_url
                or f"{self.external_url}/tasks/{delivery.task.number}",
            )
            for alert in delivery.alerts
            if self.send_resolved or alert.ends_at is None
        ]
        told = alerts[: self.max_alerts] if self.max_alerts else alerts
        found = Notification(
            receiver=self.name,
            alerts=tuple(told),
            group_key=delivery.task.key,
            external_url=self.external_url,
            truncated=delivery.truncated + len(alerts) - len(told),
        )
        return replace(found, group_labels=self._group_labels(found))

    def _group_labels(self, notification: Notification) -> tuple[tuple[str, str], ...]:
        """Those that the route to it groups by, as far as the alerts of the task share them."""
        shared = notification.common_labels
        one = dict(notification.alerts[0].labels) if notification.alerts else {}
        routes = self.root.match(one)
        route = next((each for each in routes if each.receiver == self.name), routes[0])
        return route.group_labels(shared)
