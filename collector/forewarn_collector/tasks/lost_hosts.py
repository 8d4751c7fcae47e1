"""A lost host: its own task stands for all that its silence brings about."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from forewarn_collector.rules.alerts import ALERT_NAME, AlertState
from forewarn_collector.tasks.gates import GatedAlert, Hold, HoldKind
from forewarn_collector.tasks.identity import CUSTOMER

_INSTANCE = "instance"
_SAYS_SO = (ALERT_NAME, "HostLost")
"""The label of the alert that says that a host is lost; the rule that ships reads `up`."""


class LostHosts:
    """Holds every alert of a host, by `instance` and customer, while `HostLost` fires for it."""

    def holds(
        self, asked: Sequence[GatedAlert], firing: Collection[GatedAlert], at: int
    ) -> Sequence[Hold | None]:
        """See `Gate`; `ref` is the id of the alert that says that the host is lost."""
        # Of all that fires, in every round: so no more than a look at each.
        lost = {
            _host(dict(alert.labels)): alert.id
            for alert in firing
            if _SAYS_SO in alert.labels and alert.state is AlertState.FIRING
        }
        return [_hold(alert, lost) for alert in asked] if lost else [None] * len(asked)


def _hold(alert: GatedAlert, lost: dict[tuple[str, str], str]) -> Hold | None:
    labels = dict(alert.labels)
    source = lost.get(_host(labels))
    if not labels.get(_INSTANCE) or source is None or _SAYS_SO in alert.labels:
        return None
    return Hold(HoldKind.HOST_LOST, source, f"the host {labels[_INSTANCE]} is lost")


def _host(labels: dict[str, str]) -> tuple[str, str]:
    return labels.get(_INSTANCE, ""), labels.get(CUSTOMER, "")
