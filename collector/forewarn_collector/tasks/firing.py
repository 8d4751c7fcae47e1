"""What fires and what is held at this moment, in memory, for gates to look at in every round."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from forewarn_collector.rules.alerts import AlertChange, AlertState
from forewarn_collector.tasks.gates import GatedAlert, Hold, HoldKind, Verdicts
from forewarn_collector.tasks.holding import HeldAlert, HoldBook
from forewarn_collector.tasks.rounds import gated

_STANDING = frozenset({AlertState.FIRING, AlertState.UNKNOWN})


class Firing:
    """All alerts that fire or are unknown, and the holds of those that are held, by alert id."""

    def __init__(self, alerts: Iterable[GatedAlert] = (), held: Iterable[HeldAlert] = ()) -> None:
        self.alerts = {alert.id: alert for alert in alerts}
        self.held: dict[str, Hold] = {each.alert_id: each.hold for each in held}

    def take(self, changes: Sequence[AlertChange]) -> tuple[list[GatedAlert], list[str]]:
        """Note a round: the alerts that fire after it, and the ids of held ones to ask anew.

        Those are the ones that were held by an alert that has ended in it.
        """
        fired: dict[str, GatedAlert] = {}
        ended: set[str] = set()
        for change in changes:
            alert = gated(change)
            if change.after in _STANDING:
                self.alerts[alert.id] = alert
                ended.discard(alert.id)
            else:
                self.alerts.pop(alert.id, None)
                ended.add(alert.id)
            if change.after is AlertState.FIRING:
                fired[alert.id] = alert
            else:
                fired.pop(alert.id, None)
        freed = [
            name
            for name, hold in self.held.items()
            if hold.ref in ended and name not in fired and self.fires(name)
        ]
        return list(fired.values()), freed

    def keep(self, alert_ids: Iterable[str], book: HoldBook) -> None:
        """Note what holds these alerts by now, as the ledger has it."""
        for alert_id in alert_ids:
            current = book.current(alert_id)
            if current is None:
                self.held.pop(alert_id, None)
            else:
                self.held[alert_id] = current.hold

    def fires(self, alert_id: str) -> bool:
        """Whether the alert fires, and is known to."""
        alert = self.alerts.get(alert_id)
        return alert is not None and alert.state is AlertState.FIRING

    def freed(self, verdicts: Verdicts) -> list[str]:
        """The held alerts that fire and that no gate holds any more.

        A muted problem is held by no gate: of that the ledger tells, see `due.py`.
        """
        return [
            name
            for name, hold in self.held.items()
            if name not in verdicts and hold.kind is not HoldKind.MUTED and self.fires(name)
        ]

    def moved(self, verdicts: Verdicts) -> list[str]:
        """The held alerts that fire and that something else holds now, or for another time."""
        return [
            name
            for name, hold in self.held.items()
            if verdicts.get(name, hold) != hold and self.fires(name)
        ]
