"""Rounds: rules of many groups evaluated at one instant, and only those that arrivals concern."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from forewarn_collector.rules.alerts import AlertChange
from forewarn_collector.rules.evaluate import SinkError
from forewarn_collector.rules.load import load_rules
from forewarn_collector.rules.schedule import Scheduler
from forewarn_collector.store import Batch, Store
from support.rule_world import World, group
from support.stores import HOUR, START, Clock, contents, matching, series
from support.waiting import wait_until


def groups(**rules: str) -> str:
    """A rule file with a group for each keyword; every line is a rule."""
    parts = [group(lines, name).removeprefix("groups:\n") for name, lines in rules.items()]
    return "groups:\n" + "".join(parts)


def test_what_a_group_records_is_read_by_another_in_the_same_round(tmp_path: Path) -> None:
    world = World(
        tmp_path,
        groups(
            last="{alert: Busy, expr: 'max(twice) > 10'}",
            middle="{record: twice, expr: 'load:sum * 2'}",
            first="{record: 'load:sum', expr: 'sum(load)'}",
        ),
    )
    world.source.add('load{i="1"}', (1_000, 4))
    world.source.add('load{i="2"}', (1_000, 3))
    assert world.evaluate(2_000) == ["Busy firing: CONDITION_MET"]
    assert world.recorded() == [("load:sum{}", 2_000, 7.0), ("twice{}", 2_000, 14.0)]


def test_what_nothing_in_between_reads_is_one_write(tmp_path: Path) -> None:
    world = World(
        tmp_path,
        groups(
            g="{record: a, expr: load}\n{alert: A, expr: a > 0}\n{record: b, expr: load * 2}",
            h="{record: c, expr: load * 3}\n{record: d, expr: a + b + c}",
        ),
    )
    world.source.add("load{}", (1_000, 1))
    world.evaluate(2_000)
    batches = [world.source.arrivals.get_nowait() for _ in range(4)]
    # What arrived, a to c, d, and the two series of the alert.
    assert [len(arrival.refs) for arrival in batches] == [1, 3, 1, 2]
    assert world.recorded()[-1] == ("d{}", 2_000, 6.0)
    assert world.source.arrivals.empty()


def test_rules_that_read_each_other_read_the_round_before(tmp_path: Path) -> None:
    world = World(
        tmp_path,
        groups(
            g="{record: a, expr: 'b + load or load'}\n{record: b, expr: 'a * 10'}",
            h="{record: count, expr: 'count + 1 or load'}",
        ),
    )
    world.source.add("load{}", (1_000, 1))
    world.evaluate(2_000)
    world.evaluate(3_000)
    assert sorted(world.recorded()) == [
        ("a{}", 2_000, 1.0),
        ("a{}", 3_000, 11.0),
        ("b{}", 2_000, 10.0),
        ("b{}", 3_000, 110.0),
        ("count{}", 2_000, 1.0),
        ("count{}", 3_000, 2.0),
    ]


def test_groups_look_at_their_own_times_in_one_round(tmp_path: Path) -> None:
    text = groups(g="{record: a, expr: load}", h="{record: b, expr: load}")
    world = World(tmp_path, text.replace("- name: h", "- name: h\n    query_offset: 10s"))
    world.source.add("load{}", (1_000, 1), (20_000, 2))
    world.evaluate(25_000)
    assert sorted(world.recorded()) == [("a{}", 25_000, 2.0), ("b{}", 15_000, 1.0)]


def test_all_changes_of_a_round_go_to_the_sink_at_once(tmp_path: Path) -> None:
    world = World(tmp_path, groups(g="{alert: A, expr: load > 0}", h="{alert: B, expr: load > 0}"))
    world.source.add("load{}", (1_000, 1))
    assert world.evaluate(2_000) == ["A firing: CONDITION_MET", "B firing: CONDITION_MET"]
    assert world.sink.rounds == 1


def test_changes_that_the_sink_refuses_hold_up_their_own_group_only(tmp_path: Path) -> None:
    world = World(tmp_path, groups(g="{alert: A, expr: load > 0}", h="{alert: B, expr: load > 0}"))
    world.source.add("load{}", (1_000, 1))
    world.sink.refuses = "A"
    with pytest.raises(SinkError, match="disk full"):
        world.evaluate(2_000)
    assert world.sink.seen == ["B firing: CONDITION_MET"]
    assert [status.evaluations for status in world.scheduler.groups()] == [0, 1]
    world.sink.refuses = ""
    assert world.evaluate(3_000) == ["A firing: CONDITION_MET"]


def test_a_group_tells_of_all_its_rules_whichever_were_evaluated_last(tmp_path: Path) -> None:
    world = World(tmp_path, group("{record: a, expr: load}\n{record: b, expr: other}"))
    world.source.add("load{}", (1_000, 1))
    world.source.add("other{}", (1_000, 1))
    world.evaluate(2_000)
    (status,) = world.scheduler.groups()
    assert status.last_evaluation == 2_000
    assert [rule.elements for rule in status.rules] == [1, 1]
    assert status.evaluation_seconds == sum(rule.evaluation_seconds for rule in status.rules)


def test_two_rules_that_record_one_series_are_in_it_by_their_order(tmp_path: Path) -> None:
    world = World(tmp_path, group("{record: r, expr: load > 5}\n{record: r, expr: load}"))
    world.source.add("load{}", (1_000, 7))
    world.evaluate(1_500)
    world.source.add("load{}", (2_000, 1))
    # The first rule's series ends, but the second one still gives it.
    world.evaluate(2_500)
    (labels,) = (each for each in world.source.samples if dict(each)["__name__"] == "r")
    assert world.source.samples[labels] == {1_500: 7.0, 2_500: 1.0}


# What arrives, in a real store.


class Nothing:
    """A sink that is told of changes."""

    def apply(self, changes: Sequence[AlertChange], at: int) -> None:
        pass


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data", retention=HOUR, clock=Clock(START))
    opened.open()
    yield opened
    opened.close()


HOSTS = 500
FLEET = [
    series(f"metric_{number}", instance=f"host{host}")
    for host in range(HOSTS)
    for number in range(20)
]


def test_of_many_series_that_arrive_only_those_that_read_them_are_evaluated(
    tmp_path: Path, store: Store
) -> None:
    rules = [
        "{record: one, expr: sum(metric_1)}",
        "{record: many, expr: 'sum({instance=\"host3\"})'}",
        "{alert: High, expr: one > 1e9}",
        "{record: elsewhere, expr: 'metric_1{instance=\"elsewhere\"}'}",
        "{record: other, expr: sum(metric_20)}",
        "{alert: Absent, expr: absent(metric_21)}",
    ]
    file = tmp_path / "rules.yml"
    file.write_text(group("\n".join(rules)).replace("rules:", "interval: 1h\n    rules:"))
    scheduler = Scheduler(
        load_rules([file]),
        store,
        append=store.append,
        sink=Nothing(),
        clock=lambda: START,
        arrivals=store.arrivals(),
    )

    def evaluated() -> set[str]:
        (status,) = scheduler.groups()
        return {rule.rule.name for rule in status.rules if rule.last_evaluation is not None}

    def send(labels: Sequence[tuple[tuple[str, str], ...]], time: int) -> None:
        count = len(labels)
        rows, values = np.arange(count, dtype=np.int64), np.ones(count)
        store.append(Batch(labels, rows, np.full(count, time), values)).result(10)

    scheduler.start()
    try:
        send([labels for labels in FLEET if ("instance", "host3") not in labels], START)
        # `many` may read what `one` records, for all that its selector tells.
        wait_until("what arrived is evaluated", lambda: evaluated() >= {"one", "High"})
        assert evaluated() == {"one", "High", "many"}
        (status,) = scheduler.groups()
        assert status.rules[0].elements == 1
        assert status.lag_seconds > 0
        before = status.evaluations
        send([series("metric_21", instance="a")], START)
        wait_until("the end of an absence is evaluated", lambda: "Absent" in evaluated())
        assert evaluated() == {"one", "High", "many", "Absent"}
        # What was recorded has arrived as well, and wakes nobody.
        assert scheduler.groups()[0].evaluations == before + 1
    finally:
        scheduler.stop()
    (samples,) = contents(store, matching("one")).values()
    assert [value for _, value in samples] == [HOSTS - 1]
