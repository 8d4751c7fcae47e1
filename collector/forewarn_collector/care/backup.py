"""A consistent copy of a data directory, while its collector goes on writing.

Each database is copied as it stands at one moment, by SQLite's backup API. The journal comes first,
the archive second: what is sealed in between is in both then, the other way round in none. The
ledger comes last. Series that were new in between are added to the copied journal, since a chunk
may have their samples, and their refs must not be given to others.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from forewarn_collector.api.auth import TOKEN_FILE
from forewarn_collector.care.errors import CareError
from forewarn_collector.store.journal import JOURNAL_FILE
from forewarn_collector.store.label_rows import add_later_rows
from forewarn_collector.store.readonly import connect_read_only
from forewarn_collector.store.salvage import to_disk
from forewarn_collector.store.sealed import ARCHIVE_FILE
from forewarn_collector.tasks.ledger import ELSEWHERE_FILE, LEDGER_FILE

CONFIG_FILE = "collector.yml"
_DATABASES = (JOURNAL_FILE, ARCHIVE_FILE, LEDGER_FILE)
_PAGES = 4096
"""So many are copied between two reports of progress: 16 MB."""
_SPARE = 16 << 20

Progress = Callable[[str, float], None]
"""Told the name of the file, and how much of it is copied (0 to 1)."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A file of the copy, its bytes, and for a database the rows of its larger tables."""

    name: str
    bytes: int
    rows: dict[str, int]


@dataclass(frozen=True, slots=True)
class Backup:
    """The files of a copy, and what of it is not as it should be: damage of the original.

    `elsewhere` is the URL of the ledger, where that is in a database of its own and not copied.
    """

    files: Sequence[Copied]
    problems: Sequence[str]
    elsewhere: str = ""


def back_up(data: Path, target: Path, config: Path | None, progress: Progress) -> Backup:
    """Copy a data directory to `target`, which is new or empty, and check the copy.

    It is under its name only when it is whole. Raises CareError.
    """
    if not (data / JOURNAL_FILE).exists():
        raise CareError(
            f"{data} is no data directory: there is no {JOURNAL_FILE} in it; name the one that"
            " `forewarn serve --data` has"
        )
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise CareError(f"{target} is not empty; name a new directory for the backup")
    draft = target.absolute().with_name(f".{target.absolute().name}.part")
    _check_room(data, draft.parent)
    try:
        draft.mkdir(mode=0o700)
    except FileExistsError:
        raise CareError(
            f"{draft} is left over from a backup that was broken off, or of one that runs;"
            " remove it if none runs"
        ) from None
    except OSError as error:
        raise CareError(f"cannot make {draft}: {error.strerror}") from error
    try:
        problems = _copy_all(data, draft, config, progress)
        files = [_described(file) for file in sorted(draft.iterdir())]
        problems += _damage(draft, progress)
        for path in (*draft.iterdir(), draft):
            to_disk(path)
        draft.rename(target)
        to_disk(target.absolute().parent)
    except (OSError, sqlite3.Error) as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise CareError(f"cannot copy {data} to {target}: {error}") from error
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return Backup(files, problems, elsewhere(data))


def elsewhere(data: Path) -> str:
    """The URL of the ledger that belongs to a data directory; empty where it is a file in it."""
    try:
        return (data / ELSEWHERE_FILE).read_text("utf-8").strip()
    except FileNotFoundError:
        return ""


def _copy_all(data: Path, draft: Path, config: Path | None, progress: Progress) -> list[str]:
    problems = []
    for name in _DATABASES:
        if (data / name).exists():
            problems += _copy_database(data / name, draft / name, progress)
    _add_series(data / JOURNAL_FILE, draft / JOURNAL_FILE)
    if (data / TOKEN_FILE).exists():
        _copy_file(data / TOKEN_FILE, draft / TOKEN_FILE)
    if config is not None:
        _copy_file(config, draft / CONFIG_FILE)
    return problems


def _copy_database(source: Path, target: Path, progress: Progress) -> list[str]:
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with closing(connect_read_only(source)) as reader, closing(sqlite3.connect(target)) as writer:
        # The file is of use only when it is whole: no journal of its own.
        writer.execute("PRAGMA synchronous = OFF").fetchall()
        # One view of the source for all steps and the counts: else a step after a write by the
        # collector would begin anew.
        reader.execute("BEGIN")
        expected = _rows(reader)

        def report(_: int, remaining: int, total: int) -> None:
            progress(source.name, 1 - remaining / max(total, 1))

        reader.backup(writer, pages=_PAGES, progress=report)
    with closing(_opened(target)) as copy:
        found = _rows(copy)
    return [
        f"{source.name}: {found[table]} of {count} rows of {table} were copied"
        for table, count in expected.items()
        if found[table] != count
    ]


def _add_series(source: Path, target: Path) -> None:
    with closing(connect_read_only(source)) as reader, closing(sqlite3.connect(target)) as writer:
        with writer:
            add_later_rows(reader, writer)
        # No side files in the copy.
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _copy_file(source: Path, target: Path) -> None:
    content = source.read_bytes()
    with os.fdopen(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)


def _described(file: Path) -> Copied:
    if file.name not in _DATABASES:
        return Copied(file.name, file.stat().st_size, {})
    with closing(_opened(file)) as copy:
        return Copied(file.name, file.stat().st_size, _rows(copy))


def _damage(draft: Path, progress: Progress) -> list[str]:
    problems = []
    for name in _DATABASES:
        if not (draft / name).exists():
            continue
        progress(f"check of {name}", 0)
        with closing(_opened(draft / name)) as copy:
            try:
                found = [row[0] for row in copy.execute("PRAGMA integrity_check(3)")]
            except sqlite3.DatabaseError as error:
                found = [str(error)]
        problems += [f"{name}: {line}" for line in found if line != "ok"]
    return problems


def _rows(connection: sqlite3.Connection) -> dict[str, int]:
    names = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
    tables = [row[0] for row in connection.execute(names)]
    return {
        table: connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]  # noqa: S608
        for table in tables
        if not table.startswith(("sqlite_", "event_text"))
    }


def _opened(file: Path) -> sqlite3.Connection:
    # Nobody else has it: so SQLite makes no side files, which would be left behind.
    return sqlite3.connect(f"{file.absolute().as_uri()}?immutable=1", uri=True)


def _check_room(data: Path, parent: Path) -> None:
    needed = sum(
        file.stat().st_size
        for name in _DATABASES
        for file in (data / name, data / f"{name}-wal")
        if file.exists()
    )
    try:
        free = shutil.disk_usage(parent).free
    except OSError as error:
        raise CareError(f"cannot write to {parent}: {error.strerror}") from error
    if free < needed + _SPARE:
        raise CareError(
            f"{parent} has {free >> 20:,} MiB free, the backup may take"
            f" {(needed + _SPARE) >> 20:,} MiB; name a directory with more room"
        )
