"""`ALERTS` and `ALERTS_FOR_STATE`: the series that show a test's alerts to its expressions.

Source: prometheus/prometheus `rules/alerting.go`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from forewarn_collector.promql import Query
from forewarn_collector.rules.alerts import Alert
from forewarn_collector.rules.testing.memory import MemoryStore
from forewarn_wire import STALE_NAN, Labels, labels_from
from forewarn_wire.labels import METRIC_NAME

ALERT_METRICS = frozenset({"ALERTS", "ALERTS_FOR_STATE"})


def reads_alerts(queries: Iterable[Query]) -> bool:
    """Whether an expression may read these series."""
    return any(query.metrics is None or query.metrics & ALERT_METRICS for query in queries)


class AlertSeries:
    """The series of one rule's alerts, written after each of its evaluations."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._shown: dict[Labels, float] = {}

    def write(self, alerts: Collection[Alert], at: int) -> None:
        """Store the alerts that are pending or fire at `at` (ms), and the end of those before."""
        if not alerts and not self._shown:
            return
        now: dict[Labels, float] = {}
        for alert in alerts:
            labels = dict(alert.labels)
            state = {METRIC_NAME: "ALERTS", "alertstate": alert.state.value}
            now[labels_from(labels | state)] = 1.0
            now[labels_from(labels | {METRIC_NAME: "ALERTS_FOR_STATE"})] = alert.active_at // 1000
        ended = dict.fromkeys(self._shown.keys() - now.keys(), STALE_NAN)
        self._shown = now
        self._store.write([*now, *ended], at, np.array([*now.values(), *ended.values()]))
