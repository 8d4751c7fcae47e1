"""Times as Prometheus' HTTP API writes them."""

from __future__ import annotations

import pytest

from forewarn_collector.api.formats import EARLIEST, LATEST, parse_step, parse_time, rfc3339


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0", 0),
        ("1435781430.781", 1435781430781),
        ("-1.5", -1500),
        ("2015-07-01T20:10:30.781Z", 1435781430781),
        ("2015-07-01T22:10:30.781+02:00", 1435781430781),
    ],
)
def test_a_time_is_seconds_or_rfc_3339(text: str, milliseconds: int) -> None:
    assert parse_time(text) == milliseconds


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "inf", "nan", "1e300", "2015-07-01T20:10:30", " 1", "1 "]
)
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot parse"):
        parse_time(text)


def test_a_step_is_seconds_or_a_duration() -> None:
    assert parse_step("15") == 15_000
    assert parse_step("0.5") == 500
    assert parse_step("1m30s") == 90_000
    for text in ("often", " 1", "NaN", ""):
        with pytest.raises(ValueError, match="cannot parse"):
            parse_step(text)


def test_a_time_is_shown_in_utc_to_the_millisecond() -> None:
    assert rfc3339(1435781430781) == "2015-07-01T20:10:30.781Z"
    assert rfc3339(None) == "0001-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("text", "time"),
    [
        # As a Prometheus 2.42 answers: half a millisecond is rounded away from zero.
        ("0.0005", 1),
        ("3.0025", 3003),
        ("-0.0005", -1),
        ("-5.0004", -5000),
        ("1e3", 1_000_000),
        ("1970-01-01T00:00:01.5+00:00", 1500),
        # Its own earliest and latest time, in `web/api/v1/api.go`.
        ("-292273086-05-16T16:47:06Z", EARLIEST),
        ("292277025-08-18T07:12:54.999999999Z", LATEST),
    ],
)
def test_a_time_is_read_as_prometheus_reads_it(text: str, time: int) -> None:
    assert parse_time(text) == time
