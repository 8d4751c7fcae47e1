"""Alerts from outside, as rows of the ledger: they begin, are sent again, and end.

A row is written before the sender is answered. What follows for tasks is then found by comparing
the rows with the alerts that the ledger knows to fire, so that a crash between the two is made good
by the next look, and a resend changes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import Connection, delete, insert, select

from forewarn_collector.promql import PromQLError, compile_query
from forewarn_collector.rules.alerts import (
    ALERT_NAME,
    Alert,
    AlertChange,
    AlertState,
    ChangeReason,
)
from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.silencing import ReceivedAlert, merged
from forewarn_collector.tasks.identity import label
from forewarn_collector.tasks.keeper import TaskKeeper
from forewarn_collector.tasks.ledger import Ledger, StoredAlert, chunks
from forewarn_collector.tasks.routing import RECEIVED
from forewarn_collector.tasks.rows import Row, alert_id, labels_from_row, rows_of
from forewarn_collector.tasks.schema_silences import received_alerts
from forewarn_wire import Labels

KEPT = 1_800_000
"""How long (ms) an alert that ended is remembered, as what comes late may still concern it."""
_LONGEST_EXPRESSION = 10_000
_NO_QUERY = compile_query("vector(0)")


class ReceivedAlerts:
    """What other rule evaluators say. Every method may be called from any thread."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._known: dict[Labels, ReceivedAlert] = {}
        self._rules: dict[str, AlertingRule] = {}
        self._standing: dict[Labels, Alert] = {}

    def load(self) -> None:
        """Read what the ledger knows. Raises LedgerError."""
        with self._ledger.read() as connection:
            rows = rows_of(connection.execute(select(received_alerts)))
        self._known = {alert.labels: alert for alert in map(_received, rows)}
        stored = self._ledger.load_alerts()
        self._standing = {each.alert.labels: each.alert for each in stored if is_received(each)}
        for alert in self._known.values():
            self._rule(alert.labels, alert.generator_url)

    def rule_of(self, key: str) -> AlertingRule | None:
        """The rule behind alerts from outside, as far as one is known by them."""
        return self._rules.get(key)

    def of(self, labels: Labels) -> ReceivedAlert | None:
        """The alert with these labels, as it was received."""
        return self._known.get(labels)

    def post(self, alerts: Sequence[ReceivedAlert], keeper: TaskKeeper, at: int) -> None:
        """Take alerts that were sent at `at` (ms). Durable on return. Raises LedgerError."""
        with self._lock:
            following = dict(self._known)
            for alert in alerts:
                following[alert.labels] = merged(following, alert, at)
            # What was over before it was ever known is no news.
            changed = [
                following[labels]
                for labels in dict.fromkeys(alert.labels for alert in alerts)
                if labels in self._known or not following[labels].is_over(at)
            ]
            with self._ledger.write() as connection:
                _save(connection, changed)
            self._known.update({alert.labels: alert for alert in changed})
            self._settle(keeper, at)

    def settle(self, keeper: TaskKeeper, at: int) -> None:
        """End what is over by `at` (ms), and make good what a crash left. Raises LedgerError."""
        with self._lock:
            self._settle(keeper, at)
            old = [alert for alert in self._known.values() if alert.ends_at < at - KEPT]
            if old:
                with self._ledger.write() as connection:
                    _forget(connection, old)
                for alert in old:
                    del self._known[alert.labels]

    def _settle(self, keeper: TaskKeeper, at: int) -> None:
        live = {labels: each for labels, each in self._known.items() if not each.is_over(at)}
        changes = [self._begins(live[labels], at) for labels in live.keys() - self._standing.keys()]
        changes += [self._ends(labels, at) for labels in self._standing.keys() - live.keys()]
        if not changes:
            return
        changes.sort(key=lambda change: (change.at, change.alert.labels))
        keeper.apply(changes, at)
        for change in changes:
            if change.after is AlertState.INACTIVE:
                self._standing.pop(change.alert.labels, None)
            else:
                self._standing[change.alert.labels] = change.alert

    def _begins(self, received: ReceivedAlert, at: int) -> AlertChange:
        rule = self._rule(received.labels, received.generator_url)
        began = min(received.starts_at, at)
        alert = Alert(
            labels=received.labels,
            series=received.labels,
            annotations=received.annotations,
            value=float("nan"),
            state=AlertState.FIRING,
            onset=began,
            active_at=began,
            evaluated_at=at,
            fired_at=began,
        )
        inactive, firing = AlertState.INACTIVE, AlertState.FIRING
        return AlertChange(rule, alert, inactive, firing, ChangeReason.CONDITION_MET, at)

    def _ends(self, labels: Labels, at: int) -> AlertChange:
        alert, known = self._standing[labels], self._known.get(labels)
        rule = self._rule(labels, known.generator_url if known else "")
        ended = at if known is None else max(min(known.ends_at, at), alert.onset)
        inactive, firing = AlertState.INACTIVE, AlertState.FIRING
        return AlertChange(rule, alert, firing, inactive, ChangeReason.CONDITION_CLEARED, ended)

    def _rule(self, labels: Labels, generator_url: str) -> AlertingRule:
        name = label(labels, ALERT_NAME)
        key = f"{RECEIVED}{name}"
        expr = expression_in(generator_url)
        known = self._rules.get(key)
        if known is None or (expr and known.expr != expr):
            try:
                query = compile_query(expr) if expr else _NO_QUERY
            except PromQLError:
                # Another language than ours: it is shown, not asked.
                query = _NO_QUERY
            known = AlertingRule(key, name, "alertmanager", "", 0, expr, query)
            self._rules[key] = known
        return known


def is_received(stored: StoredAlert) -> bool:
    """Whether an alert of the ledger came from outside."""
    return stored.rule_key.startswith(RECEIVED)


def expression_in(generator_url: str) -> str:
    """The PromQL in the link of an alert of Prometheus'; empty where there is none."""
    try:
        found = parse_qs(urlsplit(generator_url).query, max_num_fields=100).get("g0.expr", [""])
    except ValueError:
        return ""
    return found[0] if len(found[0]) <= _LONGEST_EXPRESSION else ""


def _save(connection: Connection, changed: Sequence[ReceivedAlert]) -> None:
    _forget(connection, changed)
    if changed:
        connection.execute(insert(received_alerts), [_row(alert) for alert in changed])


def _forget(connection: Connection, alerts: Iterable[ReceivedAlert]) -> None:
    for chunk in chunks([_id(alert.labels) for alert in alerts]):
        connection.execute(delete(received_alerts).where(received_alerts.c.id.in_(chunk)))


def _id(labels: Labels) -> str:
    return alert_id(f"{RECEIVED}{label(labels, ALERT_NAME)}", labels)


def _row(alert: ReceivedAlert) -> Row:
    return {
        "id": _id(alert.labels),
        "labels": alert.labels,
        "annotations": alert.annotations,
        "starts_at": alert.starts_at,
        "ends_at": alert.ends_at,
        "updated_at": alert.updated_at,
        "generator_url": alert.generator_url,
        "timeout": alert.timeout,
    }


def _received(row: Mapping[str, Any]) -> ReceivedAlert:
    fields = {name: value for name, value in row.items() if name != "id"}
    fields["labels"] = labels_from_row(fields["labels"])
    fields["annotations"] = labels_from_row(fields["annotations"])
    return ReceivedAlert(**fields)
