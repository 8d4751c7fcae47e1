"""Expressions formatted, and their trees as JSON; a real Prometheus judges in the system tests."""

from __future__ import annotations

from typing import Any

import pytest

from forewarn_collector.promql import compile_query
from forewarn_collector.promql.pretty import pretty
from forewarn_collector.promql.tree import tree_json


@pytest.mark.parametrize(
    ("text", "formatted"),
    [
        # prometheus/prometheus promql/parser/printer_test.go.
        ("sum by() (task:errors:rate10s{job='s'})", 'sum(task:errors:rate10s{job="s"})'),
        ("sum(a) by (code)", "sum by (code) (a)"),
        ('sum without("foo.bar") (a)', 'sum without ("foo.bar") (a)'),
        ("topk(5,task:errors:rate10s)", "topk(5, task:errors:rate10s)"),
        ("a-on(b)group_left(x)c", "a - on (b) group_left (x) c"),
        ("a - ignoring() c", "a - c"),
        ("a - on() c", "a - on () c"),
        ("up > bool 0", "up > bool 0"),
        ("a[5m] offset 1m", "a[5m] offset 1m"),
        ("a[1h:5m] offset -1m", "a[1h:5m] offset -1m"),
        ("a[1h:]", "a[1h:]"),
        ("a @ 10", "a @ 10.000"),
        ("a @ end() offset 5m", "a @ end() offset 5m"),
        ("a[1m] @ start()", "a[1m] @ start()"),
        ('{"foo.bar", b="2", a="1"}', '{__name__="foo.bar",a="1",b="2"}'),
        ('a{"b.c"="d"}', 'a{"b.c"="d"}'),
        ("-(1)", "-(1)"),
        ("1e9", "1000000000"),
        ("a + fill_left(3) b", "a + fill_left (3) b"),
        ("a + fill(1) b", "a + fill (1) b"),
        ("info(a,{__name__='b'})", 'info(a, {__name__="b"})'),
        ("info(a,{})", "info(a, {})"),
    ],
)
def test_an_expression_has_one_form(text: str, formatted: str) -> None:
    assert pretty(compile_query(text).expr) == formatted
    assert pretty(compile_query(formatted).expr) == formatted


LONG = "a_metric_with_a_name_that_is_long_enough_to_be_broken_off_soon"


def test_what_is_longer_than_a_hundred_characters_is_broken() -> None:
    # By the rules of promql/parser/prettier.go.
    text = f"sum by (job) (rate({LONG}[5m]) / on (job, instance) (-{LONG} + 1)) > 0"
    assert pretty(compile_query(text).expr) == (
        "  sum by (job) (\n"
        f"      rate({LONG}[5m])\n"
        "    / on (job, instance)\n"
        f"      (-{LONG} + 1)\n"
        "  )\n"
        ">\n"
        "  0"
    )


def test_a_tree_is_what_prometheus_parse_query_answers() -> None:
    # The shape of web/api/v1/translate_ast.go; the numbers are those of the expression.
    def series(**given: Any) -> dict[str, Any]:
        name = {"name": "__name__", "value": given["name"], "type": "="}
        defaults = {"offset": 0, "matchers": [name], "timestamp": None, "startOrEnd": None}
        return defaults | {"anchored": False, "smoothed": False} | given

    text = "sum by (a) (rate(x[5m] offset 1m)) > bool on (a) group_left () (-y @ end())"
    tree = tree_json(compile_query(text).expr)
    assert tree == {
        "type": "binaryExpr",
        "op": ">",
        "bool": True,
        "matching": {
            "card": "many-to-one",
            "labels": ["a"],
            "on": True,
            "include": [],
            "fillValues": {"lhs": None, "rhs": None},
        },
        "lhs": {
            "type": "aggregation",
            "op": "sum",
            "param": None,
            "grouping": ["a"],
            "without": False,
            "expr": {
                "type": "call",
                "func": {
                    "name": "rate",
                    "argTypes": ["matrix"],
                    "variadic": 0,
                    "returnType": "vector",
                },
                "args": [series(type="matrixSelector", name="x", range=300_000, offset=60_000)],
            },
        },
        "rhs": {
            "type": "parenExpr",
            "expr": {
                "type": "unaryExpr",
                "op": "-",
                "expr": series(type="vectorSelector", name="y", startOrEnd="end"),
            },
        },
    }


def test_a_tree_of_literals_and_subqueries() -> None:
    tree = tree_json(
        compile_query('label_replace(max_over_time(z[1h:5m] @ 2), "a", "", "", "")').expr
    )
    subquery, *texts = tree["args"][0]["args"] + tree["args"][1:]
    assert (subquery["type"], subquery["range"], subquery["step"]) == (
        "subquery",
        3_600_000,
        300_000,
    )
    assert subquery["timestamp"] == 2_000
    assert [text["type"] for text in texts] == ["stringLiteral"] * 4
    assert tree_json(compile_query("1.5").expr) == {"type": "numberLiteral", "val": "1.5"}
