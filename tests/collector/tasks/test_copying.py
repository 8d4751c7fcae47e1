"""A whole ledger from SQLite into PostgreSQL, and back."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import (
    JSON,
    URL,
    Boolean,
    Column,
    Connection,
    Integer,
    String,
    Table,
    insert,
    select,
)

from forewarn_collector.cli import build
from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.store.holding import hold
from forewarn_collector.tasks import Ledger, TaskCommands, TaskQueries
from forewarn_collector.tasks.schema import facts, tasks
from forewarn_collector.tasks.schema_all import metadata
from support.alerts import T0, Desk, alert_of, change, rule_of
from support.databases import DATABASES

RULE = rule_of()
MANY = 1_003
"""More than are copied at once."""


@pytest.fixture
def url(_databases: None) -> Iterator[URL]:
    """A database of its own: who else uses it is asked."""
    server, name = DATABASES.server(), f"copy_{uuid.uuid4().hex}"
    server.execute(f"CREATE DATABASE {name}")
    yield server.url.set(database=name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def copied(data: Path, option: str, url: URL) -> Result:
    shown = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return CliRunner().invoke(
        build(lambda: T0), ["ledger", "copy", "--data", str(data), option, shown]
    )


def contents(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    ledger.open()
    with ledger.read() as connection:
        found = {
            table.name: [
                tuple(r) for r in connection.execute(select(table).order_by(*table.primary_key))
            ]
            for table in metadata.sorted_tables
        }
    ledger.close()
    return found


def value_of(column: Column[Any], number: int) -> Any:
    """Any value for a column, another one for each row."""
    if column.foreign_keys:
        return number + 1
    if isinstance(column.type, JSON):
        return {"number": number, "text": 'ü \\u0000 "', "nul": "\x00", "list": [1.5, None, True]}
    if isinstance(column.type, Boolean):
        return bool(number % 2)
    if isinstance(column.type, Integer):
        # More than 32 bits where a column takes them.
        wide = column.type.__class__.__name__ == "BigInteger" and not column.primary_key
        return number + (10**12 if wide else 1)
    length = column.type.length if isinstance(column.type, String) else None
    return f"{number:05}-ü"[: length or 100]


def fill(connection: Connection, table: Table, rows: int) -> None:
    """Some rows for any table, those that come later included."""
    connection.execute(
        insert(table),
        [{c.name: value_of(c, number) for c in table.columns} for number in range(rows)],
    )


def test_every_row_of_every_table_goes_to_postgresql_and_back(tmp_path: Path, url: URL) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    source = Ledger(here)
    source.open()
    with source.write() as connection:
        for table in metadata.sorted_tables:
            if table is not facts:
                fill(connection, table, MANY)
    source.close()
    before = contents(source)
    assert {len(rows) for name, rows in before.items() if name != facts.name} == {MANY}

    done = copied(here, "--to", url)
    assert done.exit_code == 0, done.output
    assert f"{MANY:,} deliveries" in done.output
    assert "name postgresql://" in done.output
    assert contents(Ledger(here, url)) == before
    assert contents(source) == before

    back = copied(there, "--from", url)
    assert back.exit_code == 0, back.output
    assert contents(Ledger(there)) == before


def test_a_collector_goes_on_in_the_copy_where_it_was(tmp_path: Path, url: URL) -> None:
    desk = Desk(tmp_path)
    one, two = (alert_of(RULE, {"instance": name}) for name in ("a", "b"))
    desk.apply(change(RULE, one, AlertState.FIRING))
    TaskCommands(desk.ledger, desk.told.extend).comment("FW-1", "ann", "hm", T0 + 1)
    known = TaskQueries(desk.ledger).one("FW-1")
    desk.close()
    # A collector that was started there once has made its tables.
    first = Ledger(tmp_path, url)
    first.open()
    first.close()
    done = copied(tmp_path, "--to", url)
    assert done.exit_code == 0, done.output

    desk.ledger = Ledger(tmp_path, url)
    desk.ledger.open()
    desk.restart()
    assert TaskQueries(desk.ledger).one("FW-1") == known
    # The same round again is known, and what is new has the next numbers.
    assert desk.apply(change(RULE, one, AlertState.FIRING)) == []
    (told,) = desk.apply(change(RULE, two, AlertState.FIRING, T0 + 2))
    assert told.task.number == "FW-2"
    desk.close()


def test_nothing_is_copied_onto_what_is_there_already(tmp_path: Path, url: URL) -> None:
    desk = Desk(tmp_path)
    desk.apply(change(RULE, alert_of(RULE, {"instance": "a"}), AlertState.FIRING))
    desk.close()
    assert copied(tmp_path, "--to", url).exit_code == 0
    before = contents(Ledger(tmp_path, url)), contents(Ledger(tmp_path))
    for option in ("--to", "--from"):
        refused = copied(tmp_path, option, url)
        assert refused.exit_code == 1
        assert "is not empty: it has 1 rows of alerts" in refused.output
    assert (contents(Ledger(tmp_path, url)), contents(Ledger(tmp_path))) == before


def test_a_ledger_in_use_is_not_copied(tmp_path: Path, url: URL) -> None:
    contents(Ledger(tmp_path))
    held = hold(tmp_path)
    refused = copied(tmp_path, "--to", url)
    os.close(held)
    assert refused.exit_code == 1
    assert "is in use by another collector" in refused.output
    used = Ledger(tmp_path, url)
    used.open()
    refused = copied(tmp_path, "--to", url)
    used.close()
    assert refused.exit_code == 1
    assert "a collector uses the ledger postgresql://" in refused.output
    assert copied(tmp_path, "--to", url).exit_code == 0


def test_a_copy_that_breaks_off_leaves_nothing(
    tmp_path: Path, url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Ledger(tmp_path)
    source.open()
    with source.write() as connection:
        fill(connection, tasks, 3)
    source.close()
    with monkeypatch.context() as broken:
        broken.setattr("forewarn_collector.tasks.copying._count", lambda *_: 0)
        refused = copied(tmp_path, "--to", url)
    assert "took 0 of 3 rows of" in refused.output
    assert copied(tmp_path, "--to", url).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say --to URL or --from URL"),
        (("--to", "postgresql://a/b", "--from", "postgresql://a/b"), "and not both"),
        (("--to", "mysql://a/b"), "expected a URL such as postgresql://"),
        (("--to", "postgresql://u:secret@a/b"), "use PGPASSFILE or PGPASSWORD"),
        (("--to", "postgresql://a/b"), "there is no "),
    ],
)
def test_what_cannot_be_copied_is_said(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    command = ["ledger", "copy", "--data", str(tmp_path), *arguments]
    refused = CliRunner().invoke(build(lambda: T0), command)
    assert refused.exit_code in (1, 2)
    assert said in refused.output
    assert "secret" not in refused.output
