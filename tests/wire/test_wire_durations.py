"""Durations, against prometheus/common `model/time_test.go`."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forewarn_wire.durations import format_duration, parse_duration

DAY = 86_400_000


@pytest.mark.parametrize(
    ("text", "milliseconds", "shortest"),
    [
        ("0", 0, "0s"),
        ("0w", 0, "0s"),
        ("0s", 0, "0s"),
        ("324ms", 324, "324ms"),
        ("3s", 3_000, "3s"),
        ("5m", 300_000, "5m"),
        ("1h", 3_600_000, "1h"),
        ("4d", 4 * DAY, "4d"),
        ("4d1h", 4 * DAY + 3_600_000, "4d1h"),
        ("14d", 14 * DAY, "2w"),
        ("3w", 21 * DAY, "3w"),
        ("3w2d1h", 23 * DAY + 3_600_000, "23d1h"),
        ("10y", 3_650 * DAY, "10y"),
        ("1y1ms", 365 * DAY + 1, "365d1ms"),
    ],
)
def test_durations_are_read_and_written_as_prometheus_does(
    text: str, milliseconds: int, shortest: str
) -> None:
    assert parse_duration(text) == milliseconds
    assert format_duration(milliseconds) == shortest


@pytest.mark.parametrize(
    "text",
    ["1", "1y1m1d", "-1w", "1.5d", "d", "", " 1s", "1s ", "1S", "1s1s", "٣s", "1" * 5_000 + "s"],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - what follows shows the text itself
        parse_duration(text)


def test_the_error_shows_the_notation() -> None:
    with pytest.raises(ValueError, match="write it as 30s, 5m, 1h30m or 7d"):
        parse_duration("soon")


@given(st.integers(0, 1 << 62))
def test_what_is_written_is_read_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds)) == milliseconds


@given(st.text(alphabet="0123456789ywdhms. ", max_size=12))
def test_any_text_gives_a_duration_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_duration(text) >= 0
