"""Evaluations of groups in simulated time: order, errors, recordings, restarts, reloads."""

from __future__ import annotations

from pathlib import Path

import pytest

from forewarn_collector.rules.agenda import instant, next_tick
from forewarn_collector.rules.evaluate import SinkError
from forewarn_wire import is_stale
from support.rule_world import World, group
from support.rules import MINUTE, SECOND

DOWN = group("{alert: Down, expr: 'procs == 0', for: 30s}")


def test_a_fault_goes_through_pending_and_firing_and_ends(tmp_path: Path) -> None:
    world = World(tmp_path, DOWN)
    world.source.add('procs{instance="a"}', (1_000, 2))
    assert world.evaluate(2_000) == []
    world.source.add('procs{instance="a"}', (10_000, 0))
    assert world.evaluate(10_050) == ["Down pending: CONDITION_MET"]
    assert world.evaluate(40_050) == ["Down firing: FOR_ELAPSED"]
    (alert,) = world.scheduler.alerts()
    assert (alert.onset, alert.active_at, alert.fired_at) == (10_000, 10_050, 40_050)
    assert alert.labels == (("alertname", "Down"), ("instance", "a"))
    world.source.add('procs{instance="a"}', (50_000, 2))
    assert world.evaluate(50_050) == ["Down inactive: CONDITION_CLEARED"]


def test_a_rule_that_fails_leaves_the_others_and_its_own_alerts_alone(tmp_path: Path) -> None:
    world = World(
        tmp_path,
        group(
            """
{alert: Joined, expr: 'a > on (x) group_left () b'}
{alert: Down, expr: 'procs == 0'}
"""
        ),
    )
    world.source.add('procs{instance="h"}', (1_000, 0))
    world.source.add('a{x="1",i="1"}', (1_000, 5))
    world.source.add('b{x="1",i="1"}', (1_000, 1))
    assert world.evaluate(2_000) == ["Joined firing: CONDITION_MET", "Down firing: CONDITION_MET"]
    world.source.add('b{x="1",i="2"}', (3_000, 1))
    world.source.add('procs{instance="h"}', (3_000, 1))
    assert world.evaluate(4_000) == ["Down inactive: CONDITION_CLEARED"]
    assert "many-to-many" in world.error("Joined")
    assert world.states() == ["firing"]
    (status,) = world.scheduler.groups()
    assert [rule.health.value for rule in status.rules] == ["err", "ok"]
    assert (status.evaluations, status.failures) == (2, 1)
    assert status.last_evaluation == 4_000
    world.source.add('b{x="1",i="2"}', (5_000, float.fromhex("nan")))
    world.source.samples = {
        labels: samples
        for labels, samples in world.source.samples.items()
        if ("i", "2") not in labels
    }
    assert world.evaluate(6_000) == []
    assert world.error("Joined") == ""


def test_a_sink_that_refuses_holds_the_state_back_until_it_takes_it(tmp_path: Path) -> None:
    world = World(tmp_path, group("{alert: Down, expr: 'procs == 0'}"))
    world.source.add('procs{instance="a"}', (1_000, 0))
    world.sink.full = True
    with pytest.raises(SinkError, match="disk full"):
        world.evaluate(2_000)
    assert world.scheduler.alerts() == []
    world.sink.full = False
    assert world.evaluate(3_000) == ["Down firing: CONDITION_MET"]
    assert world.evaluate(4_000) == []


RECORD = """
{record: 'inst:load', expr: 'sum by (instance) (load)', labels: {by: us}}
{alert: Busy, expr: 'inst:load > 5'}
"""


def test_a_rule_reads_what_a_rule_before_it_recorded_in_the_same_evaluation(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, group(RECORD))
    world.source.add('load{instance="a",cpu="0"}', (1_000, 4))
    world.source.add('load{instance="a",cpu="1"}', (1_000, 3))
    assert world.evaluate(2_000) == ["Busy firing: CONDITION_MET"]
    assert world.recorded() == [('inst:load{by="us",instance="a"}', 2_000, 7.0)]
    (alert,) = world.scheduler.alerts()
    assert alert.labels == (("alertname", "Busy"), ("by", "us"), ("instance", "a"))
    # The sample behind it is the one that arrived, not the one that we made of it.
    assert alert.onset == 1_000


def test_what_a_recording_rule_no_longer_gives_ends_with_a_stale_marker(tmp_path: Path) -> None:
    world = World(tmp_path, group("{record: high, expr: 'load > 5'}"))
    world.source.add('load{instance="a"}', (1_000, 7))
    world.evaluate(1_500)
    world.source.add('load{instance="a"}', (2_000, 1))
    world.evaluate(2_500)
    (_, (series, time, value)) = world.recorded()
    assert (series, time) == ('high{instance="a"}', 2_500)
    assert is_stale(value)
    world.evaluate(3_000)
    assert len(world.recorded()) == 2


def test_an_alert_on_a_recorded_condition_ends_with_it(tmp_path: Path) -> None:
    world = World(tmp_path, group("{record: high, expr: 'load > 5'}\n{alert: High, expr: high}"))
    world.source.add('load{instance="a"}', (1_000, 7))
    assert world.evaluate(1_500) == ["High firing: CONDITION_MET"]
    world.source.add('load{instance="a"}', (2_000, 1))
    assert world.evaluate(2_500) == ["High inactive: CONDITION_CLEARED"]


def test_an_alert_on_a_recorded_condition_is_unknown_when_what_arrived_stops(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, group("{record: high, expr: 'load > 5'}\n{alert: High, expr: high}"))
    world.source.add('load{instance="a"}', (1_000, 7))
    world.evaluate(1_500)
    assert world.evaluate(10 * MINUTE) == ["High unknown: INPUT_MISSING"]


def test_recorded_series_that_would_become_one_are_an_error(tmp_path: Path) -> None:
    world = World(tmp_path, group("{record: r, expr: load, labels: {instance: all}}"))
    world.source.add('load{instance="a"}', (1_000, 7))
    world.source.add('load{instance="b"}', (1_000, 7))
    world.evaluate(1_500)
    assert "same labelset" in world.error("r")
    assert world.recorded() == []


def test_a_store_that_refuses_what_is_recorded_is_the_recording_rules_error(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, group(RECORD))
    world.source.add('load{instance="a"}', (1_000, 7))
    world.source.broken = True
    world.evaluate(1_500)
    assert "disk full" in world.error("inst:load")
    assert world.error("Busy") == ""
    world.source.broken = False
    assert world.evaluate(2_500) == ["Busy firing: CONDITION_MET"]
    assert world.error("inst:load") == ""


def test_query_offset_looks_at_the_past(tmp_path: Path) -> None:
    text = DOWN.replace("rules:", "query_offset: 10s\n    rules:").replace(", for: 30s", "")
    world = World(tmp_path, text)
    world.source.add('procs{instance="a"}', (1_000, 1), (20_000, 0))
    assert world.evaluate(29_000) == []
    assert world.evaluate(30_000) == ["Down firing: CONDITION_MET"]
    assert world.scheduler.alerts()[0].active_at == 30_000


def test_templates_may_ask_queries(tmp_path: Path) -> None:
    text = group(
        "{alert: A, expr: 'procs == 0', annotations: {a: '{{ query `up` | first | value }}"
        " {{ externalURL }}'}}"
    )
    world = World(tmp_path, text)
    world.source.add('procs{instance="a"}', (1_000, 0))
    world.source.add('up{instance="a"}', (1_000, 1))
    world.evaluate(2_000)
    assert world.scheduler.alerts()[0].annotations == (("a", "1 http://here"),)


def test_absent_fires_by_time_alone_and_ends_when_data_comes(tmp_path: Path) -> None:
    world = World(tmp_path, group("{alert: Gone, expr: 'absent(up)'}"))
    world.source.add('up{instance="a"}', (0, 1))
    assert world.evaluate(5 * MINUTE - 1) == []
    assert world.evaluate(5 * MINUTE) == ["Gone firing: CONDITION_MET"]
    world.source.add('up{instance="a"}', (6 * MINUTE, 1))
    assert world.evaluate(6 * MINUTE) == ["Gone inactive: CONDITION_CLEARED"]


def test_a_lost_agent_makes_its_alerts_unknown_and_its_return_tells(tmp_path: Path) -> None:
    world = World(tmp_path, DOWN)
    world.source.every('procs{instance="a"}', 10 * SECOND, 0, MINUTE, 0)
    world.evaluate(0)
    assert world.evaluate(MINUTE) == ["Down firing: FOR_ELAPSED"]
    assert world.evaluate(4 * MINUTE) == []
    assert world.evaluate(6 * MINUTE) == ["Down unknown: INPUT_MISSING"]
    assert world.evaluate(60 * MINUTE) == []
    world.source.add('procs{instance="a"}', (61 * MINUTE, 0))
    assert world.evaluate(61 * MINUTE) == ["Down firing: INPUT_RETURNED"]
    world.source.add('procs{instance="a"}', (62 * MINUTE, 3))
    assert world.evaluate(62 * MINUTE) == ["Down inactive: CONDITION_CLEARED"]


def test_a_rate_that_falls_because_its_input_stopped_ends_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, group("{alert: Fast, expr: 'rate(c[5m]) > 0.9'}"))
    for time in range(0, 10 * MINUTE + 1, 10 * SECOND):
        world.source.add('c{instance="a"}', (time, time / 1000))
    assert world.evaluate(10 * MINUTE) == ["Fast firing: CONDITION_MET"]
    assert world.evaluate(11 * MINUTE) == ["Fast unknown: INPUT_MISSING"]
    for time in range(20 * MINUTE, 21 * MINUTE + 1, 10 * SECOND):
        world.source.add('c{instance="a"}', (time, 600))
        world.evaluate(time)
    assert world.sink.seen[-1] == "Fast inactive: CONDITION_CLEARED"


def test_after_a_restart_for_goes_on_and_nothing_is_announced_again(tmp_path: Path) -> None:
    world = World(tmp_path, DOWN)
    world.source.add('procs{instance="a"}', (0, 0))
    world.source.add('procs{instance="b"}', (0, 0))
    world.evaluate(0)
    world.evaluate(30 * SECOND)
    world.source.add('procs{instance="c"}', (35 * SECOND, 0))
    assert world.evaluate(35 * SECOND) == ["Down pending: CONDITION_MET"]
    world.restart(DOWN)
    assert world.states() == ["firing", "firing", "pending"]
    assert world.evaluate(64 * SECOND) == []
    assert world.evaluate(65 * SECOND) == ["Down firing: FOR_ELAPSED"]


def test_after_a_long_outage_nothing_ends_before_data_says_so(tmp_path: Path) -> None:
    world = World(tmp_path, DOWN)
    world.source.every('procs{instance="a"}', 10 * SECOND, 0, MINUTE, 0)
    world.evaluate(0)
    world.evaluate(MINUTE)
    world.restart(DOWN)
    assert world.evaluate(120 * MINUTE) == ["Down unknown: INPUT_MISSING"]
    world.restart(DOWN)
    assert world.states() == ["unknown"]
    world.source.add('procs{instance="a"}', (121 * MINUTE, 1))
    assert world.evaluate(121 * MINUTE) == ["Down inactive: CONDITION_CLEARED"]


def test_alerts_of_a_rule_that_left_while_the_collector_was_down_end(tmp_path: Path) -> None:
    world = World(tmp_path, DOWN)
    world.source.add('procs{instance="a"}', (0, 0))
    world.evaluate(0)
    world.restart(group("{alert: Other, expr: 'procs == 5'}"))
    world.sink.full = True
    world.evaluate(1_000)
    world.sink.full = False
    assert world.evaluate(2_000) == ["Down inactive: RULE_REMOVED"]
    assert world.evaluate(3_000) == []


def test_a_reload_keeps_the_state_of_rules_that_remain(tmp_path: Path) -> None:
    two = group("{alert: Down, expr: 'procs == 0', for: 30s}\n{alert: Low, expr: 'procs < 3'}")
    world = World(tmp_path, two)
    world.source.add('procs{instance="a"}', (0, 0))
    world.evaluate(0)
    world.evaluate(30 * SECOND)
    world.now = 31 * SECOND
    world.scheduler.reload(world.rules(DOWN.replace("procs == 0", "procs < 1")))
    assert world.sink.seen[-1] == "Low inactive: RULE_REMOVED"
    assert world.states() == ["firing"]
    assert world.scheduler.groups()[0].evaluations == 2
    assert world.evaluate(40 * SECOND) == []


def test_a_rule_that_is_back_before_the_end_of_its_alerts_was_kept_goes_on(tmp_path: Path) -> None:
    low = group("{alert: Low, expr: 'procs < 3'}")
    world = World(tmp_path, low)
    world.source.add('procs{instance="a"}', (0, 0))
    world.evaluate(0)
    world.sink.full = True
    world.scheduler.reload(world.rules(DOWN))
    world.scheduler.reload(world.rules(low))
    world.sink.full = False
    assert world.evaluate(1_000) == []
    assert world.states() == ["firing"]


def test_annotations_follow_the_value_the_rule_and_their_queries(tmp_path: Path) -> None:
    one = group("{alert: A, expr: 'procs < 5', annotations: {a: 'one {{ $value }}'}}")
    world = World(tmp_path, one)
    world.source.add('procs{instance="a"}', (0, 1))
    texts = []

    def look(at: int) -> None:
        world.evaluate(at)
        texts.append(world.scheduler.alerts()[0].annotations[0][1])

    look(0)
    look(1_000)
    world.source.add('procs{instance="a"}', (2_000, 2))
    look(2_000)
    world.scheduler.reload(world.rules(one.replace("one", "two")))
    look(3_000)
    asking = "{{ query `up` | first | value }}"
    world.scheduler.reload(world.rules(one.replace("{{ $value }}", asking)))
    world.source.add('up{instance="a"}', (4_000, 1))
    look(4_000)
    world.source.add('up{instance="a"}', (5_000, 0))
    look(5_000)
    assert texts == ["one 1", "one 1", "one 2", "two 2", "one 1", "one 0"]


def test_a_reload_ends_the_series_of_recording_rules_that_left(tmp_path: Path) -> None:
    world = World(tmp_path, group("{record: one, expr: load}\n{record: two, expr: load}"))
    world.source.add('load{instance="a"}', (0, 7))
    world.evaluate(0)
    world.now = 1_000
    world.scheduler.reload(world.rules(group("{record: two, expr: load}")))
    (series, time, value) = world.recorded()[-1]
    assert (series, time) == ('one{instance="a"}', 1_000)
    assert is_stale(value)
    assert len(world.recorded()) == 3


def test_ticks_are_spread_but_regular(tmp_path: Path) -> None:
    world = World(tmp_path, DOWN)
    chosen = world.scheduler.groups()[0].group
    first = next_tick(chosen, 0)
    assert 0 < first <= 15_000
    assert next_tick(chosen, first) == first + 15_000
    assert next_tick(chosen, first + 14_999) == first + 15_000


def test_the_instant_is_the_clocks_or_that_of_a_sample_just_ahead() -> None:
    assert instant(10_000, 9_000, None) == 10_000
    assert instant(10_000, 12_000, None) == 12_000
    assert instant(10_000, 15_000, None) == 10_000  # five seconds ahead is not skew
    assert instant(10_000, 0, 12_000) == 12_001  # never back, nor the same again ...
    assert instant(10_000, 0, 3_600_000) == 10_000  # ... unless the clock itself was set back


def test_a_rule_is_evaluated_from_the_moment_on_that_its_series_are_there(tmp_path: Path) -> None:
    world = World(tmp_path, group("{alert: A, expr: up == 0}\n{record: r, expr: up + 1}"))
    assert world.evaluate(MINUTE) == []
    alert, record = next(iter(world.scheduler.groups())).rules
    assert (alert.health, alert.last_evaluation, alert.elements) == ("ok", MINUTE, 0)
    assert (record.health, world.recorded()) == ("ok", [])
    world.source.add('up{instance="a"}', (2 * MINUTE, 0.0))
    assert world.evaluate(2 * MINUTE) == ["A firing: CONDITION_MET"]
    assert [value for _, _, value in world.recorded()] == [1.0]
