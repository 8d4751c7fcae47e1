"""iCalendar files: what is taken, what is refused and why, and that no file takes long."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forewarn_collector.calendars.ics import CalendarError, read_ics
from forewarn_collector.calendars.spans import spans_of
from forewarn_collector.calendars.zones import zone_of

BERLIN = zone_of("Europe/Berlin")


def ms(text: str) -> int:
    """Of a time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def calendar(*events: str) -> bytes:
    body = "".join(f"BEGIN:VEVENT\n{event.strip()}\nEND:VEVENT\n" for event in events)
    text = f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//EN\n{body}END:VCALENDAR\n"
    return text.replace("\n", "\r\n").encode()


def spans(content: bytes, since: str, until: str) -> list[tuple[str, str, str]]:
    def shown(at: int) -> str:
        return f"{datetime.fromtimestamp(at / 1000, UTC):%m-%d %H:%M}"

    found = spans_of(read_ics(content, BERLIN), ms(since), ms(until))
    return [(shown(span.start), shown(span.end), span.name) for span in found]


WEEKLY = """
UID:weekly
SUMMARY:patching
DTSTART;TZID=Europe/Berlin:20260315T020000
DTEND;TZID=Europe/Berlin:20260315T040000
RRULE:FREQ=WEEKLY;BYDAY=SU
"""


def test_a_weekly_window_stays_at_its_local_hour_over_the_change_to_summer_time() -> None:
    # Berlin is UTC+1 until 29 March 2026 at 01:00 UTC. On that day 02:00 does not come: the
    # offset before the gap makes it 01:00 UTC, and the same exact two hours follow.
    assert spans(calendar(WEEKLY), "2026-03-20", "2026-04-06") == [
        ("03-22 01:00", "03-22 03:00", "patching"),
        ("03-29 01:00", "03-29 03:00", "patching"),
        ("04-05 00:00", "04-05 02:00", "patching"),
    ]


def test_dates_are_left_out_added_moved_and_cancelled() -> None:
    moved = """
UID:weekly
SUMMARY:patching, later
RECURRENCE-ID;TZID=Europe/Berlin:20260503T020000
DTSTART;TZID=Europe/Berlin:20260504T050000
DTEND;TZID=Europe/Berlin:20260504T060000
"""
    cancelled = """
UID:weekly
RECURRENCE-ID:20260510T000000Z
DTSTART;TZID=Europe/Berlin:20260510T020000
STATUS:CANCELLED
"""
    more = WEEKLY + "EXDATE;TZID=Europe/Berlin:20260419T020000\nRDATE:20260422T100000Z\n"
    # In May Berlin is UTC+2: 02:00 there is 00:00 UTC.
    assert spans(calendar(more, moved, cancelled), "2026-04-10", "2026-05-20") == [
        ("04-12 00:00", "04-12 02:00", "patching"),
        ("04-22 10:00", "04-22 12:00", "patching"),
        ("04-26 00:00", "04-26 02:00", "patching"),
        ("05-04 03:00", "05-04 04:00", "patching, later"),
        ("05-17 00:00", "05-17 02:00", "patching"),
    ]


def test_whole_days_are_days_of_the_zone_given_and_a_day_may_have_23_hours() -> None:
    whole = "UID:1\nSUMMARY:freeze\nDTSTART;VALUE=DATE:20260329\nDTEND;VALUE=DATE:20260330"
    assert spans(calendar(whole), "2026-03-01", "2026-04-01") == [
        ("03-28 23:00", "03-29 22:00", "freeze")
    ]
    # Without DTEND and DURATION it is that day (RFC 5545, section 3.6.1).
    short = "UID:1\nSUMMARY:freeze\nDTSTART;VALUE=DATE:20260329"
    assert spans(calendar(short), "2026-03-01", "2026-04-01") == [
        ("03-28 23:00", "03-29 22:00", "freeze")
    ]


def test_a_duration_in_days_is_nominal() -> None:
    # RFC 5545, section 3.3.6: a day over the change of the clock may have 25 hours.
    event = "UID:1\nSUMMARY:d\nDTSTART;TZID=Europe/Berlin:20261024T120000\nDURATION:P1DT1H"
    assert spans(calendar(event), "2026-10-01", "2026-11-01") == [
        ("10-24 10:00", "10-25 12:00", "d")
    ]


def test_microsofts_names_of_zones_are_known() -> None:
    event = 'UID:1\nSUMMARY:d\nDTSTART;TZID="Eastern Standard Time":20260701T120000\nDURATION:PT1H'
    assert spans(calendar(event), "2026-06-01", "2026-08-01") == [
        ("07-01 16:00", "07-01 17:00", "d")
    ]


def test_a_files_own_time_zones_are_passed_over() -> None:
    # Expanding it would mean every second of a century.
    own = """BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:STANDARD
DTSTART:19700101T000000
RRULE:FREQ=SECONDLY
TZOFFSETFROM:+0100
TZOFFSETTO:+0900
END:STANDARD
END:VTIMEZONE
""".replace("\n", "\r\n").encode()
    content = calendar(WEEKLY).replace(b"BEGIN:VEVENT", own + b"BEGIN:VEVENT")
    assert spans(content, "2026-03-20", "2026-03-23") == [
        ("03-22 01:00", "03-22 03:00", "patching")
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no iCalendar file"),
        (b"garbage", "no iCalendar file"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n", "no iCalendar file"),
        (b"x" * (2 << 20) + b"x", "bytes; 2097152 is the most"),
        (calendar(*["UID:1\nDTSTART:20260101T000000Z"] * 2001), "2001 events"),
        (calendar("UID:1\nSUMMARY:s"), "event 's': DTSTART is missing"),
        (calendar("UID:1\nDTSTART:20260101T000000Z\nRRULE:FREQ=SECONDLY"), "too often"),
        (calendar("UID:1\nDTSTART:20260101T000000Z\nRRULE:FREQ=DAILY;BYDAY=QQ"), "RRULE: "),
        (calendar("UID:1\nDTSTART:00010101T000000Z"), "the year 1"),
        (calendar("UID:1\nDTSTART:20260101T000000Z\nDTEND:20250101T000000Z"), "must end after"),
        (calendar("UID:1\nDTSTART:20260101T000000Z\nDURATION:P10000D"), "within 366 days"),
        (calendar("UID:1\nDTSTART;TZID=Moon/Crater:20260101T000000"), "time zone 'Moon/Crater'"),
        (calendar("UID:1\nDTSTART:20260101T000000Z\nRDATE;VALUE=PERIOD:20260102T000000Z/PT1H"),
         "periods are not known"),
        (calendar("UID:1\nDTSTART:20260101T000000Z\nRRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY"),
         "RRULE is given 2 times"),
        (calendar("UID:1\nDTSTART:20260101T000000Z\nRECURRENCE-ID;RANGE=THISANDFUTURE:20260101T000000Z"),
         "split the event"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_told(content: bytes, said: str) -> None:
    with pytest.raises(CalendarError, match=said):
        read_ics(content, BERLIN)


def test_all_bad_events_are_told_at_once() -> None:
    bad = "UID:{0}\nSUMMARY:{0}\nDTSTART:20260101T000000Z\nRRULE:FREQ=SECONDLY"
    with pytest.raises(CalendarError) as caught:
        read_ics(calendar(bad.format("a"), WEEKLY, bad.format("b")), BERLIN)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "event 'a'",
        "event 'b'",
    ]


HOSTILE = {
    "never": ["UID:1\nDTSTART:19700101T000000Z\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"] * 2000,
    "counted": ["UID:1\nDTSTART:19700101T000000Z\nRRULE:FREQ=YEARLY;BYYEARDAY=366;COUNT=1000"]
    * 2000,
    "many dates": ["UID:1\nDTSTART:20260101T000000Z\nRDATE:" + "20260101T000000Z," * 20_000],
    "nested": ["BEGIN:VEVENT\n" * 20_000],
    "a long line": ["UID:" + "x" * 1_000_000 + "\nDTSTART:20260101T000000Z"],
    "often, for ever": ["UID:1\nDTSTART:19700101T000000Z\nDURATION:P366D\nRRULE:FREQ=DAILY"] * 2000,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_end_in_bounded_time(name: str) -> None:
    # CPU seconds of this thread, and generous: each took minutes, or did not end, without bounds.
    before = time.thread_time()
    try:
        events = read_ics(calendar(*HOSTILE[name]), BERLIN)
        spans_of(events, ms("2026-01-01"), ms("2026-01-08"))
    except CalendarError:
        pass
    assert time.thread_time() - before < 20


@given(st.lists(st.sampled_from(calendar(WEEKLY).decode().split("\r\n")), max_size=30))
def test_lines_in_any_order_are_a_calendar_or_a_calendar_error(lines: list[str]) -> None:
    with contextlib.suppress(CalendarError):
        read_ics("\r\n".join(lines).encode(), BERLIN)
