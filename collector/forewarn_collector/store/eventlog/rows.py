"""Events into their tables, each uid once; and rows back to events."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from forewarn_collector.store.eventlog.schema import (
    ID_BITS,
    LEAST_ID,
    TABLES,
    TEXT_TABLE,
    UNINDEXED,
    EventState,
    cost,
    first_id,
    load_state,
    packed,
    packed_attributes,
    pairs_of,
    save_state,
    text_of,
    uid_hash,
    unpacked,
    unpacked_attributes,
)
from forewarn_collector.store.journal import Journal, labels_from_text, labels_to_text
from forewarn_wire import Event, Labels, Severity

log = logging.getLogger(__name__)

_STREAMS_KEPT = 100_000
_FIND_UID = (
    "SELECT 1 FROM event_uids JOIN event_log USING (id) WHERE hash = ? AND event_log.uid = ?"
)
ROWS = (
    f"SELECT event_log.id >> {ID_BITS}, type, severity, labels, body, uid, attributes"  # noqa: S608
    " FROM event_log JOIN event_streams ON event_streams.id = event_log.stream"
)
"""The rows that `event_of` takes."""

Stream = tuple[str, Severity, Labels]


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row as it stands; `text` is what the text index has of it, "" where it is damaged."""

    number: int
    stream: int
    uid: str
    text: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Inserted:
    """The events that were new; how many were older than what is kept."""

    added: list[Event]
    late: int


class EventLog:
    """Writes events; used by the writer's thread alone, within its transactions."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._connection = journal.connection
        self._streams: dict[Stream, int] = {}
        # Of the transaction that is going on: what is to be indexed, and what events take.
        self._texts: list[tuple[int, str]] = []
        self._bytes = 0

    def prepare(self) -> None:
        """Make the tables, and take over events from the format before. Raises StoreError."""
        with self._journal.transaction():
            for statement in (*TABLES, TEXT_TABLE):
                self._connection.execute(statement)
            old = "SELECT 1 FROM sqlite_schema WHERE name = 'events' AND type = 'table'"
            if self._connection.execute(old).fetchone():
                self._take_over()

    def insert(self, requests: Sequence[Iterable[Event]]) -> list[Inserted]:
        """Within a transaction: add the events of several requests whose uid is new.

        One that is older than what retention dropped is left out: it may have been here.
        """
        connection = self._connection
        before = load_state(connection)
        self._texts, self._bytes = [], 0
        inserted = [self._insert(events, before) for events in requests]
        added = sum(len(item.added) for item in inserted)
        late = sum(item.late for item in inserted)
        if added or late:
            indexed = index_texts(connection, self._texts)
            after = replace(
                before,
                events=before.events + added,
                bytes=before.bytes + self._bytes,
                text_from=before.text_from if indexed else UNINDEXED,
                dropped_late=before.dropped_late + late,
            )
            save_state(connection, before, after)
        return inserted

    def _insert(self, events: Iterable[Event], state: EventState) -> Inserted:
        added: list[Event] = []
        late = 0
        for event in events:
            if event.time < state.horizon:
                late += 1
            elif self._is_new(event, state):
                added.append(event)
        return Inserted(added, late)

    def _is_new(self, event: Event, state: EventState) -> bool:
        """Add an event unless its uid is there."""
        connection = self._connection
        key = uid_hash(event.uid)
        if connection.execute(_FIND_UID, (key, event.uid)).fetchone():
            return False
        number = self._free_id(event.time)
        text = text_of(event.body, event.attributes)
        body, attributes = packed(event.body), packed_attributes(event.attributes)
        connection.execute(
            "INSERT INTO event_log (id, stream, uid, body, attributes) VALUES (?, ?, ?, ?, ?)",
            (number, self._stream(event), event.uid, body, attributes),
        )
        connection.execute("INSERT INTO event_uids (hash, id) VALUES (?, ?)", (key, number))
        self._bytes += cost(event.uid, body, attributes, text)
        if number >= state.text_from:
            self._texts.append((number, text))
        return True

    def forget(self) -> None:
        """Forget which streams there are, as a failed transaction or retention may undo some."""
        self._streams.clear()

    def _free_id(self, time: int) -> int:
        while True:
            first = first_id(time)
            last = first_id(time + 1) - 1
            row = self._connection.execute(
                "SELECT max(id) FROM event_log WHERE id BETWEEN ? AND ?", (first, last)
            ).fetchone()
            if row[0] is None:
                return first
            if row[0] < last:
                return int(row[0]) + 1
            time += 1

    def _stream(self, event: Event) -> int:
        stream = (event.type, event.severity, event.labels)
        number = self._streams.get(stream)
        if number is not None:
            return number
        text = labels_to_text(event.labels)
        row = self._connection.execute(
            "SELECT id FROM event_streams WHERE labels = ? AND type = ? AND severity = ?",
            (text, event.type, event.severity.value),
        ).fetchone()
        number = int(row[0]) if row else self._new_stream(event, text)
        if len(self._streams) >= _STREAMS_KEPT:
            self._streams.clear()
        self._streams[stream] = number
        return number

    def _new_stream(self, event: Event, text: str) -> int:
        number = self._connection.execute(
            "INSERT INTO event_streams (labels, type, severity) VALUES (?, ?, ?)",
            (text, event.type, event.severity.value),
        ).lastrowid
        pairs = pairs_of(event.type, event.severity.value, event.labels)
        self._connection.executemany(
            "INSERT INTO event_pairs (name, value, stream) VALUES (?, ?, ?)",
            ((name, value, number) for name, value in pairs.items()),
        )
        return int(number or 0)

    def _take_over(self) -> None:
        """The events of format 1. They are in the text index later, as there may be many."""
        connection, before = self._connection, load_state(self._connection)
        save_state(connection, before, replace(before, text_from=UNINDEXED))
        rows = connection.execute(
            "SELECT time, type, severity, labels, body, uid, attributes FROM events"
        )
        while some := rows.fetchmany(10_000):
            self.insert([[event for row in some if (event := event_of(row)) is not None]])
        connection.execute("DROP TABLE events")
        newest = connection.execute("SELECT max(id) FROM event_log").fetchone()[0]
        state = load_state(connection)
        text_from = LEAST_ID if newest is None else newest + 1
        save_state(connection, state, replace(state, text_from=text_from))


def index_texts(connection: sqlite3.Connection, texts: Sequence[tuple[int, str]]) -> bool:
    """Within a transaction: add (id, text) to the text index; False, and none, if it is damaged."""
    return _change_texts(connection, "INSERT INTO event_text (rowid, text) VALUES (?, ?)", texts)


def unindex_texts(connection: sqlite3.Connection, texts: Sequence[tuple[int, str]]) -> bool:
    """Within a transaction: take (id, text), as they were added, out of the text index."""
    take_out = "INSERT INTO event_text (event_text, rowid, text) VALUES ('delete', ?, ?)"
    return _change_texts(connection, take_out, texts)


def merge_texts(connection: sqlite3.Connection, pages: int) -> bool:
    """Within a transaction: merge so many pages of the text index; False if it is damaged.

    Negative, it begins anew with all of it.
    """
    merge = "INSERT INTO event_text (event_text, rank) VALUES ('merge', ?)"
    return _change_texts(connection, merge, [(pages,)])


def _change_texts(
    connection: sqlite3.Connection, statement: str, texts: Sequence[tuple[Any, ...]]
) -> bool:
    """Within a transaction: run a statement on each; False, and nothing done, for a damaged index.

    The events must not suffer from it: the index can be made anew from them.
    """
    if not texts:
        return True
    connection.execute("SAVEPOINT event_text")
    try:
        connection.executemany(statement, texts)
        # Has FTS5 write now what it would write at the commit, where damage would undo all of it.
        connection.execute("SAVEPOINT event_text_written")
    except sqlite3.DatabaseError as error:
        if not is_text_damage(error) or not connection.in_transaction:
            raise
        connection.execute("ROLLBACK TO event_text")
        connection.execute("RELEASE event_text")
        log.error("the text index of events is damaged and will be made anew: %s", error)
        return False
    connection.execute("RELEASE event_text")
    return True


def stored_row(connection: sqlite3.Connection, number: int) -> StoredRow:
    """The row with this id, which must be there."""
    stream, uid, body, attributes = connection.execute(
        "SELECT stream, uid, body, attributes FROM event_log WHERE id = ?", (number,)
    ).fetchone()
    try:
        text = text_of(unpacked(body), unpacked_attributes(attributes))
    except ValueError:
        text = ""
    return StoredRow(number, stream, uid, text, cost(uid, body, attributes, text))


def is_text_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether an error of a statement about the text index says that this is damaged."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    # A constraint is of the index' own tables, where it takes them to be other than they are.
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CONSTRAINT} or (
        code == sqlite3.SQLITE_ERROR and "event_text" in str(error)
    )


def event_of(row: Sequence[Any]) -> Event | None:
    """The event of a row of `ROWS`; None where it is damaged."""
    time, kind, severity, labels, body, uid, attributes = row
    try:
        return Event(
            time,
            kind,
            Severity(severity),
            labels_from_text(labels),
            unpacked(body),
            uid,
            unpacked_attributes(attributes),
        )
    except (ValueError, TypeError) as error:
        log.error("the event %r is damaged: %s", uid, error)
        return None
