"""Stored signals through the rules on simulated time: slab by slab, and in a slab rule by rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from forewarn_collector.promql import (
    LOOKBACK,
    EvalError,
    Result,
    compile_query,
    depends_on_steps,
    reach_of,
)
from forewarn_collector.rules.alert_series import ALERT_METRICS
from forewarn_collector.rules.alerts import AlertChange
from forewarn_collector.rules.backtest.alerting import Alerting
from forewarn_collector.rules.backtest.instants import Timetable
from forewarn_collector.rules.backtest.model import (
    EXACT,
    Progress,
    Replayed,
    RuleOutcome,
    Span,
    Watch,
)
from forewarn_collector.rules.backtest.recording import Held, Recording
from forewarn_collector.rules.backtest.samples import Samples, Until
from forewarn_collector.rules.model import RecordingRule, Rule, RuleSet
from forewarn_collector.rules.order import ordered
from forewarn_collector.rules.templates import TemplateContext
from forewarn_collector.store import Ints, SeriesSource
from forewarn_wire import Labels

FIRST_SLAB = 3_600_000
"""How long (ms) the first slab of time is; the others are as long as memory admits."""
LONGEST_SLAB = 86_400_000
MOST_SAMPLES = 4_000_000
"""About how many samples of a slab are held: 64 MB, and as much for what is made of them."""
MOST_CELLS = 500_000
"""Series x instants that are evaluated at once: 4 MB a column, of which there are several."""

Apply = Callable[[Sequence[AlertChange], int], None]
"""Takes all changes of alerts of one instant (ms)."""


def replay(
    rules: RuleSet,
    source: SeriesSource,
    span: Span,
    *,
    apply: Apply,
    progress: Watch = lambda _: None,
    resolution: int = EXACT,
    lookback: int = LOOKBACK,
    external_url: str = "",
    external_labels: Mapping[str, str] | None = None,
) -> Replayed:
    """Evaluate rules over a span as the collector would have done, beginning without any alert.

    `apply` hears of changes in the order of their times, all those of one instant at once. Samples
    count at their own time; those before the span are read where look-back and ranges reach.
    `resolution` (ms) is to what multiple an evaluation may be put off: 1 is exact, and longer is
    cheaper where samples arrive at many different times. What `apply`, `progress` and the source
    raise ends the replay; a rule that fails leaves its alerts as they were.
    """
    replaying = _Replay(
        rules, source, span, resolution, lookback, external_url, dict(external_labels or {})
    )
    return replaying.run(apply, progress)


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of an alert of the rule at a position."""

    at: int
    position: int
    change: AlertChange


class _Replay:
    def __init__(
        self,
        rules: RuleSet,
        source: SeriesSource,
        span: Span,
        resolution: int,
        lookback: int,
        external_url: str,
        external_labels: Mapping[str, str],
    ) -> None:
        if resolution < 1:
            raise ValueError(f"a resolution must be at least 1 ms, not {resolution}")
        self._span = span
        self._resolution = resolution
        self._lookback = lookback
        self._url, self._labels = external_url, external_labels
        self._order = ordered(list(rules.rules()))
        self._timetable = Timetable(self._order, rules.groups, span, resolution)
        self._groups = {rule.key: group for group in rules.groups for rule in group.rules}
        recording = rules.recording()
        reach = max((reach_of(rule.query.expr, lookback) for rule in self._order.rules), default=0)
        self._samples = Samples(source, recording.keys() | ALERT_METRICS, reach)
        self._held = Held(self._samples.append)
        self._outcomes = {rule.key: RuleOutcome() for rule in self._order.rules}
        self._tracks: list[Alerting | Recording] = []
        for rule in self._order.rules:
            group, outcome = self._groups[rule.key], self._outcomes[rule.key]
            if isinstance(rule, RecordingRule):
                self._tracks.append(Recording(rule, group.limit, outcome))
            else:
                self._tracks.append(
                    Alerting(
                        rule, group, recording, self._samples, lookback, self._context, outcome
                    )
                )
        self._changes: list[_Change] = []

    def run(self, apply: Apply, progress: Watch) -> Replayed:
        replayed = Replayed(self._resolution, self._outcomes)
        rules, total = len(self._order.rules), self._span.length * len(self._order.rules)
        start, length = self._span.start, FIRST_SLAB
        while start <= self._span.end:
            end = self._slab_end(start, length)
            self._samples.begin(start, end)
            instants = self._timetable.of_slab(start, end, self._samples.arrivals)
            for count, unit in enumerate(self._timetable.units, 1):
                self._evaluate_unit(unit, instants[unit[0]])
                done = (start - self._span.start) * rules + (end - start + 1) * count
                progress(Progress(min(done, total), total, start - 1))
            self._held.flush()
            replayed.instants += len(np.unique(np.concatenate([*instants, instants[0]])))
            replayed.peak_samples = max(replayed.peak_samples, self._samples.held)
            self._deliver(apply)
            length = self._next_length(end - start + 1)
            start = end + 1
        progress(Progress(total, total, self._span.end))
        replayed.samples = self._samples.samples
        return replayed

    def _slab_end(self, start: int, length: int) -> int:
        end = (start + length) // self._resolution * self._resolution
        if end <= start:
            end += self._resolution
        return min(end, self._span.end)

    def _next_length(self, length: int) -> int:
        """How long a slab may be, after one of some length (ms)."""
        room = MOST_SAMPLES / max(self._samples.held, 1)
        return int(min(max(length * min(room, 4.0), 60_000), LONGEST_SLAB))

    def _evaluate_unit(self, unit: Sequence[int], instants: Ints) -> None:
        """Evaluate a rule, or rules that feed each other, at the instants of a slab."""
        for position in unit:
            self._outcomes[self._order.rules[position].key].evaluations += len(instants)
        if len(unit) > 1 or depends_on_steps(self._order.rules[unit[0]].query.expr):
            for step in range(len(instants)):
                now = instants[step : step + 1]
                for position in unit:
                    self._evaluate(position, now, Until(self._samples, int(now[0])))
            return
        (position,) = unit
        rule = self._order.rules[position]
        self._flush_for(position)
        series = max(
            (self._samples.series(each.matchers) for each in rule.query.selectors), default=0
        )
        most = max(1, MOST_CELLS // max(series, 1))
        for first in range(0, len(instants), most):
            self._evaluate(position, instants[first : first + most], self._samples)

    def _flush_for(self, position: int) -> None:
        """Store what the rule at this position may read."""
        self._held.flush({self._order.rules[each].key for each in self._order.feeders[position]})

    def _evaluate(self, position: int, instants: Ints, source: SeriesSource) -> None:
        """Evaluate a rule at some instants, as if each were alone."""
        self._flush_for(position)
        rule, track = self._order.rules[position], self._tracks[position]
        offset = self._groups[rule.key].query_offset
        for result, part in self._results(rule, source, instants):
            if isinstance(track, Recording):
                recorded = track.follow(result, part - offset)
                if recorded is not None:
                    self._held.take(rule.key, *recorded)
                continue
            for step, _, changes in track.follow(result, part):
                at = int(part[step])
                self._changes += [_Change(at, position, change) for change in changes]

    def _results(
        self, rule: Rule, source: SeriesSource, instants: Ints
    ) -> Iterator[tuple[Result, Ints]]:
        """A rule's results at those of some instants at which it does not fail."""
        offset, outcome = self._groups[rule.key].query_offset, self._outcomes[rule.key]
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

    def _context(self, at: int) -> TemplateContext:
        """What templates know of an evaluation about a time (ms)."""

        def query(text: str) -> list[tuple[Labels, float]]:
            source = Until(self._samples, at)
            return compile_query(text).instant(source, at, lookback=self._lookback).vector()

        return TemplateContext(query=query, external_url=self._url, external_labels=self._labels)

    def _deliver(self, apply: Apply) -> None:
        """Tell of the changes of a slab, in the order in which the collector would."""
        changes = sorted(self._changes, key=lambda each: each.at)
        self._changes = []
        for at, together in groupby(changes, key=lambda each: each.at):
            apply(self._in_order(sorted(together, key=lambda each: each.position)), at)

    def _in_order(self, changes: Sequence[_Change]) -> list[AlertChange]:
        """Group by group within a stage, see `Evaluator`."""
        found: dict[tuple[int, str], list[AlertChange]] = {}
        for each in changes:
            group = self._groups[each.change.rule.key].key
            found.setdefault((self._order.stages[each.position], group), []).append(each.change)
        return [
            change
            for _, part in sorted(found.items(), key=lambda item: item[0][0])
            for change in part
        ]
