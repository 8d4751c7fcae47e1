"""What stands: the most urgent first, what is overdue, what nobody has, what there is to choose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.tasks import STANDING, TaskCommands, TaskFilter, TaskOrder, TaskQueries
from support.alerts import HOUR, MINUTE, T0, Desk, alert_of, change, rule_of

pytestmark = pytest.mark.usefixtures("each_database")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Tasks 1 to 6; 6 is resolved. What is due when follows from `due` of each rule."""
    desk = Desk(tmp_path)
    for name, severity, due, customer in (
        ("Late", "high", 2 * HOUR, "acme"),
        ("Later", "high", 3 * HOUR, "bravo"),
        ("Worst", "critical", 9 * HOUR, "acme"),
        ("Slight", "low", HOUR, "acme"),
        ("Strange", "odd", MINUTE, ""),
        ("Over", "critical", MINUTE, "acme"),
    ):
        rule = rule_of(name, due=due)
        labels = {"instance": f"{name.lower()}-1", "severity": severity, "customer": customer}
        given = {label: value for label, value in labels.items() if value}
        desk.apply(change(rule, alert_of(rule, given), AlertState.FIRING))
    commands = TaskCommands(desk.ledger, desk.told.extend)
    commands.resolve("FW-6", "ann", T0)
    commands.assign("FW-2", "ann", "bob", T0)
    yield desk
    desk.close()


def names(desk: Desk, wanted: TaskFilter, customer: str = "") -> list[str]:
    queries = TaskQueries(desk.ledger).of(customer)
    return [task.rule_name for task in queries.list(wanted, order=TaskOrder.URGENT).tasks]


def test_the_worst_come_first_of_these_what_is_due_first_and_last_what_is_over(desk: Desk) -> None:
    order = ["Worst", "Late", "Later", "Slight", "Strange", "Over"]
    assert names(desk, TaskFilter()) == order
    pages, cursor = [], ""
    while True:
        page = TaskQueries(desk.ledger).list(
            TaskFilter(), limit=2, order=TaskOrder.URGENT, cursor=cursor
        )
        pages += [task.rule_name for task in page.tasks]
        cursor = page.next
        if not cursor:
            break
    assert pages == order


def test_what_is_overdue_and_what_nobody_has_is_found(desk: Desk) -> None:
    due = TaskQueries(desk.ledger).one("FW-1").due_at
    assert due is not None
    # At that time two are overdue that stand: the one of low severity, and the strange one.
    overdue = TaskFilter(states=STANDING, due_before=due)
    assert names(desk, overdue) == ["Slight", "Strange"]
    assert "Later" not in names(desk, TaskFilter(unassigned=True))
    assert len(names(desk, TaskFilter(unassigned=True))) == 5


def test_there_is_to_choose_what_stands_of_ones_own_customer(desk: Desk) -> None:
    standing = TaskQueries(desk.ledger).standing()
    assert standing.total == 5
    assert standing.values("severity") == ["critical", "high", "low", "odd"]
    assert standing.counts["severity"]["high"] == 2
    assert standing.values("customer") == ["acme", "bravo"]
    assert standing.values("assignee") == ["bob"]
    assert standing.hosts == ("late-1", "later-1", "slight-1", "strange-1", "worst-1")
    own = TaskQueries(desk.ledger).of("bravo").standing()
    assert (own.total, own.hosts, own.values("customer")) == (1, ("later-1",), ["bravo"])
