"""Business time, by hand over weekends, holidays and changed clocks, and minute by minute."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forewarn_collector.calendars.hours import BusinessHours, Holidays
from forewarn_collector.calendars.ics import read_ics
from forewarn_collector.calendars.spans import Agenda
from forewarn_collector.calendars.zones import zone_of

HOUR = 3_600_000
MINUTE = 60_000
OFFICE = ((8 * 60, 18 * 60),)
WEEK = (OFFICE,) * 5 + ((), ())


def at(text: str, zone: str = "Europe/Berlin") -> int:
    local = datetime.fromisoformat(text)
    return int(local.replace(tzinfo=zone_of(zone)).timestamp() * 1000)


def hours(
    zone: str = "Europe/Berlin", week: tuple[object, ...] = WEEK, holidays: Holidays | None = None
) -> BusinessHours:
    return BusinessHours("office", zone_of(zone), week, holidays or Holidays())  # type: ignore[arg-type]


CHRISTMAS = Holidays({date(2026, 4, 3): "Good Friday"}, {(12, 25): "Christmas", (12, 26): ""})


@pytest.mark.parametrize(
    ("since", "amount", "until"),
    [
        # Monday 09:00 and four hours of ten: the same day.
        ("2026-06-01 09:00", 4, "2026-06-01 13:00"),
        # Friday 16:00: two hours on Friday, two on Monday from 08:00.
        ("2026-06-05 16:00", 4, "2026-06-08 10:00"),
        # Exactly up to the end of the day is that end.
        ("2026-06-05 16:00", 2, "2026-06-05 18:00"),
        # Saturday night counts from Monday 08:00.
        ("2026-06-06 23:00", 1, "2026-06-08 09:00"),
        # Thursday 17:00 before Good Friday: one hour on Thursday; Friday is off, then a weekend;
        # (Easter Monday is not in this calendar); three hours on Monday 6 April.
        ("2026-04-02 17:00", 4, "2026-04-06 11:00"),
        # Thursday 24 December 2026, 14:00: four hours; Friday and Saturday off; Monday 28th, six.
        ("2026-12-24 14:00", 10, "2026-12-28 14:00"),
        ("2026-06-05 16:00", 0, "2026-06-05 16:00"),
    ],
)
def test_business_time_passes_over_nights_weekends_and_holidays(
    since: str, amount: int, until: str
) -> None:
    office = hours(holidays=CHRISTMAS)
    assert office.add(at(since), amount * HOUR) == at(until)
    assert office.between(at(since), at(until)) == amount * HOUR


def test_time_is_taken_back_over_a_weekend() -> None:
    # An hour and a half before Monday 08:30 is half an hour on Monday and one on Friday.
    assert hours().subtract(at("2026-06-08 08:30"), 90 * MINUTE) == at("2026-06-05 17:00")


@pytest.mark.parametrize(
    ("zone", "since", "until", "elapsed"),
    [
        # Open round the clock on Sunday: 23 hours in spring, 25 in autumn.
        ("Europe/Berlin", "2026-03-29 00:00", "2026-03-30 00:00", 23),
        ("Europe/Berlin", "2026-10-25 00:00", "2026-10-26 00:00", 25),
        ("America/New_York", "2026-03-08 00:00", "2026-03-09 00:00", 23),
        ("America/New_York", "2026-11-01 00:00", "2026-11-02 00:00", 25),
    ],
)
def test_a_day_on_which_the_clock_is_set_has_23_or_25_hours(
    zone: str, since: str, until: str, elapsed: int
) -> None:
    always = hours(zone, (((0, 1440),),) * 7)
    assert always.between(at(since, zone), at(until, zone)) == elapsed * HOUR
    assert always.add(at(since, zone), elapsed * HOUR) == at(until, zone)


@pytest.mark.parametrize(
    ("zone", "day", "open_hours"),
    [
        # Hours 01:00 to 04:00: the hour from 02:00 is missing in spring and there twice in autumn.
        ("Europe/Berlin", "2026-03-29", 2),
        ("Europe/Berlin", "2026-10-25", 4),
        ("America/New_York", "2026-03-08", 2),
        # New York's clock goes from 02:00 back to 01:00.
        ("America/New_York", "2026-11-01", 4),
    ],
)
def test_hours_of_the_night_count_as_the_clock_shows(zone: str, day: str, open_hours: int) -> None:
    night = hours(zone, (((60, 240),),) * 7)
    begin = at(f"{day} 00:00", zone)
    assert night.between(begin, begin + 23 * HOUR) == open_hours * HOUR


def test_an_office_day_has_its_hours_also_when_the_clock_was_set_in_the_night() -> None:
    # Friday 17:00 and two hours: one on Friday, one on Monday 08:00 CEST, which is 06:00 UTC.
    due = hours().add(at("2026-03-27 17:00"), 2 * HOUR)
    assert datetime.fromtimestamp(due / 1000, UTC) == datetime(2026, 3, 30, 7, tzinfo=UTC)


def test_holidays_of_an_ics_file_close_every_day_that_they_touch() -> None:
    content = (
        b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:Labour Day\r\n"
        b"DTSTART;VALUE=DATE:20260501\r\nRRULE:FREQ=YEARLY\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    berlin = zone_of("Europe/Berlin")
    holidays = Holidays(agendas=[Agenda(read_ics(content, berlin))])
    assert holidays.on(date(2030, 5, 1), berlin) == "Labour Day"
    assert holidays.on(date(2030, 5, 2), berlin) is None
    assert holidays.on(date(2030, 4, 30), berlin) is None
    # 30 April 2026 is a Thursday, 4 May a Monday.
    office = hours(holidays=holidays)
    assert office.add(at("2026-04-30 17:00"), 2 * HOUR) == at("2026-05-04 09:00")


def test_without_hours_all_time_counts() -> None:
    always = hours(week=())
    assert always.add(5, HOUR) == 5 + HOUR
    assert always.subtract(5 + HOUR, HOUR) == 5
    assert always.between(at("2026-03-29 00:00"), at("2026-03-30 00:00")) == 23 * HOUR


def test_a_calendar_that_never_opens_again_does_not_hang() -> None:
    closed = hours(week=(OFFICE,) + ((),) * 6, holidays=Holidays(yearly={
        (month, day): "off" for month in range(1, 13) for day in range(1, 32)
    }))  # fmt: skip
    assert closed.add(at("2026-06-01 09:00"), HOUR) == at("2026-06-01 10:00")


intervals = st.lists(st.integers(0, 1440), min_size=2, max_size=4, unique=True).map(
    lambda found: tuple(zip(sorted(found)[::2], sorted(found)[1::2], strict=False))
)
weeks = st.tuples(*[st.just(()) | intervals] * 7).filter(any)
zones = st.sampled_from(
    ["Europe/Berlin", "America/New_York", "UTC", "Australia/Lord_Howe", "Asia/Kathmandu"]
)


def by_minute(office: BusinessHours, since: int, minutes: int) -> list[bool]:
    """Whether it is open in each minute from `since`, by what the clock shows there."""
    found = []
    for minute in range(minutes):
        moment = datetime.fromtimestamp(since / 1000 + 60 * minute, UTC)
        shown = moment.astimezone(office.zone)
        of_day = 60 * shown.hour + shown.minute
        day = office.week[shown.weekday()]
        open_hours = any(a <= of_day < b for a, b in day)
        found.append(open_hours and (shown.month, shown.day) != (3, 30))
    return found


@settings(max_examples=60, deadline=None)
@given(
    weeks,
    zones,
    # Around the changes of the clocks in March and April, and in October and November.
    st.sampled_from([datetime(2026, 3, 6), datetime(2026, 3, 27), datetime(2026, 4, 3),
                     datetime(2026, 10, 2), datetime(2026, 10, 23), datetime(2026, 10, 30)]),
    st.integers(0, 2 * 1440),
    st.integers(1, 3 * 1440),
)  # fmt: skip
def test_business_time_is_what_counting_minutes_finds(
    week: tuple[object, ...], zone: str, start: datetime, offset: int, amount: int
) -> None:
    office = hours(zone, week, Holidays(yearly={(3, 30): "off"}))
    since = int(start.replace(tzinfo=UTC).timestamp() * 1000) + offset * MINUTE
    minutes = 4 * 1440
    is_open = by_minute(office, since, minutes)
    assert office.between(since, since + minutes * MINUTE) == sum(is_open) * MINUTE
    assert office.between(since, since + MINUTE) == is_open[0] * MINUTE
    passed = [n for n, here in enumerate(is_open) if here]
    if len(passed) >= amount:
        assert office.add(since, amount * MINUTE) == since + (passed[amount - 1] + 1) * MINUTE
        end = since + minutes * MINUTE
        assert office.subtract(end, amount * MINUTE) == since + passed[-amount] * MINUTE


def test_milliseconds_are_kept() -> None:
    start = at("2026-06-01 09:00") + 123
    assert hours().add(start, 1) == start + 1
    assert hours().add(at("2026-06-05 18:00") - 1, 2) == at("2026-06-08 08:00") + 1
    assert timedelta(milliseconds=hours().between(start, start + 7)) == timedelta(milliseconds=7)
