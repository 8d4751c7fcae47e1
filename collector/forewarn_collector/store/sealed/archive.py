"""The archive: months of samples in chunks, one SQLite file, read by many and written by one."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from forewarn_collector.store.columns import NEVER, Floats, Ints
from forewarn_collector.store.damage import is_damage
from forewarn_collector.store.errors import DamagedFileError, StoreError, TooManySamplesError
from forewarn_collector.store.pages import give_back_pages
from forewarn_collector.store.sealed.catalog import Catalog
from forewarn_collector.store.sealed.codec import (
    ChunkData,
    Part,
    decode_parts,
    joined,
)
from forewarn_collector.store.sealed.directory import Directory, decode_directory
from forewarn_collector.store.sealed.errors import DamagedError
from forewarn_collector.store.sealed.figures import (
    ArchiveStats,
    ChunkInfo,
    Damage,
    last_row,
    pieces_of,
    stats_of,
)
from forewarn_collector.store.sealed.groups import UNKNOWN, Groups, HostsOf
from forewarn_collector.store.sealed.levels import LEAST_ROWS, Column, row_refs, series_refs
from forewarn_collector.store.sealed.merging import Piece, merged
from forewarn_collector.store.sealed.rows import (
    NewChunk,
    coded_chunk,
    delete_chunks,
    insert_chunk,
    lowest_rank,
    read_blocks,
    read_damage,
)
from forewarn_collector.store.sealed.tables import Tables
from forewarn_collector.store.sealed.wanted import Wanted
from forewarn_collector.store.spans import run_starts

log = logging.getLogger(__name__)

_DIRECTORY = -1
"""The number that stands for the directory among a chunk's blocks."""
_BATCH_SAMPLES = 262_144
_PAGES = 4096
_DIRECTORIES_KEPT = 500_000
"""Columns of directories that are kept decoded: 60 bytes each."""
_LEVELS = 16


class Archive:
    """One per data directory. Every failure of the file is raised as StoreError.

    `select` and what else reads may be called from any thread, also while another one writes.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the file, or make it. For reading only, what another process has."""
        self._path = path
        self._tables = Tables(path, read_only=read_only)
        self._version = 0
        self._damaged: dict[int, dict[int, str]] = {}
        # What cannot be dropped stays, and is not tried again until the next start.
        self._stuck: set[int] = set()
        self._cache: OrderedDict[int, Directory] = OrderedDict()
        self._cached = 0
        self._cache_lock = threading.Lock()
        try:
            with self._tables.errors("read"):
                connection = self._tables.connection
                self._catalog = Catalog(path, connection, self._set_aside_row)
                for chunk, block, reason in read_damage(connection, path):
                    self._damaged.setdefault(chunk, {})[block] = reason
                self._groups = Groups(connection, self._catalog)
                self._thinned_until = last_row(self._catalog.levels(connection))
        except BaseException:
            self._tables.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._tables.close()

    def refresh(self) -> None:
        """See what groups and rows another process has made since."""
        with self._tables.lock, self._tables.errors("read"):
            connection = self._tables.connection
            version = connection.execute("PRAGMA data_version").fetchone()[0]
            if version != self._version:
                self._version = version
                self._catalog.changed()
                self._groups = Groups(connection, self._catalog)
                self._thinned_until = last_row(self._catalog.levels(connection))

    def groups(self, refs: Ints, hosts_of: HostsOf) -> Ints:
        """The group that each series is sealed in; `hosts_of` is asked about new series."""
        if (self._groups.of(refs) != UNKNOWN).all():
            return self._groups.of(refs)
        with self._changed_groups() as connection:
            return self._groups.assign(connection, refs, hosts_of)

    def forget(self, refs: Ints) -> None:
        """Series of which no chunk has samples any more; others of their hosts find room."""
        with self._changed_groups() as connection:
            self._groups.forget(connection, refs)

    def thinned_until(self) -> int:
        """No row ends later than this (ms); NEVER where there is none."""
        return self._thinned_until

    def members(self, group: int) -> Ints:
        """The series of a group, ascending."""
        return self._groups.members(group)

    def known(self) -> Ints:
        """The series of all groups."""
        return self._groups.known()

    def put(self, chunks: Iterable[NewChunk]) -> list[int]:
        """Seal chunks in one transaction: they are on the disk when this returns. Their ids."""
        return self.replace((), chunks)

    def replace(self, old: Sequence[int], chunks: Iterable[NewChunk]) -> list[int]:
        """In one transaction: put `chunks` where `old` ones were, which go.

        All chunks are taken and encoded one by one before it begins; what that raises changes
        nothing.
        """
        encoded = [coded_chunk(chunk) for chunk in chunks]
        # Before there are rows, so that no reader takes one for a sample.
        thinned = [chunk.latest for chunk in encoded if chunk.level >= LEAST_ROWS]
        self._thinned_until = max([self._thinned_until, *thinned])
        with self._tables.transaction() as connection:
            rank = lowest_rank(connection, old)
            delete_chunks(connection, old)
            ids = [insert_chunk(connection, chunk, rank) for chunk in encoded]
        self._forget_chunks(old)
        return ids

    def drop(self, ids: Sequence[int]) -> None:
        """In one transaction: chunks, their damage with them.

        Where a page is broken, those that it holds stay.
        """
        left = [chunk for chunk in ids if chunk not in self._stuck]
        try:
            self._drop(left)
        except DamagedFileError:
            for chunk in left:
                try:
                    self._drop([chunk])
                except DamagedFileError as error:
                    log.error("chunk %d stays, since a page of it is broken: %s", chunk, error)
                    self._stuck.add(chunk)

    def _drop(self, ids: Sequence[int]) -> None:
        with self._tables.transaction() as connection:
            delete_chunks(connection, ids)
        self._forget_chunks(ids)

    def give_back(self) -> None:
        """Return pages that dropped chunks freed to the file system."""
        left = True
        while left:
            # In steps, so that neither the write-ahead log grows as large nor a writer waits.
            with self._tables.lock, self._tables.errors("shrink"):
                left = give_back_pages(self._tables.connection, _PAGES)

    def chunks(
        self, *, level: int | None = None, group: int | None = None, before: int | None = None
    ) -> list[ChunkInfo]:
        """The chunks of a level, of a group, that end before a time: as asked, oldest first."""
        with self._tables.snapshot() as connection:
            rows = self._catalog.rows(connection, level=level, group=group, before=before)
        oldest_first = sorted(rows, key=lambda row: (row.earliest, row.id))
        return [row.info(damaged=row.id in self._damaged) for row in oldest_first]

    def overlapping(self, group: int, start: int, end: int) -> list[ChunkInfo]:
        """The chunks of a group that may have samples with `start <= time <= end` (ms)."""
        there = self.chunks(group=group)
        return [each for each in there if each.earliest <= end and each.latest >= start]

    def read(self, chunk: int) -> ChunkData | None:
        """All that can be read of a chunk; None where it is gone."""
        with self._tables.snapshot() as connection:
            if not connection.execute("SELECT 1 FROM chunks WHERE id = ?", (chunk,)).fetchone():
                return None
            directory = self._directory(connection, chunk)
            none = np.zeros(0, dtype=np.int64)
            if directory is None:
                return ChunkData(none, np.zeros(1, np.int64), none, np.zeros(0))
            refs = np.unique(directory.refs)
            found, columns = directory.find(refs)
            piece = self._decode(connection, [Wanted(chunk, 0, refs[found], directory, columns)])
        return joined(piece.rows, piece.offsets, piece.times, piece.values)

    def select(
        self, refs: Ints, start: int, end: int, *, most: int | None = None
    ) -> tuple[Ints, Floats, Ints]:
        """Samples with `start <= time <= end` (ms) of each of these series, each ref once.

        Those of `refs[i]` are at `offsets[i]:offsets[i + 1]` of `times: int64` and `values:
        float64`, ascending, each time once: of doubles the one that was sealed first. Raises
        TooManySamplesError when there are more than `most`, soon after they were read. Where
        samples were thinned, the last one of each bucket is at its end.
        """
        return self._select(refs, refs, start, end, most, range(_LEVELS))

    def select_samples(
        self, refs: Ints, start: int, end: int, *, most: int | None = None
    ) -> tuple[Ints, Floats, Ints]:
        """As `select`, only what has not been thinned."""
        return self._select(refs, refs, start, end, most, range(LEAST_ROWS))

    def select_rows(
        self, refs: Ints, start: int, end: int, level: int
    ) -> tuple[Ints, Floats, Ints]:
        """As `select`, columns of the rows of a level; `refs` are of `row_refs`."""
        owners = series_refs(refs)
        return self._select(owners, refs, start, end, None, range(level, level + 1))

    def _select(
        self, refs: Ints, keys: Ints, start: int, end: int, most: int | None, levels: range
    ) -> tuple[Ints, Floats, Ints]:
        # The numbers of series, by which their groups are found, and those that chunks know.
        pieces: list[Piece] = []
        waiting: list[Wanted] = []
        samples = 0
        order = np.argsort(keys, kind="stable")
        with self._tables.snapshot() as connection:
            for chunk, rank, level, members in self._overlapping(
                connection, refs, order, start, end
            ):
                if level not in levels:
                    continue
                directory = self._directory(connection, chunk)
                if directory is None:
                    continue
                thinned = keys is refs and level >= LEAST_ROWS
                wanted = row_refs(refs[members], Column.LAST) if thinned else keys[members]
                found, columns = directory.find(wanted, start, end)
                if not len(found):
                    continue
                waiting.append(Wanted(chunk, rank, members[found], directory, columns))
                samples += int(directory.columns["count"][columns].sum())
                if samples >= _BATCH_SAMPLES:
                    pieces.append(self._decode(connection, waiting).clipped(start, end))
                    waiting, samples = [], 0
                    _check(pieces, most)
            if waiting:
                pieces.append(self._decode(connection, waiting).clipped(start, end))
        _check(pieces, most)
        return merged(pieces, len(refs))

    def extents(self, refs: Ints) -> tuple[Ints, Ints]:
        """The first and last time (ms) that the group of each series has, NEVER without any."""
        with self._tables.snapshot() as connection:
            table = self._catalog.extents(connection)
        groups = self._groups.of(refs)
        most = max(int(table[:, 0].max(initial=0)), int(groups.max(initial=0)))
        known = np.full((2, most + 2), NEVER)
        known[:, table[:, 0]] = table[:, 1:].T
        # An unknown group is numbered -1: the last element.
        return known[0, groups], known[1, groups]

    def ends(self, group: int) -> tuple[Ints, Ints]:
        """The series of a group, and the ends (ms) of the last chunks that may have samples of
        them, NEVER where there is none. Directories are read from the newest on, as far as needed.
        """
        members = self._groups.members(group)
        ends = np.full(len(members), NEVER)
        with self._tables.snapshot() as connection:
            rows = self._catalog.rows(connection, group=group)
            for row in sorted(rows, key=lambda row: -row.latest):
                open_ = np.flatnonzero(ends == NEVER)
                if not len(open_):
                    break
                directory = self._directory(connection, row.id)
                there = (
                    open_
                    if directory is None
                    else open_[_among(members[open_], directory, row.level)]
                )
                ends[there] = row.latest
        return members, ends

    def group_ids(self) -> list[int]:
        """All groups."""
        return self._groups.ids()

    def damaged(self) -> list[Damage]:
        """What cannot be read, as far as it was tried."""
        rows = [Damage(None, None, reason) for reason in list(self._catalog.lost)]
        return rows + [
            Damage(chunk, None if block == _DIRECTORY else block, reason)
            for chunk, blocks in list(self._damaged.items())
            for block, reason in list(blocks.items())
        ]

    def size(self) -> int:
        """Bytes on disk, write-ahead log included."""
        return self._tables.size()

    def stats(self) -> ArchiveStats:
        """Figures of the whole archive."""
        with self._tables.snapshot() as connection:
            levels = self._catalog.levels(connection)
        return stats_of(levels, self._tables.size(), len(self.damaged()))

    def pieces(self, refs: Ints, start: int, end: int) -> Floats:
        """As `pieces_of`, of the chunks about that time (ms) with samples of these series."""
        with self._tables.snapshot() as connection:
            rows = self._catalog.rows(connection, since=start, until=end)
        return pieces_of(rows, self._groups.shares(refs))

    def _overlapping(
        self, connection: sqlite3.Connection, refs: Ints, order: Ints, start: int, end: int
    ) -> Iterator[tuple[int, int, int, Ints]]:
        # Chunks that may have samples, each with its rank, level and the rows of its group's refs.
        groups = self._groups.of(refs[order])
        by_group = np.argsort(groups, kind="stable")
        starts = run_starts(groups[by_group])
        for places in np.split(by_group, starts[1:]) if len(starts) else ():
            group = int(groups[places[0]])
            if group == UNKNOWN:
                continue
            rows = self._catalog.rows(connection, group=group, since=start, until=end)
            for row in sorted(rows, key=lambda row: row.latest):
                rank = row.id if row.rank is None else row.rank
                yield row.id, rank, row.level, order[places]

    def _directory(self, connection: sqlite3.Connection, chunk: int) -> Directory | None:
        if _DIRECTORY in self._damaged.get(chunk, ()):
            return None
        with self._cache_lock:
            known = self._cache.get(chunk)
            if known is not None:
                self._cache.move_to_end(chunk)
                return known
        try:
            row = connection.execute(
                "SELECT directory FROM chunks WHERE id = ?", (chunk,)
            ).fetchone()
            directory = decode_directory(row[0])
        except (DamagedError, sqlite3.DatabaseError, TypeError) as error:
            if isinstance(error, sqlite3.Error) and not is_damage(error):
                raise
            self._set_aside(chunk, _DIRECTORY, str(error))
            return None
        with self._cache_lock:
            if chunk not in self._cache:
                self._cache[chunk] = directory
                self._cached += len(directory.columns)
            while self._cached > _DIRECTORIES_KEPT and len(self._cache) > 1:
                self._cached -= len(self._cache.popitem(last=False)[1].columns)
        return directory

    def _decode(self, connection: sqlite3.Connection, wanted: Sequence[Wanted]) -> Piece:
        # What is found damaged is set aside, and the rest tried again.
        while True:
            sound = [each.without(self._damaged.get(each.chunk, {})) for each in wanted]
            parts = [
                Part(each.directory, each.columns, partial(read_blocks, connection, each.chunk))
                for each in sound
            ]
            try:
                times, values, offsets = decode_parts(parts)
            except DamagedError as error:
                chunk = sound[error.part].chunk
                self._set_aside(
                    chunk, _DIRECTORY if error.block is None else error.block, str(error)
                )
                continue
            rows = np.concatenate([each.rows for each in sound])
            ranks = np.concatenate([np.full(len(each.rows), each.rank) for each in sound])
            return Piece(rows, ranks, times, values, offsets)

    def _set_aside_row(self, chunk: int, reason: str) -> None:
        if _DIRECTORY not in self._damaged.get(chunk, ()):
            self._set_aside(chunk, _DIRECTORY, reason)

    def _set_aside(self, chunk: int, block: int, reason: str) -> None:
        log.error("%s: chunk %d is damaged, set aside: %s", self._path, chunk, reason)
        self._damaged.setdefault(chunk, {})[block] = reason
        if self._tables.read_only:
            return
        try:
            with self._tables.transaction() as connection:
                connection.execute(
                    "INSERT OR IGNORE INTO damaged VALUES (?, ?, ?)", (chunk, block, reason)
                )
        except StoreError as error:
            # It is known as long as the process runs, and found again by the next.
            log.error("%s", error)

    @contextmanager
    def _changed_groups(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._tables.transaction() as connection:
                yield connection
        except BaseException:
            with self._tables.lock, self._tables.errors("read"):
                self._groups = Groups(self._tables.connection, self._catalog)
            raise

    def _forget_chunks(self, ids: Sequence[int]) -> None:
        self._catalog.changed()
        with self._cache_lock:
            for chunk in ids:
                self._damaged.pop(chunk, None)
                known = self._cache.pop(chunk, None)
                if known is not None:
                    self._cached -= len(known.columns)


def _among(refs: Ints, directory: Directory, level: int) -> Ints:
    there = directory.refs if level < LEAST_ROWS else series_refs(directory.refs)
    return np.flatnonzero(np.isin(refs, there))


def _check(pieces: Sequence[Piece], most: int | None) -> None:
    if most is not None and sum(len(piece.times) for piece in pieces) > most:
        raise TooManySamplesError(
            "query processing would load too many samples into memory in query execution: "
            f"more than {most}; ask for fewer series or a shorter time"
        )
