"""What a task says of earlier ones of its kind, and of what resolved them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.tasks import CloseReason, TaskCommands, TaskQueries
from support.alerts import DAY, HOUR, MINUTE, T0, Desk, alert_of, change, rule_of

DISK = rule_of("DiskFull", reopen_within=MINUTE)
OTHER = rule_of("Other", reopen_within=MINUTE)


@pytest.fixture
def desk(tmp_path: Path, each_database: str) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def comes(desk: Desk, at: int, lasts: int, rule: AlertingRule = DISK, **labels: str) -> None:
    """An alert that fires and ends."""
    alert = alert_of(rule, labels, onset=at)
    desk.apply(change(rule, alert, AlertState.FIRING, at))
    if lasts:
        desk.apply(change(rule, alert, AlertState.INACTIVE, at + lasts))


def earlier(desk: Desk, number: str) -> list[dict[str, Any]]:
    (document,) = TaskQueries(desk.ledger).one(number).evidence
    return list(document.get("earlier", []))


def test_the_same_problem_comes_first_with_what_ended_it(desk: Desk) -> None:
    people = TaskCommands(desk.ledger, desk.told.extend)
    comes(desk, T0, HOUR, instance="a", mountpoint="/")
    comes(desk, T0 + DAY, 0, instance="a", mountpoint="/")
    people.comment("FW-2", "bob", "looking", T0 + DAY + 1)
    people.comment("FW-2", "ann", "the journal grew", T0 + DAY + 2)
    people.close("FW-2", "ann", CloseReason.FIXED, T0 + DAY + HOUR, "vacuumed")
    ended = change(DISK, alert_of(DISK, {"instance": "a", "mountpoint": "/"}), AlertState.INACTIVE)
    desk.apply(ended)
    comes(desk, T0 + DAY, MINUTE, instance="a", mountpoint="/home")
    # Of other hosts, other rules, other customers.
    comes(desk, T0 + DAY, MINUTE, instance="b", mountpoint="/")
    comes(desk, T0 + DAY, MINUTE, OTHER, instance="a", mountpoint="/")
    comes(desk, T0 + DAY, MINUTE, instance="a", mountpoint="/", customer="rival")
    comes(desk, T0 + 9 * DAY, 0, instance="a", mountpoint="/")
    assert earlier(desk, "FW-7") == [
        {
            "number": "FW-2",
            "same": "problem",
            "onset_at": T0 + DAY,
            "ended_at": T0 + DAY + HOUR,
            "reason": "fixed",
            "by": "ann",
            "text": "Closed by ann, fixed: vacuumed",
            "comment": "ann: the journal grew",
        },
        {
            "number": "FW-1",
            "same": "problem",
            "onset_at": T0,
            "ended_at": T0 + HOUR,
            "reason": "alert_ended",
            "by": "",
            "text": "The alert ended.",
            "comment": "",
        },
        {
            "number": "FW-3",
            "same": "rule",
            "onset_at": T0 + DAY,
            "ended_at": T0 + DAY + MINUTE,
            "reason": "alert_ended",
            "by": "",
            "text": "The alert ended.",
            "comment": "",
        },
    ]


def test_a_first_problem_has_none_and_a_frequent_one_a_few(desk: Desk) -> None:
    for day in range(9):
        comes(desk, T0 + day * DAY, HOUR, instance="a")
    assert earlier(desk, "FW-1") == []
    assert [each["number"] for each in earlier(desk, "FW-9")] == ["FW-8", "FW-7", "FW-6", "FW-5"]


def test_a_task_that_reopens_is_not_its_own_precursor(desk: Desk) -> None:
    comes(desk, T0, HOUR, instance="a")
    comes(desk, T0 + HOUR + 1, HOUR, instance="a")
    documents = TaskQueries(desk.ledger).one("FW-1").evidence
    assert len(documents) == 2
    assert not any("earlier" in document for document in documents)
