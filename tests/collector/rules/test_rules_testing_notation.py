"""The notation of series and values, as the guide to unit tests of Prometheus has it.

https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/#series
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forewarn_collector.rules.testing.compare import scientific
from forewarn_collector.rules.testing.notation import (
    NotationError,
    read_series,
    read_values,
    same_float,
)
from forewarn_wire import is_stale


def values(text: str) -> list[float | str | None]:
    """By step: the value, None where there is no sample, or "stale"."""
    steps, found = read_values(text)
    by_step = dict(zip(steps.tolist(), found.tolist(), strict=True))
    length = max(by_step, default=-1) + 1
    return [
        "stale" if step in by_step and is_stale(by_step[step]) else by_step.get(step)
        for step in range(length)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The examples of the guide.
        ("-2+4x3", [-2, 2, 6, 10]),
        ("1-2x4", [1, -1, -3, -5, -7]),
        ("1x4", [1, 1, 1, 1, 1]),
        ("1 _x3 stale", [1, None, None, None, "stale"]),
        # promql/parser: `0x10` is zero repeated, no hexadecimal number; a gap may stand alone.
        ("0x3", [0, 0, 0, 0]),
        ("0 _ 2", [0, None, 2]),
        ("1x0", [1]),
        (".5 1e3 1.5e-1x1", [0.5, 1000, 0.15, 0.15]),
        ("+Inf -Inf", [math.inf, -math.inf]),
        ("  1\n\t2 ", [1, 2]),
        ("", []),
        # Added up, so that rounding is promtool's: 0.1 + 0.1 + 0.1.
        ("0+0.1x3", [0, 0.1, 0.2, 0.30000000000000004]),
    ],
)
def test_values_are_read_as_promtool_reads_them(text: str, expected: list[float]) -> None:
    assert values(text) == expected


def test_a_word_that_is_no_value_is_shown_with_its_place_and_the_notation() -> None:
    with pytest.raises(NotationError, match="not a value: 1y2") as caught:
        read_values("1 2 1y2")
    assert caught.value.offset == 4
    assert "0+10x5" in caught.value.hint


@pytest.mark.parametrize("text", ["{{schema:1}}", "1 {{sum:3 count:2}}x2"])
def test_native_histograms_are_refused_by_their_name(text: str) -> None:
    with pytest.raises(NotationError, match="native histograms are not supported"):
        read_values(text)


@pytest.mark.parametrize("text", ["1x99999999999", "0+1x100000000", "_x10000001"])
def test_a_slip_of_the_pen_does_not_take_all_memory(text: str) -> None:
    with pytest.raises(NotationError, match="more than 10000000 values"):
        read_values(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("up", {"__name__": "up"}),
        ("up{}", {"__name__": "up"}),
        ("up{job=\"a\", instance='b',}", {"__name__": "up", "job": "a", "instance": "b"}),
        ('{job="a\\"b"}', {"job": 'a"b'}),
        ("{}", {}),
        ("", {}),
        ('{"my.metric", "a.b"="c"}', {"__name__": "my.metric", "a.b": "c"}),
        ("sum", {"__name__": "sum"}),
    ],
)
def test_series_are_read(text: str, expected: dict[str, str]) -> None:
    assert dict(read_series(text)) == expected


@pytest.mark.parametrize(
    "text", ["up{", 'up{job=~"a"}', "up[5m]", 'up{job="a" offset 5m}', 'up{a="1",a="2"}', "1 up"]
)
def test_what_is_no_series_is_refused(text: str) -> None:
    with pytest.raises(NotationError):
        read_series(text)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (read_series, read_values):
        offset = 0
        try:
            read(text)
        except NotationError as error:
            offset = error.offset
        assert 0 <= offset <= len(text)


def test_fuzzy_comparison_takes_the_neighbouring_floats_only() -> None:
    # From promtool's rules_run_fuzzy.yml.
    assert same_float(3, 2.9999999999999996, fuzzy=True)
    assert same_float(3, 3.0000000000000004, fuzzy=True)
    assert not same_float(3, 2.9999999999999987, fuzzy=True)
    assert not same_float(3, 2.9999999999999996, fuzzy=False)
    assert same_float(math.nan, math.nan, fuzzy=False)
    assert not same_float(math.nan, 1, fuzzy=True)


@pytest.mark.parametrize(
    ("value", "expected"),
    # strconv.FormatFloat(value, 'E', -1, 64)
    [
        (0.0, "0E+00"),
        (1.0, "1E+00"),
        (1500.0, "1.5E+03"),
        (-0.25, "-2.5E-01"),
        (1e100, "1E+100"),
        (math.inf, "+Inf"),
        (math.nan, "NaN"),
    ],
)
def test_numbers_are_shown_as_promtool_shows_them(value: float, expected: str) -> None:
    assert scientific(value) == expected
