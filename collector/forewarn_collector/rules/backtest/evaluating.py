"""The rules of a backtest in one slab of time after another, each over all of its instants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from forewarn_collector.promql import (
    EvalError,
    Result,
    compile_query,
    depends_on_steps,
)
from forewarn_collector.rules.alerts import AlertChange
from forewarn_collector.rules.backtest.alerting import Alerting
from forewarn_collector.rules.backtest.instants import Timetable
from forewarn_collector.rules.backtest.model import RuleOutcome
from forewarn_collector.rules.backtest.recording import Held, Recording
from forewarn_collector.rules.backtest.samples import Samples, Until
from forewarn_collector.rules.backtest.showing import Showing
from forewarn_collector.rules.model import RecordingRule, Rule, RuleSet
from forewarn_collector.rules.order import Order
from forewarn_collector.rules.templates import TemplateContext
from forewarn_collector.store import Ints, SeriesSource
from forewarn_wire import Labels


@dataclass(frozen=True, slots=True)
class Change:
    """A change of an alert, at an instant (ms), of the rule at a position."""

    at: int
    position: int
    change: AlertChange


class Evaluating:
    """The rules with their state. `changes` are those that nobody took yet, rule by rule."""

    def __init__(
        self,
        rules: RuleSet,
        order: Order,
        samples: Samples,
        timetable: Timetable,
        *,
        lookback: int,
        cells: int,
        external_url: str,
        external_labels: Mapping[str, str],
    ) -> None:
        self.changes: list[Change] = []
        self.outcomes = {rule.key: RuleOutcome() for rule in order.rules}
        self._order = order
        self._samples = samples
        self._timetable = timetable
        self._lookback = lookback
        self._cells = cells
        self._url, self._labels = external_url, external_labels
        self._held = Held(samples.append)
        self._showing = Showing(samples.append)
        self._shown = frozenset[int]().union(*order.watched)
        groups = {rule.key: group for group in rules.groups for rule in group.rules}
        self._groups = [groups[rule.key] for rule in order.rules]
        recording = rules.recording()
        self._tracks: list[Alerting | Recording] = []
        for rule, group in zip(order.rules, self._groups, strict=True):
            outcome = self.outcomes[rule.key]
            if isinstance(rule, RecordingRule):
                self._tracks.append(Recording(rule, group.limit, outcome))
                continue
            context = partial(self._context, group.query_offset)
            self._tracks.append(
                Alerting(rule, group, recording, samples, lookback, context, outcome)
            )

    def evaluate(self, unit: Sequence[int]) -> None:
        """Evaluate rules that depend on each other, or one that does not, in the slab."""
        if any(self._order.watched[position] for position in unit):
            self._showing.flush()
        instants = self._timetable.of(unit, self._samples.arrivals)
        for position, own in zip(unit, instants, strict=True):
            self.outcomes[self._order.rules[position].key].evaluations += len(own)
        before = len(self.changes)
        first = self._order.rules[unit[0]]
        if self._order.circles[unit[0]] or depends_on_steps(first.query.expr):
            self._step_by_step(unit, instants)
        else:
            self._at_once(unit[0], instants[0])
        for position in unit:
            times = {each.at for each in self.changes[before:] if each.position == position}
            self._timetable.changed(position, sorted(times))

    def finish(self) -> None:
        """Store what no rule of the slab read."""
        self._held.flush()
        self._showing.flush()

    def _at_once(self, position: int, instants: Ints) -> None:
        selectors = self._order.rules[position].query.selectors
        series = max((self._samples.series(each.matchers) for each in selectors), default=0)
        most = max(1, self._cells // max(series, 1))
        for first in range(0, len(instants), most):
            self._evaluate(position, instants[first : first + most], self._samples)

    def _step_by_step(self, unit: Sequence[int], instants: Sequence[Ints]) -> None:
        turns = [
            (int(at), position) for position, own in zip(unit, instants, strict=True) for at in own
        ]
        last = None
        for at, position in sorted(turns):
            if at != last:
                # Alerts are shown after all rules of the unit were evaluated.
                self._showing.flush()
            last = at
            self._evaluate(position, np.array([at], dtype=np.int64), Until(self._samples, at))

    def _evaluate(self, position: int, instants: Ints, source: SeriesSource) -> None:
        """Evaluate a rule at some instants, as if each were alone."""
        self._held.flush({self._order.rules[each].key for each in self._order.feeders[position]})
        rule, track = self._order.rules[position], self._tracks[position]
        offset = self._groups[position].query_offset
        for result, part in self._results(position, source, instants):
            if isinstance(track, Recording):
                recorded = track.follow(result, part - offset)
                if recorded is not None:
                    self._held.take(rule.key, *recorded)
                continue
            turns = self._timetable.turns(position, part) if position in self._shown else None
            for step, following, changes in track.follow(result, part):
                at = int(part[step])
                self.changes += [Change(at, position, change) for change in changes]
                if turns is None:
                    continue
                show = partial(self._showing.take, position=position, key=rule.key, offset=offset)
                show(at, changes=changes, whole=bool(turns[step]))
                if track.goes_on:
                    for turn in part[step + 1 : following][turns[step + 1 : following]].tolist():
                        show(turn, changes=(), whole=True)

    def _results(
        self, position: int, source: SeriesSource, instants: Ints
    ) -> Iterator[tuple[Result, Ints]]:
        """A rule's results at those of some instants at which it does not fail."""
        rule: Rule = self._order.rules[position]
        offset, outcome = self._groups[position].query_offset, self.outcomes[rule.key]
        parts = [instants]
        while parts:
            part = parts.pop()
            try:
                result = rule.query.over(source, part - offset, lookback=self._lookback)
            except EvalError as error:
                failing = np.ones(len(part), dtype=np.bool_)
                if error.times is not None:
                    failing = np.isin(part - offset, error.times)
                elif len(part) > 1:
                    middle = len(part) // 2
                    parts += [part[middle:], part[:middle]]
                    continue
                outcome.failed(str(error), int(part[failing.argmax()]), int(failing.sum()))
                if not failing.all():
                    parts.append(part[~failing])
            else:
                yield result, part

    def _context(self, offset: int, at: int) -> TemplateContext:
        """What templates know of an evaluation that looks at a time (ms), `offset` before it."""

        def query(text: str) -> list[tuple[Labels, float]]:
            source = Until(self._samples, at)
            return compile_query(text).instant(source, at, lookback=self._lookback).vector()

        return TemplateContext(
            query=query,
            external_url=self._url,
            external_labels=self._labels,
            at=at + offset,
        )
