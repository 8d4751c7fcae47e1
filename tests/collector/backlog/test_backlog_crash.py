"""A collector that is killed at any write of the ledger loses and doubles nothing of a backlog."""

from __future__ import annotations

from pathlib import Path

import pytest

from forewarn_collector.tasks import TaskState, TimelineKind
from support.backlog_story import BACK, DOWN, RULES, SLOW, UP, tell
from support.backlog_world import backlog_world
from support.dying import driver_of
from support.live_run import without_rest
from support.stores import Clock

DRIVER = Path(__file__).with_name("backlog_crash_driver.py")


@pytest.mark.parametrize("when", ["before", "after"])
def test_each_problem_has_one_task_wherever_the_collector_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, each_database: str, when: str
) -> None:
    without_rest(monkeypatch)
    which = 1
    with driver_of(DRIVER) as work:
        while True:
            folder = tmp_path / str(which)
            folder.mkdir()
            (folder / "rules.yml").write_text(RULES)
            if work.live(folder, which, when) != "killed":
                break
            with backlog_world(folder, RULES, Clock(BACK + 30_000)) as world:
                world.look()
                # The agent sends again what was not acknowledged; the others know it already.
                tell(world)
                # The interval of the rules' group is over.
                world.clock.now += 30_000
                world.scheduler.catch_up()
                tasks = {task.rule_name: task for task in world.tasks()}
                assert len(world.tasks()) == len(tasks) == 3, which
                down, slow, waits = tasks["Down"], tasks["Slow"], tasks["Waits"]
                assert (down.onset_at, down.ended_at, down.retrospective) == (DOWN, UP, True), which
                assert [entry.kind for entry in down.timeline].count(TimelineKind.RETROSPECT) == 1
                assert (slow.onset_at, slow.state) == (SLOW, TaskState.OPEN), which
                assert (waits.onset_at, waits.state) == (SLOW, TaskState.OPEN), which
                assert world.backlogs.waiting == 0
                assert world.backlogs._rows.load() == []
            which += 1 if each_database == "sqlite" else 2
    # The ledger is opened, two alerts are kept, a backlog is noted, and what it tells is kept.
    assert which > 5
