"""What a data directory holds, what is wrong with it and what to do: for reading only.

`repair` does what cannot lose anything: indexes are made anew from the rows that they are of, and a
file with broken pages is set aside, and what can be read of it put into a new one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forewarn_collector.care.backup import elsewhere
from forewarn_collector.care.errors import CareError
from forewarn_collector.care.running import is_held
from forewarn_collector.care.sealed import archive_facts
from forewarn_collector.store import StoreError
from forewarn_collector.store.damage import is_damage, is_undecodable
from forewarn_collector.store.eventlog.schema import mark_unindexed, time_of
from forewarn_collector.store.history import History
from forewarn_collector.store.journal import JOURNAL_FILE, Journal
from forewarn_collector.store.journal import VERSION as JOURNAL_VERSION
from forewarn_collector.store.readonly import connect_read_only
from forewarn_collector.store.salvage import salvage, salvage_journal
from forewarn_collector.store.sealed import ARCHIVE_FILE
from forewarn_collector.store.sealed.catalog import Catalog
from forewarn_collector.store.sealed.groups import Groups, mend_groups
from forewarn_collector.store.sealed.tables import VERSION as ARCHIVE_VERSION
from forewarn_collector.tasks.ledger import LEDGER_FILE
from forewarn_collector.tasks.schema import SCHEMA_VERSION

LOCK_FILE = "store.lock"
_HOUR = 3_600_000
_LEAST_FREE = 1 << 30
_LEAST_PART = 20
_EVER = 1 << 62
_SALVAGE = (
    "it sets the file aside whole and saves what can be read into a new one; a backup may have"
    " the rest"
)
_OF_INDEX = ("missing from index", "wrong # of entries in index", "non-unique entry in index")

Progress = Callable[[str], None]
"""Told what is looked at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong: where, what, and what to do. `mendable` by `repair`; `serious` if data is
    lost or will be. Where pages are `broken`, a repair makes the file anew."""

    where: str
    what: str
    remedy: str
    serious: bool = True
    mendable: bool = False
    broken: bool = False


@dataclass(slots=True)
class Report:
    """`facts` of each file and of the disk, times in ms and sizes in bytes; what is wrong."""

    running: bool
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing serious was found."""
        return not any(finding.serious for finding in self.findings)


def examine(data: Path, progress: Progress, *, thorough: bool = True) -> Report:
    """Look at everything; without `thorough`, not at every page and chunk. Raises CareError."""
    journal = data / JOURNAL_FILE
    if not journal.exists():
        raise CareError(
            f"{data} is no data directory: there is no {JOURNAL_FILE} in it; name the one that"
            " `forewarn serve --data` has"
        )
    report = Report(is_held(data / LOCK_FILE))
    _look_at_disk(data, report)
    for name, look in _LOOKS.items():
        file = data / name
        if not file.exists():
            continue
        progress(name)
        _look_at_rights(file, data, report)
        facts = report.facts.setdefault(name, {"bytes": _size(file)})
        with _failures(name, report):
            with closing(connect_read_only(file)) as connection:
                if thorough:
                    _look_at_pages(name, connection, report)
            look(file, facts, report, thorough)
    _look_at_set_aside(data, report)
    _look_elsewhere(data, report)
    _look_at_lag(report)
    return report


def repair(data: Path, report: Report) -> list[str]:
    """Mend what the report says is mendable; what was done. Raises CareError."""
    done = []
    mendable = [finding for finding in report.findings if finding.mendable]
    broken = {finding.where for finding in mendable if finding.broken}
    with _held(data / LOCK_FILE):
        for name in sorted({finding.where for finding in mendable}):
            try:
                if name not in broken:
                    try:
                        done += _reindexed(data / name)
                        continue
                    except sqlite3.DatabaseError as error:
                        if not is_damage(error):
                            raise
                done += _salvaged(data / name)
            except (sqlite3.Error, StoreError) as error:
                raise CareError(f"cannot repair {data / name}: {error}") from error
    return done


def _reindexed(file: Path) -> list[str]:
    done = []
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("REINDEX")
        done.append(f"{file.name}: indexes made anew")
        done += _mended_groups(file, connection)
        if file.name == JOURNAL_FILE:
            mark_unindexed(connection)
            done.append(f"{file.name}: the collector makes the text index anew")
    return done


def _salvaged(file: Path) -> list[str]:
    save = salvage_journal if file.name == JOURNAL_FILE else salvage
    found = save(file, give_up=True)
    done = [
        f"{file.name}: set aside as {found.aside.name}; {found.rows:,} rows are in a new file",
        *(f"{file.name}: lost: {reason}" for reason in found.lost),
    ]
    if file.name == JOURNAL_FILE and not file.exists():
        # A data directory is known by it.
        Journal(file).close()
    if file.name == ARCHIVE_FILE and file.exists():
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            done += _mended_groups(file, connection)
            # What could not be read may be there again; what is not is found again.
            connection.execute("DELETE FROM damaged")
    return done


def _mended_groups(file: Path, connection: sqlite3.Connection) -> list[str]:
    if file.name != ARCHIVE_FILE or not mend_groups(connection, _catalog(file, connection)):
        return []
    return [f"{file.name}: groups of series made anew from their chunks"]


def _catalog(file: Path, connection: sqlite3.Connection) -> Catalog:
    return Catalog(file, connection, lambda chunk, reason: None)


def _look_at_disk(data: Path, report: Report) -> None:
    usage = shutil.disk_usage(data)
    report.facts["disk"] = {"bytes": usage.total, "free": usage.free}
    if usage.free < min(_LEAST_FREE, usage.total // _LEAST_PART):
        report.findings.append(
            Finding(
                "disk",
                f"only {usage.free >> 20:,} MiB are free",
                "make room, or keep less: retention and events.max_size in collector.yml;"
                " on a full disk the collector refuses what comes in",
            )
        )


def _look_at_rights(file: Path, data: Path, report: Report) -> None:
    found, owner = file.stat(), data.stat().st_uid
    if found.st_mode & 0o077:
        report.findings.append(
            Finding(file.name, "others may read it", f"chmod 600 {file}", serious=False)
        )
    if found.st_uid != owner:
        report.findings.append(
            Finding(
                file.name,
                f"it belongs to user {found.st_uid}, the directory to user {owner}",
                f"chown --reference={data} {file}*",
            )
        )


def _look_at_pages(name: str, connection: sqlite3.Connection, report: Report) -> None:
    lines = [row[0] for row in connection.execute("PRAGMA integrity_check(20)")]
    for line in [each for each in lines if each != "ok"]:
        mendable = any(text in line for text in _OF_INDEX)
        remedy = "stop the collector and run `forewarn doctor --repair`"
        if not mendable:
            remedy = f"{remedy}: {_SALVAGE}"
        report.findings.append(Finding(name, line, remedy, mendable=True, broken=not mendable))


def _look_at_journal(file: Path, facts: dict[str, Any], report: Report, thorough: bool) -> None:
    with closing(connect_read_only(file)) as connection:
        _check_version(file, connection, JOURNAL_VERSION, facts)
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
        if not {"damaged", "event_log", "label_sets"} <= tables:
            facts["format"] = "of an older version, taken over when the collector starts"
            return
        (aside,) = connection.execute("SELECT count(*) FROM damaged").fetchone()
        first, last, events = connection.execute(
            "SELECT min(id), max(id), count(*) FROM event_log"
        ).fetchone()
    history = History(file.parent)
    try:
        extents = history.extents()
        unreadable_series = history.damaged
        if thorough:
            for _ in history.samples(-_EVER, _EVER):
                pass
        unreadable = history.damaged - unreadable_series
    finally:
        history.close()
    facts |= {
        "series": len(history.series),
        "commits": len(extents),
        "samples": int(extents[:, 2].sum()),
        "earliest": int(extents[:, 0].min()) if len(extents) else None,
        "latest": int(extents[:, 1].max()) if len(extents) else None,
        "events": events,
        "events_earliest": None if first is None else time_of(first),
        "events_latest": None if last is None else time_of(last),
    }
    counts = (
        (aside, "commits were damaged when the collector started, and are set aside"),
        (unreadable, "commits cannot be read"),
        (unreadable_series, "series have labels that cannot be read"),
    )
    report.findings += [
        Finding(
            file.name,
            f"{count:,} {what}",
            "check the disk (smartctl, dmesg); a backup may have what is lost; what is set aside"
            " goes with the retention",
        )
        for count, what in counts
        if count
    ]


def _look_at_archive(file: Path, facts: dict[str, Any], report: Report, thorough: bool) -> None:
    with closing(connect_read_only(file)) as connection:
        _check_version(file, connection, ARCHIVE_VERSION, facts)
        broken = Groups.damaged(connection, _catalog(file, connection))
    found, damaged = archive_facts(file, thorough=thorough)
    facts |= found
    for group in broken:
        report.findings.append(
            Finding(
                file.name,
                f"the list of series of group {group} is damaged",
                "stop the collector and run `forewarn doctor --repair`",
                mendable=True,
            )
        )
    for damage in damaged:
        part = "all of it" if damage.block is None else f"block {damage.block}"
        chunk = "chunks" if damage.chunk is None else f"chunk {damage.chunk}, {part}"
        report.findings.append(
            Finding(
                file.name,
                f"{chunk}: {damage.reason}",
                "it is set aside and the rest is served; check the disk (smartctl, dmesg); a backup"
                " may have it; it goes with the retention",
            )
        )


def _look_at_ledger(file: Path, facts: dict[str, Any], report: Report, thorough: bool) -> None:
    with closing(connect_read_only(file)) as connection:
        values = dict(connection.execute("SELECT name, value FROM facts").fetchall())
        states = connection.execute("SELECT state, count(*) FROM tasks GROUP BY state").fetchall()
        # As the collector does at its start.
        for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'"):
            connection.execute("SELECT * FROM pragma_table_info(?)", (table,)).fetchall()
    facts |= {"version": values.get("schema_version"), "tasks": dict(states)}
    if facts["version"] != str(SCHEMA_VERSION):
        report.findings.append(_other_version(file.name, facts["version"], SCHEMA_VERSION))


def _look_elsewhere(data: Path, report: Report) -> None:
    url = elsewhere(data)
    if url:
        report.facts["ledger"] = {"url": url, "examined": "no, by the tools of PostgreSQL"}
        if LEDGER_FILE in report.facts:
            report.findings.append(
                Finding(
                    LEDGER_FILE,
                    f"it is not in use: the ledger is {url}",
                    "keep it for its tasks, or remove it when nobody needs them",
                    serious=False,
                )
            )


_LOOKS: dict[str, Callable[[Path, dict[str, Any], Report, bool], None]] = {
    JOURNAL_FILE: _look_at_journal,
    ARCHIVE_FILE: _look_at_archive,
    LEDGER_FILE: _look_at_ledger,
}


def _look_at_set_aside(data: Path, report: Report) -> None:
    report.findings += [
        Finding(
            file.name,
            f"it was set aside as damaged, {file.stat().st_size >> 20:,} MiB",
            "remove it once nothing of it is missed; `sqlite3 FILE .recover` may save more",
            serious=False,
        )
        for file in sorted(data.glob("*.damaged-*"))
    ]


def _look_at_lag(report: Report) -> None:
    earliest, latest = (
        report.facts.get(JOURNAL_FILE, {}).get(name) for name in ("earliest", "latest")
    )
    sealed = report.facts.get(ARCHIVE_FILE, {}).get("latest")
    if earliest is None or latest is None:
        return
    lag = latest - (earliest if sealed is None else max(earliest, min(sealed, latest)))
    report.facts[JOURNAL_FILE]["lag"] = lag
    if report.running and lag > 2 * _HOUR:
        report.findings.append(
            Finding(
                JOURNAL_FILE,
                f"nothing was sealed for {lag // _HOUR} hours: the journal and memory grow",
                "the collector's log says why sealing fails; most often the disk is full",
            )
        )


def _check_version(
    file: Path, connection: sqlite3.Connection, known: int, facts: dict[str, Any]
) -> None:
    facts["version"] = connection.execute("PRAGMA user_version").fetchone()[0]
    if facts["version"] > known:
        raise StoreError(
            f"{file.name} has format {facts['version']}, this version of Forewarn knows {known};"
            " use the one that wrote it",
            retryable=False,
        )


def _other_version(name: str, found: object, known: int) -> Finding:
    return Finding(
        name,
        f"it has schema version {found}, this version of Forewarn knows {known}",
        "use the version that wrote it",
    )


@contextmanager
def _failures(name: str, report: Report) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, StoreError) as error:
        if is_damage(error) or is_damage(error.__cause__) or is_undecodable(error):
            remedy = f"stop the collector and run `forewarn doctor --repair`: {_SALVAGE}"
            report.findings.append(Finding(name, str(error), remedy, mendable=True, broken=True))
            return
        remedy = (
            "if another user's collector wrote it, run this as that user; else stop the collector,"
            " keep a copy, and restore a backup"
        )
        report.findings.append(Finding(name, str(error), remedy))


@contextmanager
def _held(lock: Path) -> Iterator[None]:
    """The directory as its collector holds it. Raises CareError where one runs."""
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CareError(
            f"cannot write to {lock}: {error.strerror}; a repair needs a directory that it may"
            " write to: mount it so, or repair a copy"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise CareError(f"a collector runs on {lock.parent}; stop it before a repair") from None
    finally:
        os.close(descriptor)


def _size(file: Path) -> int:
    files = (file, file.with_name(f"{file.name}-wal"))
    return sum(each.stat().st_size for each in files if each.exists())
