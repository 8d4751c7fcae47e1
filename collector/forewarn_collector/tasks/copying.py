"""A whole ledger into an empty one in another kind of database, table by table."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, Table, delete, func, insert, select

from forewarn_collector.tasks.database import count_others
from forewarn_collector.tasks.errors import LedgerError
from forewarn_collector.tasks.ledger import Ledger
from forewarn_collector.tasks.migrations import create, version_of
from forewarn_collector.tasks.schema import SCHEMA_VERSION, facts
from forewarn_collector.tasks.schema_all import metadata

Progress = Callable[[str, int, int], None]
"""Hears the name of a table, how many of its rows are copied, and how many there are."""

_AT_ONCE = 1_000


def copy_ledger(source: Ledger, target: Ledger, progress: Progress) -> Mapping[str, int]:
    """Copy every row of a ledger; how many there are by table.

    Both are closed before and after. No collector may use either. The target has no ledger yet, or
    one in which nothing has happened. Raises LedgerError, and then nothing is written.
    """
    try:
        source.connect()
        target.connect()
        with source.read() as reader, target.write() as writer:
            for ledger, connection in ((source, reader), (target, writer)):
                _refuse_others(ledger, connection)
            _check_source(source, reader)
            _prepare_target(target, writer)
            counts = {
                table.name: _copy_table(reader, writer, table, progress)
                for table in metadata.sorted_tables
            }
            for table in metadata.sorted_tables:
                _check_count(target, writer, table, counts[table.name])
        return counts
    finally:
        source.close()
        target.close()


def _refuse_others(ledger: Ledger, connection: Connection) -> None:
    if count_others(connection):
        raise LedgerError(
            f"a collector uses the ledger {ledger.name}; stop every one that does",
            retryable=False,
        )


def _check_source(source: Ledger, connection: Connection) -> None:
    version = version_of(connection)
    if not version:
        raise LedgerError(f"there is no ledger in {source.name}", retryable=False)
    if version != str(SCHEMA_VERSION):
        raise LedgerError(
            f"{source.name} has schema version {version}, this forewarn knows {SCHEMA_VERSION};"
            " start the collector with it once, which brings it up to that, or use the version"
            " that wrote it",
            retryable=False,
        )


def _prepare_target(target: Ledger, connection: Connection) -> None:
    """Have all tables there, and nothing in them."""
    version = version_of(connection)
    if not version:
        create(connection)
    elif version != str(SCHEMA_VERSION):
        raise LedgerError(
            f"{target.name} has a ledger of schema version {version}; copy into an empty one",
            retryable=False,
        )
    for table in metadata.sorted_tables:
        found = 0 if table is facts else _count(connection, table)
        if found:
            raise LedgerError(
                f"{target.name} is not empty: it has {found:,} rows of {table.name};"
                " copy into an empty one, or move that one away",
                retryable=False,
            )
    connection.execute(delete(facts))


def _copy_table(reader: Connection, writer: Connection, table: Table, progress: Progress) -> int:
    total = _count(reader, table)
    progress(table.name, 0, total)
    rows = reader.execute(
        select(table).order_by(*table.primary_key), execution_options={"yield_per": _AT_ONCE}
    )
    done = 0
    for part in rows.mappings().partitions():
        writer.execute(insert(table), [dict(row) for row in part])
        done += len(part)
        progress(table.name, done, total)
    _go_on_from(writer, table)
    return done


def _go_on_from(connection: Connection, table: Table) -> None:
    """Have PostgreSQL number the next row after those that came with their numbers."""
    column = table.autoincrement_column
    if column is None or connection.dialect.name != "postgresql":
        return
    sequence = connection.execute(
        select(func.pg_get_serial_sequence(table.name, column.name))
    ).scalar()
    last = connection.execute(select(func.max(column))).scalar()
    if sequence is not None and last is not None:
        connection.execute(select(func.setval(sequence, last)))


def _check_count(target: Ledger, connection: Connection, table: Table, wanted: int) -> None:
    found = _count(connection, table)
    if found != wanted:
        raise LedgerError(
            f"{target.name} took {found:,} of {wanted:,} rows of {table.name}; nothing is kept",
            retryable=False,
        )


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())
