"""Business hours: when somebody is at work, and reckoning with that time only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache

from forewarn_collector.calendars.spans import Agenda, Span, joined
from forewarn_collector.calendars.zones import DAY, Zone, midnight, wall

_MINUTE = 60_000
_HORIZON = 3_660
"""Days after which a calendar without open hours is given up: ten years."""

Hours = tuple[tuple[int, int], ...]
"""Minutes of a day, from and to before which it is open: ascending, apart, and 1440 at most."""


class Holidays:
    """Days on which nobody works.

    `dates` are given one by one or by (month, day) for every year; the events of `agendas` close
    every day that they touch.
    """

    def __init__(
        self,
        dates: Mapping[date, str] | None = None,
        yearly: Mapping[tuple[int, int], str] | None = None,
        agendas: Sequence[Agenda] = (),
    ) -> None:
        self._dates = dict(dates or {})
        self._yearly = dict(yearly or {})
        self._agendas = tuple(agendas)

    def on(self, day: date, zone: Zone) -> str | None:
        """The name of the holiday on that day; None where there is none."""
        named = self._dates.get(day, self._yearly.get((day.month, day.day)))
        if named is not None:
            return named
        begin, end = midnight(day, zone), midnight(day + timedelta(days=1), zone)
        for agenda in self._agendas:
            for span in agenda.between(begin, end):
                return span.name
        return None


@dataclass(frozen=True)
class BusinessHours:
    """The hours of each weekday (0 is Monday) as clocks in `zone` show them, but for holidays.

    Without `week` it is always open.
    """

    name: str
    zone: Zone
    week: tuple[Hours, ...] = ()
    holidays: Holidays = field(default_factory=Holidays)

    def open_on(self, day: date) -> list[Span]:
        """When it is open on a day, ascending. A clock set forward or back counts as it shows."""
        if not self.week:
            return [Span(midnight(day, self.zone), midnight(day + timedelta(days=1), self.zone))]
        hours = self.week[day.weekday()]
        if not hours or self.holidays.on(day, self.zone) is not None:
            return []
        return list(_spans(self.zone, day, hours))

    def between(self, since: int, until: int) -> int:
        """How much of `since` to `until` (ms) is open, in ms."""
        if not self.week:
            return max(until - since, 0)
        total = 0
        day, last = wall(since, self.zone).date(), wall(until, self.zone).date()
        while day <= last:
            for span in self.open_on(day):
                total += max(min(span.end, until) - max(span.start, since), 0)
            day += timedelta(days=1)
        return total

    def add(self, at: int, amount: int) -> int:
        """The first time (ms) by which `amount` (ms, 0 or more) of open time has passed since `at`.

        `at` itself where `amount` is 0. A calendar that stays closed for ten years counts as open.
        """
        if not self.week or amount == 0:
            return at + amount
        left, day = amount, wall(at, self.zone).date()
        for _ in range(_HORIZON):
            for span in self.open_on(day):
                start = max(span.start, at)
                if span.end - start >= left:
                    return start + left
                left -= max(span.end - start, 0)
            day += timedelta(days=1)
        return at + amount

    def subtract(self, at: int, amount: int) -> int:
        """The last time (ms) from which `amount` (ms, 0 or more) of open time passes until `at`."""
        if not self.week or amount == 0:
            return at - amount
        left, day = amount, wall(at, self.zone).date()
        for _ in range(_HORIZON):
            for span in reversed(self.open_on(day)):
                end = min(span.end, at)
                if end - span.start >= left:
                    return end - left
                left -= max(end - span.start, 0)
            day -= timedelta(days=1)
        return at - amount


@lru_cache(maxsize=4096)
def _spans(zone: Zone, day: date, hours: Hours) -> tuple[Span, ...]:
    begin, end = midnight(day, zone), midnight(day + timedelta(days=1), zone)
    if end - begin == DAY:
        return tuple(Span(begin + a * _MINUTE, begin + b * _MINUTE) for a, b in hours)
    # The clock was set: minute by minute, as it shows.
    found = []
    for start in range(begin, end, _MINUTE):
        shown = wall(start, zone)
        minute = 60 * shown.hour + shown.minute
        if any(a <= minute < b for a, b in hours):
            found.append(Span(start, start + _MINUTE))
    return tuple(joined(found))
