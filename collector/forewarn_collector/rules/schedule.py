"""When rules are evaluated: at their interval, and as soon as data that they read arrives."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from itertools import chain
from typing import Any, Protocol

import numpy as np

from forewarn_collector.promql import LOOKBACK, LiveWindows
from forewarn_collector.rules.agenda import Agenda, Due, instant
from forewarn_collector.rules.alerts import Alert, remove
from forewarn_collector.rules.evaluate import ChangeSink, Evaluator, Report, SinkError
from forewarn_collector.rules.model import AlertingRule, RuleSet
from forewarn_collector.rules.removed import rule_for
from forewarn_collector.rules.runner import Surroundings
from forewarn_collector.rules.standing import AlertsByLabels, Begin, begun
from forewarn_collector.rules.status import GroupStatus
from forewarn_collector.rules.triggers import Readers, SeriesNames
from forewarn_collector.store import Arrival, Batch, Ints, Matcher, SeriesSource
from forewarn_wire import Labels
from forewarn_wire.clock import Clock

log = logging.getLogger(__name__)

COALESCE = 50
"""How long (ms) an arrival waits for others before the rules that read it are evaluated."""
RETRY = 1.0
"""Seconds until rules whose changes could not be kept are evaluated again."""

_IDLE_SECONDS = 60.0
_NOTHING: Ints = np.empty(0, dtype=np.int64)


class Source(SeriesSource, SeriesNames, Protocol):
    """What the rules read from: samples, and the labels of series that arrived."""


class RestoredAlert(Protocol):
    """An alert as the ledger kept it, of the rule with that key."""

    @property
    def rule_key(self) -> str: ...

    @property
    def alert(self) -> Alert: ...


class Scheduler:
    """Evaluates the rules on a thread of its own, from `start` to `stop`.

    Without `start`, `catch_up` and `evaluate_groups` do the same work when they are called.
    """

    def __init__(
        self,
        rules: RuleSet,
        source: Source,
        *,
        append: Callable[[Batch], Future[Any]],
        sink: ChangeSink,
        clock: Clock,
        arrivals: queue.SimpleQueue[Arrival],
        restored: Iterable[RestoredAlert] = (),
        coalesce: int = COALESCE,
        lookback: int = LOOKBACK,
        live: LiveWindows | None = None,
        has_series: Callable[[Sequence[Matcher]], bool] | None = None,
        external_url: str = "",
        external_labels: Mapping[str, str] | None = None,
    ) -> None:
        """`append` stores what recording rules give; `restored` are alerts from before.

        `live` are windows over the source, with which ranges cost what has arrived, not what they
        hold. `has_series` is as in `Surroundings`.
        """
        self._clock = clock
        self._arrivals = arrivals
        self._coalesce = coalesce / 1000
        self._source = source
        self._sink = sink
        self._with = Surroundings(
            source, append, lookback, external_url, external_labels or {}, live, has_series
        )
        self._evaluating = threading.RLock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._last_at: int | None = None
        self._newest = 0
        self._orphans: dict[str, tuple[AlertingRule, AlertsByLabels]] = {}
        known: dict[str, dict[Labels, Alert]] = {}
        for each in restored:
            known.setdefault(each.rule_key, {})[each.alert.labels] = each.alert
        self._evaluator = self._put_in_force(rules, known)
        for key in known.keys() - rules.alerting().keys():
            self._orphans[key] = rule_for(key), known[key]

    def start(self) -> None:
        """Begin to evaluate."""
        self._thread = threading.Thread(target=self._run, name="rules", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the evaluation that runs."""
        self._stopped.set()
        self._wake()
        if self._thread is not None:
            self._thread.join()

    def groups(self) -> list[GroupStatus]:
        """How every group fares, in the order of the files. From any thread."""
        return self._evaluator.groups()

    def alerts(self) -> list[Alert]:
        """Every alert that is not inactive. From any thread."""
        return [alert for group in self.groups() for rule in group.rules for alert in rule.alerts]

    @property
    def alert_series_failures(self) -> int:
        """How often the series of alerts could not be stored. From any thread."""
        return self._evaluator.alert_series.failures

    def reload(self, rules: RuleSet) -> None:
        """Put other rules in force, and evaluate them soon.

        Alerts of rules whose key remains go on; others end.
        """
        with self._evaluating:
            old = self._evaluator
            # A rule that is back before the end of its alerts was told goes on with them.
            before = self._orphans | old.alerting()
            evaluator = self._put_in_force(
                rules, {key: alerts for key, (_, alerts) in before.items()}
            )
            evaluator.carry_over(old)
            self._evaluator = evaluator
            self._agenda.mark_all(time.monotonic())
            gone = before.keys() - rules.alerting().keys()
            self._orphans = {key: before[key] for key in gone if before[key][1]}
            self._end_recordings({rule.key for rule in rules.rules()})
            self._end_orphans()
        self._wake()

    def begun_earlier(
        self,
        begins: Mapping[str, Mapping[Labels, Begin]],
        keep: Callable[[Sequence[tuple[str, Alert]]], None],
    ) -> None:
        """Learn when alerts really began, by the keys of their rules and their final labels.

        `keep` gets those that stand now, of which this is news, with their rules' keys, to make
        it durable. What it raises ends this, and then nothing is learned. No rule is evaluated
        meanwhile.
        """
        with self._evaluating:
            news: dict[str, dict[Labels, Begin]] = {}
            alerts: list[tuple[str, Alert]] = []
            for key in begins:
                known = self._evaluator.alerts_of(key)
                for labels in begins[key].keys() & known.keys():
                    (onset, active_at), alert = begins[key][labels], known[labels]
                    if onset < alert.onset or active_at < alert.active_at:
                        news.setdefault(key, {})[labels] = begins[key][labels]
                        alerts.append((key, begun(alert, begins[key][labels])))
            keep(alerts)
            self._agenda.mark(self._evaluator.begun_earlier(news), time.monotonic())
        if news:
            self._wake()

    def catch_up(self) -> None:
        """Evaluate all that has arrived and all that is due by now, until nothing is."""
        with self._evaluating:
            self._mark(self._arrived())
            while self._evaluate_due():
                pass

    def evaluate_groups(self, keys: Collection[str], at: int) -> None:
        """Evaluate some groups at `at` (ms), in one round.

        Raises SinkError, and then no alert of the groups that it tells of has changed.
        """
        with self._evaluating:
            positions = self._evaluator.positions(keys)
            since = np.full(len(positions), time.monotonic())
            report = self._evaluate(Due(positions, since, np.ones(len(positions), np.bool_)), at)
        if report.reason:
            raise SinkError(report.reason)

    def _put_in_force(self, rules: RuleSet, known: Mapping[str, AlertsByLabels]) -> Evaluator:
        evaluator = Evaluator(rules, self._with, self._sink, known)
        self._agenda = Agenda(evaluator.order, rules.groups, self._clock())
        self._readers = Readers(evaluator.order, self._source)
        return evaluator

    def _end_recordings(self, kept: Collection[str]) -> None:
        try:
            self._evaluator.recorder.end_all_but(frozenset(kept), self._clock())
        except Exception:
            # They go stale by themselves after the lookback.
            log.exception("the end of series that rules recorded is not stored")

    def _end_orphans(self) -> None:
        """Bring alerts to an end whose rule is gone; what fails is tried at the next evaluation."""
        if not self._orphans:
            return
        at = instant(self._clock(), 0, self._last_at)
        ended = {
            key: [remove(rule, alert, at) for alert in alerts.values()]
            for key, (rule, alerts) in self._orphans.items()
        }
        changes = list(chain.from_iterable(ended.values()))
        try:
            self._sink.apply(changes, at)
        except Exception:
            log.exception("the end of %d alerts without a rule could not be kept", len(changes))
            return
        self._orphans = {}
        for key, each in ended.items():
            self._evaluator.alert_series.take(key, each, at, whole=False)
        self._evaluator.alert_series.flush()

    def _evaluate(self, due: Due, at: int) -> Report:
        self._end_orphans()
        busy = time.thread_time()
        report = self._evaluator.evaluate(due, at)
        self._last_at = at
        moment = time.monotonic()
        busy = time.thread_time() - busy
        # A rest goes by what was work: beside dear queries a rule mostly waits for its turn.
        work = busy / max(float(report.seconds.sum()), busy, 1e-9)
        self._agenda.done(due.positions, report.seconds * work, busy, moment)
        self._agenda.mark(report.roused, moment)
        if report.reason:
            log.error("alerts stay as they were, to be tried again: %s", report.reason)
            self._agenda.mark(report.refused, moment + RETRY)
        return report

    # The thread.

    def _wake(self) -> None:
        self._arrivals.put(Arrival(_NOTHING, _NOTHING, 0, 0, 0.0))

    def _run(self) -> None:
        while not self._stopped.is_set():
            arrivals = self._listen()
            try:
                with self._evaluating:
                    self._mark(arrivals)
                    self._evaluate_due()
            except Exception:
                # Whatever it is, the rules must go on at their next turn.
                log.exception("an evaluation failed")

    def _listen(self) -> list[Arrival]:
        """Wait until something is due or arrives, and take with it what comes just after it."""
        with self._evaluating:
            began = time.monotonic()
            patience = self._agenda.patience(self._clock(), began)
        try:
            arrivals = [self._arrivals.get(timeout=min(max(patience, 0.0), _IDLE_SECONDS))]
        except queue.Empty:
            return []
        until = min(arrivals[0].moment + self._coalesce, began + patience)
        self._stopped.wait(max(until - time.monotonic(), 0.0))
        return arrivals + self._arrived()

    def _arrived(self) -> list[Arrival]:
        """What has arrived and waits to be noticed."""
        arrivals: list[Arrival] = []
        while True:
            try:
                arrivals.append(self._arrivals.get_nowait())
            except queue.Empty:
                return arrivals

    def _mark(self, arrivals: Collection[Arrival]) -> None:
        """Mark the rules that read what arrived."""
        brought = [arrival for arrival in arrivals if len(arrival.refs)]
        if not brought:
            return
        concerned = self._readers.of(np.concatenate([arrival.refs for arrival in brought]))
        if len(concerned):
            self._newest = max(self._newest, *(arrival.latest for arrival in brought))
            self._agenda.mark(concerned, min(arrival.moment for arrival in brought))

    def _evaluate_due(self) -> bool:
        """Evaluate the rules that are due; whether there were any."""
        now = self._clock()
        due = self._agenda.due(now, time.monotonic())
        if len(due.positions):
            newest, self._newest = self._newest, 0
            self._evaluate(due, instant(now, newest, self._last_at))
        return len(due.positions) > 0
