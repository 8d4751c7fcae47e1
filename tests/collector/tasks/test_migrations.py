"""A ledger of every version that there was goes on with all that it had, on each database.

`ledgers/` has what the collectors of those versions wrote, as SQL.
"""

from __future__ import annotations

import json
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, select, text

from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.tasks import (
    CloseReason,
    Ledger,
    LedgerError,
    Outbox,
    TaskCommands,
    TaskFilter,
    TaskQueries,
    TaskState,
)
from forewarn_collector.tasks.migrations import upgrade
from forewarn_collector.tasks.schema import SCHEMA_VERSION, audit, facts
from forewarn_collector.tasks.schema_all import metadata
from support.alerts import HOUR, MINUTE, T0, Desk, alert_of, change, rule_of
from support.databases import DATABASES

OLD = Path(__file__).parent / "ledgers"
VERSIONS = [str(version) for version in range(1, SCHEMA_VERSION)]


def old_ledger(folder: Path, version: str) -> None:
    """A data directory with the file that a collector of that version left."""
    with closing(sqlite3.connect(folder / "ledger.db")) as connection:
        connection.executescript((OLD / f"version_{version}.sql").read_text())


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_ledger_of_an_old_version_goes_on_with_its_tasks(tmp_path: Path, version: str) -> None:
    old_ledger(tmp_path, version)
    desk = Desk(tmp_path)
    queries = TaskQueries(desk.ledger)
    found = {task.number: task for task in queries.list(TaskFilter()).tasks}
    assert {number: task.state for number, task in found.items()} == {
        "FW-1": TaskState.ACKNOWLEDGED,
        "FW-2": TaskState.RESOLVED,
        "FW-3": TaskState.OPEN,
    }
    first = queries.one("FW-1")
    assert (first.customer, first.acknowledged_by, first.delivered_at) == (
        "acme",
        "ann",
        T0 + 3 * MINUTE,
    )
    assert first.input_missing_since == T0 + 3 * MINUTE
    assert (first.assignee, first.origin, first.flap_count) == ("", "rule", 0)
    assert [entry.kind.value for entry in first.timeline] == [
        "opened",
        "acknowledged",
        "comment",
        "input_missing",
        "delivered",
    ]
    states = {stored.alert.state for stored in desk.ledger.load_alerts()}
    assert states == {AlertState.UNKNOWN, AlertState.FIRING}
    # What was owed to the queue still is, in words that were written then.
    owed = Outbox(desk.ledger).due_deliveries("support", T0 + HOUR, 9)
    assert [(each.task.number, each.action.value) for each in owed] == [
        ("FW-2", "open"),
        ("FW-1", "update"),
        ("FW-3", "open"),
    ]
    assert owed[1].external_ref == "T-1"
    # And all goes on from there.
    rule = rule_of()
    back = alert_of(rule, {"instance": "b"})
    (told,) = desk.apply(change(rule, back, AlertState.FIRING, T0 + HOUR))
    assert (told.task.number, told.reason) == ("FW-2", "reopened")
    commands = TaskCommands(desk.ledger, desk.told.extend)
    commands.close("FW-3", "ann", CloseReason.NO_ACTION, T0 + HOUR)
    assert queries.one("FW-3").state is TaskState.CLOSED
    desk.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_an_upgraded_ledger_has_the_tables_that_a_new_one_has(tmp_path: Path, version: str) -> None:
    old_ledger(tmp_path, version)
    ledger = Ledger(tmp_path)
    ledger.open()
    with ledger.write() as connection:
        assert differences(connection) == []
        upgraded = connection.execute(select(facts.c.value)).scalars().all()
    assert str(SCHEMA_VERSION) in upgraded
    ledger.close()


def test_the_revisions_from_the_first_on_make_the_tables_of_a_new_ledger(
    tmp_path: Path, each_database: str
) -> None:
    ledger = Ledger(tmp_path, DATABASES.url(tmp_path))
    ledger.open()
    with ledger.write() as connection:
        assert differences(connection) == []
        metadata.drop_all(connection)
        connection.execute(text("DROP TABLE alembic_version"))
        upgrade(connection, "")
        assert differences(connection) == []
        add_audit_row(connection)
    refuses_changes_of_the_audit_log(ledger)
    ledger.close()


def add_audit_row(connection: Connection) -> None:
    row = {"at": T0, "who": "ann", "role": "", "action": "say", "object": "FW-1", "reason": ""}
    connection.execute(audit.insert().values(**row, detail={}))


def refuses_changes_of_the_audit_log(ledger: Ledger) -> None:
    for statement in ("UPDATE audit SET who = 'nobody'", "DELETE FROM audit"):
        with (
            pytest.raises(LedgerError, match="the audit log only grows"),
            ledger.write() as connection,
        ):
            connection.execute(text(statement))


def test_the_audit_log_of_a_new_ledger_only_grows(tmp_path: Path, each_database: str) -> None:
    desk = Desk(tmp_path)
    rule = rule_of()
    desk.apply(change(rule, alert_of(rule, {"instance": "a"}), AlertState.FIRING))
    refuses_changes_of_the_audit_log(desk.ledger)
    with desk.ledger.read() as connection:
        rows = connection.execute(select(audit.c.who, audit.c.action, audit.c.object)).all()
    assert [tuple(row) for row in rows] == [("rules", "opened", "FW-1")]
    desk.close()


def test_the_file_is_kept_as_it_was_before_a_migration(tmp_path: Path) -> None:
    old_ledger(tmp_path, "1")
    before = (tmp_path / "ledger.db").read_bytes()
    ledger = Ledger(tmp_path)
    ledger.open()
    ledger.close()
    aside = tmp_path / "ledger.db.version-1"
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    with closing(sqlite3.connect(aside)) as connection:
        version = "SELECT value FROM facts WHERE name = 'schema_version'"
        assert connection.execute(version).fetchone() == ("1",)
    with closing(sqlite3.connect(":memory:")) as memory:
        memory.deserialize(before)
        with closing(sqlite3.connect(aside)) as kept:
            assert list(kept.iterdump()) == list(memory.iterdump())


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    old_ledger(tmp_path, "2")
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        connection.executescript("CREATE TABLE holds (what TEXT)")
        before = list(connection.iterdump())
    for _ in range(2):
        with pytest.raises(LedgerError, match="table holds already exists"):
            Ledger(tmp_path).open()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        assert list(connection.iterdump()) == before


def test_a_ledger_of_a_newer_version_is_refused_with_a_remedy(
    tmp_path: Path, each_database: str
) -> None:
    desk = Desk(tmp_path)
    with desk.ledger.write() as connection:
        connection.execute(text("UPDATE facts SET value = '99' WHERE name = 'schema_version'"))
    desk.close()
    with pytest.raises(LedgerError, match=r"schema version 99.*restore a backup") as caught:
        Desk(tmp_path)
    assert not caught.value.retryable


def test_old_deliveries_tell_of_a_task_without_what_came_later() -> None:
    for version in ("1", "2"):
        script = (OLD / f"version_{version}.sql").read_text()
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.executescript(script)
            for (snapshot,) in connection.execute("SELECT snapshot FROM deliveries"):
                assert "assignee" not in json.loads(snapshot)
