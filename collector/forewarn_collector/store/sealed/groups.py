"""Which series are sealed together: those of one host, some hundred a group.

A series stays in its group, so that a read looks into the chunks of that group only.
"""

from __future__ import annotations

import logging
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from forewarn_collector.store.columns import Ints
from forewarn_collector.store.damage import Lost, Row, is_damage, walk_rows
from forewarn_collector.store.sealed.catalog import Catalog
from forewarn_collector.store.sealed.directory import decode_directory
from forewarn_collector.store.sealed.errors import DamagedError
from forewarn_collector.store.sealed.levels import LEAST_ROWS, series_refs
from forewarn_collector.store.spans import run_starts

log = logging.getLogger(__name__)

MOST_MEMBERS = 512
UNKNOWN = -1

HostsOf = Callable[[Ints], Sequence[str]]
"""Tells the host of each series."""


class Groups:
    """The groups of all series, as the file has them. The archive's lock guards changes."""

    def __init__(self, connection: sqlite3.Connection, catalog: Catalog) -> None:
        self._of = np.full(1024, UNKNOWN, dtype=np.int32)
        self._members: dict[int, Ints] = {}
        # Of each host the group that takes in new series.
        self._open: dict[str, int] = {}
        lost = lambda reason: log.error("%s; made anew", reason)  # noqa: E731
        known = set()
        for group, host, blob, checksum in _rows(connection, lost):
            if not _is_damaged(blob, checksum):
                known.add(group)
                self._note(np.frombuffer(blob, dtype=np.int64), group)
                if isinstance(host, bytes):
                    self._open[host.decode(errors="replace")] = group
        # What the chunks of a group say holds: they may be known under a number that changed.
        for group in catalog.extents(connection)[:, 0].tolist():
            if group not in known:
                log.error("the series of group %d are damaged; made anew", group)
                self._note(_refs_of_chunks(connection, catalog, group), group)

    @staticmethod
    def damaged(connection: sqlite3.Connection, catalog: Catalog) -> list[int]:
        """The groups whose list of series is not what was written, or is not there."""
        sound, broken = set[int](), set[int]()
        for group, _, blob, checksum in _rows(connection, lambda _: None):
            (broken if _is_damaged(blob, checksum) else sound).add(group)
        return sorted(broken | set(catalog.extents(connection)[:, 0].tolist()) - sound)

    def of(self, refs: Ints) -> Ints:
        """The group of each series, or `UNKNOWN`."""
        groups = self._of
        known = (refs >= 0) & (refs < len(groups))
        return np.where(known, groups[np.where(known, refs, 0)], UNKNOWN).astype(np.int64)

    def shares(self, refs: Ints) -> dict[int, float]:
        """What part of each group's series these are."""
        groups, counts = np.unique(self.of(refs), return_counts=True)
        return {
            group: count / len(self.members(group))
            for group, count in zip(groups.tolist(), counts.tolist(), strict=True)
            if group != UNKNOWN
        }

    def members(self, group: int) -> Ints:
        """The series of a group, ascending; none where there is no such group."""
        return self._members.get(group, np.zeros(0, dtype=np.int64))

    def ids(self) -> list[int]:
        """All groups."""
        return list(self._members)

    def known(self) -> Ints:
        """The series of all groups, ascending."""
        return np.flatnonzero(self._of != UNKNOWN)

    def assign(self, connection: sqlite3.Connection, refs: Ints, hosts_of: HostsOf) -> Ints:
        """Within a transaction: the groups of these series, given to those that have none."""
        hosts: dict[str, list[int]] = {}
        lacking = refs[self.of(refs) == UNKNOWN]
        for ref, host in zip(lacking.tolist(), hosts_of(lacking), strict=True):
            hosts.setdefault(host, []).append(ref)
        for host, new in hosts.items():
            self._extend(connection, host, new)
        return self.of(refs)

    def forget(self, connection: sqlite3.Connection, refs: Ints) -> None:
        """Within a transaction: make room where these series were; no chunk has samples."""
        groups = self.of(refs)
        order = np.argsort(groups, kind="stable")
        starts = run_starts(groups[order])
        for members in np.split(order, starts[1:]):
            group = int(groups[members[0]]) if len(members) else UNKNOWN
            if group == UNKNOWN:
                continue
            left = np.setdiff1d(self._members[group], refs[members])
            self._of[refs[members]] = UNKNOWN
            self._members[group] = left
            _write(connection, group, left)
            if not len(left):
                self._remove(connection, group)

    def _remove(self, connection: sqlite3.Connection, group: int) -> None:
        # Unless it has chunks still: then its host goes on with it.
        if connection.execute("SELECT 1 FROM chunks WHERE grp = ?", (group,)).fetchone():
            return
        connection.execute("DELETE FROM groups WHERE id = ?", (group,))
        del self._members[group]
        self._open = {host: each for host, each in self._open.items() if each != group}

    def _extend(self, connection: sqlite3.Connection, host: str, new: Sequence[int]) -> None:
        while new:
            group = self._open.get(host)
            if group is None or len(self._members[group]) >= MOST_MEMBERS:
                cursor = connection.execute(
                    "INSERT INTO groups (host, refs, checksum) VALUES (?, ?, ?)", (host, b"", 0)
                )
                group = self._open[host] = int(cursor.lastrowid or 0)
                self._members[group] = np.zeros(0, dtype=np.int64)
            room = MOST_MEMBERS - len(self._members[group])
            members = np.union1d(self._members[group], np.array(new[:room], dtype=np.int64))
            _write(connection, group, members)
            self._note(members, group)
            new = new[room:]

    def _note(self, refs: Ints, group: int) -> None:
        most = int(refs.max(initial=0))
        groups = self._of
        if most >= len(groups):
            groups = np.full(max(2 * len(groups), most + 1), UNKNOWN, dtype=np.int32)
            groups[: len(self._of)] = self._of
        groups[refs] = group
        self._of = groups
        self._members[group] = refs


def mend_groups(connection: sqlite3.Connection, catalog: Catalog) -> int:
    """Make lists of series anew from the chunks where they are damaged: how many."""
    broken = Groups.damaged(connection, catalog)
    for group in broken:
        # Of a host that is nobody's: its new series come to a group of their own.
        connection.execute("INSERT OR IGNORE INTO groups VALUES (?, '', x'', 0)", (group,))
        _write(connection, group, _refs_of_chunks(connection, catalog, group))
    return len(broken)


def _rows(connection: sqlite3.Connection, lost: Lost) -> Iterator[Row]:
    columns = ("CAST(host AS BLOB)", "refs", "checksum")
    return walk_rows(connection, "groups", columns, lost)


def _is_damaged(blob: object, checksum: object) -> bool:
    return not isinstance(blob, bytes) or bool(len(blob) % 8) or zlib.crc32(blob) != checksum


def _write(connection: sqlite3.Connection, group: int, refs: Ints) -> None:
    blob = refs.tobytes()
    connection.execute(
        "UPDATE groups SET refs = ?, checksum = ? WHERE id = ?", (blob, zlib.crc32(blob), group)
    )


def _refs_of_chunks(connection: sqlite3.Connection, catalog: Catalog, group: int) -> Ints:
    refs: Ints = np.zeros(0, dtype=np.int64)
    for row in catalog.rows(connection, group=group):
        try:
            blob = connection.execute(
                "SELECT directory FROM chunks WHERE id = ?", (row.id,)
            ).fetchone()[0]
            found = decode_directory(blob).refs
        except (DamagedError, sqlite3.DatabaseError, TypeError) as error:
            if isinstance(error, sqlite3.Error) and not is_damage(error):
                raise
            continue
        refs = np.union1d(refs, found if row.level < LEAST_ROWS else series_refs(found))
    return refs
