"""What came after an alert fired is added to its task, once, whatever crashes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from forewarn_collector.promql import compile_query
from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.tasks import Outbox, TaskCommands, TaskQueries
from forewarn_collector.tasks.evidence import StoreEvidence
from forewarn_collector.tasks.evidence_values import AFTER
from support.alerts import HOUR, MINUTE, T0, Desk, alert_of, change
from support.memory_source import MemorySource

RULE = AlertingRule("g/Hot", "Hot", "g", "r.yml", 1, "x > 5", compile_query("x > 5"))
HOT = change(RULE, alert_of(RULE, {"instance": "a"}), AlertState.FIRING, T0)


def samples() -> MemorySource:
    source = MemorySource()
    source.every('x{instance="a"}', MINUTE, T0 - HOUR, T0 + HOUR, 9)
    return source


def desk_in(folder: Path, member: str = "") -> Desk:
    return Desk(folder, member=member, evidence=StoreEvidence(samples(), lambda *_: []))


@pytest.fixture
def desk(tmp_path: Path, each_database: str) -> Iterator[Desk]:
    desk = desk_in(tmp_path)
    yield desk
    desk.close()


def evidence_of(desk: Desk) -> list[dict[str, Any]]:
    return [dict(each) for each in TaskQueries(desk.ledger).one("FW-1").evidence]


def test_a_follow_up_comes_when_it_is_due_and_once(desk: Desk) -> None:
    desk.apply(HOT)
    desk.tick(T0 + AFTER - 1)
    assert len(evidence_of(desk)) == 1
    told = desk.tick(T0 + AFTER)
    desk.tick(T0 + 2 * AFTER)
    before, after = evidence_of(desk)
    assert after["follows"] == before["gathered_at"] == T0
    assert after["values"]["samples"][-1] == [T0 + AFTER, "9"]
    # Nobody is told of it for its own sake.
    assert told == []


def test_the_next_delivery_carries_the_follow_up_and_no_later_one_does(desk: Desk) -> None:
    outbox = Outbox(desk.ledger)

    def delivered() -> list[tuple[str, list[Any]]]:
        found = []
        while due := outbox.due_deliveries("support", T0 + HOUR, 1):
            (each,) = due
            carried = [document.get("follows") for document in each.task.evidence]
            found.append((each.action.value, carried))
            outbox.delivered(each.id, None, T0 + HOUR)
        return found

    desk.apply(HOT)
    assert delivered() == [("open", [None])]
    desk.tick(T0 + AFTER)
    assert delivered() == []
    people = TaskCommands(desk.ledger, desk.told.extend)
    people.comment("FW-1", "ann", "it is cold", T0 + HOUR)
    people.resolve("FW-1", "ann", T0 + HOUR)
    assert delivered() == [("update", [T0]), ("resolve", [])]


def test_each_crash_on_the_way_leaves_one_follow_up(desk: Desk) -> None:
    desk.apply(HOT)
    left = 0

    def burn(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise InterruptedError

    for name in ("before_cursor_execute", "commit"):
        event.listen(desk.ledger.engine, name, burn)
    crashes = 0
    for left in range(1, 100):  # noqa: B007 - burn counts it down
        try:
            desk.tick(T0 + AFTER)
            break
        except InterruptedError:
            crashes += 1
            desk.restart()
    left = 0
    assert crashes > 3
    assert len(evidence_of(desk)) == 2


def test_a_collector_that_is_killed_before_it_is_due_adds_it_later(
    tmp_path: Path, each_database: str
) -> None:
    child = os.fork()
    if child == 0:
        desk_in(tmp_path).apply(HOT)
        os.kill(os.getpid(), signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    desk = desk_in(tmp_path)
    assert len(evidence_of(desk)) == 1
    desk.tick(T0 + HOUR)
    desk.tick(T0 + HOUR + 1)
    assert [each.get("follows") for each in evidence_of(desk)] == [None, T0]
    desk.close()


def test_of_collectors_that_share_a_ledger_the_one_with_the_samples_adds_it(
    tmp_path: Path, each_database: str
) -> None:
    one, two = desk_in(tmp_path, "one"), desk_in(tmp_path, "two")
    one.apply(HOT)
    two.tick(T0 + AFTER)
    assert len(evidence_of(one)) == 1
    one.tick(T0 + AFTER)
    assert len(evidence_of(one)) == 2
    one.close()
    two.close()
