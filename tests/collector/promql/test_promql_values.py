"""Values that are no plain numbers: NaN, infinities, stale markers, nothing at all."""

from __future__ import annotations

import math

import pytest

from forewarn_collector.promql import EvalError, ValueType, compile_query
from forewarn_wire import STALE_NAN, labels_from
from support.memory_series import MemorySeries

NAN, INF = math.nan, math.inf


def _source(**series: list[float]) -> MemorySeries:
    """Each series' values at 10 s, 20 s, ..."""
    source = MemorySeries()
    for name, values in series.items():
        source.add({"__name__": name}, [(10_000 * (i + 1), v) for i, v in enumerate(values)])
    return source


def _value(source: MemorySeries, expression: str, time: int = 60_000) -> float:
    ((_, value),) = compile_query(expression).instant(source, time).vector()
    return value


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("max_over_time(x[1m])", 5.0),  # NaN counts only where there is nothing else
        ("min_over_time(x[1m])", -1.0),
        ("sum_over_time(x[1m])", NAN),
        ("avg_over_time(x[1m])", NAN),
        ("count_over_time(x[1m])", 3.0),
        ("last_over_time(x[1m])", -1.0),
        ("quantile_over_time(0, x[1m])", NAN),  # NaN is the smallest value
        ("quantile_over_time(0.5, x[1m])", -1.0),
        ("quantile_over_time(1, x[1m])", 5.0),
        ("quantile_over_time(2, x[1m])", INF),
        ("quantile_over_time(-1, x[1m])", -INF),
        ("quantile_over_time(NaN, x[1m])", NAN),
        ("changes(x[1m])", 2.0),
        ("stddev_over_time(x[1m])", NAN),
    ],
)
def test_nan_in_a_range(function: str, expected: float) -> None:
    assert _value(_source(x=[5.0, NAN, -1.0]), function) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("sum_over_time(x[1m])", INF),
        ("avg_over_time(x[1m])", INF),
        ("max(x)", INF),
        ("x / 0", INF),
        ("-x", -INF),
        ("x * 0", NAN),
        ("x - x", NAN),
        ("deriv(x[1m])", NAN),
        ("x % 3", NAN),
        ("0 ^ -1 * x", INF),
        ("stddev(x)", NAN),
        ("day_of_month(x)", NAN),
    ],
)
def test_infinities_are_values_and_no_warning_leaks(expression: str, expected: float) -> None:
    assert _value(_source(x=[1.0, INF]), expression) == pytest.approx(expected, nan_ok=True)


def test_a_stale_marker_ends_a_series_at_once() -> None:
    source = _source(x=[1.0, STALE_NAN])
    query = compile_query("x")
    assert query.instant(source, 19_999).vector() == [(labels_from({"__name__": "x"}), 1.0)]
    assert query.instant(source, 20_000).vector() == []
    assert _value(source, "absent(x)") == 1.0


def test_a_stale_marker_is_no_sample_of_a_range() -> None:
    source = _source(x=[1.0, STALE_NAN, 4.0])
    assert _value(source, "count_over_time(x[1m])") == 2.0
    # 3 in 20 s, going on to the range's end at 40 s and, at most half a spacing, to its start:
    # 3 / 20 * (20 + 10 + 10) in 40 s; below zero at 10 s - 1 / 3 * 20 s, which is nearer.
    assert _value(source, "increase(x[40s])", 40_000) == pytest.approx(3 / 20 * (20 + 20 / 3 + 10))


def test_look_back_is_left_open_and_can_be_set() -> None:
    source = _source(x=[1.0])
    query = compile_query("x")
    assert len(query.instant(source, 309_999).vector()) == 1
    assert query.instant(source, 310_000).vector() == []
    assert query.instant(source, 20_000, lookback=10_000).vector() == []


def test_ranges_are_left_open() -> None:
    source = _source(x=[1.0, 2.0, 3.0])
    # (10 s, 30 s] has two of the three samples.
    assert _value(source, "count_over_time(x[20s])", 30_000) == 2.0


def test_sums_in_which_nearly_everything_cancels_are_exact() -> None:
    source = _source(x=[1e100, 1.0, -1e100])
    assert _value(source, "sum_over_time(x[1m])") == 1.0
    for number, value in enumerate((1e100, 1.0, -1e100)):
        source.add({"__name__": "y", "i": str(number)}, [(0, value)])
    assert _value(source, "sum(y)") == 1.0


def test_a_mean_does_not_overflow() -> None:
    source = _source(x=[1.7e308, 1.7e308])
    assert _value(source, "avg_over_time(x[1m])") == pytest.approx(1.7e308)


def test_equal_values_have_no_deviation_and_no_slope() -> None:
    source = _source(x=[0.1, 0.1, 0.1])
    assert _value(source, "stddev_over_time(x[1m])") == 0.0
    assert _value(source, "deriv(x[1m])") == 0.0


@pytest.mark.parametrize(
    "expression",
    [
        "x",
        "x + y",
        "x or y",
        "sum(x)",
        "topk(3, x)",
        "quantile(0.5, x)",
        "count_values('v', x)",
        "rate(x[5m])",
        "predict_linear(x[5m], 60)",
        "quantile_over_time(0.5, x[5m])",
        "max_over_time(x[5m:1m])",
        "histogram_quantile(0.5, x)",
        "histogram_fraction(0, 1, x)",
        "label_join(x, 'a', ',', 'b')",
        "sort_desc(x)",
        "day_of_week(x)",
        "x + on (a) group_left (b) fill(0) y",
    ],
)
def test_no_series_give_no_series(expression: str) -> None:
    source = MemorySeries()
    query = compile_query(expression)
    assert query.instant(source, 60_000).vector() == []
    assert query.range(source, 0, 60_000, 15_000).rows().tolist() == []


def test_the_series_of_a_range_come_by_their_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    # Prometheus sorts matrices, not vectors (engine.go, sortMatrixResult); here in runs of two.
    monkeypatch.setattr("forewarn_collector.promql.query._RUN", 2)
    source = MemorySeries()
    for series in ({"b": "1"}, {"a": "2"}, {"a": "10"}, {}, {"a": "10", "b": "1"}):
        source.add({"__name__": "x", **series}, [(10_000, 1.0)])
    expected = [(("a", "10"),), (("a", "10"), ("b", "1")), (("a", "2"),), (("b", "1"),)]
    for text, result in (
        ("range", compile_query("x").range(source, 0, 20_000, 10_000)),
        ("range vector", compile_query("x[1m]").instant(source, 20_000)),
    ):
        found = [result.labels[row][1:] for row in result.rows().tolist()]
        assert found == [(), *expected], text


def test_a_series_without_samples_in_time_is_as_none() -> None:
    source = _source(x=[1.0], y=[2.0])
    for expression in ("x + y", "sum(x)", "rate(x[1m])", "x > bool 0", "topk(1, x)"):
        assert compile_query(expression).instant(source, 3_600_000).vector() == []


def test_scalars_and_strings_have_their_own_kind() -> None:
    source = MemorySeries()
    scalar = compile_query("1 + 2 * time()").instant(source, 3_000)
    assert (scalar.kind, scalar.values.tolist()) == (ValueType.SCALAR, [[7.0]])
    string = compile_query("'a' ").instant(source, 0)
    assert (string.kind, string.text) == (ValueType.STRING, "a")
    constant = compile_query("1").range(source, 0, 2_000, 1_000)
    assert (constant.kind, constant.values.tolist()) == (ValueType.MATRIX, [[1.0, 1.0, 1.0]])


def test_two_metrics_that_become_one_are_an_error_only_where_both_are() -> None:
    source = _source(x=[1.0], y=[STALE_NAN])
    query = compile_query("-{__name__=~'x|y'}")
    assert query.instant(source, 10_000).vector() == [((), -1.0)]
    source.add({"__name__": "y"}, [(20_000, 5.0)])
    with pytest.raises(EvalError, match="same labelset"):
        query.instant(source, 20_000)


def test_a_match_of_many_to_many_names_the_series() -> None:
    source = MemorySeries()
    for name in ("x", "y"):
        for number in "12":
            source.add({"__name__": name, "i": number}, [(0, 1.0)])
    with pytest.raises(EvalError) as error:
        compile_query("x / on () y").instant(source, 0)
    assert str(error.value) == (
        "found duplicate series for the match group {} on the right hand-side of the operation: "
        '[{__name__="y", i="1"}, {__name__="y", i="2"}];many-to-many matching not allowed: '
        "matching labels must be unique on one side"
    )
    with pytest.raises(EvalError, match="must be explicit"):
        compile_query("x / on () y{i='1'}").instant(source, 0)


def test_series_that_ended_long_ago_make_no_match_of_many_to_many() -> None:
    source = MemorySeries()
    for number in range(300):
        # One version after the other, each ended when the next began.
        samples = [(number * 1_000, 1.0), ((number + 1) * 1_000, STALE_NAN)]
        source.add({"__name__": "version", "v": str(number)}, samples)
        source.add({"__name__": "x", "i": str(number)}, [(299_500, float(number))])
    result = compile_query("x * on () group_left (v) version").instant(source, 299_600).vector()
    assert len(result) == 300
    assert {dict(labels)["v"] for labels, _ in result} == {"299"}


def test_a_match_of_many_to_many_is_refused_before_its_product_is_made() -> None:
    source = MemorySeries()
    for number in range(3_000):
        for name in ("x", "y"):
            source.add({"__name__": name, "i": str(number)}, [(0, 1.0)])
    with pytest.raises(EvalError, match="many-to-many"):
        compile_query("x / on () y").instant(source, 0)


def test_a_question_too_large_is_refused() -> None:
    source = _source(x=[1.0])
    with pytest.raises(EvalError, match="longer step"):
        compile_query("x").range(source, 0, 60_000_000, 1)


def test_a_range_query_of_a_range_vector_is_refused() -> None:
    with pytest.raises(EvalError, match='invalid expression type "range vector"'):
        compile_query("x[5m]").range(MemorySeries(), 0, 1, 1)


def test_a_table_that_would_not_fit_memory_is_refused_before_it_is_made() -> None:
    source = MemorySeries()
    for number in range(7_100):  # 7,100 series at 7,100 different times: over 50 million cells
        source.add({"__name__": "x", "n": str(number)}, [(number, 1.0)])
    with pytest.raises(EvalError, match="too many samples"):
        compile_query("x[1m]").instant(source, 7_100)


def test_a_wrong_smoothing_factor_is_refused_where_one_sample_is_too_few_to_smooth() -> None:
    # Prometheus 2.42 says so; of no sample it says nothing.
    query = compile_query("holt_winters(x[1m], 0, 0.5)")
    with pytest.raises(EvalError, match="invalid smoothing factor"):
        query.instant(_source(x=[1.0]), 60_000)
    assert query.instant(_source(x=[1.0]), 600_000).vector() == []


def test_count_values_without_the_very_label_of_the_values_does_not_show_them() -> None:
    # Prometheus sets the label first and groups after (engine.go, aggregationCountValues).
    source = MemorySeries()
    for instance, value in (("a", 1.0), ("b", 2.0)):
        source.add({"__name__": "x", "instance": instance, "job": "j"}, [(10_000, value)])
    answer = compile_query('count_values without (instance) ("instance", x)').instant(
        source, 10_000
    )
    assert answer.vector() == [((("job", "j"),), 2.0)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # https://pkg.go.dev/math#Max: Max(x, +Inf) = Max(+Inf, x) = +Inf, Max(x, NaN) = NaN
        ("clamp_min(x, Inf)", INF),
        ("clamp_min(x, -Inf)", NAN),
        ("clamp_min(x, 1)", NAN),
        ("clamp_max(x, -Inf)", -INF),
        ("clamp_max(x, Inf)", NAN),
        ("clamp(x, -Inf, Inf)", NAN),
        ("clamp(x, Inf, NaN)", INF),
        ("clamp(x, NaN, -Inf)", NAN),
    ],
)
def test_nan_is_clamped_by_an_infinity_alone(expression: str, expected: float) -> None:
    assert _value(_source(x=[NAN]), expression) == pytest.approx(expected, nan_ok=True)
