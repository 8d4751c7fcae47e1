"""Time intervals. Cases: Alertmanager's `timeinterval/timeinterval_test.go`, and calendars."""

from __future__ import annotations

from datetime import datetime

import pytest

from forewarn_collector.silencing import read_alertmanager_file

FILE = """
route:
  receiver: r
  routes: [{{receiver: r, mute_time_intervals: [t]}}]
receivers: [{{name: r}}]
time_intervals: [{{name: t, time_intervals: [{interval}]}}]
"""


def contains(interval: str, when: str) -> bool:
    file = read_alertmanager_file(FILE.format(interval=interval), "f.yml")
    assert not file.problems, file.problems
    at = int(datetime.fromisoformat(when).timestamp() * 1000)
    return any(each.contains(at) for each in file.intervals["t"])


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        ("{}", "2026-01-01T00:00:00Z", None),
        (
            "{times: [{start_time: '09:00', end_time: '17:00'}], weekdays: ['monday:friday']}",
            "2020-07-10T15:14:00Z",  # a Friday
            "2020-07-11T15:14:00Z",
        ),
        (
            "{times: [{start_time: '09:00', end_time: '17:00'}]}",
            "2020-07-10T09:00:00Z",
            "2020-07-10T17:00:00Z",
        ),
        (
            "{times: [{start_time: 18:00, end_time: 24:00}]}",
            "2020-07-10T23:59:59Z",
            "2020-07-10T00:00:00Z",
        ),
        ("{weekdays: [sunday]}", "2026-11-29T12:00:00Z", "2026-11-28T12:00:00Z"),
        ("{days_of_month: ['-1']}", "2024-02-29T10:00:00Z", "2023-02-27T10:00:00Z"),
        ("{days_of_month: ['-5:-1']}", "2023-02-24T10:00:00Z", "2023-02-23T10:00:00Z"),
        ("{days_of_month: ['29:31']}", "2023-03-29T10:00:00Z", "2023-02-28T10:00:00Z"),
        ("{days_of_month: ['1:31']}", "2023-02-28T10:00:00Z", None),
        ("{months: ['june:july', 12]}", "2020-12-10T10:00:00Z", "2020-08-10T10:00:00Z"),
        ("{years: ['2020:2023', 2030]}", "2030-01-10T10:00:00Z", "2024-01-10T10:00:00Z"),
        # 08:30 in Berlin is 07:30 UTC in winter and 06:30 in summer.
        (
            "{times: [{start_time: '08:00', end_time: '09:00'}], location: Europe/Berlin}",
            "2026-01-10T07:30:00Z",
            "2026-07-10T07:30:00Z",
        ),
    ],
)
def test_a_time_is_in_an_interval_or_not(interval: str, inside: str, outside: str | None) -> None:
    assert contains(interval, inside)
    assert outside is None or not contains(interval, outside)


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ("{weekdays: ['friday:monday']}", "the start day is after the end day"),
        ("{weekdays: [someday]}", "'someday' is not a valid weekday"),
        ("{days_of_month: ['0:1']}", "0 is no day of a month"),
        ("{days_of_month: ['-1:5']}", "the end day must be negative"),
        ("{days_of_month: ['10:5']}", "end day 5 is always before start day 10"),
        ("{months: ['may:april']}", "the end month is before the start month"),
        ("{years: ['2030:2020']}", "the end year is before the start year"),
        ("{times: [{start_time: '17:00', end_time: '09:00'}]}", "start time cannot be equal or"),
        ("{times: [{start_time: '9:00', end_time: '17:00'}]}", "expected a time such as 09:00"),
        ("{times: [{start_time: '09:00'}]}", "end_time is missing"),
        ("{location: Mars/Base}", "unknown time zone Mars/Base"),
        ("{weekday: [monday]}", "unknown field weekday (did you mean weekdays?)"),
    ],
)
def test_what_is_no_interval_is_refused_with_its_place(interval: str, said: str) -> None:
    file = read_alertmanager_file(FILE.format(interval=interval), "f.yml")
    assert [str(problem).startswith("f.yml:6:") for problem in file.problems] == [True]
    assert said in str(file.problems[0])
