"""One evaluation of one group: its rules in order, their alerts, what they record."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from forewarn_collector.promql import Query, compile_query
from forewarn_collector.rules.alerts import Alert, AlertChange, Element, step
from forewarn_collector.rules.inputs import RuleInputs, inputs_of
from forewarn_collector.rules.model import AlertingRule, RecordingRule, Rule, RuleGroup, RuleSet
from forewarn_collector.rules.record import Recorder
from forewarn_collector.rules.status import GroupStatus, Health, RuleStatus
from forewarn_collector.rules.templates import TemplateContext
from forewarn_collector.store import Batch, SeriesSource
from forewarn_wire import Labels

log = logging.getLogger(__name__)

AlertsByLabels = Mapping[Labels, Alert]
Append = Callable[[Batch], Future[Any]]


class ChangeSink(Protocol):
    """Who hears of changes: the task keeper."""

    def apply(self, changes: Sequence[AlertChange], at: int) -> None:
        """Make the changes of one evaluation durable, all or (raising) none."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every evaluation works with. `lookback` is in ms."""

    source: SeriesSource
    append: Append
    sink: ChangeSink
    lookback: int
    external_url: str = ""
    external_labels: Mapping[str, str] = field(default_factory=dict)


class SinkError(Exception):
    """The changes of an evaluation could not be kept, so that it counts as not done; try again."""


class GroupRunner:
    """A group with its state. Not for two threads at once, but for `status`."""

    def __init__(
        self,
        group: RuleGroup,
        rules: RuleSet,
        surroundings: Surroundings,
        alerts: Mapping[str, AlertsByLabels],
    ) -> None:
        """`alerts` are those known from before, by their rule's key."""
        self.group = group
        self.status = GroupStatus(group, tuple(RuleStatus(rule) for rule in group.rules))
        self.recorder = Recorder(surroundings.append)
        self.last_at: int | None = None
        self._with = surroundings
        recording = rules.recording()
        alerting = [rule for rule in group.rules if isinstance(rule, AlertingRule)]
        self.alerts = {rule.key: dict(alerts.get(rule.key, {})) for rule in alerting}
        self._inputs = {
            rule.key: RuleInputs(
                inputs_of(rule.query, recording), surroundings.source, surroundings.lookback
            )
            for rule in alerting
        }
        self._evaluated: set[str] = set()
        self._publish(self.status.rules)

    def carry_over(self, old: GroupRunner) -> None:
        """Go on from a runner of the same group, before the rule files were read anew."""
        known = {status.rule.key: status for status in old.status.rules}
        rules = tuple(
            replace(known[status.rule.key], rule=status.rule, alerts=status.alerts)
            if status.rule.key in known
            else status
            for status in self.status.rules
        )
        self.status = replace(old.status, group=self.group, rules=rules)
        self.recorder = old.recorder
        self.last_at = old.last_at

    def evaluate(self, at: int) -> None:
        """Evaluate all rules at `at` (ms). Raises SinkError, and then no alert has changed.

        A rule that fails leaves its alerts as they were, and the other rules alone.
        """
        began = time.perf_counter()
        self.recorder.begin(at - self.group.query_offset)
        alerts: dict[str, dict[Labels, Alert]] = {}
        changes: list[AlertChange] = []
        statuses: list[RuleStatus] = []
        for status in self.status.rules:
            rule_began = time.perf_counter()
            if self.recorder.holds(status.rule.query.metrics):
                self._flush(statuses)
            error = self._try(status.rule, at, alerts, changes)
            statuses.append(
                replace(
                    status,
                    health=Health.ERR if error else Health.OK,
                    last_error=error,
                    last_evaluation=at,
                    evaluation_seconds=time.perf_counter() - rule_began,
                )
            )
        self._flush(statuses)
        if changes:
            self._deliver(changes, at)
        self.alerts |= alerts
        self._evaluated |= alerts.keys()
        self.last_at = at
        self.status = replace(
            self.status,
            last_evaluation=at,
            evaluation_seconds=time.perf_counter() - began,
            evaluations=self.status.evaluations + 1,
            failures=self.status.failures + sum(status.last_error != "" for status in statuses),
        )
        self._publish(statuses)

    def _try(
        self,
        rule: Rule,
        at: int,
        alerts: dict[str, dict[Labels, Alert]],
        changes: list[AlertChange],
    ) -> str:
        """Evaluate one rule; returns what went wrong, or nothing."""
        try:
            vector = self._vector(rule.query, at - self.group.query_offset)
            if isinstance(rule, RecordingRule):
                self.recorder.take(rule, vector, self.group.limit)
                return ""
            inputs = self._inputs[rule.key].at(at - self.group.query_offset)
            found, changed = step(
                rule,
                self.alerts[rule.key],
                vector,
                inputs,
                at,
                self._context(at),
                self.group.limit,
                reuse=rule.key in self._evaluated,
            )
        except ValueError as error:
            # EvalError and the like: the rule does not fit the series that are there.
            log.warning("rule %s: %s", rule.key, error)
            return str(error) or type(error).__name__
        except Exception as error:
            # A fault of ours, or of the disk: the other rules must go on whatever it is.
            log.exception("rule %s failed", rule.key)
            return f"{type(error).__name__}: {error}"
        alerts[rule.key] = found
        changes += changed
        return ""

    def _flush(self, statuses: list[RuleStatus]) -> None:
        try:
            self.recorder.flush()
        except Exception as error:
            log.exception("what group %s recorded is not stored", self.group.key)
            for position, status in enumerate(statuses):
                if isinstance(status.rule, RecordingRule):
                    reason = status.last_error or f"not stored: {error}"
                    statuses[position] = replace(status, health=Health.ERR, last_error=reason)

    def _deliver(self, changes: Sequence[AlertChange], at: int) -> None:
        try:
            self._with.sink.apply(changes, at)
        except Exception as error:
            raise SinkError(f"group {self.group.key}: {error}") from error

    def _vector(self, query: Query, at: int) -> list[Element]:
        return query.instant(self._with.source, at, lookback=self._with.lookback).vector()

    def _context(self, at: int) -> TemplateContext:
        return TemplateContext(
            query=lambda text: self._vector(compile_query(text), at),
            external_url=self._with.external_url,
            external_labels=self._with.external_labels,
        )

    def _publish(self, statuses: Sequence[RuleStatus]) -> None:
        rules = tuple(
            replace(status, alerts=tuple(self.alerts.get(status.rule.key, {}).values()))
            for status in statuses
        )
        self.status = replace(self.status, rules=rules)
