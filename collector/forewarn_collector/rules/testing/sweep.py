"""The rules of one test evaluated rule by rule, each over all steps, where that is the same.

Rules come after those that feed them, whatever the order of the files. A rule that reads only
input and what rules before it in the files record finds at each step what it would find in its
turn, and is evaluated at all steps at once. A rule that reads what a later rule records finds that
a step late: it is evaluated step by step, and sees these metrics only up to before the step.
Where it is not certain to be the same, or anything fails, the whole test is played step by step.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

import numpy as np

from forewarn_collector.promql import Query, Result
from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.rules.model import AlertingRule, RecordingRule, Rule
from forewarn_collector.rules.order import accepts_name, ordered
from forewarn_collector.rules.record import Recorder
from forewarn_collector.rules.standing import Standing
from forewarn_collector.rules.templates import TemplateContext
from forewarn_collector.rules.testing.memory import MemoryStore
from forewarn_collector.rules.testing.model import Case
from forewarn_collector.rules.testing.playback import AllInputs, Steps, firing_of
from forewarn_collector.rules.testing.program import Program
from forewarn_collector.store import Batch, Ints, LatestColumns, Matcher, SeriesColumns
from forewarn_wire import STALE_NAN, Labels, labels_from
from forewarn_wire.labels import METRIC_NAME

_NOT_BY_STEP = re.compile(r"@|offset\s*-|\b(?:start|end|step|range)\s*\(")
"""What may read samples later than the step, or depends on the steps of the query itself.

It may also stand in a string, which does no harm.
"""


class _NotTheSameError(Exception):
    """This would not give what one step after another gives, or that is not certain."""


@dataclass(slots=True)
class Swept:
    """All steps of a case.

    `standing[key][k]` are the alerts of a rule after step `k`; no entry where it never had any.
    `active` are the keys of rules that fired or recorded anything.
    """

    program: Program
    store: MemoryStore
    standing: dict[str, Sequence[Standing]] = field(default_factory=dict)
    active: set[str] = field(default_factory=set)

    def firing(self, name: str, step: int) -> list[tuple[Labels, Labels]]:
        """Labels and annotations of the alerts of that name that fire after a step, sorted."""
        return firing_of(
            self.standing[rule.key][step]
            for rule in self.program.rules()
            if rule.name == name and rule.key in self.standing
        )


def sweep(program: Program, case: Case, feed: Batch, steps: Steps) -> Swept | None:
    """A case's rules over all of its steps, or None where they must be played step by step.

    `feed` is the input up to the last step. No expression may read `ALERTS`.
    """
    swept = Swept(program, MemoryStore())
    swept.store.append(feed)
    times = np.arange(case.start, case.start + case.until + 1, steps.step, dtype=np.int64)
    context = TemplateContext(external_url=case.external_url, external_labels=case.external_labels)
    queries = {rule.key: query for _, members in program.groups for rule, query in members}
    try:
        for rule, late in _in_order(program):
            _sweep_rule(swept, rule, queries[rule.key], late, times, steps, context)
    except (_NotTheSameError, ValueError):
        return None
    return swept


def _in_order(program: Program) -> list[tuple[Rule, AbstractSet[str]]]:
    """The rules, each after those that feed it, with the metrics of which it sees no sample of the
    same step, since rules after it in the files record them."""
    rules = list(program.rules())
    if any(group.limit or group.query_offset for group, _ in program.groups):
        raise _NotTheSameError
    if not all(_is_plain(rule) for rule in rules):
        raise _NotTheSameError
    order = ordered(rules)
    if any(place in followers for place, followers in enumerate(order.followers)):
        raise _NotTheSameError
    places = {rule.key: place for place, rule in enumerate(rules)}
    found: list[tuple[Rule, AbstractSet[str]]] = []
    for rule, feeders in zip(order.rules, order.feeders, strict=True):
        feeding = [order.rules[feeder] for feeder in feeders]
        later = {each.name for each in feeding if places[each.key] > places[rule.key]}
        # Of one metric, what some rules record would be seen at once, what others do, late.
        if later & {each.name for each in feeding if places[each.key] < places[rule.key]}:
            raise _NotTheSameError
        if later and not _told_apart(rule.query, later):
            raise _NotTheSameError
        found.append((rule, later))
    return found


def _told_apart(query: Query, late: AbstractSet[str]) -> bool:
    """Whether no selector reads metrics that are late and others as well."""
    for selector in query.selectors:
        read = set(filter(accepts_name(selector.matchers), query.metrics or ()))
        if read & late and read - late:
            return False
    return True


def _is_plain(rule: Rule) -> bool:
    """Whether what a rule reads can be told from its expression, and is never ahead of a step."""
    if rule.query.metrics is None or _NOT_BY_STEP.search(rule.query.text):
        return False
    if isinstance(rule, RecordingRule):
        return True
    return not any(
        text.asks_queries for text in (*rule.labels.values(), *rule.annotations.values())
    )


def _sweep_rule(
    swept: Swept,
    rule: Rule,
    query: Query,
    late: AbstractSet[str],
    times: Ints,
    steps: Steps,
    context: TemplateContext,
) -> None:
    if isinstance(rule, RecordingRule):
        recorded = (
            _record_singly(swept.store, rule, query, late, times, steps)
            if late
            else _record(swept.store, rule, steps.range(query, swept.store, times))
        )
        if recorded:
            swept.active.add(rule.key)
        return
    results = (
        [steps.instant(query, _Earlier(swept.store, late, at), at) for at in times.tolist()]
        if late
        else _split(steps.range(query, swept.store, times))
    )
    if not results:
        return
    history = _history(rule, results, times, context)
    swept.standing[rule.key] = history
    if any(standing.states()[AlertState.FIRING] for standing in history):
        swept.active.add(rule.key)


def _record(store: MemoryStore, rule: RecordingRule, result: Result) -> bool:
    """Store a rule's results at all steps, and the end of a series after each run of them.

    Whether there are any.
    """
    if not result.present.any():
        return False
    added = {**rule.labels, METRIC_NAME: rule.name}
    labels = [labels_from({**dict(each), **added}) for each in result.labels]
    if len(set(labels)) < len(labels):
        raise _NotTheSameError
    ended = np.zeros_like(result.present)
    ended[:, 1:] = result.present[:, :-1] & ~result.present[:, 1:]
    rows, columns = np.nonzero(result.present | ended)
    values = np.where(ended, STALE_NAN, result.values)[rows, columns]
    store.append(Batch(labels, rows, result.times[columns], values))
    return True


def _record_singly(
    store: MemoryStore,
    rule: RecordingRule,
    query: Query,
    late: AbstractSet[str],
    times: Ints,
    steps: Steps,
) -> bool:
    """Store a rule's results step by step. Whether there are any."""
    recorder = Recorder(store.append)
    count = 0
    for at in times.tolist():
        result = steps.instant(query, _Earlier(store, late, at), at)
        count += recorder.take(rule, result, at, 0)
        recorder.flush()
    return count > 0


def _split(result: Result) -> list[Result]:
    """The results step by step; none where there is nothing at any."""
    if not result.present.any():
        return []
    columns = [slice(step, step + 1) for step in range(len(result.times))]
    return [
        replace(
            result,
            times=result.times[column],
            values=result.values[:, column],
            present=result.present[:, column],
        )
        for column in columns
    ]


def _history(
    rule: AlertingRule, results: Sequence[Result], times: Ints, context: TemplateContext
) -> list[Standing]:
    """A rule's alerts after each step."""
    standing = Standing()
    history: list[Standing] = []
    for result, at in zip(results, times.tolist(), strict=True):
        if len(standing) or result.present.any():
            standing, _ = standing.advance(rule, result, AllInputs(), at, context)
        history.append(standing)
    return history


class _Earlier:
    """A store of which some metrics are seen only up to before a step at `at` (ms)."""

    def __init__(self, store: MemoryStore, metrics: AbstractSet[str], at: int) -> None:
        self._store = store
        self._metrics = metrics
        self._at = at

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> SeriesColumns:
        """See `SeriesSource`."""
        return self._store.select(matchers, start, self._end(matchers, end))

    def latest(self, matchers: Sequence[Matcher], start: int, end: int) -> LatestColumns:
        """See `SeriesSource`."""
        return self._store.latest(matchers, start, self._end(matchers, end))

    def read(self, series: Sequence[Labels], start: int, end: int) -> SeriesColumns:
        """See `SeriesSource`."""
        return self._store.read(series, start, min(end, self._at - 1))

    def _end(self, matchers: Sequence[Matcher], end: int) -> int:
        accepts = accepts_name(matchers)
        return min(end, self._at - 1) if any(map(accepts, self._metrics)) else end
