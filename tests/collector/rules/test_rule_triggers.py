"""Which rules an arrival wakes, and that what our rules record wakes none for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from forewarn_collector.promql import compile_query
from forewarn_collector.rules.model import AlertingRule, RecordingRule
from forewarn_collector.rules.order import ordered
from forewarn_collector.rules.triggers import Readers
from forewarn_collector.store import Ints
from forewarn_wire import Labels
from support.memory_source import labels_of


@dataclass
class Names:
    """Series by the order in which they were made; counts how often it is asked for each."""

    series: list[Labels] = field(default_factory=list)
    asked: int = 0

    def refs(self, *texts: str) -> Ints:
        first = len(self.series)
        self.series += map(labels_of, texts)
        return np.arange(first, len(self.series))

    def labels_of(self, refs: Ints) -> Sequence[Labels]:
        self.asked += len(refs)
        return [self.series[ref] for ref in refs.tolist()]


def rule(record: str, expr: str) -> RecordingRule:
    return RecordingRule(f"g/{record}", record, "g", "f", 1, expr, compile_query(expr))


class Woken:
    """The rules, each given as what it records and its expression, that arrivals wake."""

    def __init__(self, **rules: str) -> None:
        self.order = ordered([rule(*each) for each in rules.items()])
        self.names = Names()
        self.readers = Readers(self.order, self.names)

    def by(self, *series: str) -> set[str]:
        found = self.readers.of(self.names.refs(*series))
        return {self.order.rules[position].name for position in found.tolist()}


def test_a_rule_is_woken_by_the_series_that_its_selectors_find() -> None:
    woken = Woken(
        idle='cpu{mode="idle"}',
        busy='cpu{mode!="idle"}',
        any="sum(cpu)",
        disks='avg_over_time(disk{device=~"sd."}[5m])',
        gone="absent(up)",
    )
    assert woken.by('cpu{mode="idle"}') == {"idle", "any"}
    assert woken.by('cpu{mode="user"}') == {"busy", "any"}
    assert woken.by('disk{device="sda"}') == {"disks"}
    assert woken.by('disk{device="nvme0"}') == set()
    assert woken.by('disk{device="sda"}', 'up{job="x"}', 'cpu{mode="idle"}') == {
        "disks",
        "gone",
        "idle",
        "any",
    }
    assert woken.by("other{}") == set()
    assert woken.by() == set()


def test_selectors_that_do_not_name_their_metric_are_asked_too() -> None:
    woken = Woken(job='count({job="db"})', named='count({__name__=~"pg_.+"})')
    assert woken.by('x{job="db"}') == {"job"}
    # What `named` records might be of that job.
    assert woken.by("pg_up{}") == {"job", "named"}
    assert woken.by('x{job="web"}') == set()


def test_with_a_rule_those_are_woken_that_read_what_it_records() -> None:
    woken = Woken(three="two > 1", two="one > 1", one="x > 1", other="y")
    assert woken.by("x{}") == {"one", "two", "three"}
    assert woken.by("y{}") == {"other"}


def test_what_our_rules_record_wakes_nobody() -> None:
    # Its readers are in the same round as the rule itself.
    woken = Woken(one="x", two="one + y", total='total + x or count({job="a"})')
    assert woken.by("one{}", "total{}", 'total{job="a"}') == set()
    assert woken.by('z{job="a"}') == {"total"}


def test_a_series_is_looked_at_once() -> None:
    woken = Woken(one='x{job="a"}')
    refs = woken.names.refs('x{job="a"}', 'x{job="b"}')
    assert woken.readers.of(refs).tolist() == [0]
    assert woken.readers.of(refs[::-1]).tolist() == [0]
    assert woken.readers.of(refs[1:]).tolist() == []
    assert woken.names.asked == 2
    more = woken.names.refs(*(f'x{{job="a",i="{number}"}}' for number in range(5_000)))
    assert woken.readers.of(more).tolist() == [0]
    assert woken.names.asked == 5_002


def test_the_series_of_our_own_alerts_wake_nobody_and_those_of_others_do() -> None:
    watch, down = rule("watch", "count(ALERTS)"), compile_query("up == 0")
    alert = AlertingRule("g/Down", "Down", "g", "f", 1, "up == 0", down)
    order = ordered([watch, alert])
    names = Names()
    readers = Readers(order, names)
    for metric in ("ALERTS", "ALERTS_FOR_STATE"):
        own = names.refs(f'{metric}{{alertname="Down",alertstate="firing"}}')
        assert readers.of(own).tolist() == []
    (woken,) = readers.of(names.refs('ALERTS{alertname="Far",alertstate="firing"}')).tolist()
    assert order.rules[woken].name == "watch"
