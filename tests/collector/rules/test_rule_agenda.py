"""When rules are due: by their interval, by arrivals, and how seldom if they are dear."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forewarn_collector.promql import compile_query
from forewarn_collector.rules.agenda import BURST, REST, SHARE, Agenda, next_tick
from forewarn_collector.rules.model import RecordingRule, RuleGroup
from forewarn_collector.rules.order import ordered

INTERVAL = 60_000


def group(name: str, **rules: str) -> RuleGroup:
    made = tuple(
        RecordingRule(f"{name}/{record}", record, name, "f", 1, expr, compile_query(expr))
        for record, expr in rules.items()
    )
    return RuleGroup(name, "f", INTERVAL, 0, 0, made)


class Days:
    """An agenda on a clock and a monotonic clock that go together."""

    def __init__(self, *groups: RuleGroup) -> None:
        self.groups = groups
        self.order = ordered([rule for each in groups for rule in each.rules])
        self.agenda = Agenda(self.order, groups, 0)

    def positions(self, names: str) -> list[int]:
        return [place for place, rule in enumerate(self.order.rules) if rule.name in names.split()]

    def mark(self, names: str, moment: float) -> None:
        self.agenda.mark(np.array(self.positions(names), dtype=np.int64), moment)

    def due(self, moment: float) -> dict[str, float]:
        """The rules due at a moment, and for how long they have been."""
        found = self.agenda.due(int(moment * 1000), moment)
        names = [self.order.rules[position].name for position in found.positions.tolist()]
        return dict(zip(names, np.round(moment - found.since, 6).tolist(), strict=True))

    def done(self, names: str, seconds: float, moment: float, busy: float = 0.0) -> None:
        places = np.array(self.positions(names), dtype=np.int64)
        self.agenda.done(places, np.full(len(places), seconds), busy, moment)

    def tick(self, name: str, after: float) -> float:
        """The next tick of a group, in seconds."""
        chosen = next(each for each in self.groups if each.name == name)
        return next_tick(chosen, int(after * 1000)) / 1000

    def patience(self, moment: float) -> float:
        return self.agenda.patience(int(moment * 1000), moment)


def test_a_group_is_due_at_its_interval_and_a_marked_rule_at_once() -> None:
    days = Days(group("g", a="x", b="y"), group("h", c="x"))
    first = min(days.tick("g", 0), days.tick("h", 0))
    assert days.due(0.0) == {}
    assert days.patience(0.0) == pytest.approx(first, abs=1e-6)
    days.mark("a c", 0.5)
    assert days.patience(0.5) == 0
    assert days.due(0.75) == {"a": 0.25, "c": 0.25}
    assert days.due(0.75) == {}
    at = days.tick("g", 0)
    assert {"a", "b"} <= days.due(at + 0.5).keys()
    assert days.tick("g", at + 0.5) == at + 60


def test_how_late_a_tick_is_counts_from_when_it_should_have_been() -> None:
    days = Days(group("g", a="x"))
    at = days.tick("g", 0)
    assert days.due(at + 2) == {"a": 2.0}
    assert days.due(at + 600) == {"a": 60.0}


def test_it_tells_a_turn_from_an_arrival() -> None:
    days = Days(group("g", a="x", b="y"), group("h", c="z"))
    at = days.tick("g", 0)
    days.agenda.due(int(at * 1000) - 1, at - 0.001)
    days.mark("c", at - 0.001)
    due = days.agenda.due(int(at * 1000), at)
    turns = {days.order.rules[position].name for position in due.positions[due.turns]}
    assert (len(due.positions), turns) == (3, {"a", "b"})


def test_after_the_clock_was_set_back_a_group_is_due_at_once() -> None:
    days = Days(group("g", a="x"))
    agenda = Agenda(days.order, days.groups, 1_000_000_000)
    assert len(agenda.due(999_999_999, 0.0).positions) == 0
    assert agenda.due(5_000, 0.0).positions.tolist() == [0]
    assert len(agenda.due(5_001, 0.0).positions) == 0


def test_the_first_mark_counts_for_the_lag() -> None:
    days = Days(group("g", a="x"))
    days.mark("a", 0.1)
    days.mark("a", 0.3)
    assert days.due(0.4) == {"a": 0.3}


def test_a_dear_rule_rests_after_an_evaluation_while_others_go_on() -> None:
    days = Days(group("g", dear="x", cheap="y"))
    days.mark("dear cheap", 0.0)
    assert len(days.due(0.0)) == 2
    days.done("dear", 0.5, 0.5)
    days.mark("dear cheap", 0.6)
    assert days.due(0.6) == {"cheap": 0.0}
    over = 0.5 + REST * 0.5
    assert days.patience(0.6) == pytest.approx(over - 0.6)
    assert days.due(over - 0.01) == {}
    assert days.due(over) == {"dear": pytest.approx(over - 0.6)}


def test_a_dear_rule_is_evaluated_at_its_interval_even_while_it_rests() -> None:
    days = Days(group("g", dear="x"))
    at = days.tick("g", 0)
    days.done("dear", 1_000, at - 1)
    assert days.due(at) == {"dear": 0.0}


def test_evaluations_on_arrival_keep_to_their_share_of_a_core() -> None:
    days = Days(*(group(f"g{number}", **{f"r{number}": "x"}) for number in range(20)))
    every = " ".join(f"r{number}" for number in range(20))
    moment, busy = 0.0, 0.0
    while moment < 50:
        moment += max(days.patience(moment), 0)
        if "r0" in days.due(moment):
            busy += 0.2
            days.done(every, 0.01, moment + 0.2, busy=0.2)
            moment += 0.2
        days.mark(every, moment)
    assert busy <= SHARE * moment + BURST + 0.2
    # No less than that either, but for the ticks of groups alone.
    assert busy > 0.8 * SHARE * moment


def test_what_a_due_rule_feeds_is_due_with_it() -> None:
    days = Days(group("g", one="x"), group("h", two="one"), group("i", three="two", other="y"))
    at = days.tick("g", 0)
    while at in {days.tick("h", at - 1), days.tick("i", at - 1)}:
        at += 60
    days.due(at - 0.001)
    assert {"one", "two", "three"} <= days.due(at).keys()


def test_what_rests_is_due_after_what_feeds_it() -> None:
    days = Days(group("g", one="x"), group("h", two="one"))
    days.done("two", 1.0, 0.0)
    days.mark("one", 0.0)
    assert days.due(0.0).keys() == {"one"}
    assert days.due(REST * 1.0 - 0.1) == {}
    assert days.due(REST * 1.0) == {"two": REST * 1.0}


def test_a_mark_in_the_future_waits_for_its_time() -> None:
    days = Days(group("g", a="x"))
    days.mark("a", 1.0)
    days.mark("a", 0.5)
    assert days.due(0.9) == {}
    assert days.due(1.0) == {"a": 0.0}


def test_without_rules_nothing_is_ever_due() -> None:
    days = Days()
    assert math.isinf(days.patience(0.0))
    assert days.due(0.0) == {}
