"""Expressions that are compiled together share what they have in common."""

from __future__ import annotations

from forewarn_collector.promql import Round, compile_query, share
from support.memory_series import MemorySeries

MINUTE = 60_000


def _source() -> MemorySeries:
    source = MemorySeries()
    for number in range(3):
        labels = {"__name__": "busy", "instance": f"host{number}"}
        source.add(labels, [(tick * 10_000, tick * (number + 1.0)) for tick in range(31)])
    return source


def test_what_rules_have_in_common_is_read_once_in_a_round() -> None:
    source = _source()
    many, few = share(
        [compile_query("sum(rate(busy[5m]))"), compile_query("rate(busy[5m]) / 2 > 0.12")]
    )
    round_ = Round(source, 5 * MINUTE)
    # 300 s, of which the first sample lies on the open end: by hand 0.1, 0.2, 0.3 a second.
    assert [round(value, 9) for _, value in many.at(round_, round_.at).vector()] == [0.6]
    assert [round(value, 9) for _, value in few.at(round_, round_.at).vector()] == [0.15]
    assert len(source.selections) == 1


def test_an_evaluation_outside_a_round_keeps_nothing() -> None:
    source = _source()
    one, other = share([compile_query("sum(busy)"), compile_query("max(busy)")])
    assert one.instant(source, 5 * MINUTE).vector() == [((), 180.0)]
    assert other.instant(source, 5 * MINUTE).vector() == [((), 90.0)]
    assert len(source.selections) == 2


def test_what_has_been_recorded_within_a_round_is_read_anew() -> None:
    source = _source()
    one, other = share([compile_query("sum(busy)"), compile_query("sum(busy) > 0")])
    round_ = Round(source, 5 * MINUTE)
    assert one.at(round_, round_.at).vector() == [((), 180.0)]
    source.add({"__name__": "busy", "instance": "late"}, [(5 * MINUTE, 20.0)])
    round_.forget(frozenset({"idle"}))
    assert other.at(round_, round_.at).vector() == [((), 180.0)]
    round_.forget(frozenset({"busy"}))
    assert other.at(round_, round_.at).vector() == [((), 200.0)]


def test_rules_of_one_round_at_two_times_do_not_share_values() -> None:
    source = _source()
    one, other = share([compile_query("sum(busy)"), compile_query("max(sum(busy))")])
    round_ = Round(source, 5 * MINUTE)
    assert one.at(round_, 5 * MINUTE).vector() == [((), 180.0)]
    assert other.at(round_, 4 * MINUTE).vector() == [((), 144.0)]
