"""From the ledger's older schemas to the present one; tables that are new are made by then."""

from __future__ import annotations

from sqlalchemy import Connection, update
from sqlalchemy.schema import CreateColumn

from forewarn_collector.tasks.schema import facts, tasks


def migrate_from_1(connection: Connection) -> None:
    """Within a transaction: to version 2, with retrospective tasks. All tasks so far are not."""
    column = CreateColumn(tasks.c.retrospective).compile(dialect=connection.dialect)
    connection.exec_driver_sql(f"ALTER TABLE tasks ADD COLUMN {column}")
    connection.execute(update(facts).where(facts.c.name == "schema_version").values(value="2"))
