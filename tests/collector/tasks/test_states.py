"""From state to state: what a person may do, what is refused and what is possible instead."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.tasks import (
    AuditLog,
    CloseReason,
    HoldKind,
    NoSuchTaskError,
    Outbox,
    RefusedError,
    Task,
    TaskCommands,
    TaskFilter,
    TaskQueries,
    TaskState,
    Terms,
    UnfitError,
)
from forewarn_collector.tasks.hold_rows import current_holds
from support.alerts import DAY, HOUR, MINUTE, T0, Desk, alert_of, change, rule_of

pytestmark = pytest.mark.usefixtures("each_database")

FIRING, INACTIVE = AlertState.FIRING, AlertState.INACTIVE
RULE = rule_of(group_by=("instance",))
ROOT = alert_of(RULE, {"instance": "a", "mountpoint": "/", "severity": "high"})
WORSE = alert_of(RULE, {"instance": "a", "mountpoint": "/", "severity": "critical"})
HOME = alert_of(RULE, {"instance": "a", "mountpoint": "/home", "severity": "high"})
AT = T0 + MINUTE
WONT_FIX = CloseReason.WONT_FIX


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    desk.apply(change(RULE, ROOT, FIRING))
    yield desk
    desk.close()


@pytest.fixture
def people(desk: Desk) -> TaskCommands:
    return TaskCommands(desk.ledger, desk.told.extend)


def one(desk: Desk, number: str = "FW-1") -> Task:
    return TaskQueries(desk.ledger).one(number)


def numbers(desk: Desk) -> list[str]:
    return sorted(task.number for task in TaskQueries(desk.ledger).list(TaskFilter()).tasks)


Command = Callable[[TaskCommands, str, int], Task]
COMMANDS: dict[str, Command] = {
    "acknowledge": lambda people, number, at: people.acknowledge(number, "ann", at),
    "start": lambda people, number, at: people.start(number, "ann", at),
    "wait": lambda people, number, at: people.wait(number, "ann", at + HOUR, at),
    "resolve": lambda people, number, at: people.resolve(number, "ann", at),
    "close": lambda people, number, at: people.close(number, "ann", CloseReason.FIXED, at),
    "reopen": lambda people, number, at: people.reopen(number, "ann", at),
}
# By hand, from the states: what each command leads to, and from where it is refused.
# "same": it was done already, and changes nothing.
TABLE = {
    ("open", "acknowledge"): "acknowledged",
    ("open", "start"): "in_progress",
    ("open", "wait"): "waiting",
    ("open", "resolve"): "resolved",
    ("open", "close"): "closed",
    ("open", "reopen"): "same",
    ("acknowledged", "acknowledge"): "same",
    ("acknowledged", "start"): "in_progress",
    ("acknowledged", "wait"): "waiting",
    ("acknowledged", "resolve"): "resolved",
    ("acknowledged", "close"): "closed",
    ("acknowledged", "reopen"): "same",
    ("in_progress", "acknowledge"): "refused",
    ("in_progress", "start"): "same",
    ("in_progress", "wait"): "waiting",
    ("in_progress", "resolve"): "resolved",
    ("in_progress", "close"): "closed",
    ("in_progress", "reopen"): "same",
    ("waiting", "acknowledge"): "refused",
    ("waiting", "start"): "in_progress",
    ("waiting", "wait"): "same",
    ("waiting", "resolve"): "resolved",
    ("waiting", "close"): "closed",
    ("waiting", "reopen"): "same",
    ("resolved", "acknowledge"): "refused",
    ("resolved", "start"): "refused",
    ("resolved", "wait"): "refused",
    ("resolved", "resolve"): "same",
    ("resolved", "close"): "closed",
    ("resolved", "reopen"): "open",
    ("closed", "acknowledge"): "refused",
    ("closed", "start"): "refused",
    ("closed", "wait"): "refused",
    ("closed", "resolve"): "same",
    ("closed", "close"): "same",
    ("closed", "reopen"): "open",
}
WAY_TO = {
    "open": [],
    "acknowledged": ["acknowledge"],
    "in_progress": ["start"],
    "waiting": ["wait"],
    "resolved": ["resolve"],
    "closed": ["close"],
}


def test_every_command_from_every_state_leads_where_it_should_or_is_refused_by_name(
    desk: Desk, people: TaskCommands
) -> None:
    assert set(TABLE) == set(itertools.product(WAY_TO, COMMANDS))
    for index, ((state, command), expected) in enumerate(TABLE.items(), 2):
        alert = alert_of(RULE, {"instance": f"{state}-{command}"})
        desk.apply(change(RULE, alert, FIRING, AT))
        number = f"FW-{index}"
        for step in WAY_TO[state]:
            COMMANDS[step](people, number, AT)
        before = one(desk, number)
        assert before.state == state
        if expected == "refused":
            with pytest.raises(RefusedError, match=f"{number} is .*possible are: "):
                COMMANDS[command](people, number, AT)
        else:
            COMMANDS[command](people, number, AT)
        after = one(desk, number)
        if expected in {"same", "refused"}:
            assert after == before, (state, command)
        else:
            assert after.state == expected, (state, command)
            assert after.timeline[-1].who == "ann"
            assert after.revision == before.revision + 1


def test_a_refusal_names_what_is_possible(desk: Desk, people: TaskCommands) -> None:
    people.close("FW-1", "ann", CloseReason.NO_ACTION, AT)
    with pytest.raises(RefusedError) as caught:
        people.start("FW-1", "ann", AT)
    assert str(caught.value) == "FW-1 is closed, start does not fit; possible are: reopen"


def test_who_starts_has_seen_it_and_has_it(desk: Desk, people: TaskCommands) -> None:
    task = people.start("FW-1", "ann", AT, "on the way")
    assert (task.assignee, task.acknowledged_by, task.acknowledged_at) == ("ann", "ann", AT)
    people.assign("FW-1", "ann", "bob", AT + 1, "knows the disks")
    task = people.start("FW-1", "ann", AT + 2)
    assert (task.state, task.assignee, task.assigned_at) == (TaskState.IN_PROGRESS, "bob", AT + 1)
    texts = [entry.text for entry in one(desk).timeline[-2:]]
    assert texts == ["ann works on it: on the way", "ann gave it to bob: knows the disks"]


def test_what_waits_is_open_again_when_its_time_is_over(desk: Desk, people: TaskCommands) -> None:
    people.wait("FW-1", "ann", AT + HOUR, AT, "a new disk")
    assert desk.tick(AT + HOUR - 1) == []
    (told,) = desk.tick(AT + HOUR + 5)
    assert (told.reason, told.task.state) == ("wait_over", TaskState.OPEN)
    task = one(desk)
    assert (task.waiting_until, task.acknowledged_at) == (None, None)
    assert task.timeline[-1].at == AT + HOUR
    with pytest.raises(UnfitError, match="is over"):
        people.wait("FW-1", "ann", AT, AT)


def test_an_alert_that_ends_resolves_a_task_that_waits(desk: Desk, people: TaskCommands) -> None:
    people.wait("FW-1", "ann", AT + HOUR, AT)
    desk.apply(change(RULE, ROOT, INACTIVE, AT + 1))
    task = one(desk)
    assert (task.state, task.waiting_until) == (TaskState.RESOLVED, None)


def test_what_was_closed_does_not_reopen_and_the_next_task_is_linked_both_ways(
    desk: Desk, people: TaskCommands
) -> None:
    desk.apply(change(RULE, ROOT, INACTIVE, AT))
    people.close("FW-1", "ann", CloseReason.FIXED, AT, "cleaned")
    desk.apply(change(RULE, ROOT, FIRING, AT + MINUTE))
    first, second = one(desk), one(desk, "FW-2")
    assert (first.state, second.state) == (TaskState.CLOSED, TaskState.OPEN)
    assert (second.previous, first.following) == (1, (2,))
    assert (second.to_json()["previous"], first.to_json()["next"]) == ("FW-1", ["FW-2"])
    assert first.timeline[-1].text == "The problem is back as FW-2."
    assert second.timeline[0].text == "FW-1 was the same problem (fixed)."


def test_a_problem_that_will_not_be_fixed_stays_muted_while_it_goes_on_and_a_time_after(
    desk: Desk, people: TaskCommands
) -> None:
    people.close("FW-1", "ann", WONT_FIX, AT, "old box", mute_for=DAY)
    # Another alert of the same problem, no worse: held, for how long is not known yet.
    assert desk.apply(change(RULE, HOME, FIRING, AT + MINUTE)) == []
    with desk.ledger.read() as connection:
        (held,) = current_holds(connection)
    assert (held.hold.kind, held.hold.ref, held.hold.until) == (HoldKind.MUTED, "FW-1", None)
    assert held.hold.text == "FW-1 was closed as won't fix by ann"
    # It ends; what is still there stays muted for a day from then.
    ended = AT + HOUR
    desk.apply(change(RULE, ROOT, INACTIVE, ended))
    assert one(desk).muted_until == ended + DAY
    assert desk.tick(ended + DAY - 1) == []
    (told,) = desk.tick(ended + DAY)
    assert (told.task.number, told.reason, told.task.previous) == ("FW-2", "new", 1)
    assert one(desk, "FW-2").held_since == AT + MINUTE


def test_a_muted_problem_that_gets_worse_opens_at_once(desk: Desk, people: TaskCommands) -> None:
    people.close("FW-1", "ann", WONT_FIX, AT)
    (told,) = desk.apply(change(RULE, WORSE, FIRING, AT + 1))
    assert (told.task.number, told.task.severity) == ("FW-2", "critical")


def test_a_muted_problem_that_a_person_reopens_takes_what_was_held(
    desk: Desk, people: TaskCommands
) -> None:
    people.close("FW-1", "ann", WONT_FIX, AT)
    desk.apply(change(RULE, HOME, FIRING, AT + 1))
    people.reopen("FW-1", "ann", AT + 2)
    desk.tick(AT + 3)
    task = one(desk)
    assert task.state is TaskState.OPEN
    assert [dict(member.labels)["mountpoint"] for member in task.members] == ["/", "/home"]
    assert numbers(desk) == ["FW-1"]


def test_what_is_a_duplicate_stays_quiet_while_the_other_stands(
    desk: Desk, people: TaskCommands
) -> None:
    other = alert_of(RULE, {"instance": "b", "severity": "high"})
    desk.apply(change(RULE, other, FIRING, AT))
    people.close("FW-2", "ann", CloseReason.DUPLICATE, AT, duplicate_of="FW-1")
    assert one(desk, "FW-2").timeline[-1].text == "Closed by ann, duplicate of FW-1."
    desk.apply(change(RULE, other, INACTIVE, AT + 1))
    assert desk.apply(change(RULE, other, FIRING, AT + 2)) == []
    assert desk.tick(AT + 3) == []
    desk.apply(change(RULE, ROOT, INACTIVE, AT + 4))
    (told,) = desk.tick(AT + 5)
    assert (told.task.number, told.task.previous) == ("FW-3", 2)


def test_a_duplicate_names_another_task_that_is_there(desk: Desk, people: TaskCommands) -> None:
    with pytest.raises(UnfitError, match="no duplicate of itself"):
        people.close("FW-1", "ann", CloseReason.DUPLICATE, AT, duplicate_of="1")
    with pytest.raises(UnfitError, match="say both, or neither"):
        people.close("FW-1", "ann", CloseReason.DUPLICATE, AT)
    with pytest.raises(NoSuchTaskError, match="FW-9"):
        people.close("FW-1", "ann", CloseReason.DUPLICATE, AT, duplicate_of="FW-9")


def test_a_task_is_not_reopened_beside_one_that_stands_for_the_same_problem(
    desk: Desk, people: TaskCommands
) -> None:
    desk.apply(change(RULE, ROOT, INACTIVE, AT))
    people.close("FW-1", "ann", CloseReason.FIXED, AT)
    desk.apply(change(RULE, ROOT, FIRING, AT + 1))
    with pytest.raises(RefusedError, match="FW-2 stands for the same problem"):
        people.reopen("FW-1", "ann", AT + 2)
    assert one(desk).state is TaskState.CLOSED


def test_a_task_that_a_person_reopens_stands_although_nothing_fires(
    desk: Desk, people: TaskCommands
) -> None:
    desk.apply(change(RULE, ROOT, INACTIVE, AT))
    people.reopen("FW-1", "ann", AT + 1, "it only looks mended")
    assert desk.tick(AT + 2) == []
    assert one(desk).state is TaskState.OPEN
    desk.apply(change(RULE, HOME, FIRING, AT + 3))
    desk.apply(change(RULE, HOME, INACTIVE, AT + 4))
    assert one(desk).state is TaskState.RESOLVED


def test_the_audit_log_has_who_did_what_to_what_and_why(desk: Desk, people: TaskCommands) -> None:
    operator = people.on(Terms(role="operator"))
    operator.acknowledge("FW-1", "ann", AT)
    operator.close("FW-1", "ann", CloseReason.NO_ACTION, AT + 1, "a test")
    found = [
        (each.at, each.who, each.role, each.action, each.reason, each.detail["text"])
        for each in reversed(AuditLog(desk.ledger).list(of="FW-1"))
    ]
    opened = '{instance="a", mountpoint="/", severity="high"} is firing, value 0.5.'
    assert found == [
        (T0, "rules", "collector", "opened", "new", opened),
        (AT, "ann", "operator", "acknowledged", "", "Acknowledged by ann."),
        (AT + 1, "ann", "operator", "closed", "no_action", "Closed by ann, no action: a test"),
    ]
    assert AuditLog(desk.ledger).list(who="ann", limit=1)[0].action == "closed"
    assert Outbox(desk.ledger).statuses(number_id=1)[0].action == "resolve"
