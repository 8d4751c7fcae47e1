"""Recurrence rules of RFC 5545 (section 3.3.10), by the day or slower, always in bounded time.

Expanded here and not by a library: those that exist go through every repetition from the first one
on, and search to the year 9999 for what never comes (29 February of every odd year), which a
hostile calendar turns into minutes. Here, only the periods that were asked for are looked at.
"""

from __future__ import annotations

from calendar import isleap, monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import count as counted
from math import prod
from typing import Any

from forewarn_collector.calendars.zones import Zone

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_TOO_OFTEN = ("HOURLY", "MINUTELY", "SECONDLY")
MOST_A_DAY = 288
"""Every five minutes: the most times a day."""
_MOST_COUNTED = 1_000
FIRST_YEAR, LAST_YEAR = 1970, 2100
_LAST = datetime(LAST_YEAR, 12, 31)


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A rule, its parts named as in the RFC; an empty part is one that was not given.

    `by_day` has pairs of the ordinal (0: every one) and the weekday (0 is Monday), `until` is a
    naive time of the event's zone, inclusive.
    """

    frequency: str
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    week_start: int = 0
    by_month: frozenset[int] = frozenset()
    by_week: frozenset[int] = frozenset()
    by_year_day: frozenset[int] = frozenset()
    by_month_day: frozenset[int] = frozenset()
    by_day: frozenset[tuple[int, int]] = frozenset()
    by_hour: frozenset[int] = frozenset()
    by_minute: frozenset[int] = frozenset()
    by_second: frozenset[int] = frozenset()
    by_position: frozenset[int] = frozenset()

    @property
    def times_a_day(self) -> int:
        """How often it takes place on a day on which it does."""
        return prod(len(part) or 1 for part in (self.by_hour, self.by_minute, self.by_second))

    def starts(self, first: datetime, since: datetime, until: datetime) -> Iterator[datetime]:
        """Naive times within `since` to `until`, ascending, of an event that begins at `first`.

        `first` itself is one of them only where the rule says so.
        """
        last = until if self.until is None else min(until, self.until)
        day_rule = self._with_defaults(first)
        times = self._times(first)
        numbers = counted(0 if self.count is not None else self._period_of(first, since))
        seen = 0
        for number in numbers:
            days = self._period(first, number)
            if not days or datetime.combine(days[0], time()) > last:
                return
            fits = (day for day in days if day_rule.fits(day))
            for start in self._positioned([datetime.combine(d, t) for d in fits for t in times]):
                if start < first:
                    continue
                seen += 1
                if start > last or (self.count is not None and seen > self.count):
                    return
                if start >= since:
                    yield start

    def fits(self, day: date) -> bool:
        """Whether a day satisfies every part that speaks of days."""
        if self.by_month and day.month not in self.by_month:
            return False
        if self.by_month_day:
            length = monthrange(day.year, day.month)[1]
            if not self.by_month_day & {day.day, day.day - length - 1}:
                return False
        if self.by_day and not self._fits_weekday(day):
            return False
        if self.by_year_day:
            number, length = day.timetuple().tm_yday, 366 if isleap(day.year) else 365
            if not self.by_year_day & {number, number - length - 1}:
                return False
        return not self.by_week or self._fits_week(day)

    def _fits_weekday(self, day: date) -> bool:
        if (0, day.weekday()) in self.by_day:
            return True
        if self.frequency == "YEARLY" and not self.by_month:
            number, length = day.timetuple().tm_yday, 366 if isleap(day.year) else 365
        else:
            number, length = day.day, monthrange(day.year, day.month)[1]
        forward, backward = (number - 1) // 7 + 1, -((length - number) // 7 + 1)
        weekday = day.weekday()
        return bool(self.by_day & {(forward, weekday), (backward, weekday)})

    def _fits_week(self, day: date) -> bool:
        """By the number of its week, which is of the year in which it has four days or more."""
        monday = day - timedelta(days=(day.weekday() - self.week_start) % 7)
        year = (monday + timedelta(days=3)).year
        number = (monday - self._first_week(year)).days // 7 + 1
        length = (self._first_week(year + 1) - self._first_week(year)).days // 7
        return bool(self.by_week & {number, number - length - 1})

    def _first_week(self, year: int) -> date:
        fourth = date(year, 1, 4)
        return fourth - timedelta(days=(fourth.weekday() - self.week_start) % 7)

    def _with_defaults(self, first: datetime) -> Recurrence:
        """The rule with what it leaves open taken from the first time, for `fits`."""
        if self.by_week or self.by_year_day or self.by_month_day or self.by_day:
            return self
        month, month_day, day = self.by_month, self.by_month_day, self.by_day
        if self.frequency == "YEARLY":
            month = month or frozenset({first.month})
        if self.frequency in {"YEARLY", "MONTHLY"}:
            month_day = frozenset({first.day})
        if self.frequency == "WEEKLY":
            day = frozenset({(0, first.weekday())})
        return Recurrence(self.frequency, by_month=month, by_month_day=month_day, by_day=day)

    def _times(self, first: datetime) -> list[time]:
        hours = self.by_hour or {first.hour}
        minutes = self.by_minute or {first.minute}
        seconds = self.by_second or {first.second}
        return sorted(time(h, m, s) for h in hours for m in minutes for s in seconds)

    def _positioned(self, starts: Sequence[datetime]) -> Sequence[datetime]:
        if not self.by_position:
            return starts
        chosen = {n - 1 if n > 0 else len(starts) + n for n in self.by_position}
        return [start for index, start in enumerate(starts) if index in chosen]

    def _period_of(self, first: datetime, at: datetime) -> int:
        """The number of the last period that begins at `at` or before."""
        if at <= first:
            return 0
        if self.frequency == "YEARLY":
            passed = at.year - first.year
        elif self.frequency == "MONTHLY":
            passed = 12 * (at.year - first.year) + at.month - first.month
        else:
            start = self._week(first.date()) if self.frequency == "WEEKLY" else first.date()
            passed = (at.date() - start).days // (7 if self.frequency == "WEEKLY" else 1)
        return passed // self.interval

    def _week(self, day: date) -> date:
        return day - timedelta(days=(day.weekday() - self.week_start) % 7)

    def _period(self, first: datetime, number: int) -> list[date]:
        """All days of a period; none after the last year that is known."""
        passed = number * self.interval
        if self.frequency == "YEARLY":
            year, months = first.year + passed, range(1, 13)
        elif self.frequency == "MONTHLY":
            year, month = divmod(12 * first.year + first.month - 1 + passed, 12)
            months = range(month + 1, month + 2)
        else:
            step = 7 if self.frequency == "WEEKLY" else 1
            start = self._week(first.date()) if self.frequency == "WEEKLY" else first.date()
            if passed * step > 366 * (LAST_YEAR - FIRST_YEAR):
                return []
            start += timedelta(days=passed * step)
            return [start + timedelta(days=n) for n in range(step)]
        if year > LAST_YEAR:
            return []
        wanted = [month for month in months if not self.by_month or month in self.by_month]
        days = [date(year, m, d) for m in wanted for d in range(1, monthrange(year, m)[1] + 1)]
        # A year none of whose months is wanted still is a period, and not the end.
        return days or [date(year, months[0], 1)]


def parse_recurrence(parts: Mapping[str, Sequence[Any]], first: datetime, zone: Zone) -> Recurrence:
    """A rule from the parts as `icalendar.vRecur` reads them. Raises ValueError.

    A COUNT becomes the UNTIL that it amounts to, so that nobody counts again. `first` is the first
    time of the event in `zone`, naive; an UNTIL in UTC is read in that zone.
    """
    known = dict(parts)
    frequency = str(_one(known, "FREQ", ""))
    if frequency in _TOO_OFTEN:
        raise ValueError(f"FREQ={frequency} is too often; FREQ=DAILY;BYHOUR=0,6,12,18 may do")
    if frequency not in _FREQUENCIES:
        raise ValueError(f"expected FREQ= and one of {', '.join(_FREQUENCIES)}")
    rule = Recurrence(
        frequency=frequency,
        interval=_number(known, "INTERVAL", 1),
        count=_number(known, "COUNT", None),
        until=_until(_one(known, "UNTIL", None), zone),
        week_start=WEEKDAYS.index(str(_one(known, "WKST", "MO"))),
        by_month=_numbers(known, "BYMONTH", 1, 12),
        by_week=_numbers(known, "BYWEEKNO", 1, 53, negative=True),
        by_year_day=_numbers(known, "BYYEARDAY", 1, 366, negative=True),
        by_month_day=_numbers(known, "BYMONTHDAY", 1, 31, negative=True),
        by_day=frozenset(_weekday(str(day)) for day in known.pop("BYDAY", [])),
        by_hour=_numbers(known, "BYHOUR", 0, 23),
        by_minute=_numbers(known, "BYMINUTE", 0, 59),
        by_second=_numbers(known, "BYSECOND", 0, 59),
        by_position=_numbers(known, "BYSETPOS", 1, 366 * MOST_A_DAY, negative=True),
    )
    if known:
        raise ValueError(f"{', '.join(sorted(known))} is not known here")
    if not FIRST_YEAR <= first.year <= LAST_YEAR:
        raise ValueError(f"begins in the year {first.year}; {FIRST_YEAR} is the first known")
    _check(rule, first)
    if rule.count is None:
        return rule
    *_, last = rule.starts(first, first, _LAST)
    return replace(rule, count=None, until=last)


def _check(rule: Recurrence, first: datetime) -> None:
    if rule.count is not None and rule.until is not None:
        raise ValueError("COUNT and UNTIL are both given; keep one of them")
    if any(ordinal for ordinal, _ in rule.by_day) and (
        rule.frequency not in {"MONTHLY", "YEARLY"} or rule.by_week
    ):
        raise ValueError("a BYDAY such as 1MO goes with FREQ=MONTHLY or YEARLY, without BYWEEKNO")
    if rule.by_week and rule.frequency != "YEARLY":
        raise ValueError("BYWEEKNO goes with FREQ=YEARLY")
    if rule.times_a_day > MOST_A_DAY:
        raise ValueError(f"takes place {rule.times_a_day} times a day; {MOST_A_DAY} is the most")
    # What never comes is a mistake, and what comes once in a lifetime may be 8 years off.
    last = min(datetime.combine(first.date(), time()) + timedelta(days=366 * 9), _LAST)
    if next(rule.starts(first, first, last), None) is None:
        raise ValueError("never takes place in the nine years after its beginning")


def _one(parts: dict[str, Any], name: str, default: Any) -> Any:
    values = parts.pop(name, None)
    if not values:
        return default
    values = values if isinstance(values, list) else [values]
    if len(values) > 1:
        raise ValueError(f"{name} takes one value, found {len(values)}")
    return values[0]


def _number(parts: dict[str, Any], name: str, default: Any) -> Any:
    value = _one(parts, name, default)
    if value is not default and not 1 <= value <= _MOST_COUNTED:
        raise ValueError(f"{name}={value}: expected 1 to {_MOST_COUNTED}")
    return value


def _numbers(
    parts: dict[str, Any], name: str, least: int, most: int, *, negative: bool = False
) -> frozenset[int]:
    values = parts.pop(name, [])
    found = frozenset(int(v) for v in (values if isinstance(values, list) else [values]))
    for value in found:
        if not least <= (abs(value) if negative else value) <= most:
            raise ValueError(f"{name}={value}: expected {least} to {most}")
    return found


def _weekday(text: str) -> tuple[int, int]:
    ordinal = int(text[:-2] or 0)
    if text[:-2] and not 1 <= abs(ordinal) <= 53:
        raise ValueError(f"BYDAY={text}: expected 1 to 53 before the day")
    return ordinal, WEEKDAYS.index(text[-2:])


def _until(value: Any, zone: Zone) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, datetime):
        # A date means all of that day.
        return datetime.combine(value, time(23, 59, 59))
    if value.tzinfo is None:
        return value
    return value.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
