"""The events of a store, for those who look for them and for upkeep."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from forewarn_collector.store.columns import Matcher
from forewarn_collector.store.eventlog.reading import (
    DamagedTextError,
    EventPage,
    EventQuery,
    EventReader,
    EventStats,
)
from forewarn_collector.store.jobs import TendEvents
from forewarn_wire import Event

_FIND_SECONDS = 1.0


class EventStore:
    """May be used from any thread. Every failure is raised as StoreError."""

    def __init__(self, path: Path, submit: Callable[[TendEvents], None]) -> None:
        self._reader = EventReader(path)
        self._submit = submit

    def close(self) -> None:
        """Close the connections."""
        self._reader.close()

    def find(self, matchers: Sequence[Matcher], start: int, end: int, limit: int) -> list[Event]:
        """Events with `start <= time <= end`, newest first, at most `limit`, found within a second.

        Matchers see an event's labels and also `type` and `severity`. Raises ValueError for a bad
        regex.
        """
        query = EventQuery(start, end, limit, [matchers] if matchers else [])
        return self._reader.search(query, _FIND_SECONDS).events

    def search(self, query: EventQuery, seconds: float) -> EventPage:
        """As `EventReader.search`. A damaged text index is made anew from here on."""
        try:
            return self._reader.search(query, seconds)
        except DamagedTextError:
            self._submit(TendEvents(mend=True))
            raise

    def one(self, uid: str) -> Event | None:
        """The event with this uid."""
        return self._reader.one(uid)

    def stats(self) -> EventStats:
        """Figures about the events now."""
        return self._reader.stats()

    def tend(self, seconds: float) -> bool:
        """Drop events by age and size and index others, in slices that writes go between.

        Returns whether more is left to do after about `seconds`.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            job = TendEvents()
            self._submit(job)
            if not job.done.result():
                return False
        return True
