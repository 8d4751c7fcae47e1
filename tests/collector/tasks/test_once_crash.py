"""kill -9 at every statement of commands with a key: given again, each does its work once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Column, ColumnElement, select

from forewarn_collector.tasks.ledger import Ledger
from forewarn_collector.tasks.schema import audit, deliveries, timeline
from forewarn_collector.tasks.schema_all import silences
from support.databases import DATABASES
from support.dying import driver_of

DRIVER = Path(__file__).with_name("once_driver.py")


def test_a_command_whose_answer_was_lost_is_carried_out_once_wherever_the_collector_dies(
    tmp_path: Path, each_database: str
) -> None:
    with driver_of(DRIVER) as work:
        steps, repeated = map(int, work.live(tmp_path, "whole", 0).split()[1:])
        assert repeated == 0
        known: list[int] = []
        every = 1 if each_database == "sqlite" else 2
        fatal = [*range(1, steps + 1, every), "answered"]
        for step in fatal:
            assert work.live(tmp_path, f"key-{step}", step) == "killed"
            known.append(int(work.live(tmp_path, f"key-{step}", 0).split()[2]))
    # Some died before the first command was written, the others before the second one was.
    assert known[:-1] == sorted(known[:-1])
    assert (known[0], known[-2], known[-1]) == (0, 1, 1)
    keys = ["whole", *(f"key-{step}" for step in fatal)]
    ledger = Ledger(tmp_path, DATABASES.url(tmp_path))
    ledger.open()
    with ledger.read() as connection:

        def found(column: Column[Any], *of: ColumnElement[bool]) -> list[Any]:
            return sorted(connection.execute(select(column).where(*of)).scalars())

        assert found(timeline.c.text, timeline.c.who == "ann") == sorted(keys)
        assert found(deliveries.c.text, deliveries.c.action != "open") == sorted(
            f"ann: {key}" for key in keys
        )
        assert found(silences.c.comment) == sorted(keys)
        assert found(audit.c.action, audit.c.who == "ann") == sorted(
            ["comment", "silence created"] * len(keys)
        )
    ledger.close()
