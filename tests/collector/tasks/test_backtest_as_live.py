"""A live run and a backtest over the same signals give the same record of tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from forewarn_collector.rules.alerts import Alert, AlertChange
from forewarn_collector.rules.backtest import Progress, Span
from forewarn_collector.rules.load import load_rules
from forewarn_collector.rules.model import AlertingRule, RuleSet
from forewarn_collector.rules.schedule import Scheduler
from forewarn_collector.store import Store
from forewarn_collector.tasks import Ledger, Policy, Task, TaskFilter, TaskKeeper, TaskQueries
from forewarn_collector.tasks.backtest import BacktestResult, TaskRecord, backtest
from support.live_run import live_run, without_rest
from support.stores import HOUR, START, Clock, batch, series

MINUTE, SECOND = 60_000, 1_000
END = START + HOUR
RULES = """\
groups:
  - name: hosts
    interval: 30s
    rules:
      - {record: 'host:busy:ratio', expr: 'avg by (instance) (rate(busy_seconds_total[2m]))'}
      - alert: Busy
        expr: host:busy:ratio > 0.8
        for: 2m
        labels: {severity: '{{ if eq $labels.instance "a" }}high{{ else }}low{{ end }}'}
        annotations: {summary: '{{ $labels.instance }} is {{ $value | humanizePercentage }} busy'}
        task: {reopen_within: 10m}
      - alert: Down
        expr: up == 0
        keep_firing_for: 1m
        labels: {severity: critical}
        task: {group_by: [instance], damping: {suppress: 0}}
      - {alert: Flaps, expr: up == 0}
      - alert: Settles
        expr: up == 0
        task: {damping: {half_life: 2m, suppress: 1, reuse: 0.25, longest: 4m}}
      - {alert: Full, expr: 'free < 10', for: 1m, task: {on_missing: hold, reopen_within: 5m}}
      - {alert: Gone, expr: 'free < 10', task: {on_missing: resolve}}
      - {alert: Silent, expr: 'absent(up{instance="c"})', for: 1m}
  - name: fleet
    rules:
      - alert: ManyBusy
        expr: count(ALERTS{alertname="Busy",alertstate="firing"}) > 1
        annotations: {summary: '{{ $value }} hosts are busy'}
"""


def signals() -> dict[int, list[tuple[Any, int, float]]]:
    """Samples of three hosts by the time of their arrival, each host with its own phase.

    `a` is busy from 5 to 25 and from 30 to 35 minutes and flaps; `b` from 10 to 40, with a restart
    of its counter at 20; `c` is lost from 15 to 45 minutes, with no room left on its disk.
    """
    found: dict[int, list[tuple[Any, int, float]]] = {}
    for phase, host in ((0, "a"), (4_321, "b"), (11_007, "c")):
        total = 0.0
        for time in range(START - 5 * MINUTE + phase, END, 15 * SECOND):
            minute = (time - START) / MINUTE
            busy = {"a": 5 < minute < 25 or 30 < minute < 35, "b": 10 < minute < 40, "c": False}
            total += 14.5 if busy[host] else 1.0
            if host == "b" and 20 <= minute < 20.25:
                total = 0.0
            if host == "c" and 15 < minute < 45:
                continue
            free = 5.0 if host == "c" and (12 < minute < 46 or 48 < minute < 50) else 50.0
            up = 0.0 if host == "a" and int(minute) % 7 == 3 and int(minute) > 30 else 1.0
            found[time] = [
                (series("busy_seconds_total", instance=host, cpu="0"), time, total),
                (series("up", instance=host), time, up),
                (series("free", instance=host, disk="/"), time, free),
            ]
    return found


class NoEvidence:
    def gather(
        self, wanted: Sequence[tuple[AlertingRule, Alert]], at: int
    ) -> Sequence[Mapping[str, Any]]:
        return [{} for _ in wanted]


class Desk:
    """A keeper that writes each round at the time of that round."""

    def __init__(self, ledger: Ledger) -> None:
        self.now = START
        self._keeper = TaskKeeper(
            ledger, NoEvidence(), Policy(), lambda: self.now, lambda told: None
        )

    def apply(self, changes: Sequence[AlertChange], at: int) -> None:
        self.now = at
        self._keeper.tick(at)
        self._keeper.apply(changes, at)

    def tick(self, at: int) -> None:
        self.now = at
        self._keeper.tick(at)


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    store = Store(tmp_path, retention=24 * HOUR, clock=clock)
    store.open()
    yield store
    store.close()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path)
    ledger.open()
    yield ledger
    ledger.close()


def rules_of(folder: Path, text: str = RULES) -> RuleSet:
    (folder / "rules.yml").write_text(text)
    return load_rules([folder / "rules.yml"])


def run_live(rules: RuleSet, store: Store, ledger: Ledger, clock: Clock) -> list[Task]:
    arrived = signals()
    for time in sorted(time for time in arrived if time < START):
        store.append(batch(*arrived[time])).result()
    desk = Desk(ledger)
    scheduler = Scheduler(
        rules,
        store,
        append=store.append,
        sink=desk,
        clock=clock,
        arrivals=store.arrivals(),
        has_series=store.has_series,
    )
    live_run(
        rules,
        scheduler,
        lambda now: setattr(clock, "now", now),
        [
            (time, lambda time=time: store.append(batch(*arrived[time])).result())
            for time in arrived
            if time >= START
        ],
        START,
        END,
    )
    desk.tick(END)
    queries = TaskQueries(ledger)
    found = [queries.one(task.number) for task in queries.list(TaskFilter(), limit=1_000).tasks]
    return sorted(found, key=lambda task: task.id)


def facts(tasks: Sequence[Task]) -> list[tuple[Any, ...]]:
    return [
        (t.id, t.rule, t.title, t.severity, t.labels, t.opened_at, t.resolved_at, t.reopen_count)
        for t in tasks
    ]


def recorded(tasks: Sequence[TaskRecord]) -> list[tuple[Any, ...]]:
    return [
        (t.number, t.rule, t.title, t.severity, t.labels, t.opened_at, t.resolved_at, t.flaps)
        for t in tasks
    ]


def at(minutes: float, phase: int = 0) -> int:
    return START + round(minutes * MINUTE) + phase


def by_name(result: BacktestResult) -> dict[str, list[TaskRecord]]:
    return {rule.rule.name: list(rule.tasks) for rule in result.rules}


def test_a_backtest_gives_the_tasks_of_a_live_run(
    tmp_path: Path, store: Store, ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_rest(monkeypatch)
    rules = rules_of(tmp_path)
    live = run_live(rules, store, ledger, clock)
    result = backtest(rules, store, Span(START, END))
    assert recorded(result.tasks) == facts(live)
    opened = {"opened", "reopened"}
    for record, task in zip(result.tasks, live, strict=True):
        kinds = [(entry.at, entry.kind.value) for entry in task.timeline]
        assert [start for start, _ in record.episodes] == [t for t, kind in kinds if kind in opened]
        ends = [end for _, end in record.episodes if end is not None]
        assert ends == [t for t, kind in kinds if kind == "resolved"]
        missing = [t for t, kind in kinds if kind == "input_missing"]
        assert [start for start, _ in record.unknown] == missing
    # By hand: what the signals were made to show.
    tasks = by_name(result)
    assert {name: len(found) for name, found in tasks.items()} == {
        "Busy": 2,
        "Down": 1,
        "Flaps": 1,
        "Settles": 1,
        "Full": 1,
        "Gone": 1,
        "Silent": 1,
        "ManyBusy": 1,
    }
    assert [(t.severity, t.flaps) for t in tasks["Busy"]] == [("high", 1), ("low", 0)]
    # `a` is down in the minutes 31, 38, 45, 52 and 59, and stays so a minute longer.
    (down,) = tasks["Down"]
    assert [start for start, _ in down.episodes] == [at(m) for m in (31, 38, 45, 52, 59)]
    assert [end for _, end in down.episodes][:4] == [at(m) for m in (33, 40, 47, 54)]
    # The third flap within minutes: a penalty of 1000, then with seven minutes' decay (0.5^(7/15))
    # 1724, then 2247, which is more than 2000. It is calm long after the end.
    (flaps,) = tasks["Flaps"]
    assert flaps.episodes == [
        (at(31), at(32)),
        (at(38), at(39)),
        (at(45), at(46)),
        (at(52), None),
    ]
    # Each flap damps it at once, for the longest time: two half-lives, from 1000 down to 250.
    (settles,) = tasks["Settles"]
    assert settles.episodes == [
        (at(31), at(32)),
        (at(38), at(42)),
        (at(45), at(49)),
        (at(52), at(56)),
        (at(59), None),
    ]
    # Resolved when `c` is lost, and again when it is back and has room: at 46 and at 50 minutes.
    assert tasks["Gone"][0].flaps == 2
    # The last sample of `c` before it is lost, 896.007 s after the start, says that its disk is
    # full, and counts for 300 s. The next instant is at 1,200 s at the latest, when a sample of
    # `a` comes.
    # Its input is missing until it is back, still full; and again it is full two minutes later.
    (full,) = tasks["Full"]
    assert full.flaps == 1
    ((since, until),) = full.unknown
    assert START + 1_196_007 <= since <= START + 1_200_000
    assert until == at(45, 11_007)


def test_progress_goes_up_to_the_whole_and_may_end_the_backtest(
    tmp_path: Path, store: Store
) -> None:
    for samples in signals().values():
        store.append(batch(*samples)).result()
    rules = rules_of(tmp_path)
    seen: list[Progress] = []
    backtest(rules, store, Span(START, END), progress=seen.append)
    done = [each.done for each in seen]
    assert done == sorted(done)
    assert (seen[-1].done, seen[-1].at) == (seen[-1].total, END)

    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backtest(rules, store, Span(START, END), progress=stop)


def test_a_rule_that_fails_is_counted_and_the_others_go_on(tmp_path: Path, store: Store) -> None:
    down, twice = series("up", instance="a"), series("load", instance="a", cpu="1")
    other = series("load", instance="a", cpu="2")
    for minute in range(10):
        time = at(minute)
        samples = [(down, time, 0.0 if minute >= 3 else 1.0), (twice, time, 1.0)]
        # Two series match in the minutes 4 and 5, and are then gone by a stale marker.
        if minute in (4, 5):
            samples.append((other, time, 1.0))
        if minute == 6:
            samples.append((other, time, float.fromhex("nan")))
        store.append(batch(*samples)).result()
    rules = rules_of(
        tmp_path,
        """\
groups:
  - name: g
    interval: 1h
    rules:
      - {alert: Joined, expr: 'up == 0 and on (instance) (up + on (instance) group_left load) > 0'}
      - {alert: Many, expr: 'up * on (instance) load >= 0'}
      - {alert: Down, expr: 'up == 0'}
""",
    )
    result = backtest(rules, store, Span(at(0), at(9)))
    outcomes = {rule.rule.name: rule.outcome for rule in result.rules}
    assert outcomes["Down"].failures == 0
    assert len(by_name(result)["Down"]) == 1
    many = outcomes["Many"]
    assert "many-to-many" in many.error
    assert many.first_failed == at(4)


def test_instants_that_are_put_off_are_fewer_and_find_the_same_tasks_at_about_the_same_times(
    tmp_path: Path, store: Store
) -> None:
    for samples in signals().values():
        store.append(batch(*samples)).result()
    rules = rules_of(tmp_path)
    exact = backtest(rules, store, Span(START, END))
    rough = backtest(rules, store, Span(START, END), resolution=15 * SECOND)
    # In an hour there are 240 times of 15 s.
    assert rough.replayed.instants <= 2 * 240 < exact.replayed.instants
    for ours, theirs in zip(rough.tasks, exact.tasks, strict=True):
        assert (ours.rule, ours.title, ours.flaps) == (theirs.rule, theirs.title, theirs.flaps)
        # Also earlier: what time alone makes true may be seen by an evaluation that was put off.
        assert abs(ours.opened_at - theirs.opened_at) <= 30 * SECOND
