"""A lost host gives one task, under which the others of that host are held; and quiet tasks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.tasks import LostHosts, Task, TaskCommands, TaskQueries, TaskState
from support.alerts import HOUR, MINUTE, T0, Desk, alert_of, change, rule_of
from support.gates import Silence

FIRING, INACTIVE, UNKNOWN = AlertState.FIRING, AlertState.INACTIVE, AlertState.UNKNOWN
LOST = rule_of("HostLost")
DISK = rule_of("DiskFull")
PROBE = rule_of("ProbeFailed", group_by=("instance",))
A_LOST = alert_of(LOST, {"instance": "a", "severity": "critical"})
A_DISK = alert_of(DISK, {"instance": "a", "mountpoint": "/"})
A_PROBE = alert_of(PROBE, {"instance": "a", "port": "443"})
B_DISK = alert_of(DISK, {"instance": "b", "mountpoint": "/"})


@pytest.fixture
def desk(tmp_path: Path, each_database: str) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    desk.gates.append(LostHosts())
    yield desk
    desk.close()


def one(desk: Desk, number: str) -> Task:
    return TaskQueries(desk.ledger).one(number)


def test_tasks_of_a_lost_host_go_under_its_own_and_what_fires_then_opens_none(
    desk: Desk,
) -> None:
    desk.apply(change(DISK, A_DISK, FIRING), change(DISK, B_DISK, FIRING))
    (told,) = desk.apply(change(LOST, A_LOST, FIRING, T0 + MINUTE))
    assert told.task.number == "FW-3"
    # In the same second, before any tick, and with data that stops later.
    assert desk.apply(change(PROBE, A_PROBE, FIRING, T0 + MINUTE)) == []
    desk.apply(change(DISK, A_DISK, UNKNOWN, T0 + 5 * MINUTE))
    assert desk.tick(T0 + 5 * MINUTE) == []
    first = one(desk, "FW-1")
    assert (first.parent, first.to_json()["parent"], first.is_quiet) == (3, "FW-3", True)
    assert first.state is TaskState.OPEN
    assert first.timeline[-1].text == "Held under FW-3: the host a is lost."
    assert one(desk, "FW-2").parent is None
    # Again and again nothing new.
    before = one(desk, "FW-1")
    assert desk.tick(T0 + 6 * MINUTE) == []
    assert one(desk, "FW-1") == before


def test_when_the_host_is_back_they_stand_by_what_the_rules_say(desk: Desk) -> None:
    desk.apply(change(DISK, A_DISK, FIRING))
    desk.apply(change(LOST, A_LOST, FIRING, T0 + MINUTE), change(PROBE, A_PROBE, FIRING, T0 + 1))
    desk.tick(T0 + 2 * MINUTE)
    # The host is back in the round in which the probe fires still: its task opens with that.
    told = desk.apply(change(LOST, A_LOST, INACTIVE, T0 + HOUR))
    assert [(each.task.number, each.reason) for each in told] == [
        ("FW-2", "alert_ended"),
        ("FW-3", "new"),
    ]
    assert desk.tick(T0 + HOUR + 1) == []
    assert (one(desk, "FW-1").parent, one(desk, "FW-1").state) == (None, TaskState.OPEN)
    assert one(desk, "FW-1").timeline[-1].text == "No longer held under FW-2."
    opened = one(desk, "FW-3")
    assert opened.timeline[0].text == (
        '{instance="a", port="443"} was held for 59 min: the host a is lost.'
    )


def test_a_host_of_another_customer_is_another_host(desk: Desk) -> None:
    lost = alert_of(LOST, {"instance": "a", "customer": "acme"})
    other = alert_of(DISK, {"instance": "a", "customer": "bolt"})
    told = desk.apply(change(LOST, lost, FIRING), change(DISK, other, FIRING))
    assert [each.task.customer for each in told] == ["acme", "bolt"]


def test_a_task_whose_alerts_are_all_silenced_is_quiet_until_one_is_not(desk: Desk) -> None:
    desk.apply(change(PROBE, A_PROBE, FIRING))
    desk.gates.append(Silence("a", T0 + HOUR))
    assert desk.tick(T0 + MINUTE) == []
    task = one(desk, "FW-1")
    assert (task.quiet_since, task.quiet_by) == (T0 + MINUTE, "silence s1")
    # Worse, and silenced: held, so that the task does not escalate.
    worse = alert_of(PROBE, {"instance": "a", "port": "443", "severity": "critical"})
    assert desk.apply(change(PROBE, worse, FIRING, T0 + 2 * MINUTE)) == []
    # A person is heard all the same.
    TaskCommands(desk.ledger, desk.told.extend).comment("FW-1", "ann", "hm", T0 + 3 * MINUTE)
    assert desk.told[-1].reason == "comment"
    (told,) = desk.tick(T0 + HOUR)
    assert (told.reason, told.task.severity) == ("severity", "critical")
    task = one(desk, "FW-1")
    assert (task.quiet_since, task.quiet_by) == (None, "")
    assert "It was quiet for 59 min." in [entry.text for entry in task.timeline]


def test_a_quiet_task_tells_its_end(desk: Desk) -> None:
    desk.apply(change(PROBE, A_PROBE, FIRING))
    desk.gates.append(Silence("a", T0 + HOUR))
    desk.tick(T0 + MINUTE)
    (told,) = desk.apply(change(PROBE, A_PROBE, INACTIVE, T0 + 2 * MINUTE))
    assert (told.action.value, told.reason) == ("resolve", "alert_ended")
    assert one(desk, "FW-1").quiet_since is None
