"""Ticks stand at round places, and never run away whatever the values are."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forewarn_collector.plots.ticks import (
    number_text,
    time_text,
    time_ticks,
    value_range,
    value_ticks,
)

T0 = 1_700_000_000_000  # 2023-11-14 22:13:20 UTC


@pytest.mark.parametrize(
    ("low", "high", "names"),
    [
        (0.0, 1.0, ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (-1.0, 1.0, ["-1.0", "-0.5", "0", "0.5", "1.0"]),
        (0.0, 2.5e9, ["0", "500M", "1.0G", "1.5G", "2.0G", "2.5G"]),
        (1e9, 1e9 + 5, ["1000000000", "1000000001"]),
    ],
)
def test_values_have_names_that_tell_them_apart(low: float, high: float, names: list[str]) -> None:
    found = [name for _, name in value_ticks(low, high)]
    assert found[: len(names)] == names
    assert len(set(found)) == len(found)


@given(st.lists(st.floats(min_value=-1e300, max_value=1e300), min_size=1, max_size=5))
def test_any_values_have_a_few_ticks_within_their_range(values: list[float]) -> None:
    low, high = value_range(values)
    assert low < high
    assert low <= min(values)
    assert max(values) <= high
    ticks = value_ticks(low, high)
    assert 1 <= len(ticks) <= 12
    assert all(len(name) <= 20 for _, name in ticks)


@pytest.mark.parametrize(
    ("span", "first", "second"),
    [
        (60_000, "22:13:20", "22:13:30"),
        (30 * 60_000, "22:15", "22:20"),
        (86_400_000, "00:00", "03:00"),
        (30 * 86_400_000, "2023-11-16", "2023-11-23"),
    ],
)
def test_times_are_round_in_their_unit(span: int, first: str, second: str) -> None:
    assert [name for _, name in time_ticks(T0, T0 + span)][:2] == [first, second]


@given(st.integers(-(2**62), 2**62), st.integers(0, 2**62))
def test_any_times_have_a_few_ticks(start: int, span: int) -> None:
    assert len(time_ticks(start, start + span)) <= 9


def test_numbers_are_short() -> None:
    texts = [number_text(value) for value in (0, 0.5, -1234.5678, 5e9, 1e-9, 1e30, float("inf"))]
    assert texts == ["0", "0.5", "-1.235k", "5G", "1e-09", "1e+30", "inf"]
    assert time_text(sys.maxsize) == "9999-12-31 23:59:59"
