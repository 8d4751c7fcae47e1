"""Search of events: by time, labels and text, newest first, in pages and within a time.

Reading has connections of its own, so that neither a commit nor another search waits for one.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from forewarn_collector.store.columns import Matcher
from forewarn_collector.store.damage import is_damage
from forewarn_collector.store.errors import DamagedFileError, StoreError
from forewarn_collector.store.eventlog.rows import ROWS, event_of, is_text_damage
from forewarn_collector.store.eventlog.schema import (
    LEAST_ID,
    UNINDEXED,
    EventState,
    first_id,
    load_state,
    time_of,
    uid_hash,
)
from forewarn_collector.store.eventlog.streams import streams_of
from forewarn_collector.store.eventlog.text import fts_expression
from forewarn_wire import Event

_FEW_STREAMS = 1_000
"""So many are looked up one by one; of more, the events are met soon on a walk through time."""
_PAGE_BYTES = 8 << 20
_LOOK_EVERY = 1_000
"""Steps of SQLite's between two looks at the clock: less than a millisecond."""


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Events with `start <= time <= end` that meet any of `selectors` (all, where there is none).

    Matchers see an event's labels and, as labels, its type and severity; `text` is as in
    `eventlog.text`. A page goes on `before` the last one's `next`.
    """

    start: int
    end: int
    limit: int
    selectors: Sequence[Sequence[Matcher]] = ()
    text: str = ""
    before: int | None = None


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events, the newest first. `next` is where the next page goes on, None at the end.

    A page that is not `complete` ended early, for time or size; its next goes on all the same.
    Events older than `indexed_from` (ms) are not in the text index yet and were not searched.
    """

    events: list[Event]
    next: int | None = None
    complete: bool = True
    indexed_from: int | None = None


@dataclass(frozen=True, slots=True)
class EventStats:
    """How many events there are, their bytes on disk, and how many were dropped and why.

    Those that were `late` came in when retention had dropped what was of their time.
    """

    events: int
    bytes: int
    dropped_age: int
    dropped_size: int
    dropped_late: int


class DamagedTextError(StoreError):
    """The text index is damaged; searches by time and labels go on, and it is made anew."""

    def __init__(self) -> None:
        super().__init__(
            "the text index of events is damaged and is being made anew; search by time and labels"
            " meanwhile",
            retryable=True,
        )


class EventSearchTimeoutError(StoreError):
    """A search that found nothing in its time."""

    def __init__(self) -> None:
        super().__init__(
            "the search took too long; narrow it by time (start, end) or labels (match[])",
            retryable=True,
        )


class EventReader:
    """May be used from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    def close(self) -> None:
        """Close the connections; those in use close when they are given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def search(self, query: EventQuery, seconds: float) -> EventPage:
        """A page of events, after about `seconds` at most.

        Raises TextQueryError or ValueError (a bad regex), DamagedTextError,
        EventSearchTimeoutError, StoreError.
        """
        expression = fts_expression(query.text)
        if query.limit <= 0:
            return EventPage([])
        deadline = time.monotonic() + seconds
        with self._snapshot(deadline) as connection:
            state = load_state(connection)
            wanted = streams_of(connection, query.selectors)
            if wanted is not None and not wanted:
                return EventPage([])
            walk = _Walk(connection, query, wanted, expression, state)
            return walk.page()

    def one(self, uid: str) -> Event | None:
        """The event with this uid."""
        with self._snapshot(time.monotonic() + 60) as connection:
            row = connection.execute(
                f"{ROWS} JOIN event_uids USING (id) WHERE hash = ? AND uid = ?",
                (uid_hash(uid), uid),
            ).fetchone()
        return event_of(row) if row else None

    def stats(self) -> EventStats:
        """Figures about the events now."""
        with self._snapshot(time.monotonic() + 60) as connection:
            state = load_state(connection)
        return EventStats(
            state.events,
            state.bytes,
            state.dropped_age,
            state.dropped_size,
            state.dropped_late,
        )

    @contextmanager
    def _snapshot(self, deadline: float) -> Iterator[sqlite3.Connection]:
        """A connection that sees one moment of the store."""
        try:
            connection = self._take()
        except sqlite3.Error as error:
            raise self._failed(error) from error
        try:
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _LOOK_EVERY)
            connection.execute("BEGIN")
            yield connection
        except sqlite3.OperationalError as error:
            if _is_interrupt(error):
                raise EventSearchTimeoutError from error
            raise self._failed(error) from error
        except sqlite3.Error as error:
            raise self._failed(error) from error
        finally:
            connection.set_progress_handler(None, 0)
            if connection.in_transaction:
                connection.rollback()
            self._give_back(connection)

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed; open it again to read", retryable=True)
            if self._idle:
                return self._idle.pop()
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA query_only = ON").fetchall()
        # One row whose text is no UTF-8 any more must not fail all that are read with it.
        connection.text_factory = lambda text: text.decode(errors="replace")
        return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _failed(self, error: sqlite3.Error) -> StoreError:
        if is_damage(error):
            return DamagedFileError(self._path, "read events in", error)
        return StoreError(f"cannot read events in {self._path.parent}: {error}", retryable=True)


class _Walk:
    """One search in one snapshot: from the newest event that may meet it to the oldest."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        query: EventQuery,
        wanted: set[int] | None,
        expression: str,
        state: EventState,
    ) -> None:
        self._connection = connection
        self._query = query
        self._wanted = wanted
        self._expression = expression
        self._few = wanted is not None and len(wanted) <= _FEW_STREAMS
        self._first = first_id(query.start)
        self._last = max(first_id(query.end + 1) - 1, LEAST_ID)
        if query.before is not None:
            self._last = min(self._last, query.before - 1)
        self._indexed_from: int | None = None
        if expression and self._first < state.text_from:
            if state.text_from == UNINDEXED:
                raise DamagedTextError
            self._first = state.text_from
            self._indexed_from = time_of(state.text_from)

    def page(self) -> EventPage:
        """The events that meet the query, as many as its limit and its time allow."""
        events: list[Event] = []
        seen = size = 0
        place: int | None = None
        try:
            for number, stream in self._candidates():
                if self._wanted is None or stream in self._wanted:
                    if seen == self._query.limit:
                        return self._ended(events, place, complete=True)
                    if size > _PAGE_BYTES:
                        return self._ended(events, place, complete=False)
                    seen += 1
                    event = self._event(number)
                    if event is not None:
                        events.append(event)
                        size += len(event.body) + sum(map(len, event.attributes.values()))
                place = number
        except sqlite3.DatabaseError as error:
            if _is_interrupt(error) and place is not None:
                return self._ended(events, place, complete=False)
            if self._expression and is_text_damage(error):
                raise DamagedTextError from error
            raise
        return self._ended(events, None, complete=True)

    def _ended(self, events: list[Event], place: int | None, *, complete: bool) -> EventPage:
        return EventPage(events, place, complete, self._indexed_from)

    def _event(self, number: int) -> Event | None:
        row = self._connection.execute(f"{ROWS} WHERE event_log.id = ?", (number,)).fetchone()
        return event_of(row) if row else None

    def _candidates(self) -> Iterator[tuple[int, int]]:
        """(id, stream) from the newest on, all that meet the query and maybe others."""
        if self._first > self._last:
            return iter(())
        if self._expression:
            return self._by_text()
        return self._by_stream() if self._few else self._by_time()

    def _by_time(self) -> Iterator[tuple[int, int]]:
        return self._connection.execute(
            "SELECT id, stream FROM event_log WHERE id BETWEEN ? AND ? ORDER BY id DESC",
            (self._first, self._last),
        )

    def _by_stream(self) -> Iterator[tuple[int, int]]:
        # One more than a page of each, so that a full page knows whether there is another.
        most = self._query.limit + 1
        found: list[tuple[int, int]] = []
        for stream in self._wanted or ():
            found += self._connection.execute(
                "SELECT id, stream FROM event_log WHERE stream = ? AND id BETWEEN ? AND ?"
                " ORDER BY id DESC LIMIT ?",
                (stream, self._first, self._last, most),
            )
        found.sort(reverse=True)
        return iter(found[:most])

    def _by_text(self) -> Iterator[tuple[int, int]]:
        statement = (
            "SELECT event_text.rowid, event_log.stream FROM event_text"
            " CROSS JOIN event_log ON event_log.id = event_text.rowid"
            " WHERE event_text MATCH ? AND event_text.rowid BETWEEN ? AND ?"
        )
        given: list[object] = [self._expression, self._first, self._last]
        if self._few:
            # The `+` makes it a test of what the text index finds, not a look-up in it by id.
            statement += (
                " AND +event_text.rowid IN (SELECT id FROM event_log WHERE stream IN"
                " (SELECT value FROM json_each(?)) AND id BETWEEN ? AND ?)"
            )
            given += [json.dumps(sorted(self._wanted or ())), self._first, self._last]
        return self._connection.execute(f"{statement} ORDER BY event_text.rowid DESC", given)


def _is_interrupt(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT
