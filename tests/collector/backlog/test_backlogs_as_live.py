"""With a partition and its backlog the same problems become known as without a partition."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from forewarn_collector.tasks import Task
from support.backlog_world import Samples, backlog_world
from support.live_run import without_rest
from support.stores import START, Clock, series

MINUTE, STEP = 60_000, 30_000
END = START + 40 * MINUTE
RULES = """\
groups:
  - name: g
    interval: 30s
    rules:
      - {alert: Down, expr: 'procs == 0', task: {reopen_within: 4m}}
      - {alert: Slow, expr: 'avg_over_time(lag[1m]) > 5', for: 2m, task: {reopen_within: 4m}}
      - {record: 'service:lag:sum', expr: 'sum by (service) (lag)'}
      - {alert: Service, expr: 'service:lag:sum > 15', for: 1m, task: {reopen_within: 4m}}
      - {alert: Fast, expr: 'rate(errors_total[2m]) > 1', keep_firing_for: 1m, task: {reopen_within: 4m}}
"""  # noqa: E501 - a rule is a line
Signals = list[tuple[str, int, Samples]]


def signals(chance: random.Random) -> Signals:
    """Two hosts with faults of one to ten minutes at random times."""
    found: Signals = []
    for phase, host in ((0, "a"), (7_000, "b")):
        faults = {
            name: [(s, s + chance.uniform(1, 10)) for s in [chance.uniform(5, 35)] * 1]
            for name in ("procs", "lag", "errors")
        }
        errors = 0.0
        for time in range(START + phase, END, STEP):
            minute = (time - START) / MINUTE
            wrong = {name: any(s <= minute < e for s, e in each) for name, each in faults.items()}
            errors += 90.0 if wrong["errors"] else 0.0
            found.append(
                (
                    host,
                    time,
                    [
                        (series("procs", instance=host), time, 0.0 if wrong["procs"] else 1.0),
                        (
                            series("lag", instance=host, service="shop"),
                            time,
                            9.0 if wrong["lag"] else 1.0,
                        ),
                        (series("errors_total", instance=host), time, errors),
                    ],
                )
            )
    return found


def known(folder: Path, found: Signals, arrival: Callable[[str, int], int]) -> list[Task]:
    folder.mkdir()
    with backlog_world(folder, RULES, Clock(START)) as world:
        world.run([(arrival(host, time), each) for host, time, each in found], START, END)
        world.look()
        world.run([], END, END + 2 * MINUTE)
        return world.tasks()


@pytest.mark.parametrize("seed", range(4))
def test_a_partition_hides_no_problem_and_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    without_rest(monkeypatch)
    chance = random.Random(seed)
    found = signals(chance)
    cut = START + round(chance.uniform(5, 15) * MINUTE)
    back = cut + round(chance.uniform(10, 20) * MINUTE)

    def late(host: str, time: int) -> int:
        return back + 500 + (time - cut) // 1_000 if host == "a" and cut <= time < back else time

    expected = known(tmp_path / "live", found, lambda _, time: time)
    actual = known(tmp_path / "late", found, late)
    assert expected
    assert sorted(task.key for task in actual) == sorted(task.key for task in expected)
    for key in {task.key for task in expected}:
        ours = sorted(task.onset_at for task in actual if task.key == key)
        theirs = sorted(task.onset_at for task in expected if task.key == key)
        # A sample is every 30 s, and late data is not looked at for less than 15 s.
        assert all(abs(a - b) <= STEP for a, b in zip(ours, theirs, strict=True)), key
