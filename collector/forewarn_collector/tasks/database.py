"""The two kinds of database that a ledger may be in, as SQLAlchemy's engines.

Both admit one writer at a time, and give a reader one view for as long as it reads.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import URL, Connection, Engine, create_engine, event, text

WRITES = "forewarn_writes"
"""The option of a connection whose transaction writes."""

_PATIENCE = 10_000
"""How long (ms) a writer waits for another process'."""
_APPLICATION = "forewarn"
_OTHERS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name = :name AND pid <> pg_backend_pid()"
)
# Of the whole database: any number that nobody else is likely to have taken.
_LOCK = "SELECT pg_advisory_xact_lock(1179604823, 1)"


def sqlite_engine(path: Path) -> Engine:
    """A file of our own. WAL: readers see the last commit; every commit is synced."""
    engine = create_engine(URL.create("sqlite", database=str(path)), json_serializer=_to_json)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        # The driver's own BEGIN comes late and never IMMEDIATE; `begin` below does it.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={_PATIENCE}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes its lock at once: upgrading a read later could fail halfway.
        immediate = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def postgresql_engine(url: URL) -> Engine:
    """A server. A writer takes an advisory lock, so that several collectors may share it."""
    engine = create_engine(
        url,
        json_serializer=_to_json,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 10, "application_name": _APPLICATION},
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get(WRITES, False):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_PATIENCE}")
            connection.exec_driver_sql(_LOCK)
        else:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")

    return engine


def count_others(connection: Connection) -> int:
    """How many other connections of collectors a server has to this database; of a file, none."""
    if connection.dialect.name != "postgresql":
        return 0
    found = connection.execute(_OTHERS, {"name": _APPLICATION})
    return int(found.scalar_one())


def shown(url: URL) -> str:
    """A URL as people write it: without the driver, which is ours to choose, or its password."""
    plain = url.set(drivername=url.get_backend_name())
    return plain.render_as_string(hide_password=True)


def _to_json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # Half of a character, or a number that no column of numbers would take.
        return json.dumps(value)
