"""How far back loaded rules read each metric."""

from __future__ import annotations

from pathlib import Path

import pytest

from forewarn_collector.promql import compile_query
from forewarn_collector.promql.reach import reach_of
from forewarn_collector.rules import load_rules
from forewarn_collector.rules.windows import windows_of

MINUTE = 60_000
HOUR = 60 * MINUTE


@pytest.mark.parametrize(
    ("expr", "wanted"),
    [
        ("up == 0", {"up": 5 * MINUTE}),
        ("rate(a[1h]) / b", {"a": HOUR, "b": 5 * MINUTE}),
        ("rate(a[1h] offset 2h)", {"a": 3 * HOUR}),
        # What lies ahead needs nothing of the past.
        ("a offset -1h", {"a": 5 * MINUTE}),
        # A subquery's first step looks back from its beginning.
        ("max_over_time(rate(a[5m])[1h:1m])", {"a": HOUR + 5 * MINUTE}),
        ("max_over_time((a + b)[1h:1m] offset 1h)", {"a": 125 * MINUTE, "b": 125 * MINUTE}),
        ("rate(a[5m]) > 0 and avg_over_time(a[30m]) > 1", {"a": 30 * MINUTE}),
        ("rate(a[1h] @ 1000)", {}),
        ('{__name__=~"a|b"}', {"a": 5 * MINUTE, "b": 5 * MINUTE}),
        ('rate({job="x"}[10m])', {"": 10 * MINUTE}),
        ("vector(1)", {}),
    ],
)
def test_an_expression_reads_so_far_back(expr: str, wanted: dict[str, int]) -> None:
    assert reach_of([compile_query(expr).expr], 5 * MINUTE) == wanted


def test_the_longest_read_of_any_rule_counts_and_a_little_more(tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(
        """
groups:
  - name: one
    interval: 1m
    rules:
      - {alert: A, expr: "rate(a[1h]) > 1 and b > 0"}
      - {alert: B, expr: "rate(a[5m]) > 1 and rate(c[5m]) > 1 and d offset 1m > 1"}
"""
    )
    # Half a minute for an evaluation that is late; a window waits a minute for the next one. Of
    # what is read as of now alone, the newest sample is known in any case.
    assert windows_of(load_rules([file], interval=MINUTE)) == {
        "a": HOUR + MINUTE + 30_000,
        "c": 5 * MINUTE + 30_000,
        "d": 7 * MINUTE + 30_000,
    }
