"""A problem that comes and goes: one task, one count, and a queue that hears of it once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forewarn_collector.config_damping import Damping
from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.tasks import Task, TaskChange, TaskCommands, TaskQueries, TaskState
from forewarn_collector.tasks.damping import calm_at, penalised
from support.alerts import DAY, MINUTE, T0, Desk, alert_of, change, rule_of

FIRING, INACTIVE = AlertState.FIRING, AlertState.INACTIVE
RULE = rule_of()
ALERT = alert_of(RULE, {"instance": "a"})
SECOND = 1_000


@pytest.fixture
def desk(tmp_path: Path, each_database: str) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def one(desk: Desk) -> Task:
    return TaskQueries(desk.ledger).one("FW-1")


def flap(desk: Desk, at: int) -> list[TaskChange]:
    """It fires at a time, and ends half a minute later."""
    return [
        *desk.apply(change(RULE, ALERT, FIRING, at)),
        *desk.apply(change(RULE, ALERT, INACTIVE, at + 30 * SECOND)),
    ]


def test_the_penalty_decays_by_half_in_a_half_life_and_has_a_ceiling() -> None:
    damping = Damping(half_life=10, suppress=2_000, reuse=500, longest=30)
    assert penalised(0, None, 0, damping) == 1_000
    assert penalised(1_000, 0, 10, damping) == 1_500
    assert penalised(1_500, 10, 30, damping) == 1_375
    # 500 doubled three times, once for each half-life of the longest time.
    assert penalised(4_000, 0, 0, damping) == 4_000
    # From 4000 it takes three halvings to 500, and none from 500 or less.
    assert calm_at(4_000, 7, damping) == 37
    assert calm_at(400, 7, damping) == 7


def test_the_third_return_within_minutes_damps_the_task_and_the_queue_hears_it_once(
    desk: Desk,
) -> None:
    told = [each for minute in range(0, 20, 2) for each in flap(desk, T0 + minute * MINUTE)]
    assert [(each.action.value, each.reason) for each in told] == [
        ("open", "new"),
        ("resolve", "alert_ended"),
        ("reopen", "reopened"),
        ("resolve", "alert_ended"),
        ("reopen", "reopened"),
        ("resolve", "alert_ended"),
        # 1000, 1912, 2743: two minutes are 2/15 of a half-life, 0.9117.
        ("reopen", "flapping"),
    ]
    task = one(desk)
    assert (task.state, task.flap_count, task.reopen_count) == (TaskState.OPEN, 9, 3)
    assert task.flapping_since == T0 + 6 * MINUTE
    # 2743, 3501, 4192, 4822, 5396, 5919, 6396 at the last return, 18 minutes after the first.
    assert task.flap_penalty == pytest.approx(6_396, abs=5)


def test_when_it_has_stayed_away_for_long_enough_it_resolves_as_of_then(desk: Desk) -> None:
    for minute in (0, 2, 4, 6):
        flap(desk, T0 + minute * MINUTE)
    calm = one(desk).calm_at
    # 15 minutes times log2(2743 / 750) after the last return: 28 minutes and 4 seconds.
    assert calm == pytest.approx(T0 + 6 * MINUTE + 1_684 * SECOND, abs=2 * SECOND)
    assert desk.tick(calm - 1) == []
    (told,) = desk.tick(calm + 700)
    assert (told.action.value, told.reason) == ("resolve", "calmed")
    task = one(desk)
    assert (task.resolved_at, task.flapping_since, task.calm_at) == (calm, None, None)
    assert task.ended_at == T0 + 6 * MINUTE + 30 * SECOND


def test_what_fires_still_when_it_is_calm_goes_on_and_the_queue_hears_that_once(
    desk: Desk,
) -> None:
    for minute in (0, 2, 4):
        flap(desk, T0 + minute * MINUTE)
    (told,) = desk.apply(change(RULE, ALERT, FIRING, T0 + 6 * MINUTE))
    assert told.reason == "flapping"
    (told,) = desk.tick(T0 + 60 * MINUTE)
    assert (told.action.value, told.reason, told.task.state) == ("update", "calmed", "open")
    (told,) = desk.apply(change(RULE, ALERT, INACTIVE, T0 + 61 * MINUTE))
    assert (told.action.value, told.reason) == ("resolve", "alert_ended")


def test_a_return_after_it_was_due_to_be_calm_finds_it_resolved_even_without_a_tick(
    desk: Desk,
) -> None:
    for minute in (0, 2, 4, 6):
        flap(desk, T0 + minute * MINUTE)
    told = desk.apply(change(RULE, ALERT, FIRING, T0 + 60 * MINUTE))
    assert [each.reason for each in told] == ["calmed", "reopened"]


def test_returns_that_are_far_apart_never_damp_it(desk: Desk) -> None:
    # Every 20 minutes: 1000 / (1 - 0.5 ** (20 / 15)) = 1658 at the most, less than 2000.
    told = [each for n in range(12) for each in flap(desk, T0 + n * 20 * MINUTE)]
    assert len(told) == 24
    assert one(desk).flapping_since is None


def test_a_rule_may_say_never(desk: Desk) -> None:
    never = rule_of("Never", damping=Damping(suppress=0))
    alert = alert_of(never, {"instance": "a"})
    for second in range(0, 60, 2):
        desk.apply(change(never, alert, FIRING, T0 + second * SECOND))
        desk.apply(change(never, alert, INACTIVE, T0 + (second + 1) * SECOND))
    assert (one(desk).flapping_since, one(desk).reopen_count) == (None, 29)


def test_a_person_ends_the_damping_by_resolving(desk: Desk) -> None:
    for minute in (0, 2, 4, 6):
        flap(desk, T0 + minute * MINUTE)
    people = TaskCommands(desk.ledger, desk.told.extend)
    people.comment("FW-1", "ann", "a loose cable", T0 + 7 * MINUTE)
    assert desk.told[-1].reason == "comment"
    people.resolve("FW-1", "ann", T0 + 8 * MINUTE)
    assert one(desk).flapping_since is None
    assert desk.tick(T0 + DAY) == []
