"""What a commit of the journal waits while chunks are sealed, into its file or one beside it.

.venv/bin/python tests/bench/seal_latency.py [FOLDER]
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from figures import number, spread, table

from forewarn_collector.store.journal import Journal

COMMIT_BYTES = 8_000
PAUSE = 0.003
TRANSACTIONS = 12
TRANSACTION_BYTES = 4 << 20
BLOCK_BYTES = 8 << 10


def commits(path: Path, stop: threading.Event, waits: list[float]) -> None:
    """Small commits with a pause between, until `stop`; how long each took, in ms."""
    with closing(Journal(path)) as journal:
        while not stop.wait(PAUSE):
            begun = time.perf_counter()
            with journal.transaction():
                journal.connection.execute(
                    "INSERT INTO rest VALUES (NULL, ?)", (os.urandom(COMMIT_BYTES),)
                )
            waits.append((time.perf_counter() - begun) * 1000)


def seal(path: Path) -> None:
    """As many blocks as some thousand hosts fill in ten minutes, in several transactions."""
    with closing(Journal(path)) as archive:
        for _ in range(TRANSACTIONS):
            with archive.transaction():
                for _ in range(TRANSACTION_BYTES // BLOCK_BYTES):
                    archive.connection.execute(
                        "INSERT INTO rest VALUES (NULL, ?)", (os.urandom(BLOCK_BYTES),)
                    )
            time.sleep(0.1)


def measured(what: str, folder: Path, archive: str | None) -> Sequence[str]:
    """A row: waits of commits while `archive` is written to, or while nothing else is."""
    for name in {"store.db", archive or "store.db"}:
        with closing(Journal(folder / name)) as journal:
            journal.connection.execute("CREATE TABLE rest (id INTEGER PRIMARY KEY, data BLOB)")
    stop, waits = threading.Event(), list[float]()
    thread = threading.Thread(target=commits, args=(folder / "store.db", stop, waits))
    thread.start()
    try:
        if archive:
            seal(folder / archive)
        else:
            time.sleep(3)
    finally:
        stop.set()
        thread.join()
    found = spread(waits)
    figures = [number(each, 1) for each in (found.p50, found.p99, found.max)]
    return [what, number(found.count), *figures]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where; the disk matters")
    folder = parser.parse_args().folder
    rows = []
    for what, archive in (
        ("nothing", None),
        ("the same file", "store.db"),
        ("another file", "sealed.db"),
    ) * 2:
        with tempfile.TemporaryDirectory(dir=folder) as inside:
            rows.append(measured(what, Path(inside), archive))
    print(f"SQLite {sqlite3.sqlite_version}\n")
    headings = ["sealed meanwhile into", "commits", "median ms", "p99 ms", "longest ms"]
    print(table(headings, rows))


if __name__ == "__main__":
    main()
