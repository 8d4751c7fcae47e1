"""Alerts from outside, over the ledger: what becomes of them, and of a crash at any moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select

from forewarn_collector.tasks import Task, TaskState
from forewarn_collector.tasks.queries import TaskFilter, TaskQueries
from forewarn_collector.tasks.rows import rows_of
from forewarn_collector.tasks.schema import deliveries, holds, task_alerts, tasks, timeline
from forewarn_collector.tasks.schema_silences import received_alerts, silences
from support.alertmanager import Ours

T0 = 1_800_000_000_000
MINUTE = 60_000
CONFIG = """
global: {resolve_timeout: 5m}
route:
  receiver: desk
  group_by: [cluster]
  routes:
    - {receiver: night, matchers: [team=night], group_by: ['...'], mute_time_intervals: [morning]}
inhibit_rules:
  - {source_matchers: [alertname=Gone], target_matchers: [alertname=Slow], equal: [cluster]}
receivers: [{name: desk}, {name: night}]
# T0 is 08:00 UTC.
time_intervals:
  - {name: morning, time_intervals: [{times: [{start_time: '08:00', end_time: '08:10'}]}]}
"""


def stamp(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat()


def posted(name: str, start: int = T0, end: int | None = None, **labels: str) -> dict[str, Any]:
    found = {"labels": {"alertname": name, **labels}, "startsAt": stamp(start)}
    found["annotations"] = {"summary": f"{name} it is"}
    return found if end is None else {**found, "endsAt": stamp(end)}


def all_tasks(ours: Ours) -> list[Task]:
    page = TaskQueries(ours.ledger).list(TaskFilter())
    return sorted(page.tasks, key=lambda task: task.id)


@pytest.fixture
def ours(tmp_path: Path, each_database: str) -> Any:
    found = Ours(tmp_path, CONFIG, T0)
    yield found
    found.close()


def test_a_group_is_one_task_whatever_its_alerts_are_called(ours: Ours) -> None:
    ours.post_alerts(
        [
            posted("Down", T0 - MINUTE, cluster="a", host="1"),
            posted("Full", cluster="a", host="2"),
            posted("Down", cluster="b"),
            posted("Down", cluster="b", customer="acme"),
        ]
    )
    keys = ['{}:{cluster="a"}', '{}:{cluster="b"}', '{}:{cluster="b", customer="acme"}']
    assert {task.key for task in all_tasks(ours)} == set(keys)
    first = all_tasks(ours)[0]
    assert (first.onset_at, first.queue, first.origin) == (T0 - MINUTE, "desk", "alertmanager")
    assert first.title == "Down it is"


def test_sending_again_changes_nothing_and_silence_ends_it(ours: Ours) -> None:
    ours.post_alerts([posted("Down", cluster="a")])
    for minute in (1, 2, 3):
        ours.now = T0 + minute * MINUTE
        ours.post_alerts([posted("Down", cluster="a")])
    ours.tick()
    (task,) = all_tasks(ours)
    assert (task.revision, task.state) == (1, TaskState.OPEN)
    ours.now = T0 + 8 * MINUTE - 1
    ours.tick()
    assert [(each.revision, each.state) for each in all_tasks(ours)] == [(1, TaskState.OPEN)]
    ours.now = T0 + 8 * MINUTE + 900
    ours.tick()
    (ended,) = all_tasks(ours)
    # Five minutes after it was sent last, however late somebody looks.
    assert (ended.state, ended.ended_at) == (TaskState.RESOLVED, T0 + 8 * MINUTE)


def test_an_alert_told_to_be_over_ends_then_and_a_new_one_reopens(ours: Ours) -> None:
    ours.post_alerts([posted("Down", cluster="a")])
    ours.now = T0 + MINUTE
    ours.post_alerts([posted("Down", T0, T0 + 50_000, cluster="a")])
    (task,) = all_tasks(ours)
    assert (task.state, task.ended_at) == (TaskState.RESOLVED, T0 + 50_000)
    assert ours.alerts() == []
    ours.now = T0 + 2 * MINUTE
    ours.post_alerts([posted("Down", ours.now, cluster="a")])
    (task,) = all_tasks(ours)
    assert (task.state, task.reopen_count) == (TaskState.OPEN, 1)


def test_what_was_over_before_it_came_is_no_task(ours: Ours) -> None:
    ours.post_alerts([posted("Down", T0 - 2 * MINUTE, T0 - MINUTE, cluster="a")])
    assert all_tasks(ours) == []


def test_a_mute_route_holds_its_alerts_until_the_interval_is_over(ours: Ours) -> None:
    end = T0 + 60 * MINUTE
    ours.post_alerts([posted("Down", T0, end, team="night")])
    assert all_tasks(ours) == []
    (shown,) = ours.alerts()
    assert (shown["status"]["state"], shown["status"]["mutedBy"]) == ("active", ["morning"])
    ours.now = T0 + 10 * MINUTE - 1
    ours.tick()
    assert all_tasks(ours) == []
    ours.now = T0 + 10 * MINUTE
    ours.tick()
    (task,) = all_tasks(ours)
    assert (task.onset_at, task.opened_at) == (T0, T0 + 10 * MINUTE)


class CrashError(Exception):
    """The process is gone."""


class Fuse:
    """Ends what runs at the statement or commit of this number; 0: never."""

    def __init__(self, ours: Ours) -> None:
        self.left = 0
        for name in ("before_cursor_execute", "commit"):
            event.listen(ours.ledger.engine, name, self.burn)

    def burn(self, *_: Any) -> None:
        if self.left:
            self.left -= 1
            if not self.left:
                raise CrashError


def silence(**changed: Any) -> dict[str, Any]:
    given = {
        "matchers": [{"name": "cluster", "value": "c", "isRegex": False}],
        "startsAt": stamp(T0),
        "endsAt": stamp(T0 + 4 * MINUTE),
        "createdBy": "ann",
        "comment": "move",
    }
    return given | changed


Step = tuple[int, Callable[[Ours], object]]
LATE = T0 + 60 * MINUTE
STORY: list[Step] = [
    (0, lambda ours: ours.post_alerts([posted("Gone", T0, LATE, cluster="a")])),
    (
        1,
        lambda ours: ours.post_alerts(
            [posted("Slow", T0, LATE, cluster="a", host="x"), posted("Slow", T0, cluster="b")]
        ),
    ),
    (2, lambda ours: ours.post_alerts([posted("Gone", T0, T0 + 2 * MINUTE, cluster="a")])),
    (3, lambda ours: ours.tick()),
    (4, lambda ours: ours.post_alerts([posted("Slow", T0, cluster="b")])),
    (9, lambda ours: ours.tick()),
    (10, lambda ours: ours.post_alerts([posted("Late", T0 + 9 * MINUTE, LATE, cluster="b")])),
    (40, lambda ours: ours.tick()),
]


def everything(ours: Ours) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    ordered = [(tasks, "id"), (task_alerts, "alert_id"), (timeline, "id"), (holds, "id")]
    with ours.ledger.read() as connection:
        for table, order in [*ordered, (deliveries, "seq"), (received_alerts, "id")]:
            rows = rows_of(connection.execute(select(table).order_by(table.c[order])))
            hidden = {"seq"} if table is deliveries else set()
            hidden |= {"id"} if table in (timeline, holds, deliveries) else set()
            found[table.name] = [
                {name: value for name, value in row.items() if name not in hidden} for row in rows
            ]
    return found


def test_a_crash_before_any_statement_changes_nothing_in_the_end(
    tmp_path: Path, each_database: str
) -> None:
    (tmp_path / "smooth").mkdir()
    smooth = Ours(tmp_path / "smooth", CONFIG, T0)
    for minute, step in STORY:
        smooth.now = T0 + minute * MINUTE
        step(smooth)
    expected = everything(smooth)
    smooth.close()
    assert [row["kind"] for row in expected["holds"]] == ["inhibition"]
    assert len(expected["tasks"]) == 2

    (tmp_path / "rough").mkdir()
    ours, crashes = Ours(tmp_path / "rough", CONFIG, T0), 0
    fuse = Fuse(ours)
    for minute, step in STORY:
        ours.now = T0 + minute * MINUTE
        at = 0
        while fuse.left == 0:
            at += 1
            fuse.left = at
            try:
                step(ours)
                break
            except CrashError:
                crashes += 1
                fuse.left = 0
                # The sender was not answered, and sends it again.
                ours.restart()
        fuse.left = 0
    assert everything(ours) == expected
    ours.close()
    print(f"{crashes} crashes on {each_database}")
    assert crashes > 80


def test_silences_are_the_same_on_each_database(ours: Ours) -> None:
    name = ours.post_silence(silence())
    ours.post_alerts([posted("Down", T0, LATE, cluster="c")])
    assert all_tasks(ours) == []
    ours.restart()
    assert [each.id for each in ours.place.silences.all()] == [name]
    ours.now = T0 + 4 * MINUTE
    ours.tick()
    (task,) = all_tasks(ours)
    assert task.onset_at == T0
    with ours.ledger.read() as connection:
        assert [row["comment"] for row in rows_of(connection.execute(select(silences)))] == ["move"]
