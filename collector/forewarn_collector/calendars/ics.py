"""iCalendar files (RFC 5545): events out of them, in bounded time, with all that can't be taken.

Time zones are those of the machine, by name: a file's own VTIMEZONE is passed over, since it is
Microsoft's or the IANA's anyway, and its rules could recur every second.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from icalendar import Calendar, Component

from forewarn_collector.calendars.recurrence import FIRST_YEAR, LAST_YEAR, parse_recurrence
from forewarn_collector.calendars.spans import LONGEST, Event, Length
from forewarn_collector.calendars.zones import DAY, MILLISECOND, Zone, zone_of

MOST_BYTES = 2 << 20
MOST_EVENTS = 2_000
_MOST_DATES = 10_000
_MOST_DAYS = 1_000_000
"""How many days may have to be looked at to count out every COUNT: about a second."""
_MOST_A_WEEK = 100_000
"""How many occurrences may concern a week, those that began before and last still among them."""
_MOST_PROBLEMS = 20
_TIME_ZONE = re.compile(
    r"^BEGIN:VTIMEZONE[ \t]*\r?$.*?^END:VTIMEZONE[ \t]*\r?\n?", re.M | re.S | re.I
)


class CalendarError(Exception):
    """A calendar can't be used; `problems` says why, a line each."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(self.problems))


@dataclass(frozen=True, slots=True)
class _Found:
    """An event, and which occurrence of the master with this UID it takes the place of, if any."""

    uid: str
    event: Event
    replaces: datetime | date | None = None
    cancelled: bool = False


def read_ics(content: bytes, zone: Zone) -> tuple[Event, ...]:
    """The events of a file; times without a zone are of `zone`. Raises CalendarError."""
    calendar = _parse(content)
    found: list[_Found] = []
    problems: list[str] = []
    components = [part for part in calendar.subcomponents if part.name == "VEVENT"]
    if len(components) > MOST_EVENTS:
        raise CalendarError([f"{len(components)} events; {MOST_EVENTS} is the most"])
    days = dates = weekly = 0
    for component in components:
        try:
            one = _event(component, zone)
        except ValueError as error:
            problems.append(f"event {_name(component)!r}: {error}")
            if len(problems) >= _MOST_PROBLEMS:
                problems.append("and maybe more")
                break
            continue
        found.append(one)
        event = one.event
        if event.rule is not None:
            last = event.rule.until or event.first
            days += max((last - event.first).days, 0)
            weekly += event.rule.times_a_day * (7 + event.length.days + event.length.exact // DAY)
        dates += len(event.more) + len(event.without)
        if days > _MOST_DAYS or dates > _MOST_DATES or weekly > _MOST_A_WEEK:
            raise CalendarError(["its events take place too often; split the file"])
    if problems:
        raise CalendarError(problems)
    return tuple(_with_changes(found))


def _parse(content: bytes) -> Component:
    if len(content) > MOST_BYTES:
        raise CalendarError([f"{len(content)} bytes; {MOST_BYTES} is the most"])
    try:
        text = content.decode("utf-8-sig")
        calendars = Calendar.from_ical(_TIME_ZONE.sub("", text), multiple=True)
    except UnicodeDecodeError:
        raise CalendarError(["is not UTF-8"]) from None
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise CalendarError([f"is no iCalendar file: {_short(error)}"]) from error
    if len(calendars) != 1 or calendars[0].name != "VCALENDAR":
        raise CalendarError(["is no iCalendar file: it must hold one VCALENDAR"])
    calendar: Component = calendars[0]
    return calendar


def _event(component: Component, zone: Zone) -> _Found:
    """Raises ValueError."""
    for name, error in component.errors:
        raise ValueError(f"{name}: {_short(error)}")
    begins = _single(component, "DTSTART")
    if begins is None:
        raise ValueError("DTSTART is missing")
    zone = _zone_of(begins, zone)
    first = _moment(_wall(begins.dt, zone, zone))
    if not FIRST_YEAR <= first.year <= LAST_YEAR:
        raise ValueError(f"begins in the year {first.year}; {FIRST_YEAR} is the first known")
    rule = _single(component, "RRULE")
    replaces = _single(component, "RECURRENCE-ID")
    if replaces is not None and replaces.params.get("RANGE"):
        raise ValueError("a change of this and all that follows is not known; split the event")
    if "EXRULE" in component:
        raise ValueError("EXRULE is not known; use EXDATE")
    event = Event(
        name=_name(component),
        first=first,
        length=_length(component, begins.dt, zone),
        zone=zone,
        rule=None if rule is None else parse_recurrence(rule, first, zone),
        more=tuple(_moment(each) for each in _dates(component, "RDATE", zone)),
        without=frozenset(_dates(component, "EXDATE", zone)),
    )
    return _Found(
        uid=str(component.get("UID", "")),
        event=event,
        replaces=None if replaces is None else _wall(replaces.dt, _zone_of(replaces, zone), zone),
        cancelled=str(component.get("STATUS", "")).upper() == "CANCELLED",
    )


def _length(component: Component, begins: date | datetime, zone: Zone) -> Length:
    """By DTEND the same exact time for every occurrence, by DURATION nominal days (3.8.5.3)."""
    ends, lasts = _single(component, "DTEND"), _single(component, "DURATION")
    whole_days = not isinstance(begins, datetime)
    if ends is not None and whole_days:
        length = Length(days=(_moment(ends.dt).date() - begins).days)
    elif ends is not None:
        start, end = _aware(begins, zone), _aware(ends.dt, _zone_of(ends, zone))
        # Of two times of one zone Python would subtract what the clock shows.
        length = Length(exact=(end.astimezone(UTC) - start.astimezone(UTC)) // MILLISECOND)
    elif lasts is not None and isinstance(lasts.dt, timedelta):
        length = Length(lasts.dt.days, timedelta(seconds=lasts.dt.seconds) // MILLISECOND)
    else:
        length = Length(days=1 if whole_days else 0)
    total = length.days * DAY + length.exact
    if not 0 <= total <= LONGEST:
        raise ValueError("it must end after its beginning, and within 366 days")
    return length


def _with_changes(found: list[_Found]) -> Iterator[Event]:
    """The events; those with changed occurrences go on without these."""
    changed: dict[str, set[date | datetime]] = {}
    for one in found:
        if one.replaces is not None:
            changed.setdefault(one.uid, set()).add(one.replaces)
    for one in found:
        if one.cancelled:
            continue
        if one.replaces is None and one.uid in changed:
            yield replace(one.event, without=one.event.without | changed[one.uid])
        else:
            yield one.event


def _single(component: Component, name: str) -> Any:
    value = component.get(name)
    if isinstance(value, list):
        raise ValueError(f"{name} is given {len(value)} times")
    return value


def _dates(component: Component, name: str, zone: Zone) -> Iterator[date | datetime]:
    given = component.get(name)
    for values in given if isinstance(given, list) else [given] if given is not None else []:
        own = _zone_of(values, zone)
        for value in values.dts:
            if not isinstance(value.dt, date):
                raise ValueError(f"{name}: periods are not known, give times")
            yield _wall(value.dt, own, zone)


def _zone_of(value: Any, zone: Zone) -> Zone:
    """The zone that a property's times are given in; `zone` where they name none."""
    first = value.dts[0].dt if hasattr(value, "dts") else value.dt
    key = getattr(getattr(first, "tzinfo", None), "key", None)
    if key is not None:
        return zone_of(key)
    name = value.params.get("TZID")
    if name is not None and isinstance(first, datetime):
        # One that icalendar did not find, neither by IANA's nor by Microsoft's name.
        raise ValueError(f"there is no time zone {name!r}; name one such as Europe/Berlin")
    return zone


def _wall(value: date | datetime, own: Zone, zone: Zone) -> date | datetime:
    """A whole day, or a time as a clock in `zone` shows it; `own` is that of a time without one."""
    if not isinstance(value, datetime):
        return value
    return _aware(value, own).astimezone(zone).replace(tzinfo=None)


def _aware(value: date | datetime, zone: Zone) -> datetime:
    moment = _moment(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _moment(value: date | datetime) -> datetime:
    """The time, or the beginning of the day."""
    return value if isinstance(value, datetime) else datetime.combine(value, time())


def _name(component: Component) -> str:
    return " ".join(str(component.get("SUMMARY", "") or component.get("UID", "")).split())[:200]


def _short(error: object) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else text[:199] + "…"
