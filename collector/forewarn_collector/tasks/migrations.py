"""From the ledger's older schemas to the present one, by Alembic, within one transaction."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, select, update

from forewarn_collector.tasks.schema import SCHEMA_VERSION, facts
from forewarn_collector.tasks.schema_all import metadata

_VERSION = facts.c.name == "schema_version"
_REVISIONS = Path(__file__).parent / "revisions"


def create(connection: Connection) -> None:
    """Within a transaction: make all tables as they are now in a database that has none."""
    metadata.create_all(connection)
    _alembic(connection, "stamp", str(SCHEMA_VERSION))


def upgrade(connection: Connection, version: str) -> None:
    """Within a transaction: from this version of the schema to the present one."""
    if version in {"1", "2"}:
        # They were made before there was Alembic to note it.
        _alembic(connection, "stamp", version)
    _alembic(connection, "upgrade", "head")
    connection.execute(update(facts).where(_VERSION).values(value=str(SCHEMA_VERSION)))


def version_of(connection: Connection) -> str:
    """The version of the schema; empty where the database has no ledger yet."""
    if not connection.dialect.has_table(connection, facts.name):
        return ""
    found: str | None = connection.execute(select(facts.c.value).where(_VERSION)).scalar()
    return found or ""


def is_older(version: str) -> bool:
    """Whether it is a version from which `upgrade` goes on."""
    return version.isdigit() and 1 <= int(version) < SCHEMA_VERSION


def keep_aside(path: Path, version: str) -> Path:
    """Copy a SQLite ledger, as it is before it changes; where the copy is. Raises OSError.

    A copy of that version that is there is left: a migration that failed may be tried again.
    """
    aside = path.with_name(f"{path.name}.version-{version}")
    if aside.exists():
        return aside
    draft = aside.with_name(f"{aside.name}.part")
    try:
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_CREAT | os.O_RDWR, 0o600))
        with closing(sqlite3.connect(path)) as reader, closing(sqlite3.connect(draft)) as writer:
            reader.backup(writer)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.rename(aside)
    except sqlite3.Error as error:
        raise OSError(str(error)) from error
    return aside


def _alembic(connection: Connection, command: str, revision: str) -> None:
    # Imported when needed: it takes a tenth of a second, and most starts migrate nothing.
    from alembic import command as commands
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_REVISIONS))
    config.attributes["connection"] = connection
    getattr(commands, command)(config, revision)
