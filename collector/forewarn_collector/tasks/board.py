"""All alerts that fire now, own ones and received ones, as Alertmanager would show them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote_plus

from forewarn_collector.rules.alerts import Alert, AlertState
from forewarn_collector.silencing import ReceivedAlert, Route, fingerprint
from forewarn_collector.tasks.inhibitions import Inhibitions
from forewarn_collector.tasks.ledger import Ledger, StoredAlert
from forewarn_collector.tasks.policy import RuleLookup
from forewarn_collector.tasks.received import ReceivedAlerts, is_received
from forewarn_collector.tasks.routing import RouteTimes
from forewarn_collector.tasks.rows import alert_id
from forewarn_collector.tasks.silences import Silences
from forewarn_wire import Labels

_STANDING = frozenset({AlertState.FIRING, AlertState.UNKNOWN})


@dataclass(frozen=True, slots=True)
class BoardAlert:
    """One alert that fires. `silenced_by` are ids, `inhibited_by` fingerprints; times in ms.

    `routes` are the nodes of the routing tree that it ends at.
    """

    fingerprint: str
    alert: ReceivedAlert
    routes: tuple[Route, ...]
    silenced_by: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()
    muted_by: tuple[str, ...] = ()

    @property
    def is_suppressed(self) -> bool:
        """Whether a silence or another alert keeps it quiet."""
        return bool(self.silenced_by or self.inhibited_by)


@dataclass(frozen=True, slots=True)
class AlertGroup:
    """Alerts that are one group of a route."""

    route: Route
    labels: Labels
    alerts: tuple[BoardAlert, ...]


class Board:
    """Reads the ledger; from any thread."""

    def __init__(
        self,
        ledger: Ledger,
        received: ReceivedAlerts,
        silences: Silences,
        inhibitions: Inhibitions,
        times: RouteTimes,
        root: Route,
        resolve_timeout: int,
        rule_of: RuleLookup,
        external_url: str,
    ) -> None:
        self._ledger = ledger
        self._received = received
        self._silences = silences
        self._inhibitions = inhibitions
        self._times = times
        self._root = root
        self._resolve_timeout = resolve_timeout
        self._rule_of = rule_of
        self._external_url = external_url

    def alerts(self, at: int) -> list[BoardAlert]:
        """All alerts that fire at `at` (ms), by fingerprint. Raises LedgerError.

        The same labels are one alert, whoever found it.
        """
        stored = [each for each in self._ledger.load_alerts() if each.alert.state in _STANDING]
        labels = {alert_id(each.rule_key, each.alert.labels): each.alert.labels for each in stored}
        prints = {name: fingerprint(found) for name, found in labels.items()}
        inhibited = self._inhibitions.sources(labels)
        found: dict[str, BoardAlert] = {}
        for name, each in zip(labels, stored, strict=True):
            own = each.alert.labels
            if prints[name] in found and is_received(each):
                continue
            found[prints[name]] = BoardAlert(
                prints[name],
                self._shown(each, at),
                tuple(self._root.match(dict(own))),
                tuple(silence.id for silence in self._silences.silencing(own, at)),
                tuple(dict.fromkeys(prints[source] for source in inhibited.get(name, ()))),
                tuple(self._times.muted_by(own, at)),
            )
        return [found[name] for name in sorted(found)]

    def _shown(self, stored: StoredAlert, at: int) -> ReceivedAlert:
        alert = stored.alert
        received = self._received.of(alert.labels) if is_received(stored) else None
        if received is not None:
            return received
        return ReceivedAlert(
            alert.labels,
            alert.annotations,
            alert.active_at if alert.fired_at is None else alert.fired_at,
            at + self._resolve_timeout,
            alert.evaluated_at,
            self._link(stored.rule_key, alert),
        )

    def _link(self, key: str, alert: Alert) -> str:
        rule = self._rule_of(key)
        if rule is None or not rule.expr:
            return ""
        return f"{self._external_url}/graph?g0.expr={quote_plus(rule.expr)}&g0.tab=1"


def groups_of(alerts: list[BoardAlert]) -> list[AlertGroup]:
    """The groups of these alerts, one for each route and value of its labels, in order."""
    found: dict[tuple[int, Labels], list[BoardAlert]] = {}
    routes: dict[int, Route] = {}
    for each in alerts:
        for route in each.routes:
            # Two routes may look alike, and are two.
            routes[id(route)] = route
            found.setdefault((id(route), route.group_labels(each.alert.labels)), []).append(each)
    groups = [
        AlertGroup(routes[route], labels, tuple(members))
        for (route, labels), members in found.items()
    ]
    return sorted(groups, key=lambda group: (len(group.labels), group.labels, group.route.receiver))
