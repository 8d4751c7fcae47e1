"""The database of tasks and of every delivery owed or made: one writer at a time."""

from __future__ import annotations

import logging
import os
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine, insert, select, update
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError, SQLAlchemyError

from forewarn_collector.rules.alerts import Alert
from forewarn_collector.store.damage import is_damage, is_undecodable
from forewarn_collector.tasks.database import WRITES, postgresql_engine, shown, sqlite_engine
from forewarn_collector.tasks.errors import LedgerError
from forewarn_collector.tasks.migrations import create, is_older, keep_aside, upgrade, version_of
from forewarn_collector.tasks.rows import alert_from_row, rows_of
from forewarn_collector.tasks.schema import SCHEMA_VERSION, alerts, facts

log = logging.getLogger(__name__)

LEDGER_FILE = "ledger.db"
ELSEWHERE_FILE = "ledger.url"
"""Has the URL of a ledger that is not in the data directory, without its password."""

_CHUNK = 500
"""How many values stand in one IN list; every engine takes this many."""

_NEXT_TASK = facts.c.name == "next_task"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """An alert as the ledger keeps it, for the scheduler to go on from after a restart."""

    rule_key: str
    alert: Alert


class Ledger:
    """Access to the ledger's database. Every method may be called from any thread.

    `directory` is the data directory: without a `url` the ledger is a file there, readable by its
    owner only. `url` is that of a PostgreSQL database. `member` names this collector among those
    that share one ledger; it must be the same after a restart.
    """

    def __init__(self, directory: Path, url: URL | None = None, member: str = "") -> None:
        self.path = directory / LEDGER_FILE
        self.member = member
        self.id = uuid.UUID(int=0)
        self._url = url
        self._engine: Engine | None = None
        # One writer at a time: waiting here is fair and free, waiting in the database is neither.
        self._writing = threading.Lock()

    @property
    def name(self) -> str:
        """The database for people: a path, or a URL without its password."""
        if self._url is None:
            return str(self.path)
        return shown(self._url)

    def open(self) -> None:
        """Open the database, making its tables where there are none. Raises LedgerError."""
        self.connect()
        try:
            if self._url is None:
                self._keep_aside()
            with self.write() as connection:
                self._prepare(connection)
            self._leave_word()
        except LedgerError:
            self.close()
            raise

    def connect(self) -> None:
        """Open the database as it is: no table is made or changed. Raises LedgerError."""
        self._engine = self._open_file() if self._url is None else self._connect(self._url)

    def _open_file(self) -> Engine:
        try:
            # Made by us first: the database and its side files inherit the mode.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise LedgerError(
                f"{self.path} can't be opened: {error.strerror}; check the data directory",
                retryable=False,
            ) from error
        return sqlite_engine(self.path)

    def _connect(self, url: URL) -> Engine:
        try:
            return postgresql_engine(url)
        except ImportError as error:
            raise LedgerError(
                f"{self.name} needs a driver: {error};"
                " install it with pip install 'forewarn[collector,postgresql]'",
                retryable=False,
            ) from error

    def _leave_word(self) -> None:
        """Say in the data directory where the ledger is, for backups and whoever looks."""
        word = self.path.with_name(ELSEWHERE_FILE)
        try:
            if self._url is None:
                word.unlink(missing_ok=True)
                return
            word.write_text(f"{self.name}\n", "utf-8")
        except OSError as error:
            raise LedgerError(
                f"{word} can't be written: {error.strerror}; check the data directory",
                retryable=False,
            ) from error
        if self.path.exists():
            log.warning(
                "the ledger is %s; the tasks in %s stay there and are not looked at",
                self.name,
                self.path,
            )

    def _keep_aside(self) -> None:
        """Copy the file before its schema changes."""
        with self.read() as connection:
            version = version_of(connection)
        if not version or not is_older(version):
            return
        try:
            aside = keep_aside(self.path, version)
        except OSError as error:
            raise LedgerError(
                f"{self.path} must be copied before it changes to schema version"
                f" {SCHEMA_VERSION}, and can't be: {error}; make room in the data directory",
                retryable=False,
            ) from error
        log.info("the ledger as it was in schema version %s is kept as %s", version, aside)

    def close(self) -> None:
        """Close every connection; the ledger can be opened again."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    @property
    def engine(self) -> Engine:
        """The engine while open."""
        if self._engine is None:
            raise LedgerError(f"the ledger {self.name} is not open", retryable=False)
        return self._engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view of the ledger. Raises LedgerError."""
        with self._errors("read"), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, durable on leaving the block; an exception undoes it all.

        Raises LedgerError, `retryable` where the disk or another process stood in the way.
        """
        with self._writing, self._errors("written"):
            connection = self.engine.connect().execution_options(**{WRITES: True})
            with connection, connection.begin():
                yield connection

    def delivery_id(self, task_id: int, revision: int, queue: str) -> str:
        """The id of a delivery: the same whenever and however often it is asked for."""
        return str(uuid.uuid5(self.id, f"{task_id}/{revision}/{queue}"))

    def load_alerts(self) -> list[StoredAlert]:
        """Every alert that is pending, firing or unknown."""
        with self.read() as connection:
            rows = rows_of(connection.execute(select(alerts)))
            return [StoredAlert(row["rule_key"], alert_from_row(row)) for row in rows]

    def _prepare(self, connection: Connection) -> None:
        version = version_of(connection)
        if not version:
            create(connection)
            found = {
                "schema_version": str(SCHEMA_VERSION),
                "ledger_id": str(uuid.uuid4()),
                "next_task": "1",
            }
            rows = [{"name": name, "value": value} for name, value in found.items()]
            connection.execute(insert(facts), rows)
        elif is_older(version):
            upgrade(connection, version)
            log.info("the ledger is now in schema version %d, from %s", SCHEMA_VERSION, version)
        elif version != str(SCHEMA_VERSION):
            raise LedgerError(
                f"{self.name} has schema version {version}, this forewarn knows"
                f" {SCHEMA_VERSION}; start the version that wrote it, or restore a backup",
                retryable=False,
            )
        ledger_id = select(facts.c.value).where(facts.c.name == "ledger_id")
        self.id = uuid.UUID(connection.execute(ledger_id).scalar_one())

    def _remedy(self, cause: BaseException) -> str:
        if self._url is not None:
            return "check that the server runs, and that this user may make and write tables there"
        if is_damage(cause) or is_undecodable(cause):
            return (
                "it is damaged: stop the collector, then restore a backup, or run `forewarn doctor"
                f" --repair {self.path.parent}`, which saves what can be read"
            )
        return "check free space and permissions there"

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            said = " ".join(str(cause).split())
            raise LedgerError(
                f"the ledger {self.name} can't be {what}: {said}; {self._remedy(cause)}",
                # What is wrong with the statement itself is our mistake, and comes again.
                retryable=not isinstance(error, (IntegrityError, DataError, ProgrammingError)),
            ) from error


def next_number(connection: Connection) -> int:
    """The id for the next task; nobody else takes it before this transaction ends."""
    found = select(facts.c.value).where(_NEXT_TASK).with_for_update()
    return int(connection.execute(found).scalar_one())


def set_next_number(connection: Connection, number: int) -> None:
    """Note the id for the next task."""
    connection.execute(update(facts).where(_NEXT_TASK).values(value=str(number)))


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values in pieces that fit an IN list."""
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]
