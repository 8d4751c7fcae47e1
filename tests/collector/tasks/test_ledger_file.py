"""The ledger as a file in the data directory."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from forewarn_collector.tasks.errors import LedgerError
from forewarn_collector.tasks.ledger import Ledger
from support.alerts import Desk


def test_the_ledger_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    files = sorted(desk.ledger.path.parent.glob("ledger.db*"))
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    desk.close()


def test_a_data_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"nowhere/ledger\.db can't be opened"):
        Ledger(tmp_path / "nowhere").open()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"no database " * 100)
    with pytest.raises(LedgerError, match="not a database"):
        Ledger(tmp_path).open()
