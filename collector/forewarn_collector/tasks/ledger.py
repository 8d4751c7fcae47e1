"""The database of tasks and of every delivery owed or made: one file, one writer at a time."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from forewarn_collector.rules.alerts import Alert
from forewarn_collector.store.damage import is_damage, is_undecodable
from forewarn_collector.tasks.errors import LedgerError
from forewarn_collector.tasks.migrations import migrate_from_1
from forewarn_collector.tasks.rows import alert_from_row, rows_of
from forewarn_collector.tasks.schema import SCHEMA_VERSION, alerts, facts, metadata

LEDGER_FILE = "ledger.db"

_BUSY_TIMEOUT = 10_000
_WRITES = "forewarn_writes"
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

    `directory` is the data directory; the file is made there, readable by its owner only.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / LEDGER_FILE
        self.id = uuid.UUID(int=0)
        self._engine: Engine | None = None
        # SQLite admits one writer: waiting here is fair and free, waiting there polls.
        self._writing = threading.Lock()

    def open(self) -> None:
        """Open the database, making it where there is none. Raises LedgerError."""
        try:
            # Made by us first: the database and its side files inherit the mode.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise LedgerError(
                f"{self.path} can't be opened: {error.strerror}; check the data directory",
                retryable=False,
            ) from error
        self._engine = _sqlite(self.path)
        try:
            with self.write() as connection:
                self._prepare(connection)
        except LedgerError:
            self.close()
            raise

    def close(self) -> None:
        """Close every connection; the ledger can be opened again."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    @property
    def engine(self) -> Engine:
        """The engine while open."""
        if self._engine is None:
            raise LedgerError(f"the ledger {self.path} is not open", retryable=False)
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
            connection = self.engine.connect().execution_options(**{_WRITES: True})
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
        metadata.create_all(connection)
        found = {row.name: row.value for row in connection.execute(select(facts))}
        if found.get("schema_version") == "1":
            migrate_from_1(connection)
            found["schema_version"] = str(SCHEMA_VERSION)
        if not found:
            found = {
                "schema_version": str(SCHEMA_VERSION),
                "ledger_id": str(uuid.uuid4()),
                "next_task": "1",
            }
            rows = [{"name": name, "value": value} for name, value in found.items()]
            connection.execute(insert(facts), rows)
        if found["schema_version"] != str(SCHEMA_VERSION):
            raise LedgerError(
                f"{self.path} has schema version {found['schema_version']}, this forewarn knows"
                f" {SCHEMA_VERSION}; start the version that wrote it, or restore a backup",
                retryable=False,
            )
        self.id = uuid.UUID(found["ledger_id"])

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            remedy = "check free space and permissions there"
            if is_damage(cause) or is_undecodable(cause):
                remedy = (
                    "it is damaged: stop the collector, then restore a backup, or run `forewarn"
                    f" doctor --repair {self.path.parent}`, which saves what can be read"
                )
            raise LedgerError(
                f"the ledger {self.path} can't be {what}: {cause}; {remedy}",
                # A broken constraint is our mistake, and comes again.
                retryable=not isinstance(error, IntegrityError),
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


def _sqlite(path: Path) -> Engine:
    engine = create_engine(URL.create("sqlite", database=str(path)))

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        # The driver's own BEGIN comes late and never IMMEDIATE; `begin` below does it.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={_BUSY_TIMEOUT}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes its lock at once: upgrading a read later could fail halfway.
        immediate = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine
