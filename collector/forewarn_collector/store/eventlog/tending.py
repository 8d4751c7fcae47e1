"""Upkeep of events in slices between commits: retention by age and size, the text index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from forewarn_collector.store.eventlog.rows import (
    EventLog,
    StoredRow,
    index_texts,
    merge_texts,
    stored_row,
    unindex_texts,
)
from forewarn_collector.store.eventlog.schema import (
    LEAST_ID,
    TEXT_TABLE,
    UNINDEXED,
    EventState,
    first_id,
    load_state,
    pairs_of,
    save_state,
    time_of,
    uid_hash,
)
from forewarn_collector.store.journal import Journal, labels_from_text

_SLICE = 500
"""Events that are dropped or indexed at once: some 30 ms, for which writes wait."""
_MERGE_PAGES = 250
_LEAST_MERGED = 5_000
_HORIZON_STEP = 60_000
"""How far (ms) time goes on until it is noted, for which alone there would be no transaction."""


@dataclass(frozen=True, slots=True)
class EventLimits:
    """How long events are kept (ms; None for as long as samples), and their most bytes on disk."""

    retention: int | None = None
    max_bytes: int = 1 << 30


class EventTender:
    """Used by the writer's thread alone, between its transactions."""

    def __init__(self, journal: Journal, events: EventLog, max_bytes: int) -> None:
        self._journal = journal
        self._connection = journal.connection
        self._events = events
        self._max_bytes = max_bytes

    def tend(self, cutoff: int) -> bool:
        """Do one slice of what is to be done; whether there was anything. Raises StoreError.

        `cutoff` is the time (ms) before which events are too old.
        """
        with self._journal.reading():
            state = load_state(self._connection)
            aged = self._numbers("id < ? ORDER BY id LIMIT ?", first_id(cutoff))
        if aged or cutoff >= state.horizon + _HORIZON_STEP:
            self._drop(state, aged, cutoff, by_age=True)
        elif state.bytes > self._max_bytes and state.events:
            with self._journal.reading():
                oldest = self._numbers("1 ORDER BY id LIMIT ?")
            self._drop(state, self._excess(state, oldest), 0, by_age=False)
        elif state.text_from == UNINDEXED:
            self._begin_index(state)
        elif state.merging or state.taken_out > max(state.events // 2, _LEAST_MERGED):
            self._merge_index(state)
        else:
            return self._extend_index(state)
        return True

    def mend_index(self) -> None:
        """Have the text index made anew."""
        with self._journal.transaction():
            state = load_state(self._connection)
            save_state(self._connection, state, replace(state, text_from=UNINDEXED))

    def _row(self, number: int) -> StoredRow:
        return stored_row(self._connection, number)

    def _numbers(self, condition: str, *given: int) -> list[int]:
        statement = f"SELECT id FROM event_log WHERE {condition}"  # noqa: S608 - our own texts
        return [row[0] for row in self._connection.execute(statement, (*given, _SLICE))]

    def _excess(self, state: EventState, oldest: Sequence[int]) -> list[int]:
        """As many of the oldest as are over the limit."""
        left = state.bytes - self._max_bytes
        chosen: list[int] = []
        for number in oldest:
            if left <= 0:
                break
            chosen.append(number)
            left -= self._row(number).bytes
        return chosen

    def _drop(
        self, before: EventState, numbers: Sequence[int], cutoff: int, *, by_age: bool
    ) -> None:
        connection = self._connection
        with self._journal.transaction():
            rows = [self._row(number) for number in numbers]
            indexed = [(row.number, row.text) for row in rows if row.number >= before.text_from]
            intact = unindex_texts(connection, [(k, text) for k, text in indexed if text])
            gone = [(row.number,) for row in rows]
            connection.executemany("DELETE FROM event_log WHERE id = ?", gone)
            connection.executemany(
                "DELETE FROM event_uids WHERE hash = ? AND id = ?",
                ((uid_hash(row.uid), row.number) for row in rows),
            )
            self._drop_streams({row.stream for row in rows})
            # A resend of any of them must not come in again.
            horizon = max(cutoff, time_of(numbers[-1]) + 1 if numbers else 0, before.horizon)
            after = replace(
                before,
                events=before.events - len(rows),
                bytes=max(before.bytes - sum(row.bytes for row in rows), 0),
                horizon=horizon,
                text_from=before.text_from if intact else UNINDEXED,
                taken_out=before.taken_out + len(indexed),
                dropped_age=before.dropped_age + (len(rows) if by_age else 0),
                dropped_size=before.dropped_size + (0 if by_age else len(rows)),
            )
            save_state(connection, before, after)
        self._events.forget()

    def _drop_streams(self, numbers: Iterable[int]) -> None:
        """Forget those of the streams that have no events any more."""
        for number in numbers:
            left = "SELECT 1 FROM event_log WHERE stream = ? LIMIT 1"
            if self._connection.execute(left, (number,)).fetchone() is None:
                self._drop_pairs(number)
                self._connection.execute("DELETE FROM event_streams WHERE id = ?", (number,))

    def _drop_pairs(self, stream: int) -> None:
        kind, severity, labels = self._connection.execute(
            "SELECT type, severity, labels FROM event_streams WHERE id = ?", (stream,)
        ).fetchone()
        pairs = pairs_of(kind, severity, labels_from_text(labels))
        self._connection.executemany(
            "DELETE FROM event_pairs WHERE name = ? AND value = ? AND stream = ?",
            ((name, value, stream) for name, value in pairs.items()),
        )

    def _begin_index(self, state: EventState) -> None:
        """An empty text index, which new events enter at once and the others by and by."""
        connection = self._connection
        with self._journal.transaction():
            connection.execute("DROP TABLE IF EXISTS event_text")
            connection.execute(TEXT_TABLE)
            newest = connection.execute("SELECT max(id) FROM event_log").fetchone()[0]
            text_from = LEAST_ID if newest is None else newest + 1
            after = replace(state, text_from=text_from, taken_out=0, merging=0)
            save_state(connection, state, after)

    def _merge_index(self, state: EventState) -> None:
        """Let go of the room of what was taken out: FTS5 only notes it as gone until it merges."""
        connection = self._connection
        with self._journal.transaction():
            before = connection.total_changes
            intact = merge_texts(connection, _MERGE_PAGES if state.merging else -_MERGE_PAGES)
            after = replace(state, merging=1, taken_out=0)
            if not intact:
                after = replace(after, text_from=UNINDEXED)
            elif connection.total_changes - before < 2:
                # As its manual has it, there was nothing left to merge.
                after = replace(after, merging=0)
            save_state(connection, state, after)

    def _extend_index(self, state: EventState) -> bool:
        with self._journal.reading():
            numbers = self._numbers("id < ? ORDER BY id DESC LIMIT ?", state.text_from)
        if not numbers:
            if state.text_from != LEAST_ID:
                with self._journal.transaction():
                    save_state(self._connection, state, replace(state, text_from=LEAST_ID))
            return False
        with self._journal.transaction():
            rows = [self._row(number) for number in numbers]
            intact = index_texts(self._connection, [(row.number, row.text) for row in rows])
            text_from = numbers[-1] if intact else UNINDEXED
            save_state(self._connection, state, replace(state, text_from=text_from))
        return True
