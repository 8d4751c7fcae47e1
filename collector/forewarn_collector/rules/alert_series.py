"""`ALERTS` and `ALERTS_FOR_STATE`: the series by which expressions and dashboards see alerts.

Source: prometheus/prometheus `rules/alerting.go`, to which we add `alertstate="unknown"`.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np

from forewarn_collector.promql import Query
from forewarn_collector.rules.alerts import Alert, AlertChange, AlertState
from forewarn_collector.rules.record import ends, store_series
from forewarn_collector.store import Batch, Floats
from forewarn_wire import Labels
from forewarn_wire.labels import METRIC_NAME

log = logging.getLogger(__name__)

ALERTS = "ALERTS"
ALERTS_FOR_STATE = "ALERTS_FOR_STATE"
ALERT_METRICS = frozenset({ALERTS, ALERTS_FOR_STATE})
ALERT_STATE = "alertstate"


def reads_alerts(queries: Iterable[Query]) -> bool:
    """Whether an expression may read these series."""
    return any(query.metrics is None or query.metrics & ALERT_METRICS for query in queries)


@dataclass(frozen=True, slots=True)
class _Shown:
    """The two series of an alert, and since when (s) it is active, which is the second's value."""

    state: Labels
    since: Labels
    active: float

    @property
    def series(self) -> tuple[Labels, Labels]:
        return self.state, self.since


@dataclass(frozen=True, slots=True)
class _Held:
    """Series of a rule that are to be stored at the time `at` (ms)."""

    series: Sequence[Labels]
    values: Floats
    at: int


class AlertSeries:
    """Shows every alert from the change that makes it to the one that ends it.

    A change is stored at once; all alerts of a rule only when `take` is asked for them, which keeps
    them alive. In between, alerts that stand cost nothing. Rules are known by their keys.
    """

    def __init__(
        self,
        append: Callable[[Batch], Future[Any]],
        alerts: Mapping[str, Mapping[Labels, Alert]] | None = None,
    ) -> None:
        """`alerts` are those known from before, which have their series already."""
        self.failures = 0
        self._append = append
        self._shown: dict[str, dict[Labels, _Shown]] = {}
        # How many alerts each series shows: it goes on until the last of them ends.
        self._showing: Counter[Labels] = Counter()
        self._ended: dict[str, set[Labels]] = {}
        self._held: dict[str, _Held] = {}
        self._whole: dict[str, tuple[Sequence[Labels], Floats]] = {}
        for key, known in (alerts or {}).items():
            for alert in known.values():
                self._begin(key, alert)

    def take(self, key: str, changes: Iterable[AlertChange], at: int, *, whole: bool) -> None:
        """Hold what changed of a rule's alerts at `at` (ms), or all of them, until `flush`."""
        begun = [shown for change in changes for shown in self._change(key, change)]
        if whole and key in self._shown:
            series, values = self._columns(key)
        else:
            series, values = _columns(begun)
        if len(series) or key in self._ended:
            self._held[key] = _Held(series, values, at)

    def flush(self) -> bool:
        """Store what is held and wait until it is durable; whether there was anything.

        What fails is counted, and does not hold up alerts: they are stored again with all of their
        rule, and series that should have ended end at the next change of it at the latest.
        """
        held, self._held = self._held, {}
        if not held:
            return False
        # The store keeps the first of two samples: what one rule ends, another may still show.
        parts = [(each.series, each.values, each.at) for each in held.values()]
        for key, each in held.items():
            ended = [one for one in self._ended.get(key, ()) if one not in self._showing]
            parts.append((ended, ends(ended), each.at))
        try:
            store_series(self._append, parts)
        except Exception:
            self.failures += 1
            log.exception("the series of alerts of %d rules are not stored", len(held))
            return True
        for key in held:
            self._ended.pop(key, None)
        return True

    def _change(self, key: str, change: AlertChange) -> list[_Shown]:
        """Note a change; what begins with it."""
        if change.before is change.after:
            return []
        self._whole.pop(key, None)
        alerts = self._shown.get(key, {})
        known = alerts.pop(change.alert.labels, None)
        begun = None
        if change.after is not AlertState.INACTIVE:
            begun = self._begin(key, change.alert, known)
        elif not alerts:
            self._shown.pop(key, None)
        for series in known.series if known else ():
            self._showing[series] -= 1
            if not self._showing[series]:
                del self._showing[series]
                self._ended.setdefault(key, set()).add(series)
        return [begun] if begun else []

    def _begin(self, key: str, alert: Alert, known: _Shown | None = None) -> _Shown:
        # Made of the alert's own pairs, since there may be many.
        others = [pair for pair in alert.labels if pair[0] != ALERT_STATE]
        state = sorted([*others, (METRIC_NAME, ALERTS), (ALERT_STATE, alert.state.value)])
        since = (
            known.since
            if known
            else tuple(sorted([*alert.labels, (METRIC_NAME, ALERTS_FOR_STATE)]))
        )
        shown = _Shown(tuple(state), since, float(alert.active_at // 1000))
        self._shown.setdefault(key, {})[alert.labels] = shown
        self._showing.update(shown.series)
        return shown

    def _columns(self, key: str) -> tuple[Sequence[Labels], Floats]:
        """All series of a rule: the same list until one of its alerts changes."""
        if key not in self._whole:
            self._whole[key] = _columns(self._shown[key].values())
        return self._whole[key]


def _columns(shown: Iterable[_Shown]) -> tuple[Sequence[Labels], Floats]:
    series = [one for each in shown for one in each.series]
    values = np.ones(len(series))
    values[1::2] = [each.active for each in shown]
    return series, values
