"""The rules of one test from one step to the next, in promtool's order and with its judgement.

A rule whose input stopped has a result without it, and its alerts end, as in Prometheus: the state
`unknown` is the collector's own, and only what makes tasks (see `TaskRunners`) knows it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from forewarn_collector.promql import LOOKBACK, Query, Result, Round, compile_query
from forewarn_collector.rules.alert_series import ALERT_METRICS, AlertSeries
from forewarn_collector.rules.alerts import Alert, AlertChange, AlertState
from forewarn_collector.rules.model import AlertingRule, RecordingRule, Rule, RuleGroup
from forewarn_collector.rules.record import Recorder
from forewarn_collector.rules.runner import RuleRunner, Surroundings
from forewarn_collector.rules.standing import Standing
from forewarn_collector.rules.templates import TemplateContext
from forewarn_collector.rules.testing.memory import MemoryStore
from forewarn_collector.rules.testing.model import Case
from forewarn_collector.rules.testing.program import Program
from forewarn_collector.rules.testing.tasks import TaskBook
from forewarn_collector.store import Ints, SeriesSource
from forewarn_wire import Labels


@dataclass(frozen=True, slots=True)
class Steps:
    """How rules are evaluated: every `step` ms, which is that of plain subqueries too.

    `lookback` (ms) is how long a sample counts.
    """

    step: int
    lookback: int = LOOKBACK

    def instant(self, query: Query, store: SeriesSource, at: int) -> Result:
        """The result of a query at `at` (ms); raises EvalError."""
        return query.instant(store, at, lookback=self.lookback, subquery_step=self.step)

    def range(self, query: Query, store: SeriesSource, times: Ints) -> Result:
        """The results at times that are `step` apart; raises EvalError."""
        start, end = int(times[0]), int(times[-1])
        return query.range(
            store, start, end, self.step, lookback=self.lookback, subquery_step=self.step
        )


def firing_of(rules: Iterable[Standing]) -> list[tuple[Labels, Labels]]:
    """Labels and annotations of the alerts of some rules that fire, sorted."""
    return sorted(
        (alert.labels, alert.annotations)
        for standing in rules
        for alert in standing.alerts().values()
        if alert.state is AlertState.FIRING
    )


class AllInputs:
    """Inputs of which none is ever missing."""

    def missing(self, alert: Alert) -> bool:
        return False

    def onset(self, series: Labels, at: int) -> int:
        return at


class Playback:
    """A program over the samples of one case.

    `active` are the keys of rules that fired or recorded anything. `shows_alerts` says whether any
    expression reads `ALERTS`.
    """

    def __init__(
        self, program: Program, store: MemoryStore, case: Case, steps: Steps, *, shows_alerts: bool
    ) -> None:
        self.active: set[str] = set()
        self._program = program
        self._store = store
        self._case = case
        self._steps = steps
        self._shows_alerts = shows_alerts
        self._recorder = Recorder(store.append)
        self._standing: dict[str, Standing] = defaultdict(Standing)
        self._series = AlertSeries(store.append)

    def evaluate(self, at: int, tasks: TaskRunners | None) -> Iterator[tuple[Rule, str]]:
        """Evaluate all rules at `at` (ms); those that failed, with the error."""
        round_ = Round(self._store, at, self._steps.lookback, subquery_step=self._steps.step)
        for group, members in self._program.groups:
            for rule, query in members:
                try:
                    self._evaluate(rule, query, group, round_)
                except ValueError as error:
                    yield rule, str(error)
                    continue
                if tasks is not None and isinstance(rule, AlertingRule):
                    tasks.evaluate(rule, round_)
        if tasks is not None:
            tasks.hand_over(at)

    def firing(self, name: str) -> list[tuple[Labels, Labels]]:
        """Labels and annotations of the alerts of that name that fire, sorted."""
        return firing_of(
            self._standing[rule.key] for rule in self._program.rules() if rule.name == name
        )

    def _evaluate(self, rule: Rule, query: Query, group: RuleGroup, round_: Round) -> None:
        at = round_.at - group.query_offset
        result = query.at(round_, at)
        if isinstance(rule, RecordingRule):
            if self._recorder.take(rule, result, at, group.limit):
                self.active.add(rule.key)
            self._recorder.flush()
            round_.forget(frozenset({rule.name}))
            return
        standing = self._standing[rule.key]
        if not len(standing) and not result.present.any():
            return
        standing, changes = standing.advance(
            rule, result, AllInputs(), round_.at, self._context(at, round_.at), group.limit
        )
        self._standing[rule.key] = standing
        if standing.states()[AlertState.FIRING]:
            self.active.add(rule.key)
        if self._shows_alerts:
            self._series.take(rule.key, changes, at, whole=True)
            self._series.flush()
            round_.forget(ALERT_METRICS)

    def _context(self, at: int, now: int) -> TemplateContext:
        return TemplateContext(
            query=lambda text: self._steps.instant(compile_query(text), self._store, at).vector(),
            external_url=self._case.external_url,
            external_labels=self._case.external_labels,
            at=now,
        )


class TaskRunners:
    """The same alerting rules as the collector judges them, with `on_missing`, and their tasks."""

    def __init__(
        self, program: Program, store: MemoryStore, case: Case, steps: Steps, book: TaskBook
    ) -> None:
        self.book = book
        self._changes: list[AlertChange] = []
        self._recorder = Recorder(store.append)
        surroundings = Surroundings(
            store, store.append, steps.lookback, case.external_url, case.external_labels
        )
        self._runners = {
            rule.key: RuleRunner(rule, group, query, program.recording, surroundings, {})
            for group, members in program.groups
            for rule, query in members
            if isinstance(rule, AlertingRule)
        }

    def evaluate(self, rule: AlertingRule, round_: Round) -> None:
        """Evaluate a rule, which has just been evaluated without error."""
        runner = self._runners[rule.key]
        outcome = runner.evaluate(round_, self._recorder)
        runner.accept(outcome)
        self._changes += outcome.changes

    def hand_over(self, at: int) -> None:
        """Have tasks made of what changed in the round at `at` (ms)."""
        changes, self._changes = self._changes, []
        self.book.apply(changes, at)
