"""The life of an alert: `for` and `keep_firing_for` as Prometheus has them, and missing input."""

from __future__ import annotations

import pytest

from forewarn_collector.rules.alerts import (
    OUTAGE_TOLERANCE,
    AlertState,
    DuplicateAlertsError,
    LimitExceededError,
    remove,
)
from forewarn_collector.rules.model import OnMissing
from forewarn_wire import labels_from
from support.rules import MINUTE, SECOND, Life, rule


def test_an_alert_without_for_fires_at_once_and_ends_at_once() -> None:
    life = Life(rule())
    assert life.evaluate(1_000, "a") == ["inactive > firing: CONDITION_MET"]
    assert (life.one.active_at, life.one.fired_at) == (1_000, 1_000)
    assert life.evaluate(2_000, "a") == []
    assert life.evaluate(3_000) == ["firing > inactive: CONDITION_CLEARED"]
    assert life.changes[-1].alert.resolved_at == 3_000
    assert life.alerts == {}


def test_an_alert_with_for_is_pending_until_the_time_is_full() -> None:
    life = Life(rule(for_=MINUTE))
    assert life.evaluate(0, "a") == ["inactive > pending: CONDITION_MET"]
    assert life.evaluate(MINUTE - 1, "a") == []
    assert life.evaluate(MINUTE, "a") == ["pending > firing: FOR_ELAPSED"]
    assert (life.one.active_at, life.one.fired_at) == (0, MINUTE)


def test_a_gap_while_pending_starts_for_anew() -> None:
    life = Life(rule(for_=MINUTE))
    life.evaluate(0, "a")
    assert life.evaluate(30 * SECOND) == ["pending > inactive: CONDITION_CLEARED"]
    life.evaluate(40 * SECOND, "a")
    assert life.evaluate(90 * SECOND, "a") == []
    assert life.evaluate(100 * SECOND, "a") == ["pending > firing: FOR_ELAPSED"]


# The times and states of the example in the documentation of keep_firing_for.
def test_keep_firing_for_holds_an_alert_until_the_time_is_full() -> None:
    life = Life(rule(keep_firing_for=MINUTE))
    life.evaluate(0, "a")
    assert life.evaluate(10 * SECOND) == ["firing > firing: KEPT_FIRING"]
    assert life.one.keep_firing_since == 10 * SECOND
    assert life.evaluate(69 * SECOND) == []
    assert life.evaluate(70 * SECOND) == ["firing > inactive: KEEP_FIRING_ELAPSED"]


def test_a_kept_alert_whose_condition_recurs_is_kept_anew_from_its_next_end() -> None:
    life = Life(rule(keep_firing_for=MINUTE))
    life.evaluate(0, "a")
    life.evaluate(10 * SECOND)
    assert life.evaluate(20 * SECOND, "a") == ["firing > firing: CONDITION_RECURRED"]
    assert life.one.keep_firing_since is None
    life.evaluate(30 * SECOND)
    assert life.evaluate(80 * SECOND) == []
    assert life.evaluate(90 * SECOND) == ["firing > inactive: KEEP_FIRING_ELAPSED"]


def test_a_pending_alert_is_never_kept() -> None:
    life = Life(rule(for_=MINUTE, keep_firing_for=MINUTE))
    life.evaluate(0, "a")
    assert life.evaluate(10 * SECOND) == ["pending > inactive: CONDITION_CLEARED"]


def test_label_sets_live_apart() -> None:
    life = Life(rule(for_=MINUTE))
    life.evaluate(0, "a")
    life.evaluate(30 * SECOND, "a", "b")
    assert life.evaluate(MINUTE, "a", "b") == ["pending > firing: FOR_ELAPSED"]
    assert life.states == ["firing", "pending"]
    assert life.evaluate(61 * SECOND, "b") == ["firing > inactive: CONDITION_CLEARED"]


def test_labels_are_the_series_the_rules_and_the_alerts_name() -> None:
    life = Life(
        rule(
            labels={"severity": "{{ if gt $value 5.0 }}high{{ else }}low{{ end }}", "zone": ""},
            annotations={"summary": "{{ $labels.instance }}: {{ $value }} {{ $labels.__name__ }}"},
        )
    )
    life.see(0, [(labels_from({"__name__": "broken", "instance": "a", "zone": "x"}), 7.0)])
    assert life.one.labels == (("alertname", "Broken"), ("instance", "a"), ("severity", "high"))
    assert life.one.series == (("instance", "a"), ("zone", "x"))
    assert life.one.annotations == (("summary", "a: 7 broken"),)


def test_value_and_annotations_follow_the_result_without_a_change() -> None:
    life = Life(rule(annotations={"summary": "{{ $value }}"}))
    life.evaluate(0, "a", value=1.0)
    assert life.evaluate(1_000, "a", value=2.0) == []
    assert (life.one.value, life.one.annotations) == (2.0, (("summary", "2"),))
    assert life.one.evaluated_at == 1_000


def test_two_elements_that_become_one_alert_are_an_error() -> None:
    life = Life(rule(labels={"instance": "all"}))
    with pytest.raises(DuplicateAlertsError, match="same labelset"):
        life.evaluate(0, "a", "b")


def test_more_alerts_than_the_limit_are_an_error() -> None:
    life = Life(rule())
    with pytest.raises(LimitExceededError, match="exceeded limit of 1 with 2 alerts"):
        life.evaluate(0, "a", "b", limit=1)
    life.evaluate(0, "a", "b", limit=2)
    assert life.states == ["firing", "firing"]


def test_the_onset_is_the_own_time_of_the_sample_and_stays() -> None:
    life = Life(rule(for_=MINUTE))
    life.inputs.newest = 70
    life.evaluate(100, "a")
    life.inputs.newest = 60_000
    life.evaluate(MINUTE + 100, "a")
    assert (life.one.onset, life.one.active_at, life.one.fired_at) == (70, 100, MINUTE + 100)


def test_a_firing_alert_whose_input_stopped_is_unknown_and_stays_so() -> None:
    life = Life(rule())
    life.evaluate(0, "a", "b")
    life.inputs.gone = {"a"}
    assert life.evaluate(10_000) == [
        "firing > unknown: INPUT_MISSING",
        "firing > inactive: CONDITION_CLEARED",
    ]
    assert life.one.unknown_since == 10_000
    assert life.evaluate(100_000_000) == []
    assert life.one.unknown_since == 10_000


def test_an_unknown_alert_fires_again_when_its_input_says_so_and_is_not_new() -> None:
    life = Life(rule(for_=MINUTE))
    life.evaluate(0, "a")
    life.evaluate(MINUTE, "a")
    life.inputs.gone = {"a"}
    life.evaluate(2 * MINUTE)
    life.inputs.gone = set()
    assert life.evaluate(3 * MINUTE, "a") == ["unknown > firing: INPUT_RETURNED"]
    assert (life.one.active_at, life.one.fired_at) == (0, MINUTE)
    assert life.one.unknown_since is None


def test_an_unknown_alert_ends_when_its_input_says_so() -> None:
    life = Life(rule())
    life.evaluate(0, "a")
    life.inputs.gone = {"a"}
    life.evaluate(1_000)
    life.inputs.gone = set()
    assert life.evaluate(2_000) == ["unknown > inactive: CONDITION_CLEARED"]


def test_on_missing_resolve_is_prometheus_own_way() -> None:
    life = Life(rule(on_missing=OnMissing.RESOLVE))
    life.evaluate(0, "a")
    life.inputs.gone = {"a"}
    assert life.evaluate(1_000) == ["firing > inactive: CONDITION_CLEARED"]


def test_on_missing_fire_counts_as_true_also_while_pending() -> None:
    life = Life(rule(for_=MINUTE, on_missing=OnMissing.FIRE))
    life.evaluate(0, "a")
    life.inputs.gone = {"a"}
    assert life.evaluate(30 * SECOND) == []
    assert life.evaluate(MINUTE) == ["pending > firing: FOR_ELAPSED"]
    assert life.evaluate(2 * MINUTE) == []
    assert life.states == ["firing"]


def test_a_pending_alert_waits_for_its_input_but_not_beyond_prometheus_outage_tolerance() -> None:
    life = Life(rule(for_=10 * MINUTE))
    life.evaluate(0, "a")
    life.inputs.gone = {"a"}
    assert life.evaluate(20 * MINUTE) == []
    assert life.states == ["pending"]
    life.inputs.gone = set()
    assert life.evaluate(21 * MINUTE, "a") == ["pending > firing: FOR_ELAPSED"]

    late = Life(rule(for_=10 * MINUTE))
    late.evaluate(0, "a")
    late.inputs.gone = {"a"}
    assert late.evaluate(OUTAGE_TOLERANCE) == []
    assert late.evaluate(OUTAGE_TOLERANCE + 1) == ["pending > inactive: INPUT_MISSING"]


def test_an_alert_that_is_merely_kept_ends_in_time_though_its_input_stopped() -> None:
    life = Life(rule(keep_firing_for=MINUTE))
    life.evaluate(0, "a")
    life.evaluate(10 * SECOND)
    life.inputs.gone = {"a"}
    assert life.evaluate(70 * SECOND) == ["firing > inactive: KEEP_FIRING_ELAPSED"]


def test_an_alert_of_a_removed_rule_ends_with_that_reason() -> None:
    life = Life(rule())
    life.evaluate(0, "a")
    change = remove(life.rule, life.one, 5_000)
    assert (change.before, change.after) == (AlertState.FIRING, AlertState.INACTIVE)
    assert change.reason.value == "rule removed"
    assert change.alert.resolved_at == 5_000
