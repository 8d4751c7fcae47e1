"""The journal's rows of label sets: up to some hundred series each, by ascending refs.

A row of a few series is joined with what comes next, as digits carry when one counts, so that there
are few rows however few series come at a time, and none is written more than some times. A page has
the labels of many series: each row is in two tables, so that none is lost with it.
"""

from __future__ import annotations

import json
import sqlite3
import struct
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cramjam
import numpy as np

from forewarn_collector.store.coded import CodedLabels, Pair, coded, joined
from forewarn_collector.store.columns import Ints
from forewarn_wire import Labels

MOST_SETS = 256
"""Of a row."""
_TABLE, _COPY = "label_sets", "label_copies"
_COLUMNS = """
    first INTEGER NOT NULL, series INTEGER NOT NULL, checksum INTEGER NOT NULL, sets BLOB NOT NULL
"""
SCHEMA = f"""
-- Label sets of series: `last` is the greatest ref of a row, `first` not greater than the least.
-- AUTOINCREMENT: a ref is never given out twice, since old rows of samples may still name it.
CREATE TABLE IF NOT EXISTS {_TABLE} (last INTEGER PRIMARY KEY AUTOINCREMENT, {_COLUMNS});
CREATE TABLE IF NOT EXISTS {_COPY} (last INTEGER PRIMARY KEY, {_COLUMNS});
"""
_LAST = "SELECT seq FROM sqlite_sequence WHERE name = 'label_sets'"
_LAST_OLD = "SELECT seq FROM sqlite_sequence WHERE name = 'series'"
_COUNT = "SELECT count(*) * ? FROM label_copies"
# As bytes: one row that is no UTF-8 would fail them all.
_SELECT = "SELECT last, first, series, checksum, CAST(sets AS BLOB) FROM"
_NEWEST = f"{_SELECT} {_TABLE} ORDER BY last DESC LIMIT 1"
_LATER = f"{_SELECT} {_TABLE} WHERE last > ? ORDER BY last"
_UPTO = f"{_SELECT} {_TABLE} WHERE last >= ? ORDER BY last LIMIT 1"
_SIZES = struct.Struct("<II")
_LEVEL = 1

Row = tuple[int, int, int, int, bytes]


@dataclass(frozen=True, slots=True)
class NewSeries:
    """Series with their refs, ascending, and their label sets as numbers."""

    refs: Ints
    sets: CodedLabels

    def part(self, low: int, high: int) -> NewSeries:
        """Series from and to."""
        return NewSeries(self.refs[low:high], self.sets.part(low, high))


def last_ref(connection: sqlite3.Connection) -> int:
    """The highest ref that was ever given out, or 0."""
    row = connection.execute(_LAST).fetchone()
    return int(row[0]) if row else 0


def count_series(connection: sqlite3.Connection) -> int:
    """How many series there are at most."""
    (count,) = connection.execute(_COUNT, (MOST_SETS,)).fetchone()
    return int(count)


def give_out_after(connection: sqlite3.Connection, ref: int) -> None:
    """Within a transaction: never give out this ref or a lower one."""
    given = max(ref, last_ref(connection))
    connection.execute("DELETE FROM sqlite_sequence WHERE name = 'label_sets'")
    connection.execute("INSERT INTO sqlite_sequence VALUES ('label_sets', ?)", (given,))


def read_rows(connection: sqlite3.Connection) -> Iterator[NewSeries | ValueError]:
    """The series of each row, by ascending refs; what is wrong with one that is damaged.

    Also those of a file of before version 4.
    """
    if _has_old_rows(connection):
        yield from _old_rows(connection)
    if not _has(connection, _COPY):
        return
    rows, damaged = _sound_rows(connection)
    yield from damaged
    given = last_ref(connection)
    before = 0
    for row in rows:
        series = _decoded(row)
        if before < series.refs[0] <= series.refs[-1] <= given:
            before = int(series.refs[-1])
            yield series
        else:
            yield ValueError(f"the series up to {row[0]} have numbers of others, or none's")


def mend_rows(connection: sqlite3.Connection) -> int:
    """Within a transaction: where one of a row's two copies is damaged, make it of the other.

    Returns how many were made.
    """
    rows, _ = _sound_rows(connection)
    sound = set(rows)
    made = 0
    for table in (_TABLE, _COPY):
        lacking = sound.difference(_rows_of(connection, table))
        connection.executemany(_put_into(table), lacking)
        made += len(lacking)
    return made


def _sound_rows(connection: sqlite3.Connection) -> tuple[list[Row], list[ValueError]]:
    """Each row as one of its copies has it, in order, and what is wrong where none is sound."""
    sound: dict[int, Row] = {}
    damaged: set[int] = set()
    for table in (_TABLE, _COPY):
        for row in _rows_of(connection, table):
            if _is_sound(row):
                sound[row[0]] = row
            else:
                damaged.add(row[0])
    wrong = [
        ValueError(f"the labels of series up to {last} are damaged: their checksum does not match")
        for last in sorted(damaged - sound.keys())
    ]
    return [sound[last] for last in sorted(sound)], wrong


def _rows_of(connection: sqlite3.Connection, table: str) -> list[Row]:
    rows: list[Row] = connection.execute(f"{_SELECT} {table} ORDER BY last").fetchall()
    return rows


def _put_into(table: str) -> str:
    return (
        f"INSERT OR REPLACE INTO {table} (last, first, series, checksum, sets)"  # noqa: S608
        " VALUES (?, ?, ?, ?, ?)"
    )


def _put(connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
    rows = list(rows)
    for table in (_TABLE, _COPY):
        connection.executemany(_put_into(table), rows)


def _delete(connection: sqlite3.Connection, last: int) -> None:
    for table in (_TABLE, _COPY):
        connection.execute(f"DELETE FROM {table} WHERE last = ?", (last,))  # noqa: S608


def add_rows(connection: sqlite3.Connection, series: NewSeries) -> None:
    """Within a transaction: note new series, whose refs are greater than all that were noted."""
    while (room := MOST_SETS - len(series.refs)) > 0:
        row = connection.execute(_NEWEST).fetchone()
        if row is None or not 0 < row[2] <= min(room, len(series.refs)):
            break
        try:
            before = _decoded(row)
        except ValueError:
            break
        series = NewSeries(
            np.concatenate((before.refs, series.refs)), joined((before.sets, series.sets))
        )
        _delete(connection, row[0])
    for low in range(0, len(series.refs), MOST_SETS):
        part = series.part(low, low + MOST_SETS)
        _put(connection, [_encoded(part, int(part.refs[-1]), int(part.refs[0]))])


def drop_from_rows(connection: sqlite3.Connection, refs: Ints) -> None:
    """Within a transaction: forget series (ascending), and the rows that have no others."""
    while len(refs):
        row = connection.execute(_UPTO, (int(refs[0]),)).fetchone()
        if row is None:
            return
        here, refs = refs[refs <= row[0]], refs[refs > row[0]]
        try:
            series = _decoded(row)
        except ValueError:
            continue  # it is kept, for whoever can mend it
        kept = np.flatnonzero(~np.isin(series.refs, here))
        _delete(connection, row[0])
        if len(kept):
            labels = series.sets.labels()
            left = NewSeries(series.refs[kept], coded([labels[k] for k in kept.tolist()]))
            _put(connection, [_encoded(left, row[0], row[1])])


def add_later_rows(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Bring to a copy what came to its original since. Within a transaction of the copy's."""
    if _has_old_rows(target):
        later = source.execute("SELECT * FROM series WHERE ref > ?", _given_of_old(target))
        for row in later.fetchall():
            # The copy has the columns of its original.
            marks = ", ".join("?" * len(row))
            target.execute(f"INSERT INTO series VALUES ({marks})", row)  # noqa: S608
        return
    rows = source.execute(_LATER, (last_ref(target),)).fetchall()
    if rows:
        # What was the last row may have been joined with what came next.
        for table in (_TABLE, _COPY):
            target.execute(f"DELETE FROM {table} WHERE last >= ?", (rows[0][1],))  # noqa: S608
        _put(target, rows)


def _encoded(series: NewSeries, last: int, first: int) -> Row:
    sets = series.sets
    text = json.dumps([each for pair in sets.pairs for each in pair], separators=(",", ":"))
    columns = (
        np.diff(series.refs, prepend=0).astype("<i8"),
        sets.counts.astype("<u4"),
        sets.numbers.astype("<u4"),
    )
    raw = b"".join((*(column.tobytes() for column in columns), text.encode()))
    packed = bytes(cramjam.zstd.compress(raw, level=_LEVEL))
    blob = _SIZES.pack(len(sets.numbers), len(text)) + packed
    return last, first, len(series.refs), _checksum(last, first, len(series.refs), blob), blob


def _decoded(row: Row) -> NewSeries:
    """The series of a row. Raises ValueError or TypeError where it is damaged."""
    if not _is_sound(row):
        raise ValueError("its checksum does not match")
    _, _, series, _, blob = row
    numbers, size = _SIZES.unpack_from(blob)
    ends = np.cumsum((series * 8, series * 4, numbers * 4, size)).tolist()
    raw = bytes(cramjam.zstd.decompress(memoryview(blob)[_SIZES.size :], output_len=ends[-1]))
    if len(raw) != ends[-1]:
        raise ValueError(f"it holds {len(raw)} bytes, expected {ends[-1]}")
    strings = json.loads(raw[ends[2] :])
    names = map(sys.intern, strings[::2])
    pairs: list[Pair] = list(zip(names, strings[1::2], strict=True))
    return NewSeries(
        np.cumsum(np.frombuffer(raw[: ends[0]], dtype="<i8")),
        CodedLabels(
            pairs,
            np.frombuffer(raw[ends[1] : ends[2]], dtype="<u4").astype(np.int64),
            np.frombuffer(raw[ends[0] : ends[1]], dtype="<u4").astype(np.int64),
        ),
    )


def _is_sound(row: Row) -> bool:
    last, first, series, checksum, blob = row
    try:
        return _checksum(last, first, series, blob) == checksum
    except (struct.error, TypeError):
        # On a damaged page any column may be of any type.
        return False


def _checksum(last: int, first: int, series: int, blob: bytes) -> int:
    # With the refs: labels under another one are another series' samples.
    return zlib.crc32(struct.pack("<qqq", last, first, series), zlib.crc32(blob))


def take_over_rows(connection: sqlite3.Connection) -> Iterator[ValueError]:
    """Within a transaction: make these rows of those that files before version 4 have.

    What is damaged is told, and goes with its table.
    """
    if not _has_old_rows(connection):
        return
    for found in list(_old_rows(connection)):
        if isinstance(found, ValueError):
            yield found
        else:
            add_rows(connection, found)
    give_out_after(connection, *_given_of_old(connection))
    connection.execute("DROP TABLE series")


def _has_old_rows(connection: sqlite3.Connection) -> bool:
    return _has(connection, "series")


def _has(connection: sqlite3.Connection, table: str) -> bool:
    found = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
    return found is not None


def _given_of_old(connection: sqlite3.Connection) -> tuple[int]:
    given: tuple[int] = connection.execute(_LAST_OLD).fetchone() or (0,)
    return given


def _old_rows(connection: sqlite3.Connection) -> Iterator[NewSeries | ValueError]:
    """Each series had a row of JSON; in the oldest files, and in copies, without a checksum."""
    columns = connection.execute("PRAGMA table_info(series)").fetchall()
    checksum = "checksum" if "checksum" in [column[1] for column in columns] else "NULL"
    (given,) = _given_of_old(connection)
    # As bytes: one row that is no UTF-8 would fail them all.
    rows = connection.execute(
        f"SELECT ref, CAST(labels AS BLOB), {checksum} FROM series ORDER BY ref"  # noqa: S608
    ).fetchall()
    for low in range(0, len(rows), MOST_SETS):
        refs, labels = [], []
        for ref, stored, expected in rows[low : low + MOST_SETS]:
            try:
                labels.append(_old_labels(ref, stored, expected, given))
                refs.append(ref)
            except (ValueError, TypeError) as error:
                yield ValueError(f"the labels of series {ref} are damaged: {error}")
        if refs:
            yield NewSeries(np.array(refs, dtype=np.int64), coded(labels))


def _old_labels(ref: int, stored: bytes, checksum: int | None, given: int) -> Labels:
    if not 0 < ref <= given:
        raise ValueError("its number was never given out")
    if checksum is not None and zlib.crc32(stored, ref & 0xFFFFFFFF) != checksum:
        raise ValueError("its checksum does not match")
    return tuple((str(name), str(value)) for name, value in json.loads(stored.decode()))
