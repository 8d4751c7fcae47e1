"""`calendars:`, `maintenance:` and `rotations:` of collector.yml."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from icalendar import vRecur

from forewarn_collector.calendars import (
    LONGEST,
    Agenda,
    BusinessHours,
    CalendarError,
    CalendarFile,
    Event,
    Holidays,
    Hours,
    Length,
    OnCallCalendar,
    Rotation,
    Span,
    Turns,
    Window,
    Zone,
    instant,
    parse_recurrence,
    zone_of,
)
from forewarn_collector.silencing.matchers import Matcher
from forewarn_collector.silencing.reading_fields import matchers_of
from forewarn_wire.document import Section
from forewarn_wire.durations import parse_duration
from forewarn_wire.readers import text, texts

UTC = zone_of("UTC")
_Holidays = tuple[dict[date, str], dict[tuple[int, int], str]]
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])")
_YEARLY = re.compile(r"([01]?[0-9])-([0-3]?[0-9])")
_MINUTES_A_DAY = 24 * 60
_START = datetime(2026, 1, 5)
"""Stands in for a time that is missing or wrong, which is a problem already."""


@dataclass(frozen=True)
class CalendarsConfig:
    """Calendars and rotations by their names; `files` are the iCalendar files of them all."""

    hours: Mapping[str, BusinessHours] = field(default_factory=dict)
    rotations: Mapping[str, Rotation] = field(default_factory=dict)
    windows: tuple[Window, ...] = ()
    files: tuple[CalendarFile, ...] = ()


def read_calendars(document: Section) -> CalendarsConfig:
    """Read the three sections; what is wrong goes to `document.problems`."""
    files: list[CalendarFile] = []
    hours = {name: _hours(name, own, files) for name, own in _named(document, "calendars")}
    rotations = {name: _rotation(name, own, files) for name, own in _named(document, "rotations")}
    windows = [_window(section, files) for section in document.sections("maintenance")]
    names = [window.name for window in windows]
    for name in sorted({name for name in names if names.count(name) > 1}):
        document.problem("maintenance", f"two windows are named {name}", "give each its own name")
    return CalendarsConfig(hours, rotations, tuple(windows), tuple(files))


def read_matchers(section: Section) -> tuple[Matcher, ...]:
    """`match:`, `match_re:` and `matchers:` as in alertmanager.yml; without any, all is meant."""
    return matchers_of(section, "match", "match_re", "matchers")


def _named(document: Section, name: str) -> list[tuple[str, Section]]:
    section = document.section(name)
    if section is None:
        return []
    return [(own, each) for own in section.names() if (each := section.section(own)) is not None]


def _hours(name: str, section: Section, files: list[CalendarFile]) -> BusinessHours:
    zone = section.require("timezone", _zone, UTC)
    week: tuple[Hours, ...] = section.take("hours", _week, ())
    nothing: _Holidays = ({}, {})
    dates, yearly = section.take("holidays", _holidays, nothing)
    paths: tuple[str, ...] = section.take("holidays_ics", texts, ())
    agendas = [_file(section, "holidays_ics", path, zone, files) for path in paths]
    section.refuse_unknown()
    return BusinessHours(name, zone, week, Holidays(dates, yearly, agendas))


def _rotation(name: str, section: Section, files: list[CalendarFile]) -> Rotation:
    zone = section.require("timezone", _zone, UTC)
    if "ics" in section:
        agenda = _file(section, "ics", section.take("ics", text, ""), zone, files)
        section.refuse_unknown({"people": "people and ics exclude each other"})
        return OnCallCalendar(name, zone, agenda)
    people: tuple[str, ...] = section.require("people", _people, ("",))
    start = _time(section, "start")
    length = section.require("length", _turn, 86_400_000)
    overrides = [_override(each, zone) for each in section.sections("overrides")]
    section.refuse_unknown()
    return Turns(name, people, start, timedelta(milliseconds=length), zone, overrides)


def _override(section: Section, zone: Zone) -> Span:
    who = section.require("who", text, "")
    start, end = _time(section, "from"), _time(section, "until")
    section.refuse_unknown()
    if end < start:
        section.problem("until", "until is before from")
    return Span(instant(start, zone), instant(end, zone), who)


def _window(section: Section, files: list[CalendarFile]) -> Window:
    name = section.require("name", text, "")
    matchers = read_matchers(section)
    zone = section.require("timezone", _zone, UTC)
    if "ics" in section:
        agenda = _file(section, "ics", section.take("ics", text, ""), zone, files)
        section.refuse_unknown({"rrule": "rrule and ics exclude each other"})
        return Window(name, matchers, zone, agenda)
    first = _time(section, "start")
    length = Length(exact=section.require("duration", _length, 0))

    def recurrence(value: Any) -> Any:
        try:
            parts = vRecur.from_ical(text(value).removeprefix("RRULE:"))
        except ValueError as error:
            raise ValueError(f"no rule of RFC 5545: {error}") from error
        return parse_recurrence(parts, first, zone)

    event = Event(
        name=name,
        first=first,
        length=length,
        zone=zone,
        rule=section.take("rrule", recurrence, None),
        without=section.take("except", _dates, frozenset()),
    )
    section.refuse_unknown()
    return Window(name, matchers, zone, Agenda([event]))


def _file(section: Section, name: str, path: str, zone: Zone, files: list[CalendarFile]) -> Agenda:
    """The events of an iCalendar file, which is read at once; problems are noted."""
    file = CalendarFile(Path(path), zone)
    files.append(file)
    try:
        file.load()
    except CalendarError as error:
        for problem in error.problems:
            section.problem(name, f"{name}: {path}: {problem}", "forewarn calendar check FILE")
    return file.agenda


def _zone(value: Any) -> Zone:
    return zone_of(text(value))


def _time(section: Section, name: str) -> datetime:
    """A time as a clock there shows it: 2026-03-29 02:00. What is wrong is noted."""
    given = section.written(name)
    if given is None:
        section.problem("", f"{name} is missing", f"{name}: 2026-03-29 02:00")
        return _START
    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        found = None
    if found is None or found.tzinfo is not None or not 1970 <= found.year <= 2100:
        hint = "the time zone has a field of its own"
        section.problem(name, f"{name}: expected 2026-03-29 02:00, found {given!r}", hint)
        return _START
    return found.replace(microsecond=0)


def _length(value: Any) -> int:
    milliseconds = parse_duration(text(value))
    if not 60_000 <= milliseconds <= LONGEST:
        raise ValueError(f"expected between 1m and 366d, found {value!r}")
    return milliseconds


def _turn(value: Any) -> int:
    milliseconds = parse_duration(text(value))
    if milliseconds < 3_600_000:
        raise ValueError(f"expected an hour or more, found {value!r}")
    return milliseconds


def _people(value: Any) -> tuple[str, ...]:
    people = texts(value)
    if not people or not all(people):
        raise ValueError("expected the names of those who take turns")
    return people


def _dates(value: Any) -> frozenset[date | datetime]:
    values = value if isinstance(value, list) else [value]
    return frozenset(_date(each) for each in values)


def _date(value: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError(f"expected dates such as 2026-12-27, found {value!r}")


def _holidays(value: Any) -> _Holidays:
    """Names by date: 2026-04-03, or 12-25 for every year."""
    if not isinstance(value, dict):
        raise ValueError(f"expected dates and names, as in 12-25: Christmas, found {value!r}")
    dates: dict[date, str] = {}
    yearly: dict[tuple[int, int], str] = {}
    for day, name in value.items():
        match = _YEARLY.fullmatch(day) if isinstance(day, str) else None
        if match is None:
            dates[_date(day)] = text(name)
            continue
        month, number = int(match[1]), int(match[2])
        try:
            date(2028, month, number)  # a leap year
        except ValueError:
            raise ValueError(f"there is no day {day}; month and day are meant") from None
        yearly[month, number] = text(name)
    return dates, yearly


def _week(value: Any) -> tuple[Hours, ...]:
    """Hours by weekday, as in {mon-fri: "08:00-18:00", sat: ["09:00-12:00", "13:00-15:00"]}."""
    if not isinstance(value, dict) or not value:
        raise ValueError(f'expected days and hours, as in mon-fri: "08:00-18:00", found {value!r}')
    week: list[Hours] = [()] * 7
    for days, hours in value.items():
        found = _day_hours(texts(hours))
        for day in _weekdays(text(days)):
            if week[day]:
                raise ValueError(f"{_DAYS[day]} is given twice")
            week[day] = found
    if not any(week):
        raise ValueError("never open; leave hours out for round the clock")
    return tuple(week)


def _weekdays(days: str) -> Sequence[int]:
    first, _, last = days.partition("-")
    if first not in _DAYS or (last or first) not in _DAYS:
        raise ValueError(f"expected days such as mon or mon-fri, found {days!r}")
    start, end = _DAYS.index(first), _DAYS.index(last or first)
    if end < start:
        raise ValueError(f"{days}: the week begins with mon; write it as two")
    return range(start, end + 1)


def _day_hours(written: Sequence[str]) -> Hours:
    found: list[tuple[int, int]] = []
    for each in written:
        start, _, end = each.partition("-")
        begins, ends = _CLOCK.fullmatch(start.strip()), _CLOCK.fullmatch(end.strip())
        if begins is None or ends is None:
            raise ValueError(f'expected hours such as "08:00-18:00", found {each!r}')
        span = _minute(begins), _minute(ends)
        if not span[0] < span[1] <= _MINUTES_A_DAY or (found and span[0] < found[-1][1]):
            hint = "what goes over midnight is two: to 24:00, and from 00:00 of the next day"
            raise ValueError(f"{each}: hours must ascend within a day; {hint}")
        found.append(span)
    return tuple(found)


def _minute(clock: re.Match[str]) -> int:
    return 60 * int(clock[1]) + int(clock[2])
