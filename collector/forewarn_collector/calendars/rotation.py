"""Who is on call: people who take turns, or whoever an iCalendar file names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from forewarn_collector.calendars.spans import Agenda, Span
from forewarn_collector.calendars.zones import Zone, instant, wall


@dataclass(frozen=True, slots=True)
class Shift:
    """Somebody's turn, from `start` to before `end` (ms), and where that is written."""

    who: str
    start: int
    end: int
    why: str


class Rotation(Protocol):
    """A calendar of people. Pure."""

    name: str
    zone: Zone

    def shift(self, at: int) -> Shift | None:
        """The turn at `at` (ms); None where nobody has it."""


class Turns:
    """People in order, each for `length` as clocks in `zone` show it, from `start` on.

    `overrides` take precedence, the last one given most of all; each names its person.
    """

    def __init__(
        self,
        name: str,
        people: Sequence[str],
        start: datetime,
        length: timedelta,
        zone: Zone,
        overrides: Sequence[Span] = (),
    ) -> None:
        self.name = name
        self.zone = zone
        self.people = tuple(people)
        self._start = start
        self._length = length
        self._overrides = tuple(overrides)

    def shift(self, at: int) -> Shift | None:
        """The turn at `at` (ms), cut where an override begins or ended."""
        standing = [span for span in self._overrides if span.start <= at < span.end]
        if standing:
            over = standing[-1]
            why = f"rotation {self.name}, an override"
            return Shift(over.name, *self._cut(over.start, over.end, at, over), why)
        if at < instant(self._start, self.zone):
            return None
        number = (wall(at, self.zone) - self._start) // self._length
        # A clock set back shows the end of a turn twice; the turn goes with the first.
        while at < self._begin(number):
            number -= 1
        while at >= self._begin(number + 1):
            number += 1
        who = self.people[number % len(self.people)]
        start, end = self._cut(self._begin(number), self._begin(number + 1), at)
        return Shift(who, start, end, f"rotation {self.name}")

    def _begin(self, number: int) -> int:
        return instant(self._start + number * self._length, self.zone)

    def _cut(self, start: int, end: int, at: int, own: Span | None = None) -> tuple[int, int]:
        for span in self._overrides[self._overrides.index(own) + 1 if own else 0 :]:
            if span.end <= at:
                start = max(start, span.end)
            elif span.start > at:
                end = min(end, span.start)
        return start, end


class OnCallCalendar:
    """Whoever the events of an iCalendar file name in their summary; the latest to begin wins."""

    def __init__(self, name: str, zone: Zone, agenda: Agenda) -> None:
        self.name = name
        self.zone = zone
        self._agenda = agenda

    def shift(self, at: int) -> Shift | None:
        """The event that takes place at `at` (ms)."""
        found = self._agenda.at(at)
        if not found:
            return None
        span = found[-1]
        others = [each for each in self._agenda.between(*span[:2]) if each.start >= span.start]
        start = max([each.end for each in others if each.end <= at], default=span.start)
        end = min([each.start for each in others if each.start > at], default=span.end)
        return Shift(span.name, start, min(end, span.end), f"calendar of {self.name}")


def shifts(rotation: Rotation, since: int, until: int) -> Iterator[Shift]:
    """All turns within `since` to `until` (ms), to the minute where nobody's precedes them."""
    at = since
    while at < until:
        shift = rotation.shift(at)
        if shift is None:
            at += 60_000
            continue
        yield shift
        at = shift.end


def next_in(rotation: Rotation, after: str, at: int, *, turns: int = 100) -> Shift | None:
    """The next turn of somebody else than `after`, as of `at` (ms); None if there is nobody else.

    Whom a task is handed to when the person on call does not answer.
    """
    shift = rotation.shift(at)
    for _ in range(turns):
        if shift is None or shift.who != after:
            return shift
        shift = rotation.shift(shift.end)
    return None
