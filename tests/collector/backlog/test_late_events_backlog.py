"""Events of a backlog count when they happened: tasks for what is over, and no live ones for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from forewarn_collector.tasks import TaskState, TimelineKind
from forewarn_wire import Event, Severity, labels_from
from support.backlog_world import BacklogWorld, backlog_world
from support.live_run import live_run, without_rest
from support.stores import HOUR, START, Clock, batch, series

MINUTE, TICK = 60_000, 15_000
RULES = """\
groups:
  - name: g
    interval: 30s
    rules:
      - alert: Errors
        expr: increase(forewarn_events_total{severity="error"}[5m]) > 0
        task: {reopen_within: 10m}
      - alert: Broken
        expr: sum by (instance) (increase(forewarn_events_total{severity="fatal"}[1h])) > 0
"""
BACK = START + 90 * MINUTE


def event(uid: str, time: int, severity: Severity = Severity.ERROR, instance: str = "a") -> Event:
    labels = labels_from({"instance": instance, "job": "shop"})
    return Event(time, "log", severity, labels, f"it broke ({uid})", uid, {})


def run(
    world: BacklogWorld,
    arrivals: Sequence[tuple[int, Sequence[Event]]],
    start: int,
    end: int,
    *,
    off: tuple[int, int] = (0, 0),
) -> None:
    """Events come at their times, and the collector samples its counters but while it is `off`."""
    calls = [
        (time, lambda events=events: world.store.append_events(events).result())
        for time, events in arrivals
    ]
    ticks = [time for time in range(start, end, TICK) if not off[0] <= time < off[1]]
    calls += [(time, lambda time=time: world.store.sample_counters(time)) for time in ticks]

    def set_clock(now: int) -> None:
        world.clock.now = now

    live_run(world.rules, world.scheduler, set_clock, calls, start, end)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BacklogWorld]:
    without_rest(monkeypatch)
    with backlog_world(tmp_path, RULES, Clock(START)) as found:
        yield found


@pytest.mark.parametrize("off", [(0, 0), (START + 10 * MINUTE, BACK - TICK)])
def test_an_event_of_hours_ago_opens_one_retrospective_task_and_nothing_live(
    world: BacklogWorld, off: tuple[int, int]
) -> None:
    # A counter that is known, so that the collector sampled it all the time that it was not off.
    run(world, [(START, [event("known", START)])], START, START + 10 * MINUTE)
    world.told.clear()
    happened = START + 30 * MINUTE + 4_321
    arrivals = [(BACK, [event("late", happened)])]
    run(world, arrivals, START + 10 * MINUTE, BACK + MINUTE, off=off)
    assert world.told == []
    assert world.scheduler.alerts() == []
    assert world.backlogs.waiting == 1
    assert world.look()
    _, task = world.tasks()
    assert task.retrospective
    assert task.state is TaskState.RESOLVED
    assert task.onset_at == happened
    # The range of five minutes was over then: its oldest sample is one of up to 15 s before.
    assert task.resolved_at is not None
    assert -TICK < task.resolved_at - (happened + 5 * MINUTE) <= 30_000
    assert [document["at"] for document in task.evidence] == [happened]
    assert [(c.action.value, c.reason) for c in world.told] == [("resolve", "retrospective")]
    # A resend is known, and nothing follows from it.
    run(world, [(world.clock.now + 1, arrivals[0][1])], world.clock.now, world.clock.now + MINUTE)
    assert world.backlogs.waiting == 0
    assert len(world.tasks()) == 2


def test_what_a_late_event_of_an_unknown_kind_caused_is_found_too(world: BacklogWorld) -> None:
    run(world, [(BACK, [event("late", START + HOUR)])], BACK, BACK + MINUTE)
    assert world.tasks() == []
    world.look()
    (task,) = world.tasks()
    assert (task.onset_at, task.retrospective) == (START + HOUR, True)


def test_what_an_event_caused_and_holds_still_is_a_live_task_with_the_true_onset(
    world: BacklogWorld,
) -> None:
    happened = BACK - 40 * MINUTE
    late = [event("late", happened, Severity.FATAL)]
    known = START + 40 * MINUTE, [event("k", START + 40 * MINUTE)]
    run(world, [known, (BACK, late)], known[0], BACK + MINUTE)
    (task,) = [each for each in world.tasks() if each.rule_name == "Broken"]
    # It fires at once: the hour that the rule looks back is not over.
    assert (task.state, task.onset_at) == (TaskState.OPEN, BACK)
    world.look()
    (task,) = [each for each in world.tasks() if each.rule_name == "Broken"]
    assert (task.state, task.onset_at, task.retrospective) == (TaskState.OPEN, happened, False)
    assert [alert.onset for alert in world.scheduler.alerts()] == [happened]
    # And it ends when the hour is over.
    run(world, [], world.clock.now, happened + HOUR + MINUTE)
    (task,) = [each for each in world.tasks() if each.rule_name == "Broken"]
    assert task.state is TaskState.RESOLVED
    assert task.ended_at is not None
    assert 0 <= task.ended_at - (happened + HOUR) <= 30_000


def test_errors_that_went_on_after_the_cut_are_one_live_task_since_they_began(
    world: BacklogWorld,
) -> None:
    # One error every minute from 80 minutes on; the host is back at minute 90.
    times = [START + minute * MINUTE + 500 for minute in range(80, 95)]
    arrivals = [
        (START + HOUR, [event("k", START + HOUR)]),
        *((time, [event(str(time), time)]) for time in times if time > BACK),
        (BACK + MINUTE + 800, [event(str(time), time) for time in times if time < BACK]),
    ]
    run(world, arrivals, START + HOUR, BACK + 4 * MINUTE)
    world.look()
    _, task = world.tasks()
    assert (task.state, task.onset_at, task.retrospective) == (TaskState.OPEN, times[0], False)
    assert task.reopen_count == 0


def test_errors_now_and_then_offline_are_one_task_with_each_time(world: BacklogWorld) -> None:
    happened = [START + minute * MINUTE for minute in (10, 20, 31, 80)]
    late = [event(str(time), time) for time in happened]
    run(world, [(BACK, late[2:]), (BACK + 500, late[:2])], BACK, BACK + MINUTE)
    world.look()
    (task,) = world.tasks()
    assert task.retrospective
    assert task.onset_at == happened[0]
    assert task.reopen_count == 3
    note = [entry.text for entry in task.timeline if entry.kind is TimelineKind.RETROSPECT]
    assert len(note) == 1
    assert note[0].count("from 2025") == 4
    assert len(world.told) == 1


def test_events_and_samples_of_a_backlog_are_judged_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_rest(monkeypatch)
    rules = """\
groups:
  - name: g
    rules:
      - alert: ErrorsUnderLoad
        expr: sum by (instance) (increase(forewarn_events_total[5m])) > 0 and load > 8
"""
    with backlog_world(tmp_path, rules, Clock(BACK)) as world:
        loads = [
            (series("load", instance="a"), BACK - (240 - k) * TICK, 9.0 if k >= 40 else 1.0)
            for k in range(120)
        ]
        world.store.append(batch(*loads)).result()
        quiet, loaded = BACK - 230 * TICK, BACK - 180 * TICK
        world.store.append_events([event("1", quiet), event("2", loaded)]).result()
        world.scheduler.catch_up()
        assert world.tasks() == []
        world.look()
        (task,) = world.tasks()
        assert (task.onset_at, task.retrospective) == (loaded, True)
