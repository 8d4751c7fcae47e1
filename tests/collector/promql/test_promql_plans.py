"""Plans: what they keep between evaluations, what they read, and that all steps agree."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forewarn_collector.promql import Result, compile_query
from forewarn_collector.store import Matcher, MatchOp
from forewarn_wire import STALE_NAN, labels_from
from support.memory_series import MemorySeries

MINUTE = 60_000


def _hosts() -> MemorySeries:
    """Four CPUs of two hosts: counters with a reset, a gap, a late start, a stale marker."""
    source = MemorySeries()
    drawn = np.random.default_rng(7)
    for number in range(4):
        start, end = (10, 60) if number == 2 else (0, 60)
        total = 0.0
        samples: list[tuple[int, float]] = []
        for tick in range(start, end):
            if number == 1 and tick == 30:
                total = 0.0
            total += float(drawn.integers(1, 50))
            if number == 3 and 20 <= tick < 40:
                continue
            samples.append((tick * 15_000 + number * 700, total))
        if number == 0:
            samples[40] = (samples[40][0], STALE_NAN)
        labels = {"instance": f"host{number % 2}", "cpu": str(number), "le": str(number)}
        source.add({"__name__": "busy", **labels}, samples)
        source.add({"__name__": "spare", **labels}, [(t, -v / 3) for t, v in samples])
    source.add({"__name__": "site", "instance": "host0", "room": "a"}, [(0, 1.0), (600_000, 1.0)])
    source.add({"__name__": "site", "instance": "host1", "room": "b"}, [(0, 2.0), (600_000, 2.0)])
    return source


def _points(result: Result) -> dict[tuple[object, int], float]:
    return {
        (result.labels[row], int(result.times[step])): float(result.values[row, step])
        for row, step in np.argwhere(result.present).tolist()
    }


@pytest.mark.parametrize(
    "expression",
    [
        "busy",
        "busy offset 1m",
        "busy @ end()",
        "timestamp(busy)",
        "-busy + 1 > 3",
        "rate(busy[2m])",
        "increase(busy[90s] offset 45s)",
        "delta(spare[2m])",
        "irate(busy[1m])",
        "idelta(spare[1m])",
        "deriv(spare[3m])",
        "predict_linear(spare[3m], 600)",
        "double_exponential_smoothing(spare[3m], 0.3, 0.6)",
        "resets(busy[5m])",
        "changes(busy[5m])",
        "sum_over_time(spare[2m])",
        "avg_over_time(spare[2m])",
        "min_over_time(spare[2m])",
        "max_over_time(spare[2m])",
        "count_over_time(spare[2m])",
        "stddev_over_time(spare[2m])",
        "quantile_over_time(0.7, spare[2m])",
        "mad_over_time(spare[2m])",
        "first_over_time(spare[2m])",
        "last_over_time(spare[2m])",
        "ts_of_min_over_time(spare[2m])",
        "present_over_time(busy[30s])",
        "absent_over_time(busy{cpu='3'}[30s])",
        "absent(busy{cpu='3'})",
        "max_over_time(rate(busy[1m])[3m:30s])",
        "sum by (instance) (busy)",
        "avg without (cpu, le) (spare)",
        "stddev(spare)",
        "count(busy)",
        "quantile by (instance) (0.5, busy)",
        "topk(2, busy)",
        "bottomk by (instance) (1, spare)",
        "limitk(2, busy)",
        "count_values('v', site)",
        "busy / spare",
        "busy + on (instance) group_left (room) site",
        "site * on (instance) group_right busy",
        "busy and spare < -100",
        "busy unless on (instance) site == 1",
        "busy > 500 or spare",
        "busy{cpu!='2'} + on (cpu) fill(0) spare{cpu!='1'}",
        "histogram_quantile(0.5, busy)",
        "label_replace(busy, 'x', '$1', 'instance', 'host(.*)')",
        "scalar(site{room='a'}) * busy",
        "hour(busy * 1000)",
        "clamp(busy, 100, 400)",
        "vector(time())",
    ],
)
def test_a_range_query_is_the_instant_queries_at_its_steps(expression: str) -> None:
    source = _hosts()
    start, end, step = 2 * MINUTE, 14 * MINUTE, 37_000
    whole = compile_query(expression).range(source, start, end, step)
    last = int(whole.times[-1])
    separate: dict[tuple[object, int], float] = {}
    for time in range(start, end + 1, step):
        alone = compile_query(expression.replace("end()", str(end / 1000)))
        separate |= _points(alone.instant(source, time))
    together = _points(whole)
    assert together.keys() == separate.keys()
    for point, value in together.items():
        assert value == pytest.approx(separate[point], rel=1e-9, nan_ok=True), point
    assert last <= end


def test_labels_of_a_result_are_the_same_object_while_the_series_are_the_same() -> None:
    source = _hosts()
    for expression in (
        "rate(busy[2m]) * 2",
        "sum by (instance) (rate(busy[2m])) / on (instance) group_left (room) site",
        "label_replace(busy, 'x', '$1', 'instance', '(.*)') or spare",
        "histogram_quantile(0.9, busy)",
        "absent(nothing)",
        "vector(1)",
    ):
        query = compile_query(expression)
        first = query.instant(source, 10 * MINUTE).labels
        assert query.instant(source, 11 * MINUTE).labels is first, expression


def test_a_new_series_is_in_the_next_result_of_a_kept_plan() -> None:
    source = _hosts()
    query = compile_query("sum by (room) (busy * on (instance) group_left (room) site)")
    assert len(query.instant(source, 10 * MINUTE).vector()) == 2
    source.add({"__name__": "busy", "instance": "host9"}, [(10 * MINUTE, 4.0)])
    source.add({"__name__": "site", "instance": "host9", "room": "z"}, [(10 * MINUTE, 5.0)])
    added = dict(query.instant(source, 10 * MINUTE).vector())
    assert added[labels_from({"room": "z"})] == 20.0


def test_each_selector_reads_its_whole_time_once_for_all_steps() -> None:
    source = _hosts()
    compile_query("rate(busy[2m] offset 1m)").range(source, 5 * MINUTE, 10 * MINUTE, MINUTE)
    # Left-open: the sample at 2 min is not in the first window, that at 9 min is in the last.
    assert source.selections == [(2 * MINUTE + 1, 9 * MINUTE)]


def test_series_without_labels_in_common_come_back_only_where_they_are() -> None:
    source = _hosts()
    result = compile_query("busy{cpu='2'}").range(source, 0, 3 * MINUTE, MINUTE)
    # The third CPU's first sample is at tick 10: 150.0 + 1.4 s.
    assert [int(time) for time in result.times[result.present[0]]] == [3 * MINUTE]


def test_selectors_tell_what_is_read_and_whether_its_absence_counts() -> None:
    query = compile_query(
        "max_over_time(a{x!='1'}[5m:1m]) unless on (i) (rate(b[2m] offset 1m) > absent(c @ 4))"
    )
    a, b, c = query.selectors
    assert a.matchers == (
        Matcher("__name__", MatchOp.EQUAL, "a"),
        Matcher("x", MatchOp.NOT_EQUAL, "1"),
    )
    assert (a.range, a.offset, a.negated) == (0, 0, False)
    assert (b.range, b.offset, b.negated) == (2 * MINUTE, MINUTE, True)
    # Absent within what must be absent: presence again.
    assert (c.range, c.at, c.negated) == (0, 4_000, False)


@pytest.mark.parametrize(
    ("expression", "metrics"),
    [
        ("a + rate(b[5m]) unless {__name__='c.d'}", {"a", "b", "c.d"}),
        ("{__name__=~'a|b'}", {"a", "b"}),
        ("{__name__=~'a.*'} + b", None),
        ("{job='x'}", None),
        ("vector(1) + time()", set()),
    ],
)
def test_metrics_are_the_names_that_an_expression_reads(
    expression: str, metrics: set[str] | None
) -> None:
    assert compile_query(expression).metrics == metrics


def test_an_instant_query_for_a_range_gives_its_samples_at_their_own_times() -> None:
    source = MemorySeries()
    source.add({"__name__": "x", "i": "1"}, [(1_000, 1.0), (2_000, STALE_NAN), (3_000, 3.0)])
    source.add({"__name__": "x", "i": "2"}, [(2_500, math.inf)])
    result = compile_query("x[1m]").instant(source, 4_000)
    assert result.times.tolist() == [1_000, 2_500, 3_000]
    assert result.present.tolist() == [[True, False, True], [False, True, False]]
    assert _points(result)[labels_from({"__name__": "x", "i": "2"}), 2_500] == math.inf
