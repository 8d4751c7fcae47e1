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
from forewarn_collector.promql.query import Result
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


@settings(max_examples=60, deadline=None)
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


@settings(max_examples=60, deadline=None)
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
