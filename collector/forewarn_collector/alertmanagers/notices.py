"""Which alerts are due to be sent to Alertmanagers, and what is said of each: the pure part.

Source: prometheus/prometheus `rules/alerting.go` (needsSending, sendAlerts, resolvedRetention) and
`rules/manager.go` (SendAlerts). An alert is sent as it fires and as it ends, and again after each
resend delay. What is sent of one that fires is good for four times the resend delay, or the group's
interval where that is longer: an Alertmanager that hears no more of it ends it then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

import orjson

from forewarn_collector.alertmanagers.relabel import relabelled
from forewarn_collector.config_relabel import RelabelConfig
from forewarn_collector.promql.pretty import one_line
from forewarn_collector.rules import Alert, AlertChange, AlertingRule, AlertState, GroupStatus
from forewarn_collector.rules.status import RuleStatus
from forewarn_wire import Labels

RESOLVED_RETENTION = 900_000
"""How long (ms) the end of an alert is sent again and again: Prometheus' 15 minutes."""
UNKNOWN_SINCE = "forewarn_unknown_since"
"""The annotation of an alert whose input stopped; to an Alertmanager it goes on to fire."""

_RESENDS = 4
_NEVER = -(2**63)
_TOLD = frozenset({AlertState.FIRING, AlertState.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Notice:
    """What an Alertmanager is told of one alert. Times are ms since epoch."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: int
    ends_at: int
    generator_url: str

    def encoded(self) -> bytes:
        """As JSON: Alertmanager's API v2, `postableAlert`."""
        document: dict[str, Any] = {
            "labels": self.labels,
            "annotations": self.annotations,
            "startsAt": _stamp(self.starts_at),
            "endsAt": _stamp(self.ends_at),
            "generatorURL": self.generator_url,
        }
        return orjson.dumps(document)


@dataclass(slots=True)
class _Firing:
    """When (ms) each alert of a rule that fires was last sent.

    `turn` numbers the group's interval in which they were last looked through, and up to
    `quiet_until` none of them is due.
    """

    sent: dict[Labels, int] = field(default_factory=dict)
    turn: int = -1
    quiet_until: int = _NEVER


@dataclass(slots=True)
class _Ended:
    notice: Notice
    sent: int


class Notices:
    """Knows what was sent when. Not for two threads at once."""

    def __init__(
        self,
        resend_delay: int,
        external_url: str,
        external_labels: Labels,
        relabel: Sequence[RelabelConfig] = (),
    ) -> None:
        """`resend_delay` in ms; the labels are added to alerts that lack them.

        Then the steps of `relabel` change them, or keep the alert back.
        """
        self._delay = resend_delay
        self._external_url = external_url
        self._external_labels = dict(external_labels)
        self._relabel = relabel
        self._firing: dict[str, _Firing] = {}
        self._ended: dict[tuple[str, Labels], _Ended] = {}
        self._ended_quiet_until = _NEVER
        self._links: dict[str, tuple[AlertingRule, str]] = {}

    def changed(
        self, changes: Iterable[AlertChange], groups: Collection[GroupStatus]
    ) -> list[Notice]:
        """What is to be sent at once, as alerts changed; `groups` are those in force."""
        intervals = {
            rule.rule.key: group.group.interval for group in groups for rule in group.rules
        }
        notices = []
        for change in changes:
            rule, alert = change.rule, change.alert
            firing = self._firing.setdefault(rule.key, _Firing())
            if change.after is not AlertState.INACTIVE:
                self._ended.pop((rule.key, alert.labels), None)
            if change.after in _TOLD and change.after is not change.before:
                firing.sent[alert.labels] = change.at
                notices.append(self._fires(rule, alert, change.at, intervals.get(rule.key, 0)))
            elif change.after is AlertState.INACTIVE:
                firing.sent.pop(alert.labels, None)
                if change.before in _TOLD:
                    notice = self._notice(rule, alert, change.at)
                    if notice is not None:
                        self._ended[rule.key, alert.labels] = _Ended(notice, change.at)
                    notices.append(notice)
        return [notice for notice in notices if notice is not None]

    def due(self, groups: Collection[GroupStatus], now: int) -> list[Notice]:
        """What is to be sent again at `now`.

        Of an alert that fires it is due with the first evaluation of its rule after the resend
        delay, whether that succeeded or not: what is not known to have ended goes on. The alerts of
        a rule are looked through once in each interval of its group at most, as in Prometheus.
        """
        notices = self._ends_due(now)
        for group in groups:
            for status in group.rules:
                rule, at = status.rule, status.last_evaluation
                if isinstance(rule, AlertingRule) and at is not None and len(status.standing):
                    notices += self._firing_due(rule, status, at, group.group.interval)
        self._forget_gone(groups)
        return notices

    def _forget_gone(self, groups: Collection[GroupStatus]) -> None:
        """Drop what is kept of rules that are gone, once that is more than there are rules."""
        count = sum(len(group.rules) for group in groups)
        if max(len(self._firing), len(self._links)) > count:
            keys = {status.rule.key for group in groups for status in group.rules}
            self._firing = {key: each for key, each in self._firing.items() if key in keys}
            self._links = {key: each for key, each in self._links.items() if key in keys}

    def _firing_due(
        self, rule: AlertingRule, status: RuleStatus, at: int, interval: int
    ) -> list[Notice]:
        known = self._firing.setdefault(rule.key, _Firing())
        turn = at // interval
        if turn == known.turn or at <= known.quiet_until:
            return []
        known.turn = turn
        notices = []
        oldest = at
        for labels, alert in status.standing.alerts().items():
            # The end of one may have been told before the status that lacks it is there.
            if alert.state not in _TOLD or (rule.key, labels) in self._ended:
                continue
            sent = known.sent.get(labels, _NEVER)
            if sent + self._delay < at:
                known.sent[labels] = at
                notices.append(self._fires(rule, alert, at, interval))
            else:
                oldest = min(oldest, sent)
        known.quiet_until = oldest + self._delay
        return [notice for notice in notices if notice is not None]

    def _ends_due(self, now: int) -> list[Notice]:
        if now <= self._ended_quiet_until:
            return []
        over = [
            key
            for key, each in self._ended.items()
            if now - each.notice.ends_at > RESOLVED_RETENTION
        ]
        for key in over:
            del self._ended[key]
        due = [each for each in self._ended.values() if each.sent + self._delay < now]
        for each in due:
            each.sent = now
        oldest = min((each.sent for each in self._ended.values()), default=now)
        self._ended_quiet_until = oldest + self._delay
        return [each.notice for each in due]

    def _fires(self, rule: AlertingRule, alert: Alert, at: int, interval: int) -> Notice | None:
        return self._notice(rule, alert, at + _RESENDS * max(interval, self._delay))

    def _notice(self, rule: AlertingRule, alert: Alert, ends_at: int) -> Notice | None:
        """None where relabelling keeps the alert back."""
        labels = relabelled(self._external_labels | dict(alert.labels), self._relabel)
        if labels is None:
            return None
        annotations = dict(alert.annotations)
        if alert.state is AlertState.UNKNOWN and alert.unknown_since is not None:
            annotations[UNKNOWN_SINCE] = _stamp(alert.unknown_since)
        starts_at = alert.active_at if alert.fired_at is None else alert.fired_at
        # An Alertmanager refuses what ends before it starts, as after a clock was set back.
        return Notice(labels, annotations, starts_at, max(starts_at, ends_at), self._link(rule))

    def _link(self, rule: AlertingRule) -> str:
        """The address of a graph of the rule's expression, as Prometheus makes it."""
        known = self._links.get(rule.key)
        if known is None or known[0] is not rule:
            expr = quote_plus(one_line(rule.query.expr))
            known = rule, f"{self._external_url}/graph?g0.expr={expr}&g0.tab=1"
            self._links[rule.key] = known
        return known[1]


def batch_of(notices: Sequence[bytes]) -> bytes:
    """The body of a request from notices, each encoded."""
    return b"[" + b",".join(notices) + b"]"


def _stamp(milliseconds: int) -> str:
    stamp = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")
