"""`ALERTS` and `ALERTS_FOR_STATE` of a collector: when they are written, and who reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from forewarn_collector.promql import LOOKBACK
from forewarn_collector.rules.agenda import Due
from forewarn_collector.rules.evaluate import Evaluator, Report, SinkError
from forewarn_collector.rules.runner import Surroundings
from forewarn_wire import STALE_NAN, is_stale
from support.rule_world import World, group
from support.rules import MINUTE, SECOND
from support.waiting import wait_until

ENDED = "ended"
DOWN = group("{alert: Down, expr: 'procs == 0', for: 30s, labels: {severity: high}}")


def written(world: World, since: int = 0) -> list[tuple[str, int, float | str]]:
    """The samples of these series in the order of their series, from a time (ms) on."""
    found = {
        (series, time, ENDED if is_stale(value) else value)
        for series, time, value in world.source.appended
        if series.startswith("ALERTS") and time >= since
    }
    return sorted(found, key=lambda sample: (sample[0].replace("{", " "), sample[1]))


def alerts(instance: str, state: str) -> str:
    return f'ALERTS{{alertname="Down",alertstate="{state}",instance="{instance}",severity="high"}}'


def for_state(instance: str) -> str:
    return f'ALERTS_FOR_STATE{{alertname="Down",instance="{instance}",severity="high"}}'


class Rounds:
    """Rounds of which a test says whether the interval of the groups is over."""

    def __init__(self, folder: Path, text: str) -> None:
        self.world = World(folder, text)
        source = self.world.source
        self.evaluator = Evaluator(
            self.world.rules(text),
            Surroundings(source, source.append, LOOKBACK),
            self.world.sink,
            {},
        )

    def evaluate(self, at: int, *names: str, turn: bool = False) -> Report:
        """Evaluate the rules of these names, all if none is named."""
        rules = self.evaluator.order.rules
        wanted = [place for place, rule in enumerate(rules) if rule.name in names or not names]
        positions = np.array(wanted, dtype=np.int64)
        count = len(positions)
        return self.evaluator.evaluate(Due(positions, np.zeros(count), np.full(count, turn)), at)

    def names(self, positions: Sequence[int]) -> list[str]:
        return [self.evaluator.order.rules[position].name for position in positions]


def test_each_state_is_a_series_that_ends_when_the_next_begins(tmp_path: Path) -> None:
    world = World(tmp_path, DOWN)
    world.source.add('procs{instance="a"}', (10_000, 0))
    world.evaluate(10_000)
    world.evaluate(40_000)
    world.source.add('procs{instance="a"}', (50_000, 1))
    world.evaluate(50_000)
    world.evaluate(60_000)
    # Since when it is active is in seconds: 10.
    assert written(world) == [
        (alerts("a", "firing"), 40_000, 1.0),
        (alerts("a", "firing"), 50_000, ENDED),
        (alerts("a", "pending"), 10_000, 1.0),
        (alerts("a", "pending"), 40_000, ENDED),
        (for_state("a"), 10_000, 10.0),
        (for_state("a"), 40_000, 10.0),
        (for_state("a"), 50_000, ENDED),
    ]


def test_between_turns_only_what_changes_is_written(tmp_path: Path) -> None:
    rounds = Rounds(tmp_path, DOWN)
    world = rounds.world
    world.source.every('procs{instance="a"}', 10_000, 10_000, 90_000, 0)
    rounds.evaluate(10_000)
    rounds.evaluate(20_000)
    world.source.every('procs{instance="b"}', 10_000, 30_000, 90_000, 0)
    rounds.evaluate(30_000)
    assert {time for _, time, _ in written(world)} == {10_000, 30_000}
    assert written(world, 30_000) == [
        (alerts("b", "pending"), 30_000, 1.0),
        (for_state("b"), 30_000, 30.0),
    ]
    rounds.evaluate(35_000, turn=True)
    assert written(world, 35_000) == [
        (alerts("a", "pending"), 35_000, 1.0),
        (alerts("b", "pending"), 35_000, 1.0),
        (for_state("a"), 35_000, 10.0),
        (for_state("b"), 35_000, 30.0),
    ]


def test_samples_are_at_the_time_that_the_group_looks_at(tmp_path: Path) -> None:
    text = DOWN.replace("- name: g", "- name: g\n    query_offset: 10s")
    world = World(tmp_path, text)
    world.source.add('procs{instance="a"}', (10_000, 0))
    world.evaluate(20_000)
    # As in Prometheus the alert is active since its evaluation, whatever time that looks at.
    assert written(world) == [
        (alerts("a", "pending"), 10_000, 1.0),
        (for_state("a"), 10_000, 20.0),
    ]


def test_an_alert_that_is_unknown_says_so_and_stays_active(tmp_path: Path) -> None:
    world = World(tmp_path, DOWN.replace("for: 30s, ", ""))
    world.source.add('procs{instance="a"}', (10_000, 0))
    world.evaluate(10_000)
    lost = 10_000 + LOOKBACK
    assert world.evaluate(lost) == ["Down unknown: INPUT_MISSING"]
    assert written(world, lost) == [
        (alerts("a", "firing"), lost, ENDED),
        (alerts("a", "unknown"), lost, 1.0),
        (for_state("a"), lost, 10.0),
    ]
    world.source.add('procs{instance="a"}', (lost + SECOND, 1))
    world.evaluate(lost + SECOND)
    assert written(world, lost + SECOND) == [
        (alerts("a", "unknown"), lost + SECOND, ENDED),
        (for_state("a"), lost + SECOND, ENDED),
    ]


def test_the_alerts_of_a_rule_that_fails_stand_as_they_were(tmp_path: Path) -> None:
    world = World(tmp_path, group("{alert: Down, expr: 'procs == 0 and on (x) (a + on (x) b)'}"))
    for series in ("procs{}", 'a{i="1"}', 'b{i="1"}'):
        world.source.add(series, (1_000, 0), (3_000, 0))
    world.evaluate(1_000)
    world.source.add('b{i="2"}', (2_000, 0))
    world.evaluate(2_000)
    assert "many-to-many" in world.error("Down") or "duplicate" in world.error("Down")
    assert [(time, value) for _, time, value in written(world)] == [(1_000, 1.0), (2_000, 1.0)] * 2


def test_changes_that_the_sink_refuses_are_not_shown_but_what_stands_is(tmp_path: Path) -> None:
    world = World(tmp_path, DOWN.replace("for: 30s, ", ""))
    world.source.every('procs{instance="a"}', 10_000, 10_000, 90_000, 0)
    world.evaluate(10_000)
    world.source.every('procs{instance="b"}', 10_000, 20_000, 90_000, 0)
    world.sink.full = True
    with pytest.raises(SinkError, match="disk full"):
        world.evaluate(20_000)
    assert written(world, 20_000) == [
        (alerts("a", "firing"), 20_000, 1.0),
        (for_state("a"), 20_000, 10.0),
    ]


def test_a_store_that_refuses_these_series_holds_up_no_alert(tmp_path: Path) -> None:
    world = World(tmp_path, DOWN.replace("for: 30s, ", ""))
    world.source.add('procs{instance="a"}', (10_000, 0))
    world.source.add('procs{instance="b"}', (10_000, 0), (30_000, 1))
    world.evaluate(10_000)
    world.source.broken = True
    world.source.add('procs{instance="c"}', (20_000, 0))
    assert world.evaluate(20_000) == ["Down firing: CONDITION_MET"]
    assert world.evaluate(30_000) == ["Down inactive: CONDITION_CLEARED"]
    assert world.error("Down") == ""
    assert world.scheduler.alert_series_failures == 2
    world.source.broken = False
    world.evaluate(40_000)
    # What should have begun and ended meanwhile does so now.
    assert written(world, 20_000) == [
        (alerts("a", "firing"), 40_000, 1.0),
        (alerts("b", "firing"), 40_000, ENDED),
        (alerts("c", "firing"), 40_000, 1.0),
        (for_state("a"), 40_000, 10.0),
        (for_state("b"), 40_000, ENDED),
        (for_state("c"), 40_000, 20.0),
    ]


def test_a_restart_goes_on_with_the_series_and_ends_those_of_alerts_that_are_over(
    tmp_path: Path,
) -> None:
    text = DOWN.replace("for: 30s, ", "")
    world = World(tmp_path, text)
    for instance in ("a", "b"):
        world.source.add(f'procs{{instance="{instance}"}}', (10_000, 0))
    world.evaluate(10_000)
    world.source.add('procs{instance="b"}', (20_000, 1))
    world.restart(text)
    world.evaluate(20_000)
    assert written(world, 20_000) == [
        (alerts("a", "firing"), 20_000, 1.0),
        (alerts("b", "firing"), 20_000, ENDED),
        (for_state("a"), 20_000, 10.0),
        (for_state("b"), 20_000, ENDED),
    ]


@pytest.mark.parametrize("restarted", [False, True])
def test_the_series_of_a_rule_that_left_end(tmp_path: Path, restarted: bool) -> None:
    world = World(tmp_path, DOWN.replace("for: 30s, ", ""))
    world.source.add('procs{instance="a"}', (10_000, 0))
    world.evaluate(10_000)
    world.now = 20_000
    other = group("{alert: Other, expr: 'procs > 5'}")
    if restarted:
        world.restart(other)
        world.evaluate(20_000)
    else:
        world.scheduler.reload(world.rules(other))
    assert written(world, 20_000) == [
        (alerts("a", "firing"), 20_000, ENDED),
        (for_state("a"), 20_000, ENDED),
    ]


def test_a_reload_leaves_the_series_of_rules_that_stay_alone(tmp_path: Path) -> None:
    world = World(tmp_path, DOWN)
    world.source.add('procs{instance="a"}', (10_000, 0))
    world.evaluate(10_000)
    world.now = 20_000
    world.scheduler.reload(world.rules(DOWN))
    assert written(world, 20_000) == []
    world.evaluate(40_000)
    assert (alerts("a", "pending"), 40_000, ENDED) in written(world)


def test_a_series_that_two_rules_show_goes_on_until_both_have_ended(tmp_path: Path) -> None:
    text = group("{alert: Same, expr: sum(a) > 0}") + (
        "  - name: h\n    rules:\n      - {alert: Same, expr: sum(b) > 0}\n"
    )
    world = World(tmp_path, text)
    world.source.add("a{}", (1_000, 1), (2_000, 0))
    world.source.add("b{}", (1_000, 1), (3_000, 0))
    for at in (1_000, 2_000, 3_000):
        world.evaluate(at)
    shown = [(time, value) for series, time, value in written(world) if series[6] == "{"]
    assert shown == [(1_000, 1.0), (2_000, 1.0), (3_000, ENDED)]


# Rules that read them.

HIGH = "{alert: High, expr: 'load > 5'}\n"


def test_a_rule_that_reads_alerts_finds_those_of_its_own_round(tmp_path: Path) -> None:
    world = World(
        tmp_path,
        group("{alert: Alone, expr: 'up == 1 unless on () ALERTS{alertname=\"High\"}'}", "first")
        + group("{record: 'alerts:count', expr: count(ALERTS)}\n" + HIGH, "g").removeprefix(
            "groups:\n"
        ),
    )
    world.source.every("up{}", 1_000, 1_000, 9_000, 1)
    world.source.add("load{}", (1_000, 9), (3_000, 1))
    assert world.evaluate(2_000) == ["High firing: CONDITION_MET"]
    assert world.recorded() == [("alerts:count{}", 2_000, 1.0)]
    assert world.evaluate(3_000) == [
        "High inactive: CONDITION_CLEARED",
        "Alone firing: CONDITION_MET",
    ]


def test_a_change_rouses_the_rules_that_may_read_it_and_no_others(tmp_path: Path) -> None:
    rules = [
        "{alert: High, expr: load > 5, labels: {severity: high, site: '{{ $labels.site }}'}}",
        "{alert: OnHigh, expr: 'count(ALERTS{alertname=\"High\"})'}",
        "{alert: OnSite, expr: 'count(ALERTS{site=\"x\"} > 0)'}",
        "{alert: OnLow, expr: 'count(ALERTS{severity=\"low\"})'}",
        '{alert: OnOther, expr: \'count(ALERTS{alertname!="High",alertname!~"On.*"})\'}',
        "{record: since, expr: 'time() - ALERTS_FOR_STATE'}",
        "{alert: OnNeither, expr: 'count(sum_of_alerts)'}",
    ]
    rounds = Rounds(tmp_path, group("\n".join(rules)))
    rounds.world.source.add('load{site="x"}', (1_000, 9), (3_000, 1))
    roused = rounds.evaluate(1_000, "High").roused
    assert sorted(rounds.names(roused.tolist())) == ["OnHigh", "OnSite", "since"]
    assert len(rounds.evaluate(2_000, "High").roused) == 0
    # Those that are evaluated in the same round have found it already.
    roused = rounds.evaluate(3_000, "High", "OnHigh", "since").roused
    assert rounds.names(roused.tolist()) == ["OnSite"]


def test_a_rule_that_reads_its_own_alerts_rouses_nobody(tmp_path: Path) -> None:
    rules = [
        "{alert: Itself, expr: 'absent(ALERTS{alertname=\"Itself\"})'}",
        "{alert: Other, expr: 'absent(ALERTS{alertname=\"Another\"})'}",
        "{alert: Another, expr: 'absent(ALERTS{alertname=\"Other\"})'}",
    ]
    rounds = Rounds(tmp_path, group("\n".join(rules)))
    assert len(rounds.evaluate(1_000, "Itself").roused) == 0
    assert len(rounds.evaluate(2_000, "Other").roused) == 0
    assert len(rounds.evaluate(3_000, "Another").roused) == 0
    # Each finds what the round before it left: Prometheus' own would alternate as well.
    assert rounds.world.sink.seen == ["Itself firing: CONDITION_MET", "Other firing: CONDITION_MET"]
    rounds.evaluate(4_000)
    assert rounds.world.sink.seen[2:] == ["Itself inactive: CONDITION_CLEARED"]


WATCH = '{alert: Watch, expr: \'ALERTS{alertname="High",alertstate="firing"}\'}'


def test_an_alert_on_an_alert_ends_with_it(tmp_path: Path) -> None:
    world = World(tmp_path, group(HIGH + WATCH))
    world.source.add('load{instance="a"}', (1_000, 9), (2_000, 1))
    assert world.evaluate(1_000) == ["High firing: CONDITION_MET", "Watch firing: CONDITION_MET"]
    assert world.evaluate(2_000) == [
        "High inactive: CONDITION_CLEARED",
        "Watch inactive: CONDITION_CLEARED",
    ]


def test_an_alert_on_an_alert_is_unknown_with_it(tmp_path: Path) -> None:
    world = World(tmp_path, group(HIGH + WATCH))
    world.source.add('load{instance="a"}', (1_000, 9))
    world.evaluate(1_000)
    lost = 1_000 + LOOKBACK
    assert world.evaluate(lost) == ["High unknown: INPUT_MISSING", "Watch unknown: INPUT_MISSING"]
    assert world.evaluate(lost + MINUTE) == []
    world.source.add('load{instance="a"}', (lost + 2 * MINUTE, 1))
    assert world.evaluate(lost + 2 * MINUTE) == [
        "High inactive: CONDITION_CLEARED",
        "Watch inactive: CONDITION_CLEARED",
    ]


def test_a_count_of_alerts_that_fell_is_unknown_only_if_one_became_unknown_since(
    tmp_path: Path,
) -> None:
    count = '{alert: Many, expr: \'count(ALERTS{alertname="High",alertstate="firing"}) > 1\'}'
    world = World(tmp_path, group(HIGH + count))
    world.source.add('load{instance="lost"}', (0, 9))
    for instance in ("a", "b"):
        world.source.every(f'load{{instance="{instance}"}}', MINUTE, 0, 5 * MINUTE, 9)
    for minute in range(5):
        world.evaluate(minute * MINUTE)
    # One of three is lost, and two are enough.
    assert world.evaluate(5 * MINUTE) == ["High unknown: INPUT_MISSING"]
    world.source.add('load{instance="a"}', (6 * MINUTE, 1))
    world.source.every('load{instance="b"}', MINUTE, 6 * MINUTE, 7 * MINUTE, 9)
    # That the count falls now is by the end of another.
    assert world.evaluate(6 * MINUTE)[1:] == ["Many inactive: CONDITION_CLEARED"]
    world.source.add('load{instance="a"}', (7 * MINUTE, 9))
    assert world.evaluate(7 * MINUTE)[1:] == ["Many firing: CONDITION_MET"]
    world.source.every('load{instance="a"}', MINUTE, 8 * MINUTE, 20 * MINUTE, 9)
    for minute in range(8, 12):
        assert world.evaluate(minute * MINUTE) == []
    assert world.evaluate(12 * MINUTE) == [
        "High unknown: INPUT_MISSING",
        "Many unknown: INPUT_MISSING",
    ]


def test_an_alert_on_an_alert_that_nobody_tells_of_any_more_is_unknown(tmp_path: Path) -> None:
    # As another Prometheus sends them: an end is told, and silence is none.
    world = World(
        tmp_path, group('{alert: Far, expr: \'ALERTS{alertname=~"A|B",alertstate="firing"}\'}')
    )
    world.source.add(
        'ALERTS{alertname="A",alertstate="firing",i="a",job="far"}', (0, 1), (60_000, STALE_NAN)
    )
    world.source.add('ALERTS{alertname="B",alertstate="firing",i="b",job="far"}', (0, 1))
    assert world.evaluate(1_000) == ["Far firing: CONDITION_MET"] * 2
    assert world.evaluate(61_000) == ["Far inactive: CONDITION_CLEARED"]
    assert world.evaluate(LOOKBACK) == ["Far unknown: INPUT_MISSING"]


def test_what_arrives_has_the_readers_of_the_alerts_evaluated_too_and_then_rests(
    tmp_path: Path,
) -> None:
    rules = HIGH + WATCH + "\n{record: reads, expr: 'count(ALERTS{alertname=~\"High|Far\"})'}"
    text = group(rules).replace("rules:", "interval: 1h\n    rules:")
    world = World(tmp_path, text)

    def evaluations() -> int:
        return world.scheduler.groups()[0].evaluations

    world.scheduler.start()
    try:
        world.source.add('load{instance="a"}', (1_000, 9))
        wait_until("both fire", lambda: world.states() == ["firing", "firing"])
        wait_until("the alert is counted", world.recorded)
        # The rule that the sample concerns, and those that its alert concerns: nothing after that,
        # though what they wrote has arrived as well.
        wait_until("both rounds are over", lambda: evaluations() == 2)
        world.source.add("nobody{}", (2_000, 9))
        wait_until("all is looked at", world.source.arrivals.empty)
        assert evaluations() == 2
        # Another one's alerts concern their readers as any series does.
        world.source.add('ALERTS{alertname="Far",alertstate="firing"}', (3_000, 1))
        wait_until("it is counted", lambda: world.recorded()[-1][2] == 2.0)
    finally:
        world.scheduler.stop()
