"""What people do to tasks, and how they find them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.tasks import (
    NoSuchTaskError,
    Outbox,
    RefusedError,
    TaskChange,
    TaskCommands,
    TaskCount,
    TaskFilter,
    TaskQueries,
    TaskState,
    TimelineKind,
)
from forewarn_collector.tasks.model import id_of
from support.alerts import MINUTE, T0, Desk, alert_of, change, rule_of

pytestmark = pytest.mark.usefixtures("each_database")

RULE = rule_of()
AT = T0 + MINUTE


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


@pytest.fixture
def commands(desk: Desk) -> TaskCommands:
    return TaskCommands(desk.ledger, desk.told.extend)


def fire(desk: Desk, *, rule: str = "DiskFull", queue: str | None = None, **labels: str) -> None:
    made = rule_of(rule, queue=queue)
    alert = alert_of(made, labels, annotations={"summary": f"{rule} 100% on {labels}"})
    desk.apply(change(made, alert, AlertState.FIRING))


def test_an_acknowledgement_names_the_person_and_tells_the_queue(
    desk: Desk, commands: TaskCommands
) -> None:
    fire(desk, instance="a")
    task = commands.acknowledge("fw-1", "ann", AT)
    assert (task.state, task.acknowledged_by, task.acknowledged_at) == (
        TaskState.ACKNOWLEDGED,
        "ann",
        AT,
    )
    assert TaskQueries(desk.ledger).one("1").timeline[-1].who == "ann"
    told: TaskChange = desk.told[-1]
    assert (told.action, told.reason, told.opened) == ("update", "acknowledged", False)


def test_commands_given_twice_are_harmless(desk: Desk, commands: TaskCommands) -> None:
    fire(desk, instance="a")
    first = commands.acknowledge("FW-1", "ann", AT)
    assert commands.acknowledge("FW-1", "bob", AT + 1) == first
    first = commands.resolve("FW-1", "ann", AT, "cleaned")
    assert commands.resolve("FW-1", "bob", AT + 1) == first
    assert [status.revision for status in Outbox(desk.ledger).statuses()] == [3, 2, 1]


def test_a_comment_stands_in_the_timeline_and_goes_to_the_queue(
    desk: Desk, commands: TaskCommands
) -> None:
    fire(desk, instance="a")
    commands.comment("FW-1", "ann", "  see\nthe log ", AT)
    entry = TaskQueries(desk.ledger).one("FW-1").timeline[-1]
    assert (entry.kind, entry.who, entry.text) == (TimelineKind.COMMENT, "ann", "see\nthe log")
    (delivery,) = Outbox(desk.ledger).due_deliveries("support", AT, 10)
    assert delivery.action == "open"
    Outbox(desk.ledger).delivered(delivery.id, None, AT)
    (delivery,) = Outbox(desk.ledger).due_deliveries("support", AT, 10)
    assert (delivery.action, delivery.text) == ("update", "ann: see\nthe log")


def test_what_does_not_fit_is_refused(desk: Desk, commands: TaskCommands) -> None:
    fire(desk, instance="a")
    with pytest.raises(RefusedError, match="needs a text"):
        commands.comment("FW-1", "ann", " \n", AT)
    with pytest.raises(RefusedError, match="10000 is the most"):
        commands.comment("FW-1", "ann", "x" * 10_001, AT)
    commands.resolve("FW-1", "ann", AT)
    with pytest.raises(RefusedError, match="FW-1 is resolved"):
        commands.acknowledge("FW-1", "ann", AT)
    # A remark on a resolved task is still a remark.
    assert commands.comment("FW-1", "ann", "it was the cache", AT).state is TaskState.RESOLVED


@pytest.mark.parametrize("number", ["FW-2", "FW-0", "", "FW", "17x", "-1", "9" * 40, "' OR 1=1"])
def test_a_task_that_is_not_there_is_named(desk: Desk, commands: TaskCommands, number: str) -> None:
    fire(desk, instance="a")
    for ask in (
        lambda: commands.acknowledge(number, "ann", AT),
        lambda: commands.comment(number, "ann", "x", AT),
        lambda: commands.resolve(number, "ann", AT),
        lambda: TaskQueries(desk.ledger).one(number),
    ):
        with pytest.raises(NoSuchTaskError, match="there is no task"):
            ask()


def test_a_number_is_read_in_any_writing() -> None:
    assert [id_of(text) for text in ("FW-17", "fw-17", "17", " FW-17 ")] == [17] * 4
    assert [id_of(text) for text in ("FW17", "0", "FW--1", "FW-1e3", "")] == [None] * 5


@pytest.fixture
def many(desk: Desk, commands: TaskCommands) -> TaskQueries:
    fire(desk, instance="a", severity="high", customer="acme")
    fire(desk, instance="b", severity="low", customer="globex", queue="dba")
    fire(desk, instance="a", severity="low", rule="ServiceDown")
    commands.resolve("FW-1", "ann", AT)
    commands.acknowledge("FW-2", "ann", AT)
    return TaskQueries(desk.ledger)


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (TaskFilter(), ["FW-3", "FW-2", "FW-1"]),
        (TaskFilter(states=(TaskState.OPEN, TaskState.ACKNOWLEDGED)), ["FW-3", "FW-2"]),
        (TaskFilter(states=(TaskState.RESOLVED,)), ["FW-1"]),
        (TaskFilter(severity="low"), ["FW-3", "FW-2"]),
        (TaskFilter(customer="acme"), ["FW-1"]),
        (TaskFilter(instance="a"), ["FW-3", "FW-1"]),
        (TaskFilter(rule="ServiceDown"), ["FW-3"]),
        (TaskFilter(rule="storage/DiskFull"), ["FW-2", "FW-1"]),
        (TaskFilter(queue="dba"), ["FW-2"]),
        (TaskFilter(text="SERVICEdown"), ["FW-3"]),
        (TaskFilter(text="100%"), ["FW-3", "FW-2", "FW-1"]),
        (TaskFilter(text="1_0%"), []),
        (TaskFilter(text="fw-2"), ["FW-2"]),
        (TaskFilter(text="' OR 1=1 --"), []),
        (TaskFilter(instance="a", severity="low"), ["FW-3"]),
    ],
)
def test_a_list_admits_what_its_filter_says(
    many: TaskQueries, wanted: TaskFilter, numbers: list[str]
) -> None:
    page = many.list(wanted)
    assert [task.number for task in page.tasks] == numbers
    assert page.total == len(numbers)


def test_a_list_comes_in_pages(many: TaskQueries) -> None:
    first = many.list(TaskFilter(), limit=1)
    page = many.list(TaskFilter(), limit=1, cursor=first.next)
    assert ([task.number for task in page.tasks], page.total) == (["FW-2"], 3)
    assert many.list(TaskFilter(), limit=1, cursor=many.list(TaskFilter(), limit=3).next).next
    assert many.list(TaskFilter(), limit=-1).tasks == ()
    assert len(many.list(TaskFilter(), limit=10**9).tasks) == 3


def test_tasks_are_counted_that_stand_or_ended_of_late(many: TaskQueries) -> None:
    standing = (
        TaskCount(TaskState.ACKNOWLEDGED, "low", "corrective", "globex", "DiskFull", "dba", 1),
        TaskCount(TaskState.OPEN, "low", "corrective", "", "ServiceDown", "support", 1),
    )
    ended = TaskCount(TaskState.RESOLVED, "high", "corrective", "acme", "DiskFull", "support", 1)
    assert many.counts(AT) == (*standing, ended)
    assert many.counts(AT + 1) == standing
    assert [task.number for task in many.current(AT, 10)] == ["FW-3", "FW-2", "FW-1"]
    assert [task.number for task in many.current(AT + 1, 10)] == ["FW-3", "FW-2"]
    assert [task.number for task in many.current(AT, 1)] == ["FW-3"]


def test_a_task_reads_back_with_all_that_belongs_to_it(many: TaskQueries) -> None:
    document = many.one("FW-2").to_json()
    assert document["members"][0]["labels"]["instance"] == "b"
    assert document["evidence"] == [{"gathered_at": T0, "value": "0.5"}]
    assert [entry["kind"] for entry in document["timeline"]] == ["opened", "acknowledged"]
