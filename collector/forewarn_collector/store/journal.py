"""The durable side of the store: one SQLite file with every accepted commit, events and counters.

A commit's samples are one row of compressed columns. WAL with synchronous=FULL, so that what is
committed is on the disk. What cannot be read back is set aside and counted, the rest loads.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from forewarn_collector.store.codec import decode_columns, encode_columns
from forewarn_collector.store.columns import Floats, Ints
from forewarn_collector.store.damage import file_errors
from forewarn_collector.store.errors import StoreError
from forewarn_collector.store.label_rows import SCHEMA as LABEL_SETS
from forewarn_collector.store.label_rows import (
    NewSeries,
    add_rows,
    count_series,
    drop_from_rows,
    give_out_after,
    last_ref,
    mend_rows,
    read_rows,
    take_over_rows,
)
from forewarn_collector.store.late_counts import LATE_TABLE
from forewarn_collector.store.pages import LOG_BYTES, give_back_pages
from forewarn_wire import Labels

log = logging.getLogger(__name__)

JOURNAL_FILE = "store.db"
VERSION = 4
_DROPPED_COMMITS = 2_000
_DROPPED_SAMPLES = 100_000
_PAGES = 512
"""What is dropped and given back at a time: a commit waits for it, some milliseconds."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS journal (
    id INTEGER PRIMARY KEY, earliest INTEGER NOT NULL, latest INTEGER NOT NULL,
    samples INTEGER NOT NULL, checksum INTEGER NOT NULL, columns BLOB NOT NULL,
    -- The newest time that a sender gave; NULL where the collector made all of it.
    received INTEGER
);
CREATE INDEX IF NOT EXISTS journal_latest ON journal (latest);
CREATE TABLE IF NOT EXISTS damaged (
    id INTEGER PRIMARY KEY, earliest INTEGER, latest INTEGER,
    samples INTEGER, checksum INTEGER, columns BLOB, reason TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counters (
    labels TEXT PRIMARY KEY, value REAL NOT NULL, changed INTEGER NOT NULL
) WITHOUT ROWID;
"""
# The last of as many of the oldest commits as have so many samples.
_OLDEST = """
SELECT max(id) FROM
(SELECT id, sum(samples) OVER (ORDER BY id) - samples AS before FROM
 (SELECT id, samples FROM journal WHERE id <= ? ORDER BY id LIMIT ?))
WHERE before < ?
"""
# What dropped commits had received last.
_NOTE_RECEIVED = """
INSERT INTO facts SELECT 'received', max(received) FROM journal
WHERE id <= ? AND received IS NOT NULL GROUP BY 1
ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)
"""
_RECEIVED = """
SELECT max(received) FROM
(SELECT received FROM journal UNION ALL SELECT value FROM facts WHERE name = 'received')
"""
_SET_ASIDE = """
INSERT OR REPLACE INTO damaged
SELECT id, earliest, latest, samples, checksum, columns, ? FROM journal WHERE id = ?
"""


def labels_to_text(labels: Labels) -> str:
    """A label set as JSON."""
    return json.dumps(labels, separators=(",", ":"))


def labels_from_text(text: str) -> Labels:
    """What `labels_to_text` wrote. Raises ValueError."""
    return tuple((str(name), str(value)) for name, value in json.loads(text))


class Journal:
    """One connection, used by one thread at a time. Every failure is raised as StoreError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.damaged = 0
        try:
            # Made by us first: events may tell secrets, and SQLite's side files take the mode over.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise StoreError(
                f"cannot open {path}: {error.strerror}; mend its permissions or free some space",
                retryable=True,
            ) from error
        with file_errors("open", path):
            self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            with file_errors("open", self._path):
                self._prepare()
        except StoreError:
            self.connection.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def size(self) -> int:
        """Bytes on disk, write-ahead log included."""
        files = (self._path, self._path.with_name(self._path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. Raises StoreError, retryable where room or rights may come back."""
        with file_errors("write to", self._path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                # A full disk makes SQLite roll back by itself at some points, not at others.
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What is read within. Raises StoreError."""
        with file_errors("read", self._path):
            yield

    def last_ref(self) -> int:
        """The highest ref that was ever given out, or 0."""
        with file_errors("read", self._path):
            return last_ref(self.connection)

    def count_series(self) -> int:
        """How many series there are at most."""
        with file_errors("read", self._path):
            return count_series(self.connection)

    def begin_refs_after(self, ref: int) -> None:
        """Never give out this ref or a lower one: samples that are somewhere have it."""
        with self.transaction():
            give_out_after(self.connection, ref)

    def load_series(self) -> Iterator[NewSeries]:
        """All series, by ascending refs. Rows that are damaged are counted and left out.

        Where another copy of them is sound, they are made anew of that.
        """
        with self.transaction():
            made = mend_rows(self.connection)
        if made:
            log.warning("%s: %d rows of labels were made anew of their copies", self._path, made)
        with file_errors("read", self._path):
            for found in read_rows(self.connection):
                if isinstance(found, ValueError):
                    self._note_damage(found)
                else:
                    yield found

    def add_series(self, series: NewSeries) -> None:
        """Within a transaction: note new series."""
        if len(series.refs):
            add_rows(self.connection, series)

    def newest_received(self) -> int | None:
        """The newest time (ms) in any commit that a sender gave."""
        with file_errors("read", self._path):
            row = self.connection.execute(_RECEIVED).fetchone()
        return None if row[0] is None else int(row[0])

    def add_samples(self, refs: Ints, times: Ints, values: Floats, received: int | None) -> None:
        """Within a transaction: note one commit's samples, see the table for `received`."""
        blob, checksum = encode_columns(refs, times, values)
        self.connection.execute(
            "INSERT INTO journal (earliest, latest, samples, checksum, columns, received)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (int(times.min()), int(times.max()), len(times), checksum, blob, received),
        )

    def replay(self) -> Iterator[tuple[Ints, Ints, Floats]]:
        """The refs, times and values of every commit, in order; damaged ones are set aside."""
        with file_errors("read", self._path):
            ids = [row[0] for row in self.connection.execute("SELECT id FROM journal ORDER BY id")]
            # Its index as well: what is sealed could not be dropped with a broken one.
            self.connection.execute(
                "SELECT count(*) FROM journal INDEXED BY journal_latest"
            ).fetchall()
        for number in ids:
            with file_errors("read", self._path):
                count, checksum, blob = self.connection.execute(
                    "SELECT samples, checksum, columns FROM journal WHERE id = ?", (number,)
                ).fetchone()
            try:
                yield decode_columns(blob, count, checksum)
            except (ValueError, TypeError, OverflowError) as error:
                self.damaged += 1
                log.error("%s: commit %d is damaged, set aside: %s", self._path, number, error)
                with self.transaction():
                    self.connection.execute(_SET_ASIDE, (str(error), number))
                    self.connection.execute("DELETE FROM journal WHERE id = ?", (number,))

    def last_commit(self) -> int:
        """The number of the last commit that is there, or 0."""
        with file_errors("read", self._path):
            row = self.connection.execute("SELECT max(id) FROM journal").fetchone()
        return int(row[0] or 0)

    def drop_until(self, commit: int) -> bool:
        """Drop the oldest commits up to one, which others hold now; whether more of them wait.

        As many as take some milliseconds.
        """
        with self.transaction():
            (last,) = self.connection.execute(
                _OLDEST, (commit, _DROPPED_COMMITS, _DROPPED_SAMPLES)
            ).fetchone()
            self.connection.execute(_NOTE_RECEIVED, (last,))
            self.connection.execute("DELETE FROM journal WHERE id <= ?", (last,))
            left = "SELECT 1 FROM journal WHERE id <= ? LIMIT 1"
            return self.connection.execute(left, (commit,)).fetchone() is not None

    def drop_before(self, cutoff: int) -> None:
        """Within a transaction: drop commits and counters that ended before `cutoff`."""
        self.connection.execute("DELETE FROM journal WHERE latest < ?", (cutoff,))
        self.connection.execute("DELETE FROM damaged WHERE latest < ?", (cutoff,))
        self.connection.execute("DELETE FROM counters WHERE changed < ?", (cutoff,))

    def drop_series(self, refs: Ints) -> None:
        """Within a transaction: forget series, by ascending refs."""
        drop_from_rows(self.connection, refs)

    def give_back(self) -> bool:
        """Return some of the pages that nothing needs to the file system; whether more wait."""
        with file_errors("shrink", self._path):
            return give_back_pages(self.connection, _PAGES)

    def _prepare(self) -> None:
        for setting in (
            "auto_vacuum = INCREMENTAL",
            "journal_mode = WAL",
            "synchronous = FULL",
            "busy_timeout = 10000",
            f"journal_size_limit = {LOG_BYTES}",
        ):
            self.connection.execute(f"PRAGMA {setting}").fetchall()
        version = self.connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise StoreError(
                f"{self._path} was written by a newer version of Forewarn (format {version}, this"
                f" one knows {VERSION}); install that version or use another data directory",
                retryable=False,
            )
        self.connection.executescript(_SCHEMA + LABEL_SETS)
        self.connection.execute(LATE_TABLE)
        if version != VERSION:
            with self.transaction():
                for damage in take_over_rows(self.connection):
                    self._note_damage(damage)
                self.connection.execute(f"PRAGMA user_version = {VERSION}")

    def _note_damage(self, damage: ValueError) -> None:
        self.damaged += 1
        log.error("%s: %s", self._path, damage)
