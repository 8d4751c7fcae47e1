"""The spool's SQLite file: rows, marks and counters, each change one transaction.

WAL with synchronous=FULL: what was written survives kill -9 and a power cut.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

SAMPLES = 0
"""A round's samples: one snappy-compressed remote-write body. The first to go."""
CHANGES = 1
"""Samples that an event changed, sent before plain ones; otherwise like them."""
EVENTS = 2
"""Events: one OTLP logs body. Bodies may be joined, as their message is a list."""

ROW_BYTES = 64
"""What a row costs beside its body, so that many tiny bodies are bounded as well."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, time INTEGER NOT NULL,
    signals INTEGER NOT NULL, size INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS entries_by_kind ON entries (kind, id, signals, size);
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


class Entry(NamedTuple):
    """One body that waits. `time` in milliseconds; `signals`: how many samples or events."""

    id: int
    kind: int
    time: int
    signals: int
    body: bytes

    @property
    def cost(self) -> int:
        """Bytes that it takes from the spool's bound."""
        return len(self.body) + ROW_BYTES


class SpoolFile:
    """An open file. Methods raise sqlite3's errors; after one, nothing is half-written."""

    def __init__(self, path: str) -> None:
        """Open or create. sqlite3.DatabaseError (not Operational) says that it is damaged."""
        connection = sqlite3.connect(
            path, timeout=1.0, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA cache_size=-256")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA journal_size_limit=4194304")
            if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("its check found it malformed")
            connection.executescript(_SCHEMA)
            totals = "SELECT count(*), coalesce(sum(size), 0), coalesce(max(id), 0) FROM entries"
            self.entries, self.bytes, self.last_id = connection.execute(totals).fetchone()
            os.chmod(path, 0o600)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def close(self) -> None:
        """Close; the WAL goes into the file."""
        self._connection.close()

    def write(
        self,
        entries: Sequence[Entry],
        gone: Collection[int],
        marks: Mapping[str, str],
        counters: Mapping[str, int],
    ) -> None:
        """Add entries, delete those gone, set marks (an empty one is deleted) and counters."""
        rows = [(e.id, e.kind, e.time, e.signals, e.cost, e.body) for e in entries]
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            self._connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", rows)
            deleted, freed = self._delete(gone)
            for name, value in marks.items():
                if value:
                    execute("REPLACE INTO marks VALUES (?, ?)", (name, value))
                else:
                    execute("DELETE FROM marks WHERE name = ?", (name,))
            for name, number in counters.items():
                execute("REPLACE INTO counters VALUES (?, ?)", (name, number))
            execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                execute("ROLLBACK")
            raise
        self.entries += len(entries) - deleted
        self.bytes += sum(entry.cost for entry in entries) - freed

    def forget(self, gone: Collection[int]) -> None:
        """Delete without waiting for the disk: losing this only sends something twice."""
        self._connection.execute("PRAGMA synchronous=NORMAL")
        try:
            self.write((), gone, {}, {})
        finally:
            with suppress(sqlite3.Error):
                self._connection.execute("PRAGMA synchronous=FULL")

    def oldest(self, kind: int, limit: int) -> list[Entry]:
        """The first entries of a kind."""
        return self._read("WHERE kind = ? ORDER BY id LIMIT ?", kind, limit)

    def newest(self, kind: int, limit: int) -> list[Entry]:
        """The last entries of a kind, the newest first."""
        return self._read("WHERE kind = ? ORDER BY id DESC LIMIT ?", kind, limit)

    def costs(self, kind: int) -> Iterator[tuple[int, int, int]]:
        """Id, signals and cost of the entries of a kind, oldest first."""
        return self._connection.execute(
            "SELECT id, signals, size FROM entries WHERE kind = ? ORDER BY id", (kind,)
        )

    def marks(self, prefix: str) -> dict[str, str]:
        """The marks whose names start with `prefix`."""
        query = "SELECT name, value FROM marks WHERE substr(name, 1, ?) = ?"
        return dict(self._connection.execute(query, (len(prefix), prefix)))

    def counters(self) -> dict[str, int]:
        """All counters."""
        return dict(self._connection.execute("SELECT name, value FROM counters"))

    def _read(self, where: str, *parameters: int) -> list[Entry]:
        query = f"SELECT id, kind, time, signals, body FROM entries {where}"  # noqa: S608 - constants
        return [Entry(*row) for row in self._connection.execute(query, parameters)]

    def _delete(self, ids: Collection[int]) -> tuple[int, int]:
        """How many rows there were of these, and what they cost."""
        deleted = freed = 0
        for number in ids:
            row = self._connection.execute(
                "DELETE FROM entries WHERE id = ? RETURNING size", (number,)
            ).fetchone()
            if row is not None:
                deleted += 1
                freed += row[0]
        return deleted, freed
