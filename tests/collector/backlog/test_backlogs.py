"""A backlog counts at its own time: what began and ended while a host was cut off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from forewarn_collector.rules.model import RuleSet
from forewarn_collector.tasks import LedgerError, TaskState, TimelineKind
from forewarn_collector.tasks.schema import deliveries
from support.backlog_world import BacklogWorld, Samples, backlog_world
from support.live_run import without_rest
from support.stores import HOUR, START, Clock, batch, series

pytestmark = pytest.mark.usefixtures("each_database")

MINUTE = 60_000
STEP = 30_000
RULES = """\
groups:
  - name: g
    interval: 30s
    rules:
      - alert: Down
        expr: procs == 0
        task: {reopen_within: 10m, title: 'no {{ $labels.service }}'}
      - {alert: Slow, expr: 'lag > 5', for: 5m, task: {reopen_within: 10m}}
      - {record: 'service:lag:sum', expr: 'sum by (service) (lag)'}
      - {alert: Service, expr: 'service:lag:sum > 50', task: {reopen_within: 10m}}
"""
CUT, BACK, END = START + 20 * MINUTE, START + 50 * MINUTE, START + 70 * MINUTE


def at(minutes: float) -> int:
    return START + round(minutes * MINUTE)


def samples(host: str, time: int, *, procs: float = 1.0, lag: float = 1.0) -> Samples:
    return [
        (series("procs", instance=host, service="db"), time, procs),
        (series("lag", instance=host, service="shop"), time, lag),
    ]


def partitioned(
    host: str, faults: dict[str, list[tuple[float, float, float]]], *, cut: bool = True
) -> list[tuple[int, Samples]]:
    """What a host sends and when it arrives: fresh data first, then the backlog, oldest first.

    A fault is from and to (minutes) and the value.
    """
    found: list[tuple[int, Samples]] = []
    for time in range(START, END, STEP):
        values = {"procs": 1.0, "lag": 1.0}
        for name, each in faults.items():
            for start, end, value in each:
                if at(start) <= time < at(end):
                    values[name] = value
        arrival = time
        if cut and CUT <= time < BACK:
            # The whole backlog within two seconds.
            arrival = BACK + 500 + (time - CUT) // 1_000
        found.append((arrival, samples(host, time, **values)))
    return found


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BacklogWorld]:
    without_rest(monkeypatch)
    with backlog_world(tmp_path, RULES, Clock(START)) as found:
        yield found


def test_a_fault_that_came_and_went_offline_opens_one_retrospective_task(
    world: BacklogWorld,
) -> None:
    world.run(partitioned("a", {"procs": [(30, 33, 0)]}), START, at(52))
    assert world.tasks() == []
    assert world.backlogs.waiting == 1
    assert world.look()
    (task,) = world.tasks()
    assert task.retrospective
    assert task.state is TaskState.RESOLVED
    assert (task.onset_at, task.ended_at, task.resolved_at) == (at(30), at(33), at(33))
    assert task.title == "no db"
    assert task.queue == "support"
    assert task.due_at is None
    assert task.opened_at == world.clock.now
    # Evidence is of the time of the fault.
    assert task.evidence == ({"at": at(30)},)
    kinds = [(entry.kind, entry.at) for entry in task.timeline]
    assert kinds == [
        (TimelineKind.OPENED, at(30)),
        (TimelineKind.LEFT, at(33)),
        (TimelineKind.RESOLVED, at(33)),
        (TimelineKind.RETROSPECT, world.clock.now),
    ]
    assert [(m.joined_at, m.left_at) for m in task.members] == [(at(30), at(33))]
    # One message, which says that it is over.
    assert [(c.action.value, c.reason) for c in world.told] == [("resolve", "retrospective")]
    assert not world.look()


def test_what_is_sent_again_opens_nothing(world: BacklogWorld) -> None:
    sent = partitioned("a", {"procs": [(30, 33, 0)]})
    world.run(sent, START, at(52))
    world.look()
    for time, each in sent:
        if time <= world.clock.now:
            world.store.append(batch(*each)).result()
    assert not world.look()
    assert len(world.tasks()) == 1


def test_a_fault_that_flaps_is_one_task_and_one_message_however_long_it_was_away(
    world: BacklogWorld,
) -> None:
    faults = [(25, 26, 0.0), (28, 29, 0.0), (45, 46, 0.0)]
    world.run(partitioned("a", {"procs": faults}), START, at(52))
    world.look()
    # 28 is within ten minutes of 26, and 45 is not within ten minutes of 29.
    (task,) = world.tasks()
    assert task.retrospective
    assert (task.onset_at, task.ended_at, task.reopen_count) == (at(25), at(46), 2)
    # As of any task, each return is a flap.
    assert task.flap_count == 2
    kinds = [entry.kind for entry in task.timeline]
    assert kinds.count(TimelineKind.OPENED) == 1
    assert kinds.count(TimelineKind.REOPENED) == 2
    assert [(c.action.value, c.reason) for c in world.told] == [("resolve", "retrospective")]
    assert task.timeline[-1].text.count("from 2025") == 3


def test_a_retrospective_task_names_none_of_its_rehearsal_as_the_one_before(
    world: BacklogWorld,
) -> None:
    # The one before, of minute 18, is known to the ledger as 2; to the rehearsal as its first.
    sent = [
        *partitioned("b", {"procs": [(2, 3, 0)]}, cut=False),
        *partitioned("a", {"procs": [(18, 19, 0), (40, 41, 0)]}),
    ]
    world.run(sorted(sent, key=lambda each: each[0]), START, at(52))
    world.look()
    tasks = world.tasks()
    assert [(task.onset_at, task.retrospective) for task in tasks] == [
        (at(2), False),
        (at(18), False),
        (at(40), True),
    ]
    assert tasks[-1].previous is None


def test_a_fault_that_flaps_for_days_of_a_backlog_in_parts_is_one_task(
    world: BacklogWorld,
) -> None:
    faults = [(minute, minute + 1, 0.0) for minute in range(21, 48, 2)]
    sent = partitioned("a", {"procs": faults})
    middle = BACK + 500 + (at(34) - CUT) // 1_000
    world.run([each for each in sent if each[0] < middle], START, middle - 1)
    world.look()
    world.run([each for each in sent if each[0] >= middle], middle, at(52))
    world.look()
    (task,) = world.tasks()
    assert (task.onset_at, task.ended_at) == (at(21), at(48))
    # As often as one look has seen it: the second one begins 6 minutes before minute 34.
    assert (task.reopen_count, task.flap_count) == (9, 9)
    assert "it held 10 times, first and last from" in task.timeline[-1].text
    assert task.retrospective
    assert [c.action.value for c in world.told] == ["resolve", "update"]


def test_a_fault_that_began_offline_and_holds_keeps_its_onset(world: BacklogWorld) -> None:
    world.run(partitioned("a", {"procs": [(30, 60, 0)]}), START, at(51))
    (task,) = world.tasks()
    assert task.onset_at == BACK
    world.look()
    (task,) = world.tasks()
    assert task.onset_at == at(30)
    assert task.state is TaskState.OPEN
    assert not task.retrospective
    assert task.timeline[-1].kind is TimelineKind.RETROSPECT
    assert [alert.alert.onset for alert in world.ledger.load_alerts()] == [at(30)]
    assert [alert.onset for alert in world.scheduler.alerts()] == [at(30)]
    # It goes on as any task, and ends with its alert.
    world.run([], world.clock.now, at(51))
    assert len(world.tasks()) == 1


def test_an_alert_that_waits_has_waited_offline_too(world: BacklogWorld) -> None:
    world.run(partitioned("a", {"lag": [(30, 60, 9)]}), START, at(51))
    assert world.tasks() == []
    world.look()
    # Lag since minute 30 is over its 5 minutes.
    (task,) = world.tasks()
    assert (task.onset_at, task.detected_at) == (at(30), at(30))
    assert task.state is TaskState.OPEN


def test_a_fault_that_fired_before_the_cut_has_its_task_already(world: BacklogWorld) -> None:
    world.run(partitioned("a", {"procs": [(15, 33, 0)]}), START, at(52))
    (before,) = world.tasks()
    assert before.state is TaskState.RESOLVED
    world.look()
    (task,) = world.tasks()
    assert not task.retrospective
    assert task.onset_at == at(15)
    # That it ended in minute 33, and not when the host was back, is told once.
    notes = [entry for entry in task.timeline if entry.kind is TimelineKind.RETROSPECT]
    assert len(notes) == 1
    assert [c.action.value for c in world.told] == ["open", "resolve", "update"]


def test_rules_over_many_hosts_are_evaluated_over_what_is_known_now(world: BacklogWorld) -> None:
    arrivals = partitioned("a", {"lag": [(30, 32, 30)]}) + partitioned(
        "b", {"lag": [(30, 32, 30)]}, cut=False
    )
    world.run(arrivals, START, at(52))
    assert world.tasks() == []
    world.look()
    # 30 + 30 is over 50; neither host alone is, and neither was slow for 5 minutes.
    (task,) = world.tasks()
    assert task.rule_name == "Service"
    assert (task.onset_at, task.ended_at) == (at(30), at(32))
    assert task.retrospective


def test_a_later_fault_soon_after_reopens_the_retrospective_task(world: BacklogWorld) -> None:
    world.run(partitioned("a", {"procs": [(45, 47, 0), (54, 56, 0)]}), START, at(52))
    world.look()
    world.run(
        [(t, s) for t, s in partitioned("a", {"procs": [(54, 56, 0)]}) if t > at(52)],
        at(52) + 1,
        at(55),
    )
    (task,) = world.tasks()
    assert task.state is TaskState.OPEN
    assert task.reopen_count == 1
    assert not task.retrospective


def test_a_task_that_is_open_now_stays_the_one_that_alerts_join(world: BacklogWorld) -> None:
    # A fault of minute 25 is found while another task of the same key is open, long after it.
    world.run(partitioned("a", {"procs": [(25, 26, 0), (49, 60, 0)]}), START, at(51))
    world.look()
    tasks = world.tasks()
    assert [(t.onset_at, t.retrospective) for t in tasks] == [(at(49), False), (at(25), True)]
    rest = partitioned("a", {"procs": [(49, 58, 0), (59, 65, 0)]})
    world.run([(t, s) for t, s in rest if t > at(51)], at(51) + 1, at(60))
    first, _ = world.tasks()
    assert (first.reopen_count, first.state) == (1, TaskState.OPEN)
    assert len(world.tasks()) == 2


def test_a_restart_in_the_middle_of_a_backlog_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_rest(monkeypatch)
    sent = partitioned("a", {"procs": [(30, 33, 0)]})
    clock = Clock(START)
    # The first 30 ms of the backlog have come; nothing of it was looked at.
    with backlog_world(tmp_path, RULES, clock) as world:
        world.run([each for each in sent if each[0] <= BACK + 530], START, BACK + 600)
        assert world.tasks() == []
    with backlog_world(tmp_path, RULES, clock) as world:
        rest = [each for each in sent if each[0] > BACK + 530]
        assert world.backlogs.waiting == 1
        world.run(rest, BACK + 601, at(52))
        # The ledger refuses: it counts as not done.
        with monkeypatch.context() as patch:
            patch.setattr(world.retrospect, "keep", _refuse)
            world.look()
        assert world.tasks() == []
        # And now when the task is written, but not yet that the backlog was looked at.
        with monkeypatch.context() as patch:
            patch.setattr(world.retrospect, "conclude", _refuse)
            world.look()
        assert world.reviewer.stats.failures == 2
        assert len(world.tasks()) == 1
        world.look()
        assert world.reviewer.stats.failures == 2
        assert [task.retrospective for task in world.tasks()] == [True]
    with backlog_world(tmp_path, RULES, clock) as world:
        assert world.backlogs.waiting == 0
        assert len(world.tasks()) == 1


def _refuse(*_: object) -> None:
    raise LedgerError("the disk is full", retryable=True)


def test_a_backlog_in_two_parts_gives_one_task(world: BacklogWorld) -> None:
    sent = partitioned("a", {"procs": [(30, 40, 0)]})
    first = BACK + 500 + (at(35) - CUT) // 1_000
    world.run([each for each in sent if each[0] < first], START, first - 1)
    world.look()
    world.run([each for each in sent if each[0] >= first], first, at(52))
    world.look()
    (task,) = world.tasks()
    assert task.retrospective
    assert abs(task.onset_at - at(30)) <= STEP
    assert task.ended_at == at(40)


def test_data_that_is_not_late_is_no_backlog(world: BacklogWorld) -> None:
    world.run(partitioned("a", {"procs": [(30, 33, 0)]}, cut=False), START, at(52))
    assert world.backlogs.waiting == 0
    assert not world.look()


def test_data_older_than_the_reach_is_stored_and_not_evaluated(world: BacklogWorld) -> None:
    world.clock.now = START
    world.store.append(batch(*samples("a", START - 25 * HOUR, procs=0))).result()
    assert world.backlogs.waiting == 0


def test_no_rules_at_all_are_no_trouble(world: BacklogWorld) -> None:
    world.run(partitioned("a", {}), START, at(52))
    world.scheduler.reload(RuleSet(()))
    assert world.look()
    assert world.reviewer.stats.failures == 0


def test_what_is_merely_kept_firing_ended_when_its_condition_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_rest(monkeypatch)
    rules = """\
groups:
  - name: g
    rules:
      - {alert: Kept, expr: 'procs == 0', keep_firing_for: 2h}
"""
    with backlog_world(tmp_path, rules, Clock(START)) as world:
        world.run(partitioned("a", {"procs": [(30, 33, 0)]}), START, at(51))
        world.look()
        (task,) = world.tasks()
        assert (task.onset_at, task.ended_at, task.retrospective) == (at(30), at(33), True)


MANY = """\
groups:
  - name: g
    interval: 30s
    rules:
""" + "".join(
    f"      - {{alert: Rule{k}, expr: 'procs == 0',"
    f" labels: {{severity: {'critical' if k == 20 else 'low'}}}}}\n"
    for k in range(25)
)


def test_a_long_cut_with_many_rules_does_not_flood_the_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_rest(monkeypatch)
    with backlog_world(tmp_path, MANY, Clock(START)) as world:
        faults = {"procs": [(30, 33, 0.0), (40, 41, 0.0)]}
        sent = [*partitioned("a", faults), *partitioned("b", faults)]
        middle = BACK + 500 + (at(36) - CUT) // 1_000
        world.run([each for each in sent if each[0] < middle], START, middle - 1)
        world.look()
        tasks = world.tasks()
        assert len(tasks) == 50
        assert all(task.retrospective and task.state is TaskState.RESOLVED for task in tasks)
        # Ten of each host, the worst among them.
        assert len(world.told) == 20
        assert [change.task.severity for change in world.told].count("critical") == 2
        texts = _messages(world)
        assert sum("15 lesser problems of that time are recorded" in text for text in texts) == 2
        # Nor does what is found later: only what the queue knows of is told again.
        world.run([each for each in sent if each[0] >= middle], middle, at(52))
        world.look()
        assert len(world.tasks()) == 50
        assert [change.action.value for change in world.told[20:]] == ["update"] * 20


def _messages(world: BacklogWorld) -> list[str]:
    with world.ledger.read() as connection:
        return [row.text for row in connection.execute(select(deliveries.c.text))]
