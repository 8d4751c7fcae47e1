"""What a rule measures, around an alert's onset."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from forewarn_collector.promql import Deadline, QueryTimeoutError, compile_query
from forewarn_collector.rules.alerts import Alert
from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.store import Matcher, SeriesColumns
from forewarn_collector.tasks.evidence import StoreEvidence
from forewarn_collector.tasks.evidence_plot import evidence_plot
from forewarn_collector.tasks.evidence_scope import Scopes
from forewarn_collector.tasks.evidence_values import AFTER, SharedValues, measured
from support.alerts import HOUR, MINUTE, T0, alert_of
from support.memory_source import MemorySource

FOREVER = Deadline()


def rule(expr: str, **more: Any) -> AlertingRule:
    return AlertingRule("g/R", "R", "g", "r.yml", 1, expr, compile_query(expr), **more)


def values_of(
    source: MemorySource, made: AlertingRule, alert: Alert, at: int, deadline: Deadline
) -> dict[str, Any]:
    shared = SharedValues(Scopes(source), [(made, alert)], at, deadline)
    return {**shared.frame(0), "samples": shared.samples(0)}


@pytest.mark.parametrize(
    ("expr", "query", "operator", "threshold"),
    [
        ("x > 5", "x", ">", 5),
        ("5 > x", "x", "<", 5),
        ("(x / y <= -2 * 3)", "x / y", "<=", -6),
        ("x < 1 and y > 2", "x", "<", 1),
        ("x != 0 unless on(a) y", "x", "!=", 0),
        ("x < y", "x", "", None),
        ("scalar(x) < y", "y", "", None),
        ("x > bool 5", "x > bool 5", "", None),
        ("x > 1 or y > 1", "x > 1 or y > 1", "", None),
        ("absent(x)", "absent(x)", "", None),
        ("predict_linear(x[1h], 3 * 86400) < 0", "predict_linear(x[1h], 3 * 86400)", "<", 0),
    ],
)
def test_a_comparison_with_a_constant_has_a_threshold(
    expr: str, query: str, operator: str, threshold: float | None
) -> None:
    assert measured(compile_query(expr)) == (query, operator, threshold)


def test_values_come_from_well_before_the_onset_until_it_fired() -> None:
    source = MemorySource()
    # One sample a minute: 0 until the onset, 9 from then on.
    source.every('x{instance="a"}', MINUTE, T0 - HOUR, T0 - MINUTE, 0)
    source.every('x{instance="a"}', MINUTE, T0, T0 + 30 * MINUTE, 9)
    source.every('x{instance="b"}', MINUTE, T0 - HOUR, T0 + HOUR, 7)
    made = rule("x > 5", for_=30 * MINUTE)
    alert = alert_of(made, {"instance": "a"}, onset=T0)
    found = values_of(source, made, alert, T0 + 30 * MINUTE, FOREVER)
    # An hour, from `for` before the onset on, in 60 steps.
    assert (found["step"], found["for"]) == (MINUTE, 30 * MINUTE)
    assert (found["operator"], found["threshold"]) == (">", "5")
    assert found["samples"] == [[T0 + k * MINUTE, "0" if k < 0 else "9"] for k in range(-30, 31)]


def test_an_element_of_many_hosts_is_the_one_of_the_alert() -> None:
    source = MemorySource()
    for host, job, value in (("a", "web", 1), ("b", "web", 2), ("c", "db", 4)):
        source.every(f'x{{instance="{host}",job="{job}"}}', MINUTE, T0 - HOUR, T0, value)
    made = rule("sum by (job) (x) > 2")
    found = values_of(source, made, alert_of(made, {"job": "web"}), T0, FOREVER)
    assert {value for _, value in found["samples"]} == {"3"}
    # Of one host only what is its own may be left out: the mean is that of all.
    made = rule("x > scalar(avg(x)) * 1.5")
    found = values_of(source, made, alert_of(made, {"instance": "c", "job": "db"}), T0, FOREVER)
    assert {value for _, value in found["samples"]} == {"4"}
    made = rule("x / on() group_left() sum(x) > 0.5")
    found = values_of(source, made, alert_of(made, {"instance": "c", "job": "db"}), T0, FOREVER)
    # 4 of 7.
    assert {round(float(value), 3) for _, value in found["samples"]} == {0.571}


def test_numbers_that_are_none_are_text_and_no_samples_are_none() -> None:
    source = MemorySource()
    source.add("x", (T0 - 15 * MINUTE, float("nan")), (T0 - MINUTE, float("inf")), (T0, 1.0))
    made = rule("x * 2 > 1")
    found = values_of(source, made, alert_of(made, {}), T0, FOREVER)
    assert {value for _, value in found["samples"]} == {"NaN", "+Inf", "2"}
    assert values_of(MemorySource(), made, alert_of(made, {}), T0, FOREVER)["samples"] == []
    (document,) = StoreEvidence(MemorySource(), lambda *_: []).gather(
        [(made, alert_of(made, {}))], T0
    )
    assert "values" not in document
    assert "follow_up_at" not in document


def test_an_evaluation_that_takes_too_long_ends() -> None:
    made = rule("x > 1")
    with pytest.raises(QueryTimeoutError):
        values_of(MemorySource(), made, alert_of(made, {}), T0, Deadline(time.monotonic() - 1))


class Counted(MemorySource):
    """Counts how often it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> SeriesColumns:
        self.reads += 1
        return super().select(matchers, start, end)


def fleet(hosts: int) -> tuple[Counted, list[tuple[AlertingRule, Alert]]]:
    """Hosts that went wrong within a minute; the value of each is its number."""
    source, made = Counted(), rule("x > -1")
    wanted = []
    for number in range(hosts):
        source.every(f'x{{instance="h.{number}"}}', MINUTE, T0 - HOUR, T0 + HOUR, number)
        onset = T0 - MINUTE + number * MINUTE // hosts
        wanted.append((made, alert_of(made, {"instance": f"h.{number}"}, onset=onset)))
    return source, wanted


def test_a_rule_is_evaluated_once_for_a_hundred_alerts_and_each_has_its_own_values() -> None:
    source, wanted = fleet(150)
    shared = SharedValues(Scopes(source), wanted, T0, FOREVER)
    for number in range(150):
        assert {value for _, value in shared.samples(number)} == {str(number)}
        # A quarter of an hour before the onset and a minute, in 60 steps of whole seconds.
        assert shared.frame(number)["step"] == 16_000
    assert source.reads == 2


def test_values_that_there_was_no_time_for_come_with_the_follow_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, wanted = fleet(2)
    evidence = StoreEvidence(source, lambda *_: [])
    with monkeypatch.context() as late:
        late.setattr("forewarn_collector.tasks.evidence._BUDGET_SECONDS", -1)
        first, _ = evidence.gather(wanted, T0)
    assert source.reads == 0
    assert "values" not in first
    assert "values: gathering took too long; they come with what came after" in first["notes"]
    assert first["follow_up_at"] == T0 + AFTER
    (after,) = evidence.follow_up([first], T0 + AFTER)
    samples = after["values"]["samples"]
    # From before the onset, which is a minute ago, until now.
    assert samples[0][0] <= T0 - 15 * MINUTE
    assert samples[-1] == [T0 + AFTER, "0"]
    plot = evidence_plot("FW-1", [first, after])
    assert plot is not None
    assert [at for at, _ in plot.lines[0].points] == [at for at, _ in samples]
    assert plot.threshold == (-1.0, "> -1")


def test_a_follow_up_has_what_came_after_and_nothing_twice() -> None:
    source = MemorySource()
    source.every('x{instance="a"}', MINUTE, T0 - HOUR, T0, 9)
    source.every('x{instance="a"}', MINUTE, T0 + MINUTE, T0 + HOUR, 1)
    evidence = StoreEvidence(source, lambda *_: [])
    made = rule("x > 5")
    (before,) = evidence.gather([(made, alert_of(made, {"instance": "a"}))], T0)
    assert before["follow_up_at"] == T0 + AFTER
    (after,) = evidence.follow_up([before], T0 + AFTER)
    assert (after["follows"], after["alert"]) == (T0, before["alert"])
    times = [at for at, _ in after["values"]["samples"]]
    # A quarter of an hour in 60 steps of 15 s, none of them the moment at which it fired.
    assert times == list(range(T0 + 15_000, T0 + AFTER + 1, 15_000))
    # The last sample counts until the next one comes.
    assert [value for _, value in after["values"]["samples"][:4]] == ["9", "9", "9", "1"]


def test_follow_ups_that_there_is_no_time_for_are_left_to_the_next_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter(range(1_000))
    monkeypatch.setattr("forewarn_collector.tasks.evidence.time.monotonic", lambda: next(clock))
    evidence = StoreEvidence(MemorySource(), lambda *_: [])
    document = {"gathered_at": T0, "alert": {}, "values": {"query": "x", "labels": {}}}
    assert len(evidence.follow_up([document] * 9, T0)) == 1


def test_what_fires_at_once_is_shown_by_seconds_at_its_end() -> None:
    source, wanted = fleet(1)
    samples = SharedValues(Scopes(source), wanted, T0, FOREVER).samples(0)
    times = [at - T0 for at, _ in samples if at > T0 - 20_000]
    # Steps of 16 s, and in the last of them each second.
    assert times == [-16_000, *range(-15_000, 1_000, 1_000)]
