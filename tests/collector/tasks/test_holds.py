"""Alerts that something holds: not lost, and never a task while it does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.tasks.gates import HoldKind
from forewarn_collector.tasks.hold_rows import current_holds
from forewarn_collector.tasks.queries import TaskFilter, TaskQueries
from forewarn_collector.tasks.words import TaskState, TimelineKind
from support.alerts import HOUR, MINUTE, T0, Desk, alert_of, change, rule_of
from support.gates import Silence

pytestmark = pytest.mark.usefixtures("each_database")

FIRING, INACTIVE, UNKNOWN = AlertState.FIRING, AlertState.INACTIVE, AlertState.UNKNOWN
RULE = rule_of()
ON_A = alert_of(RULE, {"instance": "a"})
ON_B = alert_of(RULE, {"instance": "b"})


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def test_a_held_alert_opens_no_task_until_its_hold_ends_and_the_task_says_what_held_it(
    desk: Desk,
) -> None:
    desk.gates.append(Silence("a", T0 + HOUR))
    assert len(desk.apply(change(RULE, ON_A, FIRING), change(RULE, ON_B, FIRING))) == 1
    with desk.ledger.read() as connection:
        (held,) = current_holds(connection)
    assert (held.hold.kind, held.hold.ref, held.since) == (HoldKind.SILENCE, "s1", T0)
    assert desk.tick(T0 + HOUR - 1) == []
    (told,) = desk.tick(T0 + HOUR)
    assert (told.reason, dict(told.task.labels)["instance"]) == ("new", "a")
    task = TaskQueries(desk.ledger).one("FW-2")
    assert (task.onset_at, task.opened_at, task.held_since) == (T0 - 500, T0 + HOUR, T0)
    assert [(entry.kind, entry.text) for entry in task.timeline] == [
        (TimelineKind.HELD, '{instance="a"} was held for 1 h: silenced by ann: upgrade.'),
        (TimelineKind.OPENED, '{instance="a"} is firing, value 0.5.'),
    ]
    assert desk.tick(T0 + 2 * HOUR) == []


def test_what_ends_while_it_is_held_opens_nothing(desk: Desk) -> None:
    desk.gates.append(Silence("a", T0 + HOUR))
    desk.apply(change(RULE, ON_A, FIRING))
    desk.apply(change(RULE, ON_A, INACTIVE, T0 + MINUTE))
    assert desk.tick(T0 + 2 * HOUR) == []
    assert TaskQueries(desk.ledger).list(TaskFilter()).total == 0


def test_a_collector_that_starts_anew_releases_what_was_held_before(
    desk: Desk, tmp_path: Path
) -> None:
    desk.gates.append(Silence("a", T0 + HOUR))
    desk.apply(change(RULE, ON_A, FIRING))
    desk.close()
    again = Desk(tmp_path)
    again.rules[RULE.key] = RULE
    (told,) = again.tick(T0 + HOUR)
    assert told.task.state is TaskState.OPEN
    again.close()


def test_another_hold_takes_over_and_the_timeline_names_both(desk: Desk) -> None:
    desk.gates += [
        Silence("a", T0 + MINUTE),
        Silence("a", T0 + HOUR, HoldKind.WINDOW),
    ]
    desk.apply(change(RULE, ON_A, FIRING))
    assert desk.tick(T0 + MINUTE) == []
    (told,) = desk.tick(T0 + HOUR)
    texts = [entry.reason for entry in TaskQueries(desk.ledger).one(told.task.number).timeline]
    assert texts == ["silence s1", "window s1", "new"]


def test_an_alert_that_is_unknown_when_its_hold_ends_opens_when_it_is_known_to_fire(
    desk: Desk,
) -> None:
    desk.gates.append(Silence("a", T0 + HOUR))
    desk.apply(change(RULE, ON_A, FIRING))
    desk.apply(change(RULE, ON_A, UNKNOWN, T0 + MINUTE))
    assert desk.tick(T0 + HOUR) == []
    (told,) = desk.apply(change(RULE, ON_A, FIRING, T0 + 2 * HOUR))
    assert told.reason == "new"
