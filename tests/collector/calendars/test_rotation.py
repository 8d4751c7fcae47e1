"""Who is on call, over changes of the clock and overrides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from forewarn_collector.calendars.ics import read_ics
from forewarn_collector.calendars.rotation import OnCallCalendar, Turns, next_in
from forewarn_collector.calendars.spans import Agenda, Span
from forewarn_collector.calendars.zones import zone_of

BERLIN = zone_of("Europe/Berlin")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp() * 1000)


def who(rotation: Turns | OnCallCalendar, text: str) -> str:
    shift = rotation.shift(at(text))
    return shift.who if shift else ""


def weekly(*overrides: Span) -> Turns:
    start = datetime(2026, 3, 2, 9)
    return Turns("ops", ["ada", "grace", "linus"], start, timedelta(days=7), BERLIN, overrides)


def test_turns_are_handed_over_at_the_same_local_hour_all_year() -> None:
    ops = weekly()
    assert who(ops, "2026-03-02 08:59") == ""
    assert who(ops, "2026-03-02 09:00") == "ada"
    assert who(ops, "2026-03-09 08:59") == "ada"
    assert who(ops, "2026-03-09 09:00") == "grace"
    # The fifth turn, after the change to summer time on 29 March.
    assert who(ops, "2026-03-30 08:59") == "ada"
    assert who(ops, "2026-03-30 09:00") == "grace"
    shift = ops.shift(at("2026-03-25 12:00"))
    assert shift is not None
    assert (shift.start, shift.end) == (at("2026-03-23 09:00"), at("2026-03-30 09:00"))
    # A week with an hour less.
    assert shift.end - shift.start == (7 * 24 - 1) * 3_600_000


def test_a_turn_that_ends_in_the_hour_that_comes_twice_ends_once() -> None:
    # On 25 October 02:30 is at 00:30 UTC and again at 01:30 UTC; the turn ends at the first.
    nights = Turns("n", ["a", "b"], datetime(2026, 10, 24, 2, 30), timedelta(days=1), BERLIN)

    def on_call(hour: int, minute: int) -> str:
        moment = datetime(2026, 10, 25, hour, minute, tzinfo=UTC)
        shift = nights.shift(int(moment.timestamp() * 1000))
        return shift.who if shift else ""

    assert on_call(0, 29) == "a"
    assert [on_call(0, 30), on_call(1, 0), on_call(1, 29), on_call(1, 31)] == ["b"] * 4


def test_an_override_takes_the_place_of_the_turn_and_the_last_one_wins() -> None:
    ops = weekly(
        Span(at("2026-03-04 00:00"), at("2026-03-06 00:00"), "margaret"),
        Span(at("2026-03-05 00:00"), at("2026-03-05 12:00"), "linus"),
    )
    assert who(ops, "2026-03-03 23:59") == "ada"
    assert who(ops, "2026-03-04 00:00") == "margaret"
    assert who(ops, "2026-03-05 11:59") == "linus"
    assert who(ops, "2026-03-05 12:00") == "margaret"
    assert who(ops, "2026-03-06 00:00") == "ada"
    shift = ops.shift(at("2026-03-04 06:00"))
    assert shift is not None
    assert (shift.end, shift.why) == (at("2026-03-05 00:00"), "rotation ops, an override")


def test_the_next_of_a_rotation_is_somebody_else() -> None:
    shift = next_in(weekly(), "ada", at("2026-03-03 12:00"))
    assert shift is not None
    assert (shift.who, shift.start) == ("grace", at("2026-03-09 09:00"))
    # Somebody who is not on call hands over to who is.
    shift = next_in(weekly(), "margaret", at("2026-03-03 12:00"))
    assert shift is not None
    assert shift.who == "ada"
    alone = Turns("one", ["ada"], datetime(2026, 3, 2, 9), timedelta(days=7), BERLIN)
    assert next_in(alone, "ada", at("2026-03-03 12:00")) is None


@pytest.fixture
def calendar() -> OnCallCalendar:
    events = [
        "UID:1\nSUMMARY:ada\nDTSTART;TZID=Europe/Berlin:20260302T090000\nDURATION:P7D\n"
        "RRULE:FREQ=WEEKLY;INTERVAL=2",
        "UID:2\nSUMMARY:grace\nDTSTART;TZID=Europe/Berlin:20260304T000000\nDURATION:P1D",
    ]
    body = "".join(f"BEGIN:VEVENT\n{event}\nEND:VEVENT\n" for event in events)
    content = f"BEGIN:VCALENDAR\n{body}END:VCALENDAR\n".replace("\n", "\r\n").encode()
    return OnCallCalendar("ops", BERLIN, Agenda(read_ics(content, BERLIN)))


def test_an_ics_calendar_names_who_is_on_call(calendar: OnCallCalendar) -> None:
    assert who(calendar, "2026-03-03 12:00") == "ada"
    assert who(calendar, "2026-03-04 12:00") == "grace"
    assert who(calendar, "2026-03-05 12:00") == "ada"
    assert who(calendar, "2026-03-10 12:00") == ""
    assert who(calendar, "2026-03-24 12:00") == ""
    assert who(calendar, "2026-03-17 12:00") == "ada"
