"""The life of a rule's alerts over many instants, of which it takes those where things change.

At an instant where the elements are those of the one before, no alert waits for its time to be up,
and no input that had stopped has a new sample, a step changes nothing but what was last seen (value
and time). So only these instants are taken, each by the collector's own step, and the one before a
change, since what was last seen counts there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.promql import Result
from forewarn_collector.rules.alerts import AlertChange, DuplicateAlertsError
from forewarn_collector.rules.backtest.model import RuleOutcome
from forewarn_collector.rules.backtest.samples import Until
from forewarn_collector.rules.inputs import RuleInputs, inputs_of
from forewarn_collector.rules.model import AlertingRule, RecordingRule, RuleGroup
from forewarn_collector.rules.standing import Standing
from forewarn_collector.rules.templates import TemplateContext
from forewarn_collector.store import Ints, SeriesSource
from forewarn_wire import Labels


class Alerting:
    """The alerts of one rule from one stretch of instants to the next."""

    def __init__(
        self,
        rule: AlertingRule,
        group: RuleGroup,
        recording: Mapping[str, Sequence[RecordingRule]],
        source: SeriesSource,
        lookback: int,
        context: Callable[[int], TemplateContext],
        outcome: RuleOutcome,
    ) -> None:
        """`context` is what templates know at the time (ms) that the expression is about."""
        self._rule = rule
        self._group = group
        self._source = Until(source, 0)
        self._inputs = RuleInputs(inputs_of(rule.query, recording), self._source, lookback)
        self._context = context
        self._outcome = outcome
        self._standing = Standing()
        # Labels that may be others with each value make other alerts.
        self._fixed = not any(
            text.reads_value or text.asks_queries for text in rule.labels.values()
        )

    @property
    def goes_on(self) -> bool:
        """Whether there are alerts that end when the next result has not got them."""
        return len(self._standing) > 0

    def follow(
        self, result: Result, instants: Ints
    ) -> Iterator[tuple[int, int, Sequence[AlertChange]]]:
        """Take the results of instants (ms) that follow on the last ones.

        Yields stretches from one instant to before another (their places), of which only the first
        may change anything, and what it changed. In between are only such without any alert. Where
        the rule fails its alerts stay as they were.
        """
        if not self.goes_on and not result.present.any():
            return
        filled, marked = self._places(result.present)
        waiting = _Waiting(self._inputs, instants - self._group.query_offset)
        step = 0
        while step < len(instants):
            if not len(self._standing):
                # Without any alert, the next instant that counts is the next with an element.
                step = _next(filled, step, len(instants))
                if step == len(instants):
                    return
            at = int(instants[step])
            following = _next(marked, step + 1, len(instants))
            changes: Sequence[AlertChange] = ()
            try:
                self._standing, changes = self._advance(result, step, at)
            except ValueError as error:
                if not self._fails_by_elements(error, result, step):
                    following = step + 1
                self._outcome.failed(str(error), at, following - step)
            else:
                due = int(np.searchsorted(instants, self._standing.next_change()))
                self._source.time = int(instants[-1])
                following = min(following, max(due, step + 1), waiting.next(self._standing, step))
            yield step, following, changes
            step = following

    def _advance(self, result: Result, step: int, at: int) -> tuple[Standing, list[AlertChange]]:
        time = at - self._group.query_offset
        column = slice(step, step + 1)
        one = replace(
            result,
            times=result.times[column],
            values=result.values[:, column],
            present=result.present[:, column],
        )
        self._source.time = at
        inputs, context = self._inputs.at(time), self._context(time)
        return self._standing.advance(self._rule, one, inputs, at, context, self._group.limit)

    def _places(self, present: NDArray[np.bool_]) -> tuple[Ints, Ints]:
        """The steps that have any element, and those to take for what the elements are."""
        filled = np.logical_or.reduce(present, axis=0)
        changed = np.ones(len(filled), dtype=np.bool_)
        changed[1:] = np.logical_or.reduce(present[:, 1:] != present[:, :-1], axis=0)
        marked = changed.copy()
        marked[:-1] |= changed[1:]
        marked[-1] = True
        if not self._fixed:
            marked |= filled
        return np.flatnonzero(filled), np.flatnonzero(marked)

    def _fails_by_elements(self, error: ValueError, result: Result, step: int) -> bool:
        """Whether the rule fails for as long as its elements are the same."""
        if isinstance(error, DuplicateAlertsError):
            return self._fixed
        return 0 < self._group.limit < int(result.present[:, step].sum())


class _Waiting:
    """When alerts that wait for an input that stopped are to be looked at again."""

    def __init__(self, inputs: RuleInputs, times: Ints) -> None:
        """`times` (ms) are those that the expression is about at each step."""
        self._inputs = inputs
        self._times = times
        self._known: frozenset[Labels] = frozenset()
        self._next = 0

    def next(self, standing: Standing, step: int) -> int:
        """The first step after one at which an input has new samples; the last one + 1 if none."""
        alerts = standing.waiting_for_input()
        if not alerts:
            return len(self._times)
        labels = frozenset(alert.labels for alert in alerts)
        if labels != self._known or self._next <= step:
            self._known = labels
            after, until = int(self._times[step]), int(self._times[-1])
            time = self._inputs.next_samples(alerts, after, until)
            self._next = len(self._times)
            if time is not None:
                self._next = int(np.searchsorted(self._times, time))
        return self._next


def _next(places: Ints, step: int, end: int) -> int:
    """The first of some ascending steps that is not before a step; `end` if there is none."""
    found = int(np.searchsorted(places, step))
    return int(places[found]) if found < len(places) else end
