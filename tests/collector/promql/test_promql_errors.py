"""Errors of expressions: refused with a place, never with a crash; what the library misreads."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forewarn_collector.promql import AtEdge, EvalError, PromQLError, compile_query
from forewarn_collector.promql.nodes import Call, Number, Selector, String
from support.memory_series import MemorySeries

REFUSALS = Path(__file__).with_name("refusals.tsv")
"""Expressions and what Prometheus 2.42 answers, recorded from its query API."""


@pytest.mark.parametrize(
    ("expression", "answer"),
    [line.split("\t") for line in REFUSALS.read_text().splitlines()],
)
def test_a_refused_expression_is_told_of_as_by_prometheus(expression: str, answer: str) -> None:
    with pytest.raises(PromQLError) as error:
        compile_query(expression)
    assert str(error.value) == answer


@pytest.mark.parametrize(
    ("expression", "position", "part"),
    [
        ("", (1, 1), "no expression"),
        ("a)", (1, 2), "unexpected right parenthesis"),
        ("a +\n  on (x) group_left (x)\n  b", (1, 3), "must not occur in ON and GROUP"),
        ("a{x=~'['}", (1, 3), "error parsing regexp: missing closing ]: `[`"),
        ("a{b='c' or d='e'}", (1, 9), "label matching"),
        ("1 and 2", (1, 1), "set operator"),
        ("a offset 1m offset 2m + b", (1, 1), "multiple times"),
        ("a[1e400]", (1, 3), "duration out of range"),
        ("a[5m:1e300]", (1, 6), "duration out of range"),
        ("a offset -1e300", (1, 11), "duration out of range"),
        ("a[0]", (1, 3), "duration must be greater than 0"),
        ("a[10:0]", (1, 6), "duration must be greater than 0"),
        ("a @ 1000x1f", (1, 5), "bad number or duration syntax"),
        ("a @ 0x_", (1, 5), "bad number or duration syntax"),
        ("info(a, b)", (1, 9), "expected label selectors only, got vector selector instead"),
    ],
)
def test_a_refused_expression_has_a_place(
    expression: str, position: tuple[int, int], part: str
) -> None:
    with pytest.raises(PromQLError) as error:
        compile_query(expression)
    assert part in error.value.message
    assert error.value.position == position
    assert str(error.value).startswith(f"{position[0]}:{position[1]}: parse error: ")


@pytest.mark.parametrize(
    "expression",
    [
        "label_replace(a, '', '$1', 'b', '(.*)')",
        "label_replace(a, 'x', '$1', 'b', '(')",
        "{}",
        "a @ Inf",
        "é",
    ],
)
def test_what_cannot_be_evaluated_is_refused_when_it_is_compiled(expression: str) -> None:
    with pytest.raises(PromQLError):
        compile_query(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 100_000 + "a" + ")" * 100_000,
        "+".join(["a"] * 100_000),
        "- " * 100_000 + "a",
        "abs(" * 300 + "a" + ")" * 300,
        "sum by (" + "a," * 1_000_000 + ") (b)",
        "a" * 10_000_000,
    ],
)
def test_deep_nesting_is_refused_and_does_not_overflow_the_stack(expression: str) -> None:
    with pytest.raises(PromQLError):
        compile_query(expression)


def test_a_time_before_1970_is_read() -> None:
    # The library raises a panic that is no Exception.
    expr = compile_query("a @ -1.5").expr
    assert isinstance(expr, Selector)
    assert expr.at == -1_500
    query = compile_query("a @ start() offset -2m")
    assert isinstance(query.expr, Selector)
    assert (query.expr.at, query.expr.offset) == (AtEdge.START, -120_000)


def test_a_raw_string_keeps_its_backslashes() -> None:
    assert compile_query('`a\\b"c`').expr == String('a\\b"c')


def test_digits_may_be_grouped() -> None:
    assert compile_query("1_000.5").expr == Number(1000.5)


def test_the_old_name_of_double_exponential_smoothing_is_known() -> None:
    expr = compile_query("holt_winters(a[5m], 0.1, 0.2)").expr
    assert isinstance(expr, Call)
    assert expr.function == "double_exponential_smoothing"


@pytest.mark.parametrize(
    ("matcher", "found"),
    [
        ("x=~'a.c'", {"abc", "a\nc"}),  # anchored, and a dot is any character
        ("x=~'a'", set()),
        ("x=~'a.*|q'", {"abc", "a\nc", "q"}),
        ("x!~'a.*'", {"q", ""}),
        ("x=~'(?i)Q'", {"q"}),
        ("x=''", {""}),
        ("x=~'.*'", {"abc", "a\nc", "q", ""}),
    ],
)
def test_regular_expressions_are_re2_and_anchored(matcher: str, found: set[str]) -> None:
    source = MemorySeries()
    for value in ("abc", "a\nc", "q", ""):
        source.add({"__name__": "m", "x": value}, [(0, 1.0)])
    result = compile_query(f"m{{{matcher}}}").instant(source, 0).vector()
    assert {dict(labels).get("x", "") for labels, _ in result} == found


@pytest.mark.parametrize("pattern", ["a{b", "\\\\Qa.b\\\\E", "(?i:X)y{,2}"])
def test_a_regex_that_only_re2_knows_is_one(pattern: str) -> None:
    # The library that parses would check it with the syntax of Rust.
    expr = compile_query(f'm{{x=~"{pattern}"}}').expr
    assert isinstance(expr, Selector)
    assert expr.matchers[1].value == pattern.replace("\\\\", "\\")


def test_label_replace_expands_groups_as_go_does() -> None:
    source = MemorySeries()
    source.add({"__name__": "m", "x": "web-17"}, [(0, 1.0)])
    query = compile_query(
        r"label_replace(m, 'y', '$2:${kind}:$$:$9:$1x', 'x', '(?P<kind>[a-z]+)-(\\d+)')"
    )
    ((labels, _),) = query.instant(source, 0).vector()
    # `$1x` is the group named "1x", which there is none of.
    assert dict(labels)["y"] == "17:web:$::"


_WORDS = st.sampled_from(
    [
        "a",
        "b",
        'x{y="1"}',
        "[5m]",
        "[5m:1m]",
        "[1m:]",
        "(",
        ")",
        ",",
        "+",
        "-",
        "*",
        "/",
        "%",
        "^",
        "==",
        "!=",
        ">",
        "<",
        "bool",
        "and",
        "or",
        "unless",
        "on(y)",
        "ignoring(y)",
        "group_left",
        "group_right(z)",
        "by(y)",
        "without()",
        "sum",
        "topk",
        "count_values",
        "quantile",
        "rate",
        "increase",
        "avg_over_time",
        "absent",
        "histogram_quantile",
        "label_replace",
        "vector",
        "scalar",
        "time()",
        "offset",
        "1m",
        "-1m",
        "@",
        "start()",
        "end()",
        "5",
        "-3",
        "0.5",
        "NaN",
        '"s"',
        "'y'",
        "`r`",
        "fill(1)",
        "sort",
        "clamp",
        "{",
        "}",
        "[",
        "]",
        "=~",
        "#",
        ":",
        "1e400",
        "5m",
        "@-1",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(_WORDS, max_size=12).map(" ".join) | st.text(max_size=30))
def test_any_text_gives_a_result_or_our_error(text: str) -> None:
    source = MemorySeries()
    for value in "12":
        source.add({"__name__": "a", "y": value, "le": value}, [(0, 1.0), (30_000, 5.0)])
        source.add({"__name__": "b", "y": value}, [(0, 1.0), (20_000, float("nan"))])
    try:
        compile_query(text).instant(source, 60_000)
        compile_query(text).range(source, 0, 60_000, 20_000)
    except (PromQLError, EvalError):
        pass
