"""A damaged SQLite file is set aside whole, and what can be read of it goes on in a new one.

Rows are read table by table around the pages that are broken; indexes are made anew. Nothing is
deleted: the damaged file stays beside as `NAME.damaged-N`.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from forewarn_collector.store.damage import Row, walk_keys, walk_rows
from forewarn_collector.store.errors import DamagedFileError, StoreError
from forewarn_collector.store.eventlog.schema import mark_unindexed
from forewarn_collector.store.interior import copy_mended, interior_pages_anew

log = logging.getLogger(__name__)

_SPARE = 16 << 20
_SKIPPED = 1 << 24
"""So many numbers are left out where the last one that was given is lost."""
_SIDE_FILES = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Salvaged:
    """How many rows the new file has, what could not be read, and where the damaged file is."""

    rows: int
    lost: Sequence[str]
    aside: Path


def salvage(path: Path, *, give_up: bool) -> Salvaged:
    """Put what can be read of a file that nobody has open where it was. Raises StoreError.

    Where not even its tables can be found, that is DamagedFileError; but if told to `give_up`, it
    is set aside and no file is left in its place.
    """
    aside = next(
        name for number in count(1) if not (name := _named(path, f".damaged-{number}")).exists()
    )
    new, mended = _named(path, ".salvaged"), _named(path, ".mended")
    lost: list[str] = []
    try:
        try:
            _remove(new, mended)
            rows = _read_anew(path, mended, new, lost)
        except sqlite3.DatabaseError as error:
            if not give_up:
                raise DamagedFileError(path, "read", error) from error
            rows = None
            lost.append(f"all of it: {error}")
        finally:
            _remove(mended)
        if rows is None:
            _remove(new)
            _move(path, aside)
        else:
            # One name is always there: a kill in between leaves the damaged file in its place.
            os.link(path, aside)
            for end in _SIDE_FILES:
                side = _named(path, end)
                if side.exists():
                    side.replace(_named(aside, end))
            new.replace(path)
        to_disk(path.parent)
    except OSError as error:
        raise StoreError(
            f"{path} is damaged, and what can be read of it cannot be saved: {error}; keep a copy"
            " of the directory, then restore a backup",
            retryable=False,
        ) from error
    return Salvaged(rows or 0, lost, aside)


def salvage_journal(path: Path, *, give_up: bool = False) -> Salvaged:
    """As `salvage`, of a journal, whose index of texts the collector then makes anew."""
    found = salvage(path, give_up=give_up)
    if path.exists():
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            mark_unindexed(connection)
    for reason in found.lost:
        log.error("%s: %s", path, reason)
    log.error(
        "%s was damaged: it is kept as %s, and the collector goes on with the %d rows that could"
        " be read; check the disk (smartctl, dmesg)",
        path,
        found.aside,
        found.rows,
    )
    return found


def was_salvaged(path: Path) -> bool:
    """Whether a damaged file was set aside from here, and is still there."""
    return any(path.parent.glob(f"{path.name}.damaged-*"))


def _read_anew(path: Path, mended: Path, new: Path, lost: list[str]) -> int:
    """Put what can be read into `new`: how many rows. Raises sqlite3.Error without a way in."""
    with closing(sqlite3.connect(path, isolation_level=None)) as source:
        source.execute("PRAGMA writable_schema = 1")
        # What is committed comes to the file itself, so that it is whole without a log.
        source.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    pages = interior_pages_anew(path)
    needed = path.stat().st_size * (2 if pages else 1) + _SPARE
    if shutil.disk_usage(path.parent).free < needed:
        raise StoreError(
            f"{path} is damaged, and there is no room for a copy of what can be read:"
            f" {needed >> 20:,} MiB; make room, then run `forewarn doctor --repair {path.parent}`",
            retryable=True,
        )
    if not pages:
        return _copied(path, new, lost)
    copy_mended(path, mended, pages)
    return _copied(mended, new, lost)


def _copied(path: Path, new: Path, lost: list[str]) -> int:
    os.close(os.open(new, os.O_CREAT | os.O_RDWR | os.O_EXCL, 0o600))
    with closing(sqlite3.connect(path, isolation_level=None)) as source:
        # Without it, a statement of the schema that is damaged would hide all tables.
        source.execute("PRAGMA writable_schema = 1")
        schema = source.execute("SELECT type, name, sql FROM sqlite_schema").fetchall()
        version = source.execute("PRAGMA user_version").fetchone()[0]
        vacuum = source.execute("PRAGMA auto_vacuum").fetchone()[0]
        # Text that is no UTF-8 any more is not to stop a walk.
        source.text_factory = lambda stored: stored.decode(errors="replace")
        with closing(sqlite3.connect(new, isolation_level=None)) as target:
            target.execute(f"PRAGMA auto_vacuum = {vacuum}")
            target.execute("PRAGMA synchronous = OFF")
            virtual = [name for _, name, sql in schema if _is_virtual(sql)]
            # A virtual table makes those of its own, and is empty until the collector fills it.
            left_out = ("sqlite_", *(f"{name}_" for name in virtual))
            made = [each for each in schema if each[2] and not each[1].startswith(left_out)]
            # Indexes as well before the rows: what is not unique is damage.
            rows = 0
            for kind, name, sql in sorted(made, key=lambda each: each[0] != "table"):
                try:
                    target.execute(sql)
                except sqlite3.DatabaseError as error:
                    # Whoever opens the file makes it anew.
                    lost.append(f"{kind} {name}: {error}")
            there = {row[0] for row in target.execute("SELECT name FROM sqlite_schema")}
            for kind, name, _ in made:
                if kind == "table" and name in there and name not in virtual:
                    rows += _copy_table(source, target, name, lost)
            if any(name == "sqlite_sequence" for _, name, _ in schema):
                _copy_sequences(source, target, lost)
            target.execute(f"PRAGMA user_version = {version}")
    to_disk(new)
    return rows


def _copy_table(
    source: sqlite3.Connection, target: sqlite3.Connection, table: str, lost: list[str]
) -> int:
    listed = target.execute(f"PRAGMA table_info({table})").fetchall()
    columns = [f'"{each[1]}"' for each in listed]
    keys = [f'"{each[1]}"' for each in sorted(listed, key=lambda each: each[5]) if each[5]]
    plain = target.execute(
        "SELECT wr FROM pragma_table_list WHERE name = ?", (table,)
    ).fetchone() != (1,)
    walked: Iterator[Row]
    if plain:
        walked = walk_rows(source, table, columns, lost.append)
        columns = ["rowid", *columns]
    else:
        walked = walk_keys(source, table, columns, keys, lost.append)
    places = ", ".join("?" * len(columns))
    put = f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608
    before = target.total_changes
    target.execute("BEGIN")
    for row in walked:
        target.execute(put, row)
    target.execute("COMMIT")
    return target.total_changes - before


def _copy_sequences(
    source: sqlite3.Connection, target: sqlite3.Connection, lost: list[str]
) -> None:
    """Numbers that were given out once are not to be given again."""
    gaps = len(lost)
    last = {
        name: seq
        for _, name, seq in walk_rows(source, "sqlite_sequence", ("name", "seq"), lost.append)
        if isinstance(seq, int)
    }
    for name, seq in target.execute("SELECT name, seq FROM sqlite_sequence").fetchall():
        given = last.pop(name, None)
        if given is None or given < seq:
            given = seq + _SKIPPED if len(lost) > gaps or name in last else seq
        target.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", (given, name))
    target.executemany("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", last.items())


def _is_virtual(sql: str | None) -> bool:
    return bool(sql) and str(sql).upper().startswith("CREATE VIRTUAL")


def _named(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def _remove(*paths: Path) -> None:
    for path in paths:
        for end in ("", *_SIDE_FILES):
            _named(path, end).unlink(missing_ok=True)


def _move(path: Path, aside: Path) -> None:
    for end in ("", *_SIDE_FILES):
        if _named(path, end).exists():
            _named(path, end).replace(_named(aside, end))


def to_disk(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
