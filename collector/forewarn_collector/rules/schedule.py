"""When groups are evaluated: at their interval, and as soon as data that they read arrives."""

from __future__ import annotations

import logging
import queue
import threading
import time
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from forewarn_collector.promql import LOOKBACK
from forewarn_collector.rules.alerts import Alert, remove
from forewarn_collector.rules.evaluate import (
    Append,
    ChangeSink,
    GroupRunner,
    SinkError,
    Surroundings,
)
from forewarn_collector.rules.model import AlertingRule, RuleGroup, RuleSet
from forewarn_collector.rules.removed import rule_for
from forewarn_collector.rules.status import GroupStatus
from forewarn_collector.rules.triggers import Trigger, triggers
from forewarn_collector.store import Arrival, SeriesSource
from forewarn_wire import Labels
from forewarn_wire.clock import Clock

log = logging.getLogger(__name__)

COALESCE = 50
"""How long (ms) an arrival waits for others before the group is evaluated."""
SKEW = 5_000
"""How far (ms) the newest sample may be ahead of our clock for an evaluation to be at its time."""
REST = 4
"""How many times its last duration a group rests before an arrival has it evaluated again: so
that arrivals keep it busy for a fifth of the time at most."""
RETRY = 1.0
"""Seconds until an evaluation whose changes could not be kept is tried again."""

_IDLE_SECONDS = 60.0
_WAKE = Arrival(frozenset(), 0, 0)


class RestoredAlert(Protocol):
    """An alert as the ledger kept it, of the rule with that key."""

    @property
    def rule_key(self) -> str: ...

    @property
    def alert(self) -> Alert: ...


@dataclass(slots=True)
class _Timing:
    """When a group is due. `tick` in ms of the clock, the others in seconds of `monotonic`."""

    tick: int
    marked: float | None = None
    rested: float = 0.0
    newest: int = 0


class Scheduler:
    """Evaluates the groups on a thread of its own, from `start` to `stop`.

    Without `start`, `evaluate_group` and `evaluate_due` do the same work when they are called.
    """

    def __init__(
        self,
        rules: RuleSet,
        source: SeriesSource,
        *,
        append: Append,
        sink: ChangeSink,
        clock: Clock,
        arrivals: queue.SimpleQueue[Arrival],
        restored: Iterable[RestoredAlert] = (),
        coalesce: int = COALESCE,
        lookback: int = LOOKBACK,
        external_url: str = "",
        external_labels: Mapping[str, str] | None = None,
    ) -> None:
        """`append` stores what recording rules give; `restored` are alerts from before."""
        self._clock = clock
        self._arrivals = arrivals
        self._coalesce = coalesce / 1000
        self._with = Surroundings(
            source, append, sink, lookback, external_url, external_labels or {}
        )
        self._evaluating = threading.RLock()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._runners: dict[str, GroupRunner] = {}
        self._timings: dict[str, _Timing] = {}
        self._triggers: dict[str, Trigger] = {}
        self._orphans: dict[str, tuple[AlertingRule, dict[Labels, Alert]]] = {}
        known: dict[str, dict[Labels, Alert]] = {}
        for each in restored:
            known.setdefault(each.rule_key, {})[each.alert.labels] = each.alert
        self._install(rules, known, {})
        for key in known.keys() - rules.alerting().keys():
            self._orphans[key] = rule_for(key), known[key]

    def start(self) -> None:
        """Begin to evaluate."""
        self._thread = threading.Thread(target=self._run, name="rules", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the evaluation that runs."""
        self._stopping = True
        self._arrivals.put(_WAKE)
        if self._thread is not None:
            self._thread.join()

    def groups(self) -> list[GroupStatus]:
        """How every group fares, in the order of the files. From any thread."""
        return [runner.status for runner in self._runners.values()]

    def alerts(self) -> list[Alert]:
        """Every alert that is not inactive. From any thread."""
        return [alert for group in self.groups() for rule in group.rules for alert in rule.alerts]

    def reload(self, rules: RuleSet) -> None:
        """Put other rules in force. Alerts of rules whose key remains go on; others end."""
        with self._evaluating:
            old = self._runners
            before = {rule.key: rule for runner in old.values() for rule in _alerting(runner)}
            known = {key: alerts for each in old.values() for key, alerts in each.alerts.items()}
            self._install(rules, known, old)
            after = rules.alerting()
            for key, rule in before.items():
                if key not in after and known[key]:
                    self._orphans[key] = rule, dict(known[key])
            self._end_recordings(old, {rule.key for rule in rules.rules()})
            self._end_orphans()
        self._arrivals.put(_WAKE)

    def evaluate_group(self, key: str, at: int) -> None:
        """Evaluate one group at `at` (ms). Raises SinkError, and then no alert has changed."""
        with self._evaluating:
            self._end_orphans()
            self._runners[key].evaluate(at)

    def _install(
        self,
        rules: RuleSet,
        known: Mapping[str, Mapping[Labels, Alert]],
        old: Mapping[str, GroupRunner],
    ) -> None:
        now = self._clock()
        runners = {}
        timings = {}
        for group in rules.groups:
            runner = GroupRunner(group, rules, self._with, known)
            if group.key in old:
                runner.carry_over(old[group.key])
            runners[group.key] = runner
            tick = next_tick(group, now)
            timings[group.key] = replace(self._timings.get(group.key) or _Timing(tick), tick=tick)
        self._timings = timings
        self._triggers = triggers(rules.groups)
        self._runners = runners

    def _end_recordings(self, old: Mapping[str, GroupRunner], kept: Collection[str]) -> None:
        for runner in old.values():
            ended = [key for key in runner.recorder.recorded() if key not in kept]
            try:
                runner.recorder.end(ended, self._clock())
            except Exception:
                # They go stale by themselves after the lookback.
                log.exception("the end of series of group %s is not stored", runner.group.key)

    def _end_orphans(self) -> None:
        """Bring alerts to an end whose rule is gone; what fails is tried at the next evaluation."""
        if not self._orphans:
            return
        at = self._clock()
        changes = [
            remove(rule, alert, at)
            for rule, alerts in self._orphans.values()
            for alert in alerts.values()
        ]
        try:
            self._with.sink.apply(changes, at)
        except Exception:
            log.exception("the end of %d alerts without a rule could not be kept", len(changes))
            return
        self._orphans = {}

    # The thread.

    def _run(self) -> None:
        while not self._stopping:
            self._listen(self._patience())
            for key in self._due():
                if self._stopping:
                    return
                self._evaluate(key)

    def _listen(self, patience: float) -> None:
        """Take the arrivals that are there, or wait for one."""
        arrival: Arrival | None
        try:
            arrival = self._arrivals.get(timeout=patience)
        except queue.Empty:
            return
        with self._evaluating:
            while arrival is not None:
                self._mark(arrival)
                try:
                    arrival = self._arrivals.get_nowait()
                except queue.Empty:
                    arrival = None

    def _mark(self, arrival: Arrival) -> None:
        for key, trigger in self._triggers.items():
            if trigger.concerns(arrival.metrics):
                timing = self._timings[key]
                timing.newest = max(timing.newest, arrival.latest)
                if timing.marked is None:
                    timing.marked = time.monotonic()

    def _patience(self) -> float:
        """Seconds until the next group is due."""
        now, moment = self._clock(), time.monotonic()
        with self._evaluating:
            waits = [(timing.tick - now) / 1000 for timing in self._timings.values()]
            waits += [
                self._ripe(timing) - moment
                for timing in self._timings.values()
                if timing.marked is not None
            ]
        return min(max(min(waits, default=_IDLE_SECONDS), 0.0), _IDLE_SECONDS)

    def _ripe(self, timing: _Timing) -> float:
        """When a marked group may be evaluated."""
        return max((timing.marked or 0.0) + self._coalesce, timing.rested)

    def _due(self) -> list[str]:
        now, moment = self._clock(), time.monotonic()
        due = []
        with self._evaluating:
            for key, timing in self._timings.items():
                interval = self._runners[key].group.interval
                # A tick further away than the interval: the clock was set back.
                if now >= timing.tick or timing.tick - now > interval:
                    timing.tick = next_tick(self._runners[key].group, now)
                    due.append(key)
                elif timing.marked is not None and moment >= self._ripe(timing):
                    due.append(key)
        return due

    def _evaluate(self, key: str) -> None:
        with self._evaluating:
            timing = self._timings.get(key)
            if timing is None:
                return  # A reload in between has taken the group away.
            at = instant(self._clock(), timing.newest, self._runners[key].last_at)
            timing.marked, timing.newest = None, 0
            began = time.monotonic()
            try:
                self.evaluate_group(key, at)
            except SinkError as error:
                log.error("alerts stay as they were, to be tried again: %s", error)
                timing.marked = time.monotonic() + RETRY
            except Exception:
                # Whatever it is, the other groups must go on, and this one at its next turn.
                log.exception("the evaluation of group %s failed", key)
            ended = time.monotonic()
            timing.rested = ended + REST * (ended - began)


def next_tick(group: RuleGroup, now: int) -> int:
    """When (ms) a group is due next by its interval.

    The groups are spread over their interval by their names, always in the same way, as in
    Prometheus (`rules/group.go`, `EvalTimestamp`).
    """
    offset = zlib.crc32(group.key.encode()) % group.interval
    return (now - offset) // group.interval * group.interval + group.interval + offset


def instant(now: int, newest: int, last: int | None) -> int:
    """The time (ms) of an evaluation: our clock's, or the newest sample's if that is just ahead.

    Never before the last evaluation, unless the clock was set back by more than skew explains.
    """
    at = newest if now < newest < now + SKEW else now
    if last is not None and at < last <= now + SKEW:
        return last
    return at


def _alerting(runner: GroupRunner) -> list[AlertingRule]:
    return [rule for rule in runner.group.rules if isinstance(rule, AlertingRule)]
