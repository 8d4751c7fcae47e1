"""Which labels an expression's series can have: by hand, and beside the evaluator."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from differential.expressions import questions
from differential.question import Question
from differential.series import Dataset, datasets
from forewarn_collector.promql import EvalError, PromQLError, compile_query
from forewarn_collector.promql.errors import Position
from forewarn_collector.promql.label_sets import (
    NO_NAMES,
    Names,
    label_set,
    names,
    unique_on,
)
from forewarn_collector.promql.nodes import Binary, Expr, Selector, nodes_of
from forewarn_collector.store.matching import metric_of
from support.memory_series import MemorySeries

EPOCH = 1_700_000_000


def parsed(text: str) -> Expr:
    return compile_query(text).expr


# What each expression may have and certainly has, by the documents of PromQL; "*" is any label.
@pytest.mark.parametrize(
    ("text", "possible", "certain"),
    [
        ("up", "*", "__name__"),
        ('up{job="a", mode!="", gone=""}', "* -gone", "__name__ job mode"),
        ('rate(x{job=~"a|b"}[5m])', "* -__name__", "job"),
        ("sum(x)", "", ""),
        ('sum by (job, instance) (x{job="a"})', "job instance", "job"),
        ('sum without (job) (x{job="a", mode="b"})', "* -__name__ -job", "mode"),
        ("sum by (job) (sum by (instance) (x))", "", ""),
        ("topk by (job) (3, x)", "*", "__name__"),
        ('count_values("version", build)', "version", "version"),
        ('count_values without (version) ("version", x)', "* -__name__ -version", ""),
        ('absent(up{job="a", instance=~"b.*"})', "job", "job"),
        ("absent(sum(up))", "", ""),
        ("vector(1)", "", ""),
        ("vector(scalar(x))", "", ""),
        ("hour()", "", ""),
        ("histogram_quantile(0.9, sum by (le, job) (rate(b_bucket[5m])))", "job", ""),
        ('label_replace(sum(x), "team", "ops", "", "")', "team", "team"),
        ('label_replace(sum(x), "team", "$1", "job", "(.*)")', "team", ""),
        ('label_join(sum by (a) (x), "c", "-", "a", "b")', "a c", "c"),
        ('label_join(sum(x), "c", "", "a")', "", ""),
        ("info(sum by (job, instance) (x))", "* -__name__", ""),
        ('info(sum by (job) (x), {version=~".+"})', "job version", ""),
        ("sum by (a) (x) / on (a, b) sum by (a, b) (y)", "a", ""),
        ("sum by (a, b) (x) * on (a) group_left (c) sum by (a, c) (y)", "a b c", ""),
        ("sum by (a, b) (x) * on (a) group_left (d) sum by (a, c) (y)", "a b", ""),
        ("sum by (a, b) (x) * on (a) group_right sum by (a, c) (y)", "a c", ""),
        ("x - ignoring (mode) sum by (job, mode) (y)", "job", ""),
        ('x > on (job) y{job="a"}', "job", "job"),
        ('x{job="a"} and sum by (job, mode) (y)', "__name__ job mode", "__name__ job"),
        ("x unless sum(y)", "*", "__name__"),
        ('sum by (a) (x{a="1"}) or sum by (b) (y)', "a b", ""),
        ("max_over_time(sum by (a) (x)[1h:1m])", "a", ""),
        ("-sum by (a) (x) > 1", "a", ""),
        ("1 < bool x", "* -__name__", ""),
    ],
)
def test_labels_as_the_documents_of_promql_have_them(
    text: str, possible: str, certain: str
) -> None:
    found = label_set(parsed(text))
    lacking = [word[1:] for word in possible.split() if word.startswith("-")]
    expected = ~names(*lacking) if "*" in possible else names(*possible.split())
    assert found.possible == expected
    assert found.certain == set(certain.split())


def test_labels_that_are_alike_on_all_series_are_known_with_their_value() -> None:
    found = label_set(parsed('sum by (job, mode, zone) (x{job="a", mode=~"b|c", zone=""})'))
    assert found.fixed == {"job": "a", "zone": ""}
    assert found.varying == names("mode")


@given(st.data())
def test_sets_of_names_do_what_sets_do(data: st.DataObject) -> None:
    some = st.builds(Names, st.frozensets(st.sampled_from("abcd")), st.booleans())
    first, second = data.draw(some), data.draw(some)
    for name in "abcde":
        assert (name in first & second) is (name in first and name in second)
        assert (name in first | second) is (name in first or name in second)
        assert (name in first - second) is (name in first and name not in second)
        assert name in ~NO_NAMES
        assert name not in NO_NAMES


def _source(dataset: Dataset) -> MemorySeries:
    source = MemorySeries()
    for series in dataset.series:
        samples = [(EPOCH * 1000 + time, value) for time, value in series.samples]
        source.add(dict(series.labels), samples)
    return source


@settings(max_examples=400, deadline=None)
@given(questions(), datasets())
def test_no_result_has_a_label_that_it_cannot_have(question: Question, dataset: Dataset) -> None:
    try:
        query = compile_query(question.expression(EPOCH))
        result = query.instant(_source(dataset), (EPOCH + question.start) * 1000)
    except (PromQLError, EvalError):
        return
    found = label_set(query.expr)
    for row in result.rows().tolist():
        labels = dict(result.labels[row])
        assert all(name in found.possible for name in labels)
        assert found.certain <= labels.keys()
        assert all(labels.get(name, "") == value for name, value in found.fixed.items())


@settings(max_examples=300, deadline=None)
@given(questions())
def test_selectors_and_operators_know_where_they_stand(question: Question) -> None:
    text = question.expression(EPOCH)
    try:
        expr = parsed(text)
    except PromQLError:
        return
    for node in nodes_of(expr):
        if isinstance(node, Selector):
            name = metric_of(node.matchers)
            assert _at(text, node.place).startswith(name or "{")
        elif isinstance(node, Binary):
            assert _at(text, node.place).startswith(node.operator)


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("a + -b", 2),
        ("-a - b", 3),
        ("a offset -5m - b", 13),
        ("a @ -5 + b", 7),
        ("rate(x[5m:30s]) * 2", 16),
        ("a / on (c) -b", 2),
        ("sum(a) by (c) - b", 14),
        ('a{c="-"} -b', 9),
        ("a and on (c) {d=~'e'}", 2),
        ("a <= bool -1", 2),
    ],
)
def test_the_sign_of_a_number_is_no_operator(text: str, offset: int) -> None:
    expr = parsed(text)
    assert isinstance(expr, Binary)
    assert expr.place == (1, offset + 1)


def _at(text: str, place: Position | None) -> str:
    assert place is not None
    line, column = place
    return text.split("\n")[line - 1][column - 1 :]


# By the meaning of each operator: which results have one series at most for each value of `on`.
@pytest.mark.parametrize(
    ("text", "on", "unique"),
    [
        ("sum by (a, b) (x)", "a b", True),
        ("sum by (a, b) (x)", "a", False),
        ('sum by (a, b) (x{b="1"})', "a", True),
        ("sum(x)", "", True),
        ("x", "a b", False),
        ("topk by (a) (1, x)", "a", True),
        ("topk by (a) (2, x)", "a", False),
        ("topk by (a, b) (1, x)", "a", False),
        ("sum without (b) (topk by (a) (1, x))", "a", True),
        ("rate(x[5m]) > 0", "a", False),
        ("abs(sum by (a) (x)) > 0", "a", True),
        ("sum by (a) (x) * on (a) group_left (c) max by (a, c) (y)", "a", True),
        ("topk by (a) (1, x) * on (b) group_left (a) max by (a, b) (y)", "a", False),
        ("sum by (a) (x) or sum by (a) (y)", "a", True),
        ("topk by (a) (1, x) or topk by (a) (1, y)", "a", False),
        ("topk by (c) (1, x) / on (a, b) sum by (a, b) (y)", "a c", False),
    ],
)
def test_which_series_are_unique_on_some_labels(text: str, on: str, unique: bool) -> None:
    assert unique_on(parsed(text), names(*on.split())) is unique


@settings(max_examples=400, deadline=None)
@given(questions(), datasets(), st.sets(st.sampled_from(["instance", "job", "mode", "le"])))
def test_series_that_are_unique_on_labels_never_repeat(
    question: Question, dataset: Dataset, on: set[str]
) -> None:
    try:
        query = compile_query(question.expression(EPOCH))
        result = query.instant(_source(dataset), (EPOCH + question.start) * 1000)
    except (PromQLError, EvalError):
        return
    if query.result_type == "vector" and unique_on(query.expr, names(*on)):
        found = [
            tuple(pair for pair in result.labels[row] if pair[0] in on)
            for row in result.rows().tolist()
        ]
        assert len(found) == len(set(found))
