"""What an expression needs: without such series it has no result, and only then is it said so."""

from __future__ import annotations

import pytest

from forewarn_collector.promql import compile_query, needs_of
from support.memory_series import MemorySeries

A, B, BOTH = ("a",), ("b",), ("a", "b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", [A]),
        ("rate(a[5m]) > 1", [A]),
        ("-(a offset 1h)", [A]),
        ("1 - a", [A]),
        ("a / b", [A, B]),
        ("a and b", [A, B]),
        ("a unless b", [A]),
        ("a or b", [BOTH]),
        ("(a and b) or b", [BOTH, B]),
        ("(a or 1 == bool b) > 2", [BOTH]),
        ("sum by (x) (rate(a[5m]))", [A]),
        ("topk(scalar(b), a)", [A]),
        ("max_over_time(sum(a)[1h:5m])", [A]),
        ("histogram_quantile(scalar(b), a)", [A]),
        ("a > scalar(b)", [A]),
        ('label_replace(a, "x", "$1", "y", "(.*)")', [A]),
        ("info(a)", [A]),
        ("a + fill(0) b", [BOTH]),
        # These may say something when there is nothing.
        ("absent(a)", []),
        ("absent_over_time(a[5m])", []),
        ("absent(a) or b", []),
        ("vector(1)", []),
        ("vector(scalar(a))", []),
        ("hour() > 8", []),
        ("scalar(a)", []),
    ],
)
def test_what_an_expression_needs(text: str, expected: list[tuple[str, ...]]) -> None:
    needs = needs_of(compile_query(text).expr)
    assert [tuple(matchers[0].value for matchers in need) for need in needs] == expected


@pytest.mark.parametrize("there", ["", "a", "b", "a b"])
@pytest.mark.parametrize(
    "text",
    [
        "a + b", "a or b", "a unless b", "a and b", "sum(a) or sum(b)", "a + fill(0) b",
        "a + fill_right(0) b", "sum(a) / count(b)", "absent(a) and b", "vector(scalar(a))",
        "count_over_time(a[5m]) or b", "count_values('v', a)", "absent_over_time(a[5m:1m])",
    ],
)  # fmt: skip
def test_where_a_need_is_not_met_there_is_no_result(text: str, there: str) -> None:
    source = MemorySeries()
    for name in there.split():
        source.add({"__name__": name, "x": "y"}, [(0, 1.0), (60_000, 2.0)])
    query = compile_query(text)
    met = all(any(m[0].value in there.split() for m in need) for need in needs_of(query.expr))
    assert met or query.instant(source, 60_000).vector() == []
