"""What is due to be sent to Alertmanagers, on simulated time.

The expected times follow by hand from prometheus/prometheus `rules/alerting.go`: an alert is sent
again with the first evaluation *after* its last sending plus the resend delay, what is sent of it
is good for four times the greater of resend delay and interval, and an end is sent for 15 minutes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from forewarn_collector.alertmanagers.notices import UNKNOWN_SINCE, Notice, Notices, batch_of
from forewarn_collector.rules import AlertChange, RuleStatus
from forewarn_collector.rules.alerts import remove
from forewarn_wire import Labels, labels_from
from support.rule_world import Sink, Stored, World, group

SECOND, MINUTE = 1_000, 60_000
START = 1_700_000_040_000
"""2023-11-14T22:14:00Z."""

LOADED = (
    '{alert: Loaded, expr: "load>5", '
    'labels: {severity: high}, annotations: {summary: "{{$value}}"}}'
)


class Keeping(Sink):
    """A sink that also keeps the changes themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[AlertChange] = []

    def apply(self, changes: Sequence[AlertChange], at: int) -> None:
        super().apply(changes, at)
        self.changes += changes


class Told(World):
    """A world of rules, and what Alertmanagers are told of it. Groups' interval is 15 seconds."""

    def __init__(
        self, folder: Path, text: str, external: Labels = (), restored: Sequence[Stored] = ()
    ) -> None:
        super().__init__(folder, text)
        self.keeping = Keeping()
        self.sink = self.keeping
        self.scheduler = self.scheduler_of(self.rules(text), restored)
        self.notices = Notices(MINUTE, "http://here", external)

    def told(self, at: int) -> list[Notice]:
        """Evaluate at `at` and give what is sent then."""
        before = len(self.keeping.changes)
        self.evaluate(at)
        return self.sent(self.keeping.changes[before:], at)

    def sent(self, changes: Sequence[AlertChange], now: int) -> list[Notice]:
        groups = self.scheduler.groups()
        return self.notices.changed(changes, groups) + self.notices.due(groups, now)

    def every(self, start: int, end: int, value: float | None = None) -> list[tuple[int, int]]:
        """Evaluate every 15 seconds from `start` to `end`, both in seconds after START.

        When something was sent, and its end, in the same seconds.
        """
        found = []
        for second in range(start, end + 1, 15):
            at = START + second * SECOND
            if value is not None:
                self.load(value, at)
            for notice in self.told(at):
                found.append((second, (notice.ends_at - START) // SECOND))
        return found

    def load(self, value: float, at: int, instance: str = "a") -> None:
        self.source.add(f'load{{instance="{instance}"}}', (at, value))


def world(folder: Path, text: str = LOADED, external: Labels = ()) -> Told:
    return Told(folder, group(text), external)


def test_an_alert_is_sent_as_it_fires_with_all_that_prometheus_says(tmp_path: Path) -> None:
    told = world(tmp_path)
    told.load(9, START)
    [notice] = told.told(START)
    assert json.loads(batch_of([notice.encoded()])) == [
        {
            "labels": {"alertname": "Loaded", "instance": "a", "severity": "high"},
            "annotations": {"summary": "9"},
            "startsAt": "2023-11-14T22:14:00.000Z",
            # 4 x max(15 s, 1 m).
            "endsAt": "2023-11-14T22:18:00.000Z",
            # Prometheus spells the expression anew: `load > 5`.
            "generatorURL": "http://here/graph?g0.expr=load+%3E+5&g0.tab=1",
        }
    ]


def test_it_is_sent_again_with_the_first_evaluation_after_the_resend_delay(tmp_path: Path) -> None:
    told = world(tmp_path)
    assert told.every(0, 240, 9) == [(0, 240), (75, 315), (150, 390), (225, 465)]


def test_an_evaluation_on_arrival_sends_it_again_as_soon_as_the_delay_is_over(
    tmp_path: Path,
) -> None:
    told = world(tmp_path)
    told.every(0, 60, 9)
    assert [n.ends_at for n in told.told(START + 60_001)] == [START + 300_001]
    assert told.told(START + 60_002) == []


def test_a_long_interval_makes_it_good_for_longer(tmp_path: Path) -> None:
    text = group(LOADED).replace("  - name: g\n", "  - name: g\n    interval: 5m\n")
    told = Told(tmp_path, text)
    ends = []
    for minute in range(0, 16, 5):
        told.load(9, START + minute * MINUTE)
        ends += [(n.ends_at - START) // MINUTE for n in told.told(START + minute * MINUTE)]
    # 4 x 5 m, at each evaluation.
    assert ends == [20, 25, 30, 35]


def test_what_is_sent_again_has_the_value_of_now_and_the_start_of_then(tmp_path: Path) -> None:
    told = world(tmp_path)
    told.load(9, START)
    told.told(START)
    told.load(7, START + 75_000)
    [notice] = told.told(START + 75_000)
    assert (notice.annotations, notice.starts_at) == ({"summary": "7"}, START)


def test_a_pending_alert_is_not_sent_and_starts_when_it_fires(tmp_path: Path) -> None:
    told = world(tmp_path, '{alert: Loaded, expr: "load>5", for: 30s}')
    assert told.every(0, 15, 9) == []
    told.load(9, START + 30_000)
    [notice] = told.told(START + 30_000)
    assert notice.starts_at == START + 30_000


def test_a_pending_alert_that_ends_was_never_told_of(tmp_path: Path) -> None:
    told = world(tmp_path, '{alert: Loaded, expr: "load>5", for: 30s}')
    assert told.every(0, 15, 9) + told.every(30, 120, 1) == []


def test_an_end_is_sent_at_once_and_for_fifteen_minutes(tmp_path: Path) -> None:
    told = world(tmp_path)
    told.every(0, 0, 9)
    ends = told.every(15, 15 + 1_200, 1)
    assert ends == [(15 + 75 * step, 15) for step in range(13)]


def test_an_alert_that_fires_anew_starts_anew_and_its_old_end_is_not_sent_again(
    tmp_path: Path,
) -> None:
    told = world(tmp_path)
    assert told.every(0, 0, 9) + told.every(15, 15, 1) == [(0, 240), (15, 15)]
    assert told.every(30, 105, 9) == [(30, 270), (105, 345)]


def test_an_alert_that_is_kept_firing_goes_on_to_fire(tmp_path: Path) -> None:
    told = world(tmp_path, '{alert: Loaded, expr: "load>5", keep_firing_for: 2m}')
    told.every(0, 0, 9)
    # Last sent at 0: again at 75. Not met from 15 on, so its end is at 15 + 120.
    assert told.every(15, 150, 1) == [(75, 315), (135, 135)]


def test_an_alert_whose_input_stopped_goes_on_to_fire_and_says_so(tmp_path: Path) -> None:
    told = world(tmp_path)
    told.every(0, 0, 9)
    # Of a sample at 0 nothing is seen from 5 m on.
    told.every(15, 285)
    [notice] = told.told(START + 300_000)
    assert told.states() == ["unknown"]
    assert notice.annotations[UNKNOWN_SINCE] == "2023-11-14T22:19:00.000Z"
    assert (notice.starts_at, notice.ends_at) == (START, START + 540_000)
    assert told.every(315, 450) == [(375, 615), (450, 690)]
    told.load(9, START + 465_000)
    [back] = told.told(START + 465_000)
    assert (back.starts_at, UNKNOWN_SINCE in back.annotations) == (START, False)


def test_an_alert_of_a_rule_that_fails_goes_on_to_fire(tmp_path: Path) -> None:
    told = world(tmp_path, '{alert: Loaded, expr: "load > on() limit"}')
    for second in range(0, 76, 15):
        told.source.add("limit", (START + second * SECOND, 5))
    told.every(0, 0, 9)
    told.source.add('limit{second="one"}', (START + 10_000, 5))
    assert told.every(15, 75, 9) == [(75, 315)]
    assert "many-to-many" in told.error("Loaded")


def test_after_a_restart_alerts_are_sent_again_with_the_same_start(tmp_path: Path) -> None:
    before = world(tmp_path)
    before.every(0, 15, 9)
    after = Told(tmp_path, group(LOADED), restored=before.stored())
    assert after.sent([], START + 20_000) == [], "nothing is known before the first evaluation"
    after.load(9, START + 30_000)
    [notice] = after.told(START + 30_000)
    assert (notice.starts_at, notice.ends_at) == (START, START + 270_000)


def test_an_alert_whose_rule_is_removed_ends(tmp_path: Path) -> None:
    told = world(tmp_path)
    told.every(0, 0, 9)
    told.now = START + 20_000
    told.scheduler.reload(told.rules(group('{alert: Other, expr: "load>100"}')))
    [notice] = told.sent(told.keeping.changes[-1:], START + 20_000)
    assert notice.labels["alertname"] == "Loaded"
    assert notice.ends_at == START + 20_000
    assert notice.generator_url.startswith("http://here/graph?g0.expr=load+")
    [again] = told.sent([], START + 80_001)
    assert again == notice


def test_nothing_is_kept_of_rules_that_are_gone(tmp_path: Path) -> None:
    told = world(tmp_path)
    told.every(0, 0, 9)
    for second in range(1, 6):
        told.now = START + second * SECOND
        renamed = f'{{alert: Loaded{second}, expr: "load>5"}}'
        before = len(told.keeping.changes)
        told.scheduler.reload(told.rules(group(renamed)))
        told.evaluate(told.now)
        assert len(told.sent(told.keeping.changes[before:], told.now)) == 2
    assert len(told.notices._firing) == len(told.notices._links) == 1


def test_external_labels_are_added_to_alerts_that_lack_them(tmp_path: Path) -> None:
    told = world(tmp_path, external=labels_from({"site": "one", "instance": "other"}))
    told.load(9, START)
    [notice] = told.told(START)
    assert (notice.labels["site"], notice.labels["instance"]) == ("one", "a")


def test_an_end_is_never_before_its_start(tmp_path: Path) -> None:
    told = world(tmp_path)
    told.every(60, 60, 9)
    # The clock was set back between two runs.
    [alert] = told.scheduler.alerts()
    [rule] = told.rules(group(LOADED)).alerting().values()
    [notice] = told.notices.changed([remove(rule, alert, START)], told.scheduler.groups())
    assert (notice.starts_at, notice.ends_at) == (START + MINUTE, START + MINUTE)


def test_an_end_that_is_told_before_the_groups_show_it_stays_an_end(tmp_path: Path) -> None:
    told = world(tmp_path)
    told.every(0, 0, 9)
    behind = told.scheduler.groups()
    told.load(1, START + 75_000)
    told.evaluate(START + 75_000)
    told.notices.changed(told.keeping.changes[-1:], behind)
    [status] = [rule for each in behind for rule in each.rules]
    assert isinstance(status, RuleStatus)
    assert len(status.standing) == 1
    assert told.notices.due(behind, START + 75_000) == []
