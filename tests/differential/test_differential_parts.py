"""The parts of the differential test that could make it say too little."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from differential import changes
from differential.answers import Answer, in_process
from differential.changes import extrapolation_of_2, table
from differential.comparison import difference, documented, out_of_order, same_value
from differential.counts import Counts, parts_of
from differential.question import Question
from differential.rounding import only_rounding
from differential.series import Dataset, Series
from forewarn_wire import Labels, labels_from
from support.memory_series import MemorySeries

G: Labels = labels_from({"__name__": "g"})
INF, NAN = math.inf, math.nan


def _dataset(*values: float, every: int = 30_000, first: int = 500) -> Dataset:
    samples = tuple((first + place * every, value) for place, value in enumerate(values))
    return Dataset((Series(G, samples),))


def _source(dataset: Dataset) -> MemorySeries:
    source = MemorySeries()
    for series in dataset.series:
        source.add(dict(series.labels), series.samples)
    return source


def _instant(text: str, at: int) -> Question:
    return Question(text, at, at, 0)


def _vector(value: float, **labels: str) -> Answer:
    return Answer("vector", {labels_from(labels): {60_000: value}}, [value])


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        (1.0, 1.0 + 5e-10, True),
        (1.0, 1.0 + 5e-9, False),
        (0.0, 1e-300, False),
        (0.0, -0.0, True),
        (NAN, NAN, True),
        (NAN, 1.0, False),
        (INF, INF, True),
        (INF, -INF, False),
        (INF, 1e308, False),
    ],
)
def test_values_are_the_same_to_a_share_of_a_billionth(
    ours: float, theirs: float, same: bool
) -> None:
    assert same_value(ours, theirs) is same


def test_answers_differ_in_type_series_times_values_and_in_whether_they_fail() -> None:
    answer = _vector(1.0, a="b")
    assert difference(answer, _vector(1.0, a="b")) is None
    others = [
        _vector(2.0, a="b"),
        _vector(1.0, a="c"),
        Answer("vector"),
        Answer("matrix", answer.series),
        Answer("vector", {labels_from({"a": "b"}): {61_000: 1.0}}),
        Answer("execution", text="no"),
    ]
    assert all(difference(answer, other) for other in others)
    assert difference(Answer("execution", text="one"), Answer("execution", text="two")) is None
    assert difference(Answer("bad_data"), Answer("execution")) is not None


def test_the_order_of_values_matters_where_they_are_sorted() -> None:
    ours, theirs = Answer("vector", order=[1.0, 2.0]), Answer("vector", order=[2.0, 1.0])
    for text in ("sort(g)", "sort_desc(g)", "topk(2, g)"):
        assert out_of_order(_instant(text, 60), ours, theirs)
    for text in ("g", "topk by (a) (2, g)", "-sort(g)"):
        assert out_of_order(_instant(text, 60), ours, theirs) is None


def test_what_is_left_of_a_sum_is_rounding_and_another_value_is_not() -> None:
    dataset = _dataset(0.1, 0.2, -0.3)
    question = _instant("sum_over_time(g[5m])", 90)
    ours = in_process(_source(dataset), question, 0)
    labels, at = next(iter(ours.series)), 90_000

    def theirs(value: float) -> Answer:
        return Answer("vector", {labels: {at: value}}, [value])

    assert only_rounding(question, ours, theirs(5.6e-17), dataset, 0)
    assert not only_rounding(question, ours, theirs(1e-9), dataset, 0)
    assert not only_rounding(question, ours, Answer("vector"), dataset, 0)
    # A maximum never rounds.
    highest = _instant("max_over_time(g[5m])", 90)
    ours = in_process(_source(dataset), highest, 0)
    assert not only_rounding(highest, ours, theirs(0.2 + 1e-16), dataset, 0)


def test_the_root_of_what_is_left_of_zero_may_be_none() -> None:
    # The slope of -1, 1, 3, 2 again and again is 0 over two and a half rounds; a root of 0 is 0.
    dataset = _dataset(*(-1.0, 1.0, 3.0, 2.0) * 3)
    question = _instant("sqrt(deriv(g[5m]) - 1)", 302)
    never = in_process(_source(dataset), question, 0)
    zero = Answer("vector", {labels_from({}): {302_000: 0.0}}, [0.0])
    assert not only_rounding(question, never, zero, dataset, 0)
    question = _instant("sqrt(deriv(g[5m]))", 302)
    for value in (NAN, 1e-8):
        ours = Answer("vector", {labels_from({}): {302_000: value}}, [value])
        assert only_rounding(question, ours, zero, dataset, 0)
    infinite = Answer("vector", {labels_from({}): {302_000: -INF}}, [-INF])
    question = _instant("ln(deriv(g[5m]))", 302)
    assert only_rounding(question, in_process(_source(dataset), question, 0), infinite, dataset, 0)
    question = _instant("ln(deriv(g[5m]) + 2)", 302)
    of_two = in_process(_source(dataset), question, 0)
    assert not only_rounding(question, of_two, infinite, dataset, 0)


def test_the_extrapolation_of_prometheus_2_goes_to_zero_even_beyond_half_a_spacing() -> None:
    # 7, 17, ..., 47 at 200.5 s, 230.5 s, ...: an increase of 40 in 120 s, so the zero was 21 s
    # before the first sample, farther than half of 30 s. The last sample is 1.5 s before the end.
    source = _source(_dataset(7.0, 17.0, 27.0, 37.0, 47.0, first=200_500))
    question = _instant("increase(g[5m])", 322)
    labels = labels_from({})
    ours = in_process(source, question, 0)
    assert ours.series[labels][322_000] == pytest.approx(40 * (120 + 15 + 1.5) / 120)
    with extrapolation_of_2():
        theirs = in_process(source, question, 0)
    assert theirs.series[labels][322_000] == pytest.approx(40 * (120 + 21 + 1.5) / 120)
    assert in_process(source, question, 0) == ours
    dataset = _dataset(7.0, 17.0, 27.0, 37.0, 47.0, first=200_500)
    change = documented(question, ours, theirs, source, dataset, 0)
    assert change is changes.EXTRAPOLATION
    wrong = _vector(41.0)
    assert documented(question, ours, wrong, source, dataset, 0) is None


def test_ties_are_allowed_where_the_values_are_the_same() -> None:
    dataset = _dataset(1.0)
    question, source = _instant("topk(1, g)", 60), _source(_dataset(1.0))
    ours, theirs = _vector(1.0, a="b"), _vector(1.0, a="c")
    assert documented(question, ours, theirs, source, dataset, 0) is changes.TIES
    other = _vector(2.0, a="c")
    assert documented(question, ours, other, source, dataset, 0) is None


def test_an_error_of_theirs_alone_is_allowed_for_names_only() -> None:
    dataset = _dataset(1.0)
    question, source = _instant("abs(g)", 60), _source(_dataset(1.0))
    twice = Answer("execution", text="vector cannot contain metrics with the same labelset")
    assert documented(question, _vector(1.0), twice, source, dataset, 0) is changes.NAMES
    other = Answer("execution", text="found duplicate series for the match group")
    assert documented(question, _vector(1.0), other, source, dataset, 0) is None
    assert documented(question, other, _vector(1.0), source, dataset, 0) is None


def test_parts_of_the_language_are_counted_where_something_was_found() -> None:
    text = "sum by (a) (rate(c[5m] offset -1m)) > bool on (a) group_left () -(g @ end())"
    assert parts_of(text) == {
        "sum", "by", "rate()", "[range]", "negative offset",
        ">", "bool", "on", "group_left", "negation", "@ end()",
    }  # fmt: skip
    counts = Counts()
    counts.add(_instant("abs(g)", 60), Answer("vector"))
    assert "abs()" in counts.missing()
    counts.add(_instant("abs(g)", 60), _vector(1.0))
    assert "abs()" not in counts.missing()


def test_the_changes_that_are_allowed_are_documented() -> None:
    page = Path(__file__).parents[2] / "docs" / "prometheus-2.md"
    assert page.read_text().endswith(f"\n\n{table()}\n"), "paste differential.changes.table()"
