"""Warnings and infos: Prometheus' texts, said once, with the place in the query they are about."""

from __future__ import annotations

import pytest

from forewarn_collector.promql import compile_query
from support.memory_series import MemorySeries

MINUTE = 60_000


def _source() -> MemorySeries:
    source = MemorySeries()
    for name in ("requests", "requests_total", "other"):
        source.add({"__name__": name}, [(t * 15_000, float(t)) for t in range(20)])
    for bound, count in (("1", 40.0), ("2", 30.0), ("+Inf", 35.0)):
        source.add({"__name__": "slow_bucket", "le": bound}, [(0, count), (MINUTE, count)])
    source.add({"__name__": "odd", "le": "x"}, [(0, 1.0)])
    return source


_QUANTILE = "PromQL warning: quantile value should be between 0 and 1, got"
_COUNTER = (
    "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket:"
)
_MONOTONIC = (
    "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see "
    "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)"
)


@pytest.mark.parametrize(
    ("expression", "warnings", "infos"),
    [
        ("rate(requests_total[1m])", [], []),
        ("rate(requests[1m])", [], [f'{_COUNTER} "requests" (1:6)']),
        ("rate(nothing[1m])", [], []),
        ("delta(requests[1m])", [], []),
        (
            'sum by (x) (\n  increase({__name__=~"req.*|other"}[1m]))',
            [],
            [f'{_COUNTER} "requests" (2:12)', f'{_COUNTER} "other" (2:12)'],
        ),
        ("quantile(2, requests)", [f"{_QUANTILE} 2 (1:10)"], []),
        ("quantile((-0.1), nothing)", [f"{_QUANTILE} -0.1 (1:11)"], []),
        ("quantile_over_time(1e6, requests[1m])", [f"{_QUANTILE} 1e+06 (1:20)"], []),
        ("quantile_over_time(2, nothing[1m])", [], []),
        (
            "limit_ratio(-1.5, requests)",
            [
                "PromQL warning: ratio value should be between -1 and 1, got -1.5, "
                "capping to -1 (1:13)"
            ],
            [],
        ),
        (
            "histogram_quantile(0.5, odd)",
            [
                'PromQL warning: bucket label "le" is missing or has a malformed value of "x" '
                'for metric name "odd" (1:25)'
            ],
            [],
        ),
        (
            "histogram_quantile(0.5, slow_bucket)",
            [],
            [
                f'{_MONOTONIC} for metric name "slow_bucket", from buckets 2 to +Inf, with a max '
                "diff of 10, over 1 samples from 1970-01-01T00:01:00Z to 1970-01-01T00:01:00Z "
                "(1:25)"
            ],
        ),
        ("sort(requests)", [], []),
    ],
)
def test_an_answer_says_what_is_doubtful(
    expression: str, warnings: list[str], infos: list[str]
) -> None:
    result = compile_query(expression).instant(_source(), MINUTE)
    assert list(result.warnings) == warnings
    assert list(result.infos) == infos


def test_falling_buckets_of_all_steps_and_quantiles_are_one_info() -> None:
    query = compile_query('histogram_quantiles(slow_bucket, "q", 0.5, 0.9, 2)')
    result = query.range(_source(), 0, 2 * MINUTE, MINUTE)
    assert list(result.infos) == [
        f'{_MONOTONIC} for metric name "slow_bucket", from buckets 2 to +Inf, with a max diff of '
        "10, over 6 samples from 1970-01-01T00:00:00Z to 1970-01-01T00:02:00Z (1:21)"
    ]
    assert list(result.warnings) == [f"{_QUANTILE} 2 (1:49)"]


def test_sorting_a_range_is_said_to_be_in_vain() -> None:
    result = compile_query("sum(sort_desc(requests))").range(_source(), 0, MINUTE, MINUTE)
    assert list(result.warnings) == [
        "PromQL warning: sort is ineffective for range queries since results are always ordered "
        "by labels (1:5)"
    ]


def test_an_argument_begins_behind_the_brackets_around_it() -> None:
    result = compile_query("1 + sum(rate(((requests[1m]))) )").instant(_source(), MINUTE)
    assert list(result.infos) == [f'{_COUNTER} "requests" (1:16)']
