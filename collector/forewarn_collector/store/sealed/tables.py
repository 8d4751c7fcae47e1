"""The archive's SQLite file: its tables, its writing connection and those of its readers."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from forewarn_collector.store.damage import file_errors
from forewarn_collector.store.errors import StoreError
from forewarn_collector.store.pages import LOG_BYTES
from forewarn_collector.store.readonly import connect_read_only
from forewarn_collector.store.sealed.catalog import has_checksums

ARCHIVE_FILE = "sealed.db"
VERSION = 1
_SCHEMA = """
-- What is sealed together: series of one host. A series stays in its group.
CREATE TABLE IF NOT EXISTS groups (
    id INTEGER PRIMARY KEY AUTOINCREMENT, host TEXT NOT NULL,
    refs BLOB NOT NULL, checksum INTEGER NOT NULL
);
-- AUTOINCREMENT: an id is never given out twice, since readers keep directories by it.
CREATE TABLE IF NOT EXISTS chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    grp INTEGER NOT NULL, level INTEGER NOT NULL,
    earliest INTEGER NOT NULL, latest INTEGER NOT NULL,
    -- Of two samples of one series and time, the one of the chunk with the lower rank holds. NULL
    -- is the id; a chunk in the place of others has the lowest of theirs.
    rank INTEGER,
    samples INTEGER NOT NULL, bytes INTEGER NOT NULL, directory BLOB NOT NULL,
    -- Of where its samples belong, see `row_checksum`; NULL in rows of old files.
    checksum INTEGER
);
-- Block n of chunk c has the id c << 20 | n.
CREATE TABLE IF NOT EXISTS blocks (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS damaged (
    -- Block -1 is the directory.
    chunk INTEGER NOT NULL, block INTEGER NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (chunk, block)
) WITHOUT ROWID;
"""
# With all that a selection asks, so that it reads no row of a chunk that it does not decode.
_INDEXES = """
DROP INDEX IF EXISTS chunks_of_group;
DROP INDEX IF EXISTS chunks_of_level;
CREATE INDEX IF NOT EXISTS chunks_by_group ON chunks (
    grp, latest, earliest, level, rank, samples, bytes, checksum
);
CREATE INDEX IF NOT EXISTS chunks_by_level ON chunks (
    level, latest, earliest, grp, rank, samples, bytes, checksum
);
"""
_BLOCK_BITS = 20


def block_id(chunk: int, number: int) -> int:
    """The row of a chunk's block."""
    return chunk << _BLOCK_BITS | number


class Tables:
    """One connection to write, guarded by `lock`, and as many to read as there are readers.

    Every failure is raised as StoreError.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self.read_only = read_only
        self.lock = threading.Lock()
        # Not the writer's: a reader never waits for a commit.
        self._idle_lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        if read_only:
            with self.errors("open"):
                self.connection = connect_read_only(path)
        else:
            self._make()
        try:
            with self.errors("open"):
                self._check_version()
                if not read_only:
                    self._prepare()
        except BaseException:
            self.connection.close()
            raise

    def close(self) -> None:
        """Close the file. A reader that still reads closes its connection when it is done."""
        with self.lock, self._idle_lock:
            self._closed = True
            for connection in self._idle:
                connection.close()
            self._idle.clear()
            self.connection.close()

    def size(self) -> int:
        """Bytes on disk, write-ahead log included."""
        files = (self._path, self._path.with_name(self._path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, one at a time."""
        if self.read_only:
            raise StoreError(f"{self._path} is open for reading only", retryable=False)
        with self.lock, self.errors("write to"):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                # A full disk makes SQLite roll back by itself at some points, not at others.
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees the file as it is now, until the end."""
        with self.errors("read"):
            connection = self._borrow()
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self._return(connection)

    def errors(self, what: str) -> AbstractContextManager[None]:
        """Failures of SQLite as ours."""
        return file_errors(what, self._path)

    def _make(self) -> None:
        try:
            # Made by us first: SQLite's side files take its mode over.
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise StoreError(
                f"cannot open {self._path}: {error.strerror};"
                " mend its permissions or free some space",
                retryable=True,
            ) from error
        with self.errors("open"):
            self.connection = sqlite3.connect(
                self._path, isolation_level=None, check_same_thread=False
            )

    def _borrow(self) -> sqlite3.Connection:
        with self._idle_lock:
            if self._idle:
                return self._idle.pop()
        if self.read_only:
            return connect_read_only(self._path)
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode=rw",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.execute("PRAGMA busy_timeout = 10000").fetchall()
        connection.execute("PRAGMA query_only = 1").fetchall()
        return connection

    def _return(self, connection: sqlite3.Connection) -> None:
        with self._idle_lock:
            if self._closed:
                connection.close()
            else:
                self._idle.append(connection)

    def _prepare(self) -> None:
        for setting in (
            "auto_vacuum = INCREMENTAL",
            "journal_mode = WAL",
            "synchronous = FULL",
            "busy_timeout = 10000",
            f"journal_size_limit = {LOG_BYTES}",
        ):
            self.connection.execute(f"PRAGMA {setting}").fetchall()
        self.connection.executescript(_SCHEMA)
        if not has_checksums(self.connection):
            self.connection.execute("ALTER TABLE chunks ADD COLUMN checksum INTEGER")
        self.connection.executescript(_INDEXES)
        self.connection.execute(f"PRAGMA user_version = {VERSION}")

    def _check_version(self) -> None:
        version = self.connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise StoreError(
                f"{self._path} was written by a newer version of Forewarn (format {version}, this"
                f" one knows {VERSION}); install that version or use another data directory",
                retryable=False,
            )
