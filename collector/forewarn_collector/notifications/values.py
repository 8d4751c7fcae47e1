"""A notification as the templates of an alertmanager.yml see it.

Source: the types of prometheus/alertmanager `template/template.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from forewarn_collector.notifications.model import Notification, NotifiedAlert
from forewarn_collector.rules.go_time import Method, Time
from forewarn_collector.rules.go_time import methods as methods_of_times
from forewarn_collector.rules.go_values import Struct, indirect
from forewarn_collector.rules.template_arguments import STRINGS
from forewarn_wire import Labels

_NAME = "alertname"
_NO_TIME = Time(-62_135_596_800 * 1_000_000_000)
"""Go's zero time: the end of what fires."""


class Strings(list[str]):
    """Go's []string."""

    go_type: ClassVar[str] = STRINGS


class Pairs(list[Struct]):
    """Names and values in an order."""

    go_type: ClassVar[str] = "template.Pairs"


class KV(dict[str, str]):
    """Labels or annotations."""

    go_type: ClassVar[str] = "template.KV"


class Alerts(list[Struct]):
    """All alerts of a notification."""

    go_type: ClassVar[str] = "template.Alerts"


class SomeAlerts(list[Struct]):
    """Those of them with one status."""

    go_type: ClassVar[str] = "[]template.Alert"


def root_of(notification: Notification) -> Struct:
    """What `.` is at the start of a template."""
    return Struct(
        "template.Data",
        {
            "Receiver": notification.receiver,
            "Status": notification.status,
            "Alerts": Alerts(map(_alert, notification.alerts)),
            "GroupLabels": _kv(notification.group_labels),
            "CommonLabels": _kv(notification.common_labels),
            "CommonAnnotations": _kv(notification.common_annotations),
            "ExternalURL": notification.external_url,
        },
    )


def methods(value: Any) -> Mapping[str, Method]:
    """The methods that a value has, by name."""
    return _METHODS.get(type(indirect(value))) or methods_of_times(value)


def _alert(alert: NotifiedAlert) -> Struct:
    return Struct(
        "template.Alert",
        {
            "Status": alert.status,
            "Labels": _kv(alert.labels),
            "Annotations": _kv(alert.annotations),
            "StartsAt": _time(alert.starts_at),
            "EndsAt": _time(alert.ends_at),
            "GeneratorURL": alert.generator_url,
            "Fingerprint": alert.fingerprint,
        },
    )


def _time(milliseconds: int | None) -> Time:
    return _NO_TIME if milliseconds is None else Time(milliseconds * 1_000_000)


def _kv(labels: Labels) -> KV:
    return KV(labels)


def _sorted_pairs(kv: KV) -> Pairs:
    """The name of the alert first, then all others by their names."""
    first = [_NAME] if _NAME in kv else []
    names = [*first, *sorted(kv.keys() - {_NAME})]
    return Pairs(Struct("template.Pair", {"Name": name, "Value": kv[name]}) for name in names)


def _without(kv: KV, names: Iterable[str] | None) -> KV:
    left_out = set(names or ())
    return KV({name: value for name, value in kv.items() if name not in left_out})


def _field(pairs: Pairs, name: str) -> Strings:
    return Strings(pair.fields[name] for pair in pairs)


def _with_status(alerts: Alerts, status: str) -> SomeAlerts:
    return SomeAlerts(alert for alert in alerts if alert.fields["Status"] == status)


_METHODS: Mapping[type, Mapping[str, Method]] = {
    KV: {
        "SortedPairs": Method(_sorted_pairs),
        "Remove": Method(_without, (STRINGS,)),
        "Names": Method(lambda kv: _field(_sorted_pairs(kv), "Name")),
        "Values": Method(lambda kv: _field(_sorted_pairs(kv), "Value")),
    },
    Pairs: {
        "Names": Method(lambda pairs: _field(pairs, "Name")),
        "Values": Method(lambda pairs: _field(pairs, "Value")),
    },
    Alerts: {
        "Firing": Method(lambda alerts: _with_status(alerts, "firing")),
        "Resolved": Method(lambda alerts: _with_status(alerts, "resolved")),
    },
}
