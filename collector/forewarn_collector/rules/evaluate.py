"""One round: many rules evaluated at one instant, each after those whose series it reads."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import chain, groupby
from typing import Protocol

import numpy as np

from forewarn_collector.promql import Round, share
from forewarn_collector.rules.agenda import Due
from forewarn_collector.rules.alert_series import ALERT_METRICS, AlertSeries
from forewarn_collector.rules.alerts import AlertChange
from forewarn_collector.rules.model import AlertingRule, RuleSet
from forewarn_collector.rules.order import Order, ordered
from forewarn_collector.rules.record import Recorder
from forewarn_collector.rules.runner import Outcome, RuleRunner, Surroundings
from forewarn_collector.rules.standing import AlertsByLabels, Begin
from forewarn_collector.rules.status import GroupStatus
from forewarn_collector.store import Floats, Ints
from forewarn_wire import Labels

log = logging.getLogger(__name__)


class ChangeSink(Protocol):
    """Who hears of changes: the task keeper."""

    def apply(self, changes: Sequence[AlertChange], at: int) -> None:
        """Make the changes of one evaluation durable, all or (raising) none."""


class SinkError(Exception):
    """Changes of alerts could not be kept: their evaluation counts as not done; try it again."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a round came to: the seconds that each rule took, in the order in which they were due.

    `refused` are the positions of rules whose changes the sink did not keep, and `reason` is why:
    they count as not evaluated, no alert of them has changed, and they should be tried again.
    `roused` are those of rules that read alerts which changed, and were not due in this round.
    """

    seconds: Floats
    refused: Ints
    roused: Ints
    reason: str = ""


class Evaluator:
    """All rules that are in force, with their state. Not for two threads at once, but for `groups`.

    Rules are known by their positions in `order`.
    """

    def __init__(
        self,
        rules: RuleSet,
        surroundings: Surroundings,
        sink: ChangeSink,
        alerts: Mapping[str, AlertsByLabels],
    ) -> None:
        """`alerts` are those known from before, by their rule's key."""
        self.order: Order = ordered(list(rules.rules()))
        self.recorder = Recorder(surroundings.append)
        self.alert_series = AlertSeries(surroundings.append, alerts)
        self._with = surroundings
        self._sink = sink
        recording = rules.recording()
        groups = {rule.key: group for group in rules.groups for rule in group.rules}
        queries = share([rule.query for rule in self.order.rules])
        self.runners = [
            RuleRunner(
                rule,
                groups[rule.key],
                query,
                recording,
                surroundings,
                alerts.get(rule.key, {}),
            )
            for rule, query in zip(self.order.rules, queries, strict=True)
        ]
        by_key = {runner.rule.key: runner for runner in self.runners}
        self._places = {key: position for position, key in enumerate(by_key)}
        self._feeders = [
            frozenset(self.order.rules[feeder].key for feeder in feeders)
            for feeders in self.order.feeders
        ]
        self._members = {
            group.key: [by_key[rule.key] for rule in group.rules] for group in rules.groups
        }
        self._groups = {
            group.key: GroupStatus(group, tuple(each.status for each in self._members[group.key]))
            for group in rules.groups
        }

    def carry_over(self, old: Evaluator) -> None:
        """Go on from before the rule files were read anew; alerts were given to the constructor."""
        known = {runner.rule.key: runner.status for runner in old.runners}
        for runner in self.runners:
            if runner.rule.key in known:
                runner.carry_over(known[runner.rule.key])
        self.recorder = old.recorder
        self.alert_series = old.alert_series
        for key, members in self._members.items():
            status = old._groups.get(key, self._groups[key])
            rules = tuple(each.status for each in members)
            self._groups[key] = replace(status, group=self._groups[key].group, rules=rules)

    def groups(self) -> list[GroupStatus]:
        """How every group fares, in the order of the files. From any thread."""
        return list(self._groups.values())

    def alerting(self) -> dict[str, tuple[AlertingRule, AlertsByLabels]]:
        """The alerting rules by key, with their alerts that are not inactive."""
        return {
            runner.rule.key: (runner.rule, runner.alerts)
            for runner in self.runners
            if isinstance(runner.rule, AlertingRule)
        }

    def alerts_of(self, key: str) -> AlertsByLabels:
        """The alerts that stand of the rule with a key, if it is in force, by their labels."""
        place = self._places.get(key)
        return {} if place is None else self.runners[place].alerts

    def begun_earlier(self, begins: Mapping[str, Mapping[Labels, Begin]]) -> Ints:
        """Learn when alerts began, by the keys of rules; the positions of these rules."""
        for key, each in begins.items():
            self.runners[self._places[key]].begun_earlier(each)
        return _positions({self._places[key] for key in begins})

    def positions(self, groups: Iterable[str]) -> Ints:
        """The positions of the rules of some groups, ascending."""
        wanted = set(groups)
        return np.array(
            [place for place, each in enumerate(self.runners) if each.group.key in wanted],
            dtype=np.int64,
        )

    def evaluate(self, due: Due, at: int) -> Report:
        """Evaluate the rules that are due at `at` (ms).

        A rule that fails leaves its alerts as they were, and the other rules alone.
        """
        round_ = Round(self._with.source, at, self._with.lookback, self._with.live)
        turns = set(due.positions[due.turns].tolist())
        outcomes: dict[int, Outcome] = {}
        refused: set[int] = set()
        reason = ""
        for _, stage in groupby(due.positions.tolist(), key=self.order.stages.__getitem__):
            found: dict[int, Outcome] = {}
            for position in stage:
                if self.recorder.holds_any(self._feeders[position]):
                    self._flush(round_, found)
                found[position] = self.runners[position].evaluate(round_, self.recorder)
            self._flush(round_, found)
            kept_back, why = self._deliver(found, at)
            refused, reason = refused | kept_back, why or reason
            self._show(round_, found, turns, kept_back)
            for position, outcome in found.items():
                if position not in kept_back:
                    self.runners[position].accept(outcome)
            outcomes |= found
        seconds = np.array([outcome.seconds for outcome in outcomes.values()], dtype=np.float64)
        self._publish(due, outcomes, refused)
        roused = self._roused(outcomes, refused)
        return Report(seconds, _positions(refused), _positions(roused), reason)

    def _flush(self, round_: Round, outcomes: Mapping[int, Outcome]) -> None:
        """Store what is held; the time that it takes is its rules', as in Prometheus."""
        held = [self._places[key] for key in self.recorder.held()]
        if not held:
            return
        began = time.perf_counter()
        try:
            self.recorder.flush()
        except Exception as error:
            log.exception("what %d rules record is not stored", len(held))
            for position in held:
                outcomes[position].error = f"not stored: {error}"
        round_.forget(frozenset(self.runners[position].rule.name for position in held))
        for position in held:
            outcomes[position].seconds += (time.perf_counter() - began) / len(held)

    def _show(
        self,
        round_: Round,
        outcomes: Mapping[int, Outcome],
        turns: AbstractSet[int],
        refused: AbstractSet[int],
    ) -> None:
        """Store the series of alerts: of those that changed, and of all whose turn it is.

        Those of a rule that fails, or whose changes are refused, stand as they were. In Prometheus
        the series of a rule that fails stop, but then its alerts end everywhere else, too.
        """
        showing = [
            position
            for position, outcome in outcomes.items()
            if (outcome.changes or position in turns)
            and isinstance(self.runners[position].rule, AlertingRule)
        ]
        began = time.perf_counter()
        for position in showing:
            runner, outcome = self.runners[position], outcomes[position]
            self.alert_series.take(
                runner.rule.key,
                () if position in refused else outcome.changes,
                outcome.at - runner.group.query_offset,
                whole=position in turns,
            )
        if self.alert_series.flush():
            round_.forget(ALERT_METRICS)
        for position in showing:
            outcomes[position].seconds += (time.perf_counter() - began) / len(showing)

    def _roused(
        self, outcomes: Mapping[int, Outcome], refused: AbstractSet[int]
    ) -> AbstractSet[int]:
        watchers = [
            self.order.watchers[position]
            for position, outcome in outcomes.items()
            if outcome.changes and position not in refused
        ]
        return frozenset[int]().union(*watchers) - outcomes.keys()

    def _deliver(self, outcomes: Mapping[int, Outcome], at: int) -> tuple[set[int], str]:
        """Have the sink keep all changes; the positions of those that it refused, and why.

        What is refused together is tried group by group, so that one group can't hold up others.
        """
        changed: dict[str, list[int]] = {}
        for position, outcome in outcomes.items():
            if outcome.changes:
                changed.setdefault(self.runners[position].group.key, []).append(position)
        reason = self._apply(list(chain.from_iterable(changed.values())), outcomes, at)
        if not reason:
            return set(), ""
        refused: set[int] = set()
        for positions in changed.values():
            again = self._apply(positions, outcomes, at) if len(changed) > 1 else reason
            if again:
                refused.update(positions)
                reason = again
        return refused, reason if refused else ""

    def _apply(self, positions: Iterable[int], outcomes: Mapping[int, Outcome], at: int) -> str:
        changes = [change for each in positions for change in outcomes[each].changes]
        if not changes:
            return ""
        try:
            self._sink.apply(changes, at)
        except Exception as error:
            log.exception("%d changes of alerts are not kept", len(changes))
            return str(error) or type(error).__name__
        return ""

    def _publish(
        self, due: Due, outcomes: Mapping[int, Outcome], refused: AbstractSet[int]
    ) -> None:
        moment = time.monotonic()
        lags: dict[str, float] = {}
        failures: Counter[str] = Counter()
        for position, since in zip(due.positions.tolist(), due.since.tolist(), strict=True):
            if position not in refused:
                key = self.runners[position].group.key
                lags[key] = max(lags.get(key, 0.0), moment - since)
                failures[key] += outcomes[position].error != ""
        for key, lag in lags.items():
            status = self._groups[key]
            self._groups[key] = replace(
                status,
                rules=tuple(each.status for each in self._members[key]),
                evaluations=status.evaluations + 1,
                failures=status.failures + failures[key],
                lag_seconds=lag,
            )


def _positions(found: AbstractSet[int]) -> Ints:
    return np.array(sorted(found), dtype=np.int64)
