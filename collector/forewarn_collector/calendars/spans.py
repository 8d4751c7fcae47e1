"""Stretches of time, and the events of a calendar that fill them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple

from forewarn_collector.calendars.recurrence import Recurrence
from forewarn_collector.calendars.zones import DAY, Zone, instant, wall

LONGEST = 366 * DAY
"""The most (ms) that one event may last: how far back a look for those that still last goes."""


class Span(NamedTuple):
    """From `start` to before `end`, in ms."""

    start: int
    end: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Length:
    """How long an event lasts: days as the calendar counts them, then exact milliseconds."""

    days: int = 0
    exact: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """What takes place once, or again and again by `rule` and on `more`, but not on `without`.

    `first` and `more` are naive times of `zone`; `without` holds such times, or whole dates.
    """

    name: str
    first: datetime
    length: Length
    zone: Zone
    rule: Recurrence | None = None
    more: tuple[datetime, ...] = ()
    without: frozenset[date | datetime] = field(default_factory=frozenset)

    def spans(self, since: int, until: int) -> Iterator[Span]:
        """The times at which it takes place within `since` to `until` (ms), in no order."""
        # A day of margin each way: between zones, and for what the clock skips.
        margin = timedelta(days=self.length.days + 1, milliseconds=self.length.exact)
        first, last = wall(since, self.zone) - margin, wall(until, self.zone) + timedelta(days=1)
        for start in self._starts(first, last):
            if start in self.without or start.date() in self.without:
                continue
            ends = start + timedelta(days=self.length.days)
            end = instant(ends, self.zone) + self.length.exact
            span = Span(instant(start, self.zone), end, self.name)
            if span.start < until and span.end > since:
                yield span

    def _starts(self, since: datetime, until: datetime) -> set[datetime]:
        found = {start for start in self.more if since <= start <= until}
        if self.rule is not None:
            found.update(self.rule.starts(self.first, since, until))
        elif since <= self.first <= until:
            found.add(self.first)
        return found


def spans_of(events: Iterable[Event], since: int, until: int) -> list[Span]:
    """When events take place, each by itself, by their beginning."""
    return sorted(span for event in events for span in event.spans(since, until))


def joined(spans: Sequence[Span]) -> list[Span]:
    """Ascending spans with those that touch or overlap made one, under the first one's name."""
    found: list[Span] = []
    for span in spans:
        if found and span.start <= found[-1].end:
            found[-1] = found[-1]._replace(end=max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


class Agenda:
    """When some events take place, asked for again and again; what was found out is kept.

    Each piece of a week is expanded once. May be used from several threads.
    """

    _PIECE = 7 * DAY
    _KEPT = 8

    def __init__(self, events: Iterable[Event]) -> None:
        self._events = tuple(events)
        self._pieces: dict[int, list[Span]] = {}

    def replace(self, events: Iterable[Event]) -> None:
        """Have other events from now on."""
        self._events, self._pieces = tuple(events), {}

    def __len__(self) -> int:
        return len(self._events)

    def at(self, at: int) -> list[Span]:
        """All that takes place at `at` (ms), by its beginning."""
        return [span for span in self._piece(at // self._PIECE) if span.start <= at < span.end]

    def between(self, since: int, until: int) -> list[Span]:
        """All that takes place within `since` to `until` (ms), by its beginning."""
        found = {
            span
            for number in range(since // self._PIECE, (until - 1) // self._PIECE + 1)
            for span in self._piece(number)
            if span.start < until and span.end > since
        }
        return sorted(found)

    def _piece(self, number: int) -> list[Span]:
        found = self._pieces.get(number)
        if found is None:
            start = number * self._PIECE
            found = spans_of(self._events, start, start + self._PIECE)
            if len(self._pieces) >= self._KEPT:
                self._pieces = {}
            self._pieces[number] = found
        return found
