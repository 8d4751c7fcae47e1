"""Damaged pages of a SQLite file: how they show, and the rows of a table around them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from forewarn_collector.store.errors import DamagedFileError, StoreError

_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_OF_THE_FILE = (
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    # A sector that cannot be read, and a file that was cut off.
    sqlite3.SQLITE_IOERR_READ,
    sqlite3.SQLITE_IOERR_SHORT_READ,
    sqlite3.SQLITE_IOERR_CORRUPTFS,
)

Row = tuple[Any, ...]
Lost = Callable[[str], None]
"""Told what a walk went around."""


def is_damage(error: BaseException | None) -> bool:
    """Whether an error tells of the bytes of a file, not of its surroundings."""
    if not isinstance(error, sqlite3.Error):
        return False
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code in _OF_THE_FILE or code & 0xFF in _OF_THE_FILE


def is_undecodable(error: BaseException | None) -> bool:
    """Whether an error tells of a text, of a row or of the schema, that is no UTF-8 any more."""
    return isinstance(error, sqlite3.OperationalError) and "Could not decode" in str(error)


@contextmanager
def file_errors(doing: str, path: Path) -> Iterator[None]:
    """Failures of SQLite as StoreError; `doing` goes before the path."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if is_damage(error) or not isinstance(error, sqlite3.OperationalError):
            raise DamagedFileError(path, doing, error) from error
        raise StoreError(
            f"cannot {doing} {path}: {error}; free some space or mend its permissions",
            retryable=True,
        ) from error


def walk_rows(
    connection: sqlite3.Connection, table: str, columns: Sequence[str], lost: Lost
) -> Iterator[Row]:
    """The rowid and these columns of each row that can be read, ascending, found by no index.

    Raises sqlite3.Error for what is no damage.
    """
    chosen = f"SELECT rowid, {', '.join(columns)} FROM {table} NOT INDEXED WHERE rowid >= ?"  # noqa: S608
    first_of = f"{chosen} ORDER BY rowid LIMIT 1"
    begin: int | None = _LOWEST
    while begin is not None:
        before = begin
        try:
            for row in connection.execute(f"{chosen} ORDER BY rowid", (begin,)):
                yield row
                # A number out of its order is a damaged one.
                if row[0] >= before:
                    before, begin = min(begin, row[0]), min(row[0], _HIGHEST - 1) + 1
            return
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            reason = error
        # A cursor reads ahead: the row before the damage went with the error.
        while (one := _first(connection, first_of, begin)) is not None and one[0] >= begin:
            yield one
            begin = one[0] + 1
        first, begin = begin, _after_damage(connection, first_of, begin)
        since = "the first" if first == _LOWEST else str(first)
        upto = "the last" if begin is None else str(begin - 1)
        lost(f"{table}: rows from {since} to {upto} cannot be read: {reason}")


def walk_keys(
    connection: sqlite3.Connection,
    table: str,
    columns: Sequence[str],
    keys: Sequence[str],
    lost: Lost,
) -> Iterator[Row]:
    """As `walk_rows`, of a table without rowids: what stands before damage and what after.

    Only these columns; a row may come twice.
    """
    chosen = f"SELECT {', '.join(columns)} FROM {table} ORDER BY "  # noqa: S608
    for direction in ("ASC", "DESC"):
        order = ", ".join(f"{key} {direction}" for key in keys)
        count = 0
        try:
            for row in connection.execute(chosen + order):
                yield row
                count += 1
            return
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            if direction == "ASC":
                lost(f"{table}: some rows cannot be read: {error}")
        # A cursor reads ahead: the row before the damage went with the error.
        one = _first(connection, f"{chosen}{order} LIMIT 1 OFFSET ?", count)
        if one is not None:
            yield one


def _after_damage(connection: sqlite3.Connection, first_of: str, begin: int) -> int | None:
    """The least rowid from which on a row can be read, by halves; None where there is none."""
    bad, step = begin, 1
    if begin == _LOWEST:
        # Rowids are seldom negative.
        if _is_readable(connection, first_of, 0):
            return _between(connection, first_of, begin, 0)
        bad = 0
    while True:
        good = min(bad + step, _HIGHEST)
        if _is_readable(connection, first_of, good):
            break
        if good == _HIGHEST:
            return None
        bad, step = good, step * 2
    return _between(connection, first_of, bad, good)


def _between(connection: sqlite3.Connection, first_of: str, bad: int, good: int) -> int:
    while good - bad > 1:
        middle = (bad + good) // 2
        if _is_readable(connection, first_of, middle):
            good = middle
        else:
            bad = middle
    return good


def _is_readable(connection: sqlite3.Connection, first_of: str, begin: int) -> bool:
    try:
        connection.execute(first_of, (begin,)).fetchone()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return False
    return True


def _first(connection: sqlite3.Connection, first_of: str, value: int) -> Row | None:
    try:
        found: Row | None = connection.execute(first_of, (value,)).fetchone()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return None
    return found
