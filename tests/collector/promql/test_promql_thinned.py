"""Queries over thinned time: against the same samples unthinned, which are the outside truth."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from forewarn_collector.promql import compile_query
from forewarn_collector.promql.live import LiveWindows
from forewarn_collector.promql.query import Result
from forewarn_collector.promql.shared import Round
from forewarn_collector.store import SlidingWindow
from forewarn_wire import STALE_NAN, Labels
from support.memory_source import MemorySource
from support.stores import HOUR, series
from support.thinned_source import ThinnedArchive

MINUTE = 60_000
FIVE = 5 * MINUTE
START = 480_000 * HOUR
HOURS = START + 3 * HOUR
MINUTES = START + 5 * HOUR
END = START + 6 * HOUR
X = series("x_total", instance="web1")

_VALUES = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 2.0, 3.0, STALE_NAN, math.inf, math.nan]),
    st.floats(-1e6, 1e6),
)
# Now and then on the very ends of buckets.
_TIMES = st.one_of(st.integers(1, 6 * 3600), st.integers(1, 72).map(lambda n: n * 300))
_SAMPLES = st.dictionaries(_TIMES, _VALUES, max_size=80).map(
    lambda found: {START + second * 1000: value for second, value in found.items()}
)

EXACT = [
    "count_over_time",
    "present_over_time",
    "min_over_time",
    "max_over_time",
    "first_over_time",
    "last_over_time",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "absent_over_time",
    "delta",
]
SUMS = ["sum_over_time", "avg_over_time", "rate", "increase"]
APPROXIMATE = [
    "irate",
    "idelta",
    "changes",
    "resets",
    "deriv",
    "stddev_over_time",
    "stdvar_over_time",
    "mad_over_time",
    "ts_of_min_over_time",
    "ts_of_max_over_time",
]


def plain(samples: Mapping[Labels, Mapping[int, float]]) -> MemorySource:
    source = MemorySource()
    source.samples = {labels: dict(one) for labels, one in samples.items()}
    return source


@contextmanager
def thinned(
    samples: Mapping[Labels, Mapping[int, float]], hours: int = HOURS, minutes: int = MINUTES
) -> Iterator[ThinnedArchive]:
    with TemporaryDirectory() as folder:
        source = ThinnedArchive(Path(folder) / "sealed.db", samples, hours, minutes)
        try:
            yield source
        finally:
            source.close()


def bits(value: float) -> bytes:
    # One NaN is as good as another; a zero has its sign.
    return b"nan" if math.isnan(value) else struct.pack("<d", value)


def same(found: Result, wanted: Result, rounded: bool) -> None:
    assert found.present.tolist() == wanted.present.tolist()
    there = wanted.present
    for got, value in zip(found.values[there], wanted.values[there], strict=True):
        if rounded:
            assert got == pytest.approx(value, rel=1e-9, abs=1e-6, nan_ok=True)
        else:
            # `min` and `max` may give either zero, as in Prometheus.
            assert bits(got) == bits(value) or got == value == 0


@settings(max_examples=40, deadline=None)
@given(_SAMPLES, st.integers(1, 4))
def test_ranges_between_ends_of_buckets_give_what_all_samples_give(
    samples: dict[int, float], hours: int
) -> None:
    oracle = plain({X: samples})
    with thinned({X: samples}) as source:
        for function in EXACT + SUMS:
            query = compile_query(f"{function}(x_total[{hours}h])")
            found = query.range(source, START, END, HOUR)
            same(found, query.range(oracle, START, END, HOUR), function in SUMS)
            assert not (*found.infos, *found.warnings), function
        # In the time of rows of five minutes ranges may be as short.
        for function in EXACT + SUMS:
            query = compile_query(f"{function}(x_total[{hours * 5}m])")
            found = query.range(source, HOURS + HOUR, MINUTES, FIVE)
            same(found, query.range(oracle, HOURS + HOUR, MINUTES, FIVE), function in SUMS)
            assert not (*found.infos, *found.warnings), function
        # So does an instant selector at the end of any bucket.
        for step, start in ((HOUR, START), (FIVE, HOURS)):
            for text in ("x_total", "timestamp(x_total)"):
                query = compile_query(text)
                found = query.range(source, start, END, step)
                same(found, query.range(oracle, start, END, step), rounded=False)
                assert not (*found.infos, *found.warnings)


@settings(max_examples=40, deadline=None)
@given(_SAMPLES, st.integers(0, 6 * 3600), st.integers(1, 4 * 3600))
@example({START + 600_000: 1.0, START + 3_000_000: 2.0}, 1800, 60)
def test_what_an_answer_does_not_own_up_to_is_exact(
    samples: dict[int, float], second: int, length: int
) -> None:
    oracle, at = plain({X: samples}), START + second * 1000
    with thinned({X: samples}) as source:
        for function in EXACT + SUMS + APPROXIMATE:
            query = compile_query(f"{function}(x_total[{length}s])")
            found = query.instant(source, at)
            if not found.infos and not found.warnings:
                same(found, query.instant(oracle, at), function not in EXACT)
            elif function != "absent_over_time":
                assert found.present.any()


def steady(step: int = 10) -> dict[int, float]:
    """A line that rises by one a second."""
    return {START + at * 1000: float(at) for at in range(step, 6 * 3600 + 1, step)}


def test_a_line_through_rows_is_the_line_of_their_samples() -> None:
    with thinned({X: steady()}) as source:
        for length in ("1h", "4h", "150m"):
            predicted = compile_query(f"predict_linear(x_total[{length}], 3600)")
            found = predicted.range(source, START + 4 * HOUR, END, HOUR)
            expected = (found.times - START) / 1000 + 3600
            assert found.values[0] == pytest.approx(expected, rel=1e-9)
            assert "predict_linear is an approximation" in found.warnings[0]
            slopes = compile_query(f"deriv(x_total[{length}])").range(source, HOURS, END, HOUR)
            assert slopes.values[0] == pytest.approx([1.0] * 4, rel=1e-9)


def test_a_range_within_a_row_is_told_in_proportion() -> None:
    with thinned({X: steady()}) as source:
        at = START + 90 * MINUTE
        for text, value in (
            ("increase(x_total[5m])", 300),
            ("rate(x_total[5m])", 1),
            ("count_over_time(x_total[5m])", 30),
            # The mean of the hour from 3,610 to 7,200, thirty times.
            ("sum_over_time(x_total[5m])", 30 * 5405),
            ("max_over_time(x_total[5m])", 7200),
        ):
            found = compile_query(text).instant(source, at)
            assert found.values[0, 0] == pytest.approx(value, rel=1e-9), text
            assert "goes by whole rows" in found.infos[0]


def test_quantiles_weigh_each_row_by_its_samples() -> None:
    # An hour of 360 ones, then two samples of nine in time that is not thinned.
    samples = {START + at * 1000: 1.0 for at in range(10, 3601, 10)}
    samples |= {MINUTES + MINUTE: 9.0, MINUTES + 2 * MINUTE: 9.0}
    with thinned({X: samples}) as source:
        for text, value in (
            ("quantile_over_time(0.9, x_total[6h])", 1.0),
            ("quantile_over_time(1, x_total[6h])", 9.0),
            ("mad_over_time(x_total[6h])", 0.0),
            # 362 values about a mean of 378 / 362.
            ("stdvar_over_time(x_total[6h])", (360 + 2 * 81) / 362 - (378 / 362) ** 2),
        ):
            found = compile_query(text).instant(source, END)
            assert found.values[0, 0] == pytest.approx(value, rel=1e-9), text
            assert "is an approximation" in found.warnings[0]


def test_a_stale_marker_ends_a_series_also_in_a_row() -> None:
    samples = {START + at * 1000: 1.0 for at in range(10, 1801, 10)}
    samples[START + 1_810_000] = STALE_NAN
    samples[START + 9_000_000] = 2.0
    with thinned({X: samples}) as source:
        found = compile_query("x_total").range(source, START, START + 3 * HOUR, 5 * MINUTE)
    seconds = [int(time - START) // 1000 for time in found.times[found.present[0]]]
    assert seconds == [*range(300, 1801, 300), 9000]


def test_a_rule_whose_range_is_thinned_is_told_from_rows() -> None:
    class NoWindows:
        def sliding(self, matchers: object) -> SlidingWindow:
            raise AssertionError("a window is of samples")

    query = compile_query("increase(x_total[6h])")
    with thinned({X: steady()}) as source:
        found = query.at(Round(source, END, live=LiveWindows(NoWindows())), END)
        same(found, query.instant(source, END), rounded=False)
