"""Pages of a SQLite file that hold nothing any more, given back to the file system."""

from __future__ import annotations

import sqlite3

LOG_BYTES = 4 << 20
"""What a write-ahead log keeps of the disk once it starts anew: what SQLite lets it grow to
before it does so. A large transaction leaves no more behind."""


def give_back_pages(connection: sqlite3.Connection, most: int) -> bool:
    """Give back up to `most` pages, in a transaction of its own; whether more can be."""
    before = _free(connection)
    if before:
        # Not `execute`: a row of the pragma is a page, and without columns it has only the first.
        connection.executescript(f"PRAGMA incremental_vacuum({most})")
    return 0 < _free(connection) < before


def _free(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA freelist_count").fetchone()[0])
