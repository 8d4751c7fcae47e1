"""A notification as Alertmanager has it: a group of alerts that is told to a receiver.

Source: https://prometheus.io/docs/alerting/latest/notifications/ and version 4 of
https://prometheus.io/docs/alerting/latest/configuration/#webhook_config.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import Any

from forewarn_wire import Labels

_NEVER = "0001-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class NotifiedAlert:
    """One alert, with its own labels and annotations. Times in ms; it fires where it has no end."""

    labels: Labels
    annotations: Labels
    starts_at: int
    ends_at: int | None = None
    generator_url: str = ""
    fingerprint: str = ""

    @property
    def status(self) -> str:
        """Whether it fires or is over."""
        return "firing" if self.ends_at is None else "resolved"

    def to_json(self) -> dict[str, Any]:
        """The alert in a webhook's body."""
        return {
            "status": self.status,
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
            "startsAt": _stamp(self.starts_at),
            "endsAt": _stamp(self.ends_at),
            "generatorURL": self.generator_url,
            "fingerprint": self.fingerprint,
        }


@dataclass(frozen=True, slots=True)
class Notification:
    """What a receiver is told. `truncated` counts alerts that are left out of `alerts`."""

    receiver: str
    alerts: tuple[NotifiedAlert, ...]
    group_labels: Labels = ()
    group_key: str = ""
    external_url: str = ""
    truncated: int = 0

    @property
    def status(self) -> str:
        """Whether any of it fires still."""
        firing = any(alert.ends_at is None for alert in self.alerts)
        return "firing" if firing else "resolved"

    @property
    def common_labels(self) -> Labels:
        """The labels that all its alerts share."""
        return _common([alert.labels for alert in self.alerts])

    @property
    def common_annotations(self) -> Labels:
        """The annotations that all its alerts share."""
        return _common([alert.annotations for alert in self.alerts])

    def to_json(self) -> dict[str, Any]:
        """The body that a webhook gets."""
        return {
            "version": "4",
            "groupKey": self.group_key,
            "truncatedAlerts": self.truncated,
            "status": self.status,
            "receiver": self.receiver,
            "groupLabels": dict(self.group_labels),
            "commonLabels": dict(self.common_labels),
            "commonAnnotations": dict(self.common_annotations),
            "externalURL": self.external_url,
            "alerts": [alert.to_json() for alert in self.alerts],
        }


def _common(sets: Sequence[Labels]) -> Labels:
    if not sets:
        return ()
    shared: Mapping[str, str] = reduce(
        lambda left, right: dict(left.items() & right.items()), map(dict, sets)
    )
    return tuple(sorted(shared.items()))


def _stamp(milliseconds: int | None) -> str:
    if milliseconds is None:
        return _NEVER
    stamp = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
    # No zeros at the end, as Go writes it.
    return stamp.removesuffix("+00:00").rstrip("0").rstrip(".") + "Z"
