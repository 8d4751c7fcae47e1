"""The samples in a directory's journal for reading only, also while a collector writes to it.

The directory's lock is not taken and no read stays open, so that the collector is never kept from
its work. (SQLite may leave its two side files behind.)
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from forewarn_collector.store.codec import decode_columns
from forewarn_collector.store.columns import Floats, Ints
from forewarn_collector.store.errors import StoreError
from forewarn_collector.store.journal import (
    JOURNAL_FILE,
    VERSION,
)
from forewarn_collector.store.label_rows import read_rows
from forewarn_collector.store.late_counts import LateCounts
from forewarn_collector.store.readonly import connect_read_only
from forewarn_wire import Labels

_ROWS = 256
"""Commits that are read at once: some megabytes."""
_MOST_SAMPLES = 1 << 30
"""Of one commit: more is a damaged count."""


class History:
    """What a journal held when it was opened; what comes in later is not seen. See also `Past`.

    `series` are all with their refs, ascending, `late_counts` what late events add to samples.
    `damaged` counts what could not be read. Commits that are sealed or dropped meanwhile are left
    out. Every failure is raised as StoreError.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / JOURNAL_FILE
        self.damaged = 0
        self.late_counts = LateCounts()
        if not directory.is_dir():
            raise _refusal(f"there is no directory {directory}")
        # A directory of someone else's looks empty, or cannot be looked into at all.
        try:
            self._path.stat()
        except FileNotFoundError:
            raise _refusal(
                f"{directory} is no data directory: there is no {JOURNAL_FILE} in it"
            ) from None
        except OSError as error:
            raise self._denied(error.strerror) from None
        self._connection = self._connect()
        try:
            with self._errors():
                self._check_version()
                self.series = self._load_series()
                self._load_commits()
                self._load_late_counts()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def extents(self) -> Ints:
        """The first and last time (ms) of each commit and its samples: int64[commits, 3]."""
        return np.stack((self._earliest, self._latest, self._samples), axis=1)

    def samples(self, start: int, end: int) -> Iterator[tuple[Ints, Ints, Floats]]:
        """Refs, times and values of the commits with samples in `start <= time <= end`.

        Many commits at once, those before others first. There are samples outside of the time
        among them, and refs that `series` does not name.
        """
        ids = self._ids[(self._latest >= start) & (self._earliest <= end)]
        for first in range(0, len(ids), _ROWS):
            wanted = ids[first : first + _ROWS]
            with self._errors():
                rows = self._connection.execute(
                    "SELECT id, samples, checksum, columns FROM journal WHERE id BETWEEN ? AND ?",
                    (int(wanted[0]), int(wanted[-1])),
                ).fetchall()
            asked = set(wanted.tolist())
            parts = []
            for number, count, checksum, blob in rows:
                if number not in asked:
                    continue
                try:
                    parts.append(decode_columns(blob, count, checksum))
                except (ValueError, TypeError, AttributeError, OverflowError):
                    # On a damaged page any column may be of any type.
                    self.damaged += 1
            if parts:
                refs, times, values = (
                    np.concatenate(columns) for columns in zip(*parts, strict=True)
                )
                yield refs, times, values

    def _connect(self) -> sqlite3.Connection:
        with self._errors():
            return connect_read_only(self._path)

    def _check_version(self) -> None:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise _refusal(
                f"{self._path} was written by a newer version of Forewarn (format {version}, this"
                f" one knows {VERSION}); install that version"
            )
        found = self._connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        tables = {name for (name,) in found}
        if "journal" not in tables or not tables & {"label_sets", "series"}:
            raise _refusal(f"{self._path} is not a store of Forewarn's")

    def _load_series(self) -> list[tuple[int, Labels]]:
        series: list[tuple[int, Labels]] = []
        for found in read_rows(self._connection):
            if isinstance(found, ValueError):
                self.damaged += 1
            else:
                series += zip(found.refs.tolist(), found.sets.labels(), strict=True)
        return series

    def _load_commits(self) -> None:
        times = ("earliest", "latest", "samples")
        whole = " AND ".join(f"typeof({each}) = 'integer'" for each in times)
        whole += f" AND samples BETWEEN 0 AND {_MOST_SAMPLES}"
        rows = self._connection.execute(
            f"SELECT id, earliest, latest, samples FROM journal WHERE {whole} ORDER BY id"  # noqa: S608
        ).fetchall()
        every = self._connection.execute("SELECT count(*) FROM journal").fetchone()[0]
        self.damaged += every - len(rows)
        columns = np.array(rows, dtype=np.int64).reshape(-1, 4)
        self._ids, self._earliest, self._latest, self._samples = columns.T.copy()

    def _load_late_counts(self) -> None:
        # A directory of before events counted at their own time has none.
        there = "SELECT 1 FROM sqlite_schema WHERE name = 'late_counts'"
        if self._connection.execute(there).fetchone():
            self.late_counts.load(self._connection)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            # The plain error is of the statement: its tables are not as they should be.
            if isinstance(error, sqlite3.OperationalError) and (
                error.sqlite_errorcode != sqlite3.SQLITE_ERROR
            ):
                raise self._denied(str(error)) from error
            raise self._broken(error) from error

    def _denied(self, reason: str | None) -> StoreError:
        return StoreError(
            f"cannot read {self._path}: {reason}; run this as the user that runs the collector",
            retryable=True,
        )

    def _broken(self, error: Exception) -> StoreError:
        return StoreError(
            f"cannot read {self._path}: {error}; if it is damaged, `sqlite3 {self._path} .recover`"
            " may save its rows into a copy",
            retryable=False,
        )


def _refusal(reason: str) -> StoreError:
    return StoreError(f"{reason}; name the one that `forewarn serve --data` has", retryable=False)
