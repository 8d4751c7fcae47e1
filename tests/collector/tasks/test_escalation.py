"""Service levels: due times, who gets a task, and what happens when nobody acts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from forewarn_collector.calendars import ServiceLevel
from forewarn_collector.config import read_config
from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.tasks.commands import TaskCommands
from forewarn_collector.tasks.escalation import Progress, decide
from forewarn_collector.tasks.gates import Gate
from forewarn_collector.tasks.levels import ConfiguredLevels
from forewarn_collector.tasks.model import Task
from forewarn_collector.tasks.queries import TaskQueries
from forewarn_collector.tasks.rows import rows_of
from forewarn_collector.tasks.schema import deliveries
from forewarn_collector.tasks.windows import Windows
from forewarn_collector.tasks.words import TimelineKind
from support.alerts import HOUR, MINUTE, T0, Desk, alert_of, change, rule_of

FIRING, INACTIVE = AlertState.FIRING, AlertState.INACTIVE
RULE = rule_of()
ON_A = alert_of(RULE, {"instance": "a", "customer": "acme", "severity": "high"})

# T0 is Tuesday, 14 November 2023, 22:13:20 UTC.
CONFIG = """
calendars:
  office: {timezone: Europe/Berlin, hours: {mon-fri: "08:00-18:00"}}
rotations:
  ops: {people: [ada, grace], timezone: Europe/Berlin, start: 2023-11-13 09:00, length: 1d}
service_levels:
  - name: gold
    match: {customer: acme}
    due: {high: 8h}
    rotation: ops
    steps:
      - {name: remind, after: 30m, notify: managers}
      - {name: hand over, after: 1h, assign: next}
      - {name: soon, before_due: 1h}
      - {name: late, overdue: 0, severity: critical, stops_on_acknowledgement: true}
  - name: office
    match: {customer: office}
    calendar: office
    due: {high: 4h}
    steps: [{name: remind, after: 1h}]
queues: {support: {kind: log}, managers: {kind: log}}
default_queue: support
"""


def levels(text: str = CONFIG) -> ConfiguredLevels:
    config = read_config(text, "c.yml")
    assert config.problems == []
    return ConfiguredLevels(config.service.levels)


@pytest.fixture
def desk(tmp_path: Path, each_database: str) -> Iterator[Desk]:
    desk = Desk(tmp_path, levels=levels())
    yield desk
    desk.close()


def one(desk: Desk, number: str = "FW-1") -> Task:
    return TaskQueries(desk.ledger).one(number)


def escalated(desk: Desk) -> list[str]:
    return [e.reason for e in one(desk).timeline if e.kind is TimelineKind.ESCALATED]


def told(desk: Desk, queue: str) -> list[str]:
    """The actions that a queue is owed, in order."""
    with desk.ledger.read() as connection:
        query = select(deliveries).where(deliveries.c.queue == queue).order_by(deliveries.c.seq)
        return [row["action"] for row in rows_of(connection.execute(query))]


def test_a_new_task_is_for_who_is_on_call_and_says_why(desk: Desk) -> None:
    # The second turn began on Tuesday at 09:00 in Berlin; the third begins a day later.
    (opened,) = desk.apply(change(RULE, ON_A, FIRING))
    assert (opened.task.assignee, opened.task.assigned_at) == ("grace", T0)
    entries = [(e.kind, e.text) for e in one(desk).timeline]
    assert entries[1] == (
        TimelineKind.ASSIGNED,
        "Assigned to grace: rotation ops, on call until 2023-11-15 09:00 CET.",
    )


def test_each_step_is_taken_once_in_its_time(desk: Desk) -> None:
    desk.apply(change(RULE, ON_A, FIRING))
    assert desk.tick(T0 + 30 * MINUTE - 1) == []
    assert one(desk).next_escalation_at == T0 + 30 * MINUTE
    assert len(desk.tick(T0 + 30 * MINUTE)) == 2
    assert desk.tick(T0 + 30 * MINUTE + 1) == []
    assert (told(desk, "support"), told(desk, "managers")) == (["open", "update"], ["open"])
    desk.tick(T0 + HOUR)
    # The next turn of somebody else begins on Wednesday at 09:00.
    assert one(desk).assignee == "ada"
    desk.tick(T0 + 7 * HOUR)
    desk.tick(T0 + 8 * HOUR)
    desk.tick(T0 + 9 * HOUR)
    assert escalated(desk) == ["gold/remind", "gold/hand over", "gold/soon", "gold/late"]
    task = one(desk)
    assert (task.severity, task.escalation_step, task.next_escalation_at) == ("critical", 4, None)
    assert [e.text for e in task.timeline if e.kind is TimelineKind.ESCALATED] == [
        "Escalated, as nobody has acknowledged it for 30 min: managers is told.",
        "Escalated, as nobody has acknowledged it for 1 h: assigned to ada"
        " (rotation ops, on call until 2023-11-16 09:00 CET).",
        "Escalated, as it is due in 1 h.",
        "Escalated, as it is overdue: severity raised from high to critical.",
    ]


def test_a_queue_that_was_told_hears_of_the_task_to_its_end(desk: Desk) -> None:
    desk.apply(change(RULE, ON_A, FIRING))
    # Both steps at once, as after a pause: the second is told to both queues, too.
    desk.tick(T0 + 2 * HOUR)
    desk.apply(change(RULE, ON_A, INACTIVE, T0 + 3 * HOUR))
    assert told(desk, "support") == ["open", "update", "update", "resolve"]
    assert told(desk, "managers") == ["open", "update", "resolve"]


def test_an_acknowledgement_stops_the_steps_that_wait_for_one(desk: Desk) -> None:
    desk.apply(change(RULE, ON_A, FIRING))
    desk.tick(T0 + 30 * MINUTE)
    TaskCommands(desk.ledger, desk.told.extend, levels=desk.policy.levels).acknowledge(
        "FW-1", "ann", T0 + 40 * MINUTE
    )
    desk.tick(T0 + 9 * HOUR)
    assert escalated(desk) == ["gold/remind", "gold/soon"]


def test_a_task_that_is_back_escalates_anew_and_for_who_is_on_call_then(desk: Desk) -> None:
    desk.apply(change(RULE, ON_A, FIRING))
    desk.tick(T0 + 30 * MINUTE)
    desk.apply(change(RULE, ON_A, INACTIVE, T0 + HOUR))
    assert desk.tick(T0 + 2 * HOUR) == []
    (back,) = desk.apply(change(RULE, ON_A, FIRING, T0 + 12 * HOUR))
    assert back.task.assignee == "ada"
    desk.tick(T0 + 12 * HOUR + 30 * MINUTE)
    assert escalated(desk) == ["gold/remind", "gold/remind"]
    # It has its ticket there.
    assert told(desk, "managers") == ["open", "resolve", "reopen", "update"]


def test_time_stands_still_while_a_task_is_quiet(desk: Desk) -> None:
    desk.apply(change(RULE, ON_A, FIRING))
    window: Gate = Windows(read_config(
        "maintenance: [{name: w, timezone: UTC, start: 2023-11-14 22:23:20, duration: 2h}]", ""
    ).calendars.windows)  # fmt: skip
    desk.gates.append(window)
    desk.tick(T0 + 10 * MINUTE)
    assert one(desk).quiet_by == "window w"
    desk.tick(T0 + HOUR)
    assert escalated(desk) == []
    # Ten minutes had passed before the window; the other twenty pass after its two hours.
    desk.tick(T0 + 130 * MINUTE)
    desk.tick(T0 + 150 * MINUTE - 1)
    assert escalated(desk) == []
    desk.tick(T0 + 150 * MINUTE)
    assert escalated(desk) == ["gold/remind"]


def test_time_stands_still_while_a_task_waits(desk: Desk) -> None:
    commands = TaskCommands(desk.ledger, desk.told.extend, levels=desk.policy.levels)
    desk.apply(change(RULE, ON_A, FIRING))
    desk.clock.now = T0 + 20 * MINUTE
    commands.wait("FW-1", "ann", T0 + 3 * HOUR, T0 + 20 * MINUTE)
    desk.tick(T0 + 20 * MINUTE)
    desk.tick(T0 + 2 * HOUR)
    assert escalated(desk) == []
    desk.tick(T0 + 3 * HOUR)
    desk.tick(T0 + 3 * HOUR + 10 * MINUTE)
    assert escalated(desk) == ["gold/remind"]


def test_time_stands_still_while_a_task_lacks_its_input(desk: Desk) -> None:
    desk.apply(change(RULE, ON_A, FIRING))
    firing = replace(ON_A, state=FIRING)
    desk.apply(change(RULE, firing, AlertState.UNKNOWN, T0 + 10 * MINUTE))
    desk.tick(T0 + 12 * MINUTE)
    # Steps by the due time wait, too: nobody knows whether there is anything to do.
    desk.tick(T0 + 9 * HOUR)
    assert escalated(desk) == []
    desk.apply(change(RULE, firing, FIRING, T0 + 10 * HOUR + 10 * MINUTE))
    desk.tick(T0 + 10 * HOUR + 10 * MINUTE)
    assert escalated(desk) == ["gold/soon", "gold/late"]
    # Ten minutes had passed before; the other twenty pass once its input is back.
    desk.tick(T0 + 10 * HOUR + 30 * MINUTE - 1)
    assert escalated(desk) == ["gold/soon", "gold/late"]
    desk.tick(T0 + 10 * HOUR + 30 * MINUTE)
    assert escalated(desk) == ["gold/soon", "gold/late", "gold/remind"]


def test_when_to_look_next_is_written_with_the_change_and_nothing_after_it(
    tmp_path: Path, each_database: str
) -> None:
    for name, given in (("without levels", None), ("with levels", levels())):
        (tmp_path / name).mkdir()
        desk = Desk(tmp_path / name, levels=given)
        people = TaskCommands(desk.ledger, desk.told.extend, levels=desk.policy.levels)
        desk.apply(change(RULE, ON_A, FIRING))
        planned = one(desk).next_escalation_at
        # The first step is due half an hour after it opened; without levels none ever is.
        assert planned == (None if given is None else T0 + 30 * MINUTE)
        people.start("FW-1", "ann", T0 + 1)
        people.comment("FW-1", "ann", "on it", T0 + 2)
        before = one(desk)
        for seconds in range(1, 5):
            desk.tick(T0 + 1_000 * seconds)
        assert one(desk).version == before.version, name
        assert one(desk).next_escalation_at == before.next_escalation_at
        desk.close()


def test_a_collector_with_other_levels_looks_at_all_tasks_anew(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.apply(change(RULE, ON_A, FIRING))
    desk.tick(T0 + HOUR)
    assert one(desk).next_escalation_at is None
    desk.close()
    again = Desk(tmp_path, levels=levels())
    again.tick(T0 + 2 * HOUR)
    assert escalated(again) == ["gold/remind", "gold/hand over"]
    again.close()


def test_business_hours_count_for_the_due_time_and_for_steps(desk: Desk) -> None:
    def berlin(text: str) -> int:
        # In November Berlin is UTC+1.
        return int(datetime.fromisoformat(f"{text}+01:00").timestamp() * 1000)

    in_office = alert_of(RULE, {"customer": "office", "severity": "high"})
    # Friday 16:00: two hours, and two more on Monday from 08:00.
    friday = berlin("2023-11-17 16:00")
    (opened,) = desk.apply(change(RULE, in_office, FIRING, friday))
    assert opened.task.due_at == berlin("2023-11-20 10:00")
    at_night = alert_of(RULE, {"customer": "office", "severity": "error", "instance": "b"})
    (opened,) = desk.apply(change(RULE, at_night, FIRING, berlin("2023-11-17 23:00")))
    # "error" is as bad as "high". From Monday 08:00 four hours, and the reminder after one.
    assert opened.task.due_at == berlin("2023-11-20 12:00")
    desk.tick(berlin("2023-11-20 09:00") - 1)
    assert TaskQueries(desk.ledger).one("FW-2").escalation_step == 0
    desk.tick(berlin("2023-11-20 09:00"))
    assert TaskQueries(desk.ledger).one("FW-2").escalation_step == 1


def test_a_rules_own_due_time_wins_and_other_customers_have_what_holds_without_levels(
    desk: Desk,
) -> None:
    own = rule_of("Own", due=5 * MINUTE)
    (opened,) = desk.apply(change(own, alert_of(own, {"customer": "acme"}), FIRING))
    assert opened.task.due_at == T0 + 5 * MINUTE
    other = alert_of(RULE, {"customer": "other", "severity": "critical"})
    (opened,) = desk.apply(change(RULE, other, FIRING))
    assert (opened.task.due_at, opened.task.assignee) == (T0 + 4 * HOUR, "")


def test_what_is_decided_follows_from_the_task_the_levels_and_the_time(desk: Desk) -> None:
    desk.apply(change(RULE, ON_A, FIRING))
    task = replace(one(desk), timeline=(), members=(), evidence=())
    decision = decide(task, Progress(), levels(), T0 + HOUR)
    assert [step.name for step in decision.steps] == ["gold/remind", "gold/hand over"]
    assert decision.next_at == T0 + 7 * HOUR
    assert decide(task, Progress(), levels(), T0 + HOUR) == decision
    # Done before: only the rest.
    decision = decide(task, Progress(done=("gold/remind",)), levels(), T0 + HOUR)
    assert [step.name for step in decision.steps] == ["gold/hand over"]


def test_the_time_of_t0_is_as_said() -> None:
    assert datetime.fromtimestamp(T0 / 1000, UTC) == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert isinstance(read_config(CONFIG, "").service.levels[0], ServiceLevel)
