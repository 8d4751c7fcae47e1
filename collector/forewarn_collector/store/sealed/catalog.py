"""What chunks there are: by an index as long as that is sound, else by the rows themselves."""

from __future__ import annotations

import logging
import sqlite3
import struct
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from forewarn_collector.store.columns import Ints
from forewarn_collector.store.damage import Row, is_damage, walk_rows
from forewarn_collector.store.sealed.figures import ChunkInfo, LevelStats
from forewarn_collector.store.spans import run_starts

log = logging.getLogger(__name__)

_KEY = struct.Struct("<6q")
_PART = 10_000
_COLUMNS = ("grp", "level", "earliest", "latest", "rank", "samples", "bytes")

_LEVELS = """
SELECT level, count(*), sum(samples), sum(bytes), min(earliest), max(latest)
FROM chunks GROUP BY level ORDER BY level
"""


class ChunkRow(NamedTuple):
    """A chunk's row but for its directory; times in ms."""

    id: int
    group: int
    level: int
    earliest: int
    latest: int
    rank: int | None
    samples: int
    bytes: int
    checksum: int | None

    def info(self, *, damaged: bool) -> ChunkInfo:
        """What the archive tells of it."""
        return ChunkInfo(
            id=self.id,
            rank=self.id if self.rank is None else self.rank,
            group=self.group,
            level=self.level,
            earliest=self.earliest,
            latest=self.latest,
            samples=self.samples,
            bytes=self.bytes,
            damaged=damaged,
        )

    def is_sound(self) -> bool:
        """Whether it is what was written, as far as its checksum tells; NULL is of old rows."""
        if self.checksum is None:
            return all(isinstance(each, int) for each in self[:5])
        try:
            return row_checksum(*self[:6]) == self.checksum
        except struct.error:
            return False


def row_checksum(
    number: int, group: int, level: int, earliest: int, latest: int, rank: int | None
) -> int:
    """The checksum of what a chunk's row tells of where its samples belong."""
    return zlib.crc32(
        _KEY.pack(number, group, level, earliest, latest, -1 if rank is None else rank)
    )


def has_checksums(connection: sqlite3.Connection) -> bool:
    """Whether the rows of chunks have a checksum, as all but old files have."""
    columns = connection.execute("PRAGMA table_info(chunks)").fetchall()
    return "checksum" in [column[1] for column in columns]


class Catalog:
    """Read by many threads, each with a connection of its own."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, set_aside: Callable[[int, str], None]
    ) -> None:
        """`set_aside` is told of a chunk whose row is damaged, and why."""
        self._path = path
        self._set_aside = set_aside
        # Old files that were not opened for writing since have no checksums.
        checksum = "checksum" if has_checksums(connection) else "NULL"
        self._columns = (*_COLUMNS, checksum)
        self._extents: Ints | None = None
        self._by_rows = False
        self._rows: list[ChunkRow] | None = None
        self.lost: dict[str, None] = {}
        """What rows of chunks could not be read at all."""

    def changed(self) -> None:
        """Chunks came or went."""
        self._rows = self._extents = None

    def rows(
        self,
        connection: sqlite3.Connection,
        *,
        group: int | None = None,
        level: int | None = None,
        before: int | None = None,
        since: int | None = None,
        until: int | None = None,
    ) -> list[ChunkRow]:
        """Those of a group, of a level, that end before a time, or have times in a span (ms)."""
        wanted = (
            ("grp = ?", group),
            ("level = ?", level),
            ("latest < ?", before),
            ("latest >= ?", since),
            ("earliest <= ?", until),
        )
        conditions = [(text, value) for text, value in wanted if value is not None]
        where = " AND ".join(text for text, _ in conditions) or "1"
        if not self._by_rows:
            try:
                return _checked(self._select(connection, where, [value for _, value in conditions]))
            except (sqlite3.DatabaseError, _UnsoundError) as error:
                self._leave_index(error)
        return [
            row
            for row in self._walked(connection)
            if (group is None or row.group == group)
            and (level is None or row.level == level)
            and (before is None or row.latest < before)
            and (since is None or row.latest >= since)
            and (until is None or row.earliest <= until)
        ]

    def extents(self, connection: sqlite3.Connection) -> Ints:
        """Of each group its number, first and last time (ms): int64[groups, 3]."""
        if self._extents is not None:
            return self._extents
        parts: list[Ints] = []
        if not self._by_rows:
            try:
                cursor = self._select(connection, "1", ())
                while part := cursor.fetchmany(_PART):
                    parts.append(_spans(_checked(part)))
            except (sqlite3.DatabaseError, _UnsoundError) as error:
                self._leave_index(error)
        if self._by_rows:
            parts = [_spans(self._walked(connection))]
        found = _joined(np.concatenate([np.zeros((0, 3), dtype=np.int64), *parts]))
        self._extents = found
        return found

    def levels(self, connection: sqlite3.Connection) -> list[LevelStats]:
        """What there is of each level, by ascending level."""
        if not self._by_rows:
            try:
                rows = connection.execute(_LEVELS).fetchall()
                return [LevelStats(*row) for row in rows]
            except sqlite3.DatabaseError as error:
                self._leave_index(error)
        by_level: dict[int, list[ChunkRow]] = defaultdict(list)
        for row in self._walked(connection):
            by_level[row.level].append(row)
        return [
            LevelStats(
                level,
                len(found),
                sum(row.samples for row in found),
                sum(row.bytes for row in found),
                min(row.earliest for row in found),
                max(row.latest for row in found),
            )
            for level, found in sorted(by_level.items())
        ]

    def _select(
        self, connection: sqlite3.Connection, where: str, values: Sequence[int]
    ) -> sqlite3.Cursor:
        columns = ", ".join(("id", *self._columns))
        return connection.execute(f"SELECT {columns} FROM chunks WHERE {where}", values)  # noqa: S608

    def _leave_index(self, error: Exception) -> None:
        if not (isinstance(error, _UnsoundError) or is_damage(error)):
            raise error
        if not self._by_rows:
            log.error(
                "%s: an index is damaged (%s); chunks are found without it, which takes longer:"
                " stop the collector and run `forewarn doctor --repair`",
                self._path,
                error,
            )
        self._by_rows = True

    def _walked(self, connection: sqlite3.Connection) -> list[ChunkRow]:
        rows = self._rows
        if rows is None:
            rows = []
            for values in walk_rows(connection, "chunks", self._columns, self._lose):
                row = ChunkRow(*values)
                if row.is_sound():
                    rows.append(row)
                else:
                    self._set_aside(row.id, "the checksum of its row does not match")
            self._rows = rows
        return rows

    def _lose(self, reason: str) -> None:
        if reason not in self.lost:
            log.error("%s: %s", self._path, reason)
            self.lost[reason] = None


class _UnsoundError(Exception):
    """An entry of an index is not what was written."""


def _checked(rows: Iterable[Row]) -> list[ChunkRow]:
    found = [ChunkRow(*row) for row in rows]
    if not all(map(ChunkRow.is_sound, found)):
        raise _UnsoundError("the checksum of an entry does not match")
    return found


def _spans(rows: Sequence[ChunkRow]) -> Ints:
    spans = [(row.group, row.earliest, row.latest) for row in rows]
    return _joined(np.array(spans, dtype=np.int64).reshape(-1, 3))


def _joined(spans: Ints) -> Ints:
    order = np.argsort(spans[:, 0], kind="stable")
    groups, earliest, latest = spans[order].T
    starts = run_starts(groups)
    if not len(starts):
        return spans
    found = (
        groups[starts],
        np.minimum.reduceat(earliest, starts),
        np.maximum.reduceat(latest, starts),
    )
    return np.stack(found, axis=1)
