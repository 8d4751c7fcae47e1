"""What is refused in an expression comes with a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from forewarn_collector.rules.load import RuleFileError, load_rules


@pytest.mark.parametrize(
    ("expr", "hint"),
    [
        ("rte(a[5m])", "did you mean rate?"),
        ("summ(a)", "did you mean sum?"),
        ("nothing_like_it(a)", ""),
        ("a < 0.1)", "one closing bracket too many"),
        ("rate(a[5m]", "a bracket is never closed"),
        ("a{b=c}", 'values of labels stand in quotes: {name="value"}'),
        ('a{b=="c"}', "labels are compared by"),
        ("a =< 1", "comparisons are ==, !=, <, <=, > and >="),
        ("a = 0", "comparisons are ==, !=, <, <=, > and >="),
        ("sum by instance (a)", "labels stand in brackets: by (instance)"),
        ("sum(a) by instance", "labels stand in brackets: by (instance)"),
        ("a[5m] / b", "a range such as [5m] goes behind the metric"),
        ("rate(a)", "a range such as [5m] goes behind the metric"),
        ("avg(a[5m])", "wrap the range in a function such as rate()"),
        ("rate(sum(a)[5m])", "write a subquery"),
        ("a[5minutes]", "durations are written 30s, 5m, 1h30m, 7d"),
        ("a == “x”", "quotes are"),
        ("a && b", "the operators are and, or, unless"),
        ("a || b", "the operators are and, or, unless"),
        ("a > 1 and", "something is missing behind the last operator"),
        ('a{b="c}', "close the quote"),
        ('a{b="c"', "close the brace with }"),
        ("{}", "name a metric"),
        ("$threshold < a", "an expression knows no variables"),
        ("system.cpu > 1", "a name with dots stands in braces and quotes"),
        ("1 > 2", "compare with a metric"),
    ],
)
def test_a_refused_expression_comes_with_a_remedy(tmp_path: Path, expr: str, hint: str) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(
        f"groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |\n      {expr}\n", encoding="utf-8"
    )
    with pytest.raises(RuleFileError) as caught:
        load_rules([file])
    (problem,) = caught.value.problems
    assert problem.line in (5, 6)
    assert problem.hint.startswith(hint)
    assert bool(problem.hint) == bool(hint)
