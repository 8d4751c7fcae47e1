"""A collector whose tasks are in PostgreSQL: started, looked at and stopped as any other."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import URL

from support.databases import DATABASES
from support.servers import running_collector


@pytest.mark.usefixtures("_databases")
def test_a_collector_keeps_its_tasks_in_the_database_that_it_is_given(
    tmp_path: Path,
) -> None:
    server = DATABASES.server()
    url: URL = server.schema("system").set(drivername="postgresql")
    shown = url.render_as_string(hide_password=False)
    with running_collector(tmp_path, "--ledger", shown) as collector:
        assert collector.get("/api/tasks").json()["total"] == 0
        assert "forewarn_objective_budget_left_ratio 1.0" in collector.get("/metrics").body.decode()
    tables = server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'system'")
    assert ("tasks",) in tables
    assert not list(tmp_path.rglob("ledger.db"))
