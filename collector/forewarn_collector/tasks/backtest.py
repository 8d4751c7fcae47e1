"""Which tasks rules would have opened over a span of time: a replay with the collector's keeper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from forewarn_collector.rules.alerts import AlertChange, AlertState
from forewarn_collector.rules.backtest import (
    Replayed,
    RuleOutcome,
    Span,
    Watch,
    replay,
)
from forewarn_collector.rules.model import AlertingRule, RuleSet
from forewarn_collector.store import SeriesSource
from forewarn_collector.tasks.identity import task_key
from forewarn_collector.tasks.model import Task
from forewarn_collector.tasks.rehearsal import rehearsal
from forewarn_collector.tasks.words import TimelineKind
from forewarn_wire import Labels

Period = tuple[int, int | None]
"""From and to (ms); None: it went on at the end of the span."""

_NEVER_FIRED = frozenset({AlertState.INACTIVE, AlertState.PENDING})


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A task that a rule would have opened. Times in ms.

    `episodes` are when it was open, `unknown` when the input of any of its alerts had stopped, and
    `flaps` how often it reopened. `title`, `severity` and `labels` are those at the end.
    """

    number: int
    rule: str
    name: str
    title: str
    severity: str
    labels: Labels
    opened_at: int
    resolved_at: int | None
    flaps: int
    episodes: Sequence[Period]
    unknown: Sequence[Period]

    @property
    def key(self) -> tuple[str, Labels]:
        """What tells the problem: the rule's key and the labels."""
        return self.rule, self.labels


@dataclass(frozen=True, slots=True)
class RuleRecord:
    """An alerting rule with its tasks, in the order in which they opened, and how it fared."""

    rule: AlertingRule
    tasks: Sequence[TaskRecord]
    outcome: RuleOutcome


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """Every alerting rule in the order of the files, those without any task too.

    `replayed` has the figures of the replay, and the outcomes of recording rules as well.
    """

    span: Span
    rules: Sequence[RuleRecord]
    replayed: Replayed

    @property
    def tasks(self) -> list[TaskRecord]:
        """All tasks in the order in which they opened."""
        found = [task for rule in self.rules for task in rule.tasks]
        return sorted(found, key=lambda task: task.number)


def backtest(
    rules: RuleSet,
    source: SeriesSource,
    span: Span,
    *,
    progress: Watch = lambda _: None,
    resolution: int | None = None,
    external_url: str = "",
    external_labels: Mapping[str, str] | None = None,
) -> BacktestResult:
    """Replay stored signals through rules and have tasks made of what follows.

    See `rules.backtest.replay`. What `progress` and the source raise ends the backtest.
    """
    silences = _Silences()
    with rehearsal(external_url, external_labels or {}) as book:

        def apply(changes: Sequence[AlertChange], at: int) -> None:
            # An alert that never fired is in no task.
            told = [each for each in changes if not {each.before, each.after} <= _NEVER_FIRED]
            if told:
                book.apply(told, at)
                silences.take(told)

        replayed = replay(
            rules,
            source,
            span,
            apply=apply,
            progress=progress,
            resolution=resolution,
            external_url=external_url,
            external_labels=external_labels,
        )
        book.tick(span.end)
        tasks = book.tasks()
    records: dict[str, list[TaskRecord]] = {}
    for task in tasks:
        records.setdefault(task.rule, []).append(_record(task, silences.of(task)))
    return BacktestResult(
        span,
        [
            RuleRecord(rule, records.get(key, ()), replayed.outcomes[key])
            for key, rule in rules.alerting().items()
        ],
        replayed,
    )


class _Silences:
    """When the input of any alert of a problem had stopped, by the key of its tasks."""

    def __init__(self) -> None:
        self._unknown: dict[str, set[Labels]] = {}
        self._periods: dict[str, list[Period]] = {}

    def take(self, changes: Sequence[AlertChange]) -> None:
        """Note changes, in the order of their times."""
        for change in changes:
            key = task_key(change.rule, change.alert.labels)
            unknown = self._unknown.setdefault(key, set())
            periods = self._periods.setdefault(key, [])
            if change.after is AlertState.UNKNOWN:
                if not unknown:
                    periods.append((change.at, None))
                unknown.add(change.alert.labels)
            elif change.before is AlertState.UNKNOWN:
                unknown.discard(change.alert.labels)
                if not unknown:
                    periods[-1] = periods[-1][0], change.at

    def of(self, task: Task) -> list[Period]:
        """Those that began while the task was there."""
        return [
            (start, end)
            for start, end in self._periods.get(task.key, ())
            if task.opened_at <= start and (task.resolved_at is None or start <= task.resolved_at)
        ]


def _record(task: Task, unknown: Sequence[Period]) -> TaskRecord:
    """What a backtest tells of a task, which comes with its timeline."""
    episodes: list[Period] = []
    for entry in task.timeline:
        if entry.kind in (TimelineKind.OPENED, TimelineKind.REOPENED):
            episodes.append((entry.at, None))
        elif entry.kind is TimelineKind.RESOLVED:
            episodes[-1] = episodes[-1][0], entry.at
    return TaskRecord(
        number=task.id,
        rule=task.rule,
        name=task.rule_name,
        title=task.title,
        severity=task.severity,
        labels=task.labels,
        opened_at=task.opened_at,
        resolved_at=task.resolved_at,
        flaps=task.reopen_count,
        episodes=episodes,
        unknown=unknown,
    )
