"""Tasks as series: what each shows, from the change to its end, and how many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.showing import TaskShow
from forewarn_collector.store import Batch, StoreError
from forewarn_collector.tasks import TaskCommands, TaskCount, TaskQueries, TaskState
from forewarn_collector.tasks.task_series import MOST_COUNTS, RECENT, bounded, series_of
from forewarn_wire import Labels, is_stale
from support.alerts import MINUTE, T0, Desk, alert_of, change, rule_of

URL = "https://forewarn.example.org"
RULE = rule_of()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


class Written:
    """Takes batches as a store does; the next ones fail where that is said."""

    def __init__(self) -> None:
        self.samples: list[tuple[Labels, int, float]] = []
        self.fails = False

    def append(self, batch: Batch) -> Future[Any]:
        done: Future[Any] = Future()
        if self.fails:
            done.set_exception(StoreError("the disk is full", retryable=True))
        else:
            self.samples += zip(
                batch.labels, batch.times.tolist(), batch.values.tolist(), strict=True
            )
            done.set_result(None)
        return done

    def taken(self) -> dict[str, float]:
        """What came since the last look, by metric and state, where there is one."""
        found = {}
        for labels, _, value in self.samples:
            given = dict(labels)
            found[" ".join((given["__name__"], given.get("state", ""))).strip()] = value
        self.samples.clear()
        return found


def shown(desk: Desk, written: Written) -> TaskShow:
    return TaskShow(TaskQueries(desk.ledger), written.append, URL, desk.clock)


def fire(desk: Desk, **labels: str) -> None:
    alert = alert_of(RULE, {"severity": "high", **labels})
    desk.apply(change(RULE, alert, AlertState.FIRING))


def test_a_task_says_all_by_which_dashboards_choose(desk: Desk) -> None:
    fire(desk, instance="web1", customer="acme", groupname="shop")
    (task,) = TaskQueries(desk.ledger).current(0, 10)
    about = {"job": "forewarn", "task": "FW-1", "customer": "acme", "instance": "web1"}
    about["service"] = "shop"
    told = {
        "state": "open",
        "severity": "high",
        "kind": "corrective",
        "rule": "DiskFull",
        "queue": "support",
        "title": task.title,
        "url": "https://forewarn.example.org/tasks/FW-1",
    }
    series = {dict(labels)["__name__"]: dict(labels) for labels in series_of([task], URL)}
    assert series["forewarn_task_info"] == {"__name__": "forewarn_task_info", **about, **told}
    onset = "forewarn_task_onset_timestamp_seconds"
    assert series[onset] == {"__name__": onset, **about}
    assert series_of([task], URL)[tuple(sorted(series[onset].items()))] == task.onset_at / 1000
    named = series_of([replace(task, service="checkout")], URL)
    assert {dict(labels)["service"] for labels in named} == {"checkout"}


async def test_a_change_ends_what_was_shown_and_writes_no_more_than_that(desk: Desk) -> None:
    written = Written()
    show = shown(desk, written)
    await show.look(T0, whole=True)
    assert written.taken() == {}
    fire(desk, instance="web1")
    await show.look(T0 + MINUTE, whole=False)
    due = TaskQueries(desk.ledger).one("FW-1").due_at
    assert due is not None
    assert written.taken() == {
        "forewarn_task_info open": 1.0,
        "forewarn_task_onset_timestamp_seconds": (T0 - 500) / 1000,
        "forewarn_task_due_timestamp_seconds": due / 1000,
    }
    await show.look(T0 + MINUTE + 1, whole=False)
    assert written.taken() == {}
    TaskCommands(desk.ledger, lambda _: None).acknowledge("FW-1", "ann", T0 + 2 * MINUTE)
    await show.look(T0 + 2 * MINUTE, whole=False)
    changed = written.taken()
    assert changed.pop("forewarn_task_info acknowledged") == 1.0
    assert is_stale(changed.pop("forewarn_task_info open"))
    assert changed == {}
    await show.look(T0 + 3 * MINUTE, whole=True)
    assert set(written.taken()) == {
        "forewarn_task_info acknowledged",
        "forewarn_task_onset_timestamp_seconds",
        "forewarn_task_due_timestamp_seconds",
    }


async def test_a_task_that_ended_is_shown_for_a_day_and_is_never_overdue(desk: Desk) -> None:
    written = Written()
    show = shown(desk, written)
    fire(desk, instance="web1")
    await show.look(T0, whole=True)
    TaskCommands(desk.ledger, lambda _: None).resolve("FW-1", "ann", T0 + MINUTE)
    written.taken()
    await show.look(T0 + MINUTE, whole=False)
    ended = written.taken()
    assert ended["forewarn_task_info resolved"] == 1.0
    assert ended["forewarn_task_ended_timestamp_seconds"] == (T0 + MINUTE) / 1000
    assert is_stale(ended["forewarn_task_due_timestamp_seconds"])
    await show.look(T0 + MINUTE + RECENT, whole=False)
    assert written.taken() == {}
    await show.look(T0 + MINUTE + RECENT + 1, whole=False)
    assert [is_stale(value) for value in written.taken().values()] == [True] * 3


async def test_what_could_not_be_stored_is_stored_whole_and_ended_later(desk: Desk) -> None:
    written = Written()
    show = shown(desk, written)
    fire(desk, instance="web1")
    written.fails = True
    with pytest.raises(StoreError):
        await show.look(T0, whole=True)
    TaskCommands(desk.ledger, lambda _: None).acknowledge("FW-1", "ann", T0 + MINUTE)
    written.fails = False
    await show.look(T0 + MINUTE, whole=True)
    found = written.taken()
    assert is_stale(found["forewarn_task_info open"])
    assert found["forewarn_task_info acknowledged"] == 1.0
    assert len(found) == 4


def test_of_too_many_counts_the_small_ones_share_a_rule_and_the_sum_stays_right() -> None:
    counts = [
        TaskCount(TaskState.OPEN, "high", "corrective", f"c{i % 2}", f"Rule{i}", "support", i + 1)
        for i in range(MOST_COUNTS + 10)
    ]
    found = bounded(counts)
    assert len(found) == MOST_COUNTS + 2
    by_customer: Counter[str] = Counter()
    for key, number in found.items():
        by_customer[key[3]] += number
    # 1 + 3 + ... and 2 + 4 + ..., each of half as many terms.
    half = (MOST_COUNTS + 10) // 2
    assert by_customer == {"c0": half * half, "c1": half * (half + 1)}
    assert found["open", "high", "corrective", "c0", "other", "support"] == 1 + 3 + 5 + 7 + 9
