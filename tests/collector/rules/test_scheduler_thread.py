"""The scheduler's thread: arrivals wake it, and it wakes itself by the clock."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from forewarn_collector.rules.alerts import AlertChange
from forewarn_collector.rules.load import load_rules
from forewarn_collector.rules.schedule import Scheduler
from support.memory_source import MemorySource
from support.waiting import wait_until


def now() -> int:
    return int(time.time() * 1000)


class Sink:
    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self.refusals = 0

    def apply(self, changes: Sequence[AlertChange], at: int) -> None:
        if self.refusals:
            self.refusals -= 1
            raise OSError("disk full")
        self.seen += [(f"{change.rule.name} {change.after}", now()) for change in changes]

    def names(self) -> list[str]:
        return [name for name, _ in self.seen]


@contextmanager
def running(folder: Path, text: str, sink: Sink, source: MemorySource) -> Iterator[Scheduler]:
    file = folder / "rules.yml"
    file.write_text(text)
    scheduler = Scheduler(
        load_rules([file]),
        source,
        append=source.append,
        sink=sink,
        clock=now,
        arrivals=source.arrivals,
    )
    scheduler.start()
    try:
        yield scheduler
    finally:
        scheduler.stop()


HOURLY = """
groups:
  - name: g
    interval: 1h
    rules:
      - {alert: Down, expr: procs == 0}
"""


def test_an_arrival_is_evaluated_at_once_and_not_at_the_next_interval(tmp_path: Path) -> None:
    sink, source = Sink(), MemorySource()
    with running(tmp_path, HOURLY, sink, source):
        at = now()
        source.add('procs{instance="a"}', (at, 0))
        wait_until("the alert fires", lambda: sink.names() == ["Down firing"])
        assert sink.seen[0][1] - at < 1_000
        source.add('procs{instance="a"}', (at + 1, 1))
        wait_until("the alert ends", lambda: sink.names() == ["Down firing", "Down inactive"])


def test_a_burst_of_arrivals_is_one_evaluation(tmp_path: Path) -> None:
    sink, source = Sink(), MemorySource()
    with running(tmp_path, HOURLY, sink, source) as scheduler:
        for name in range(50):
            source.add(f'procs{{instance="{name}"}}', (now(), 0))
        wait_until("all fire", lambda: len(sink.seen) == 50)
        assert scheduler.groups()[0].evaluations < 10


def test_time_alone_brings_a_group_to_its_evaluation(tmp_path: Path) -> None:
    sink, source = Sink(), MemorySource()
    text = HOURLY.replace("1h", "50ms").replace("procs == 0", "absent(procs)")
    with running(tmp_path, text, sink, source):
        wait_until("the alert fires", lambda: sink.names() == ["Down firing"])


def test_a_sink_that_refuses_is_asked_again_soon(tmp_path: Path) -> None:
    sink, source = Sink(), MemorySource()
    sink.refusals = 1
    with running(tmp_path, HOURLY, sink, source):
        source.add('procs{instance="a"}', (now(), 0))
        wait_until("the alert fires", lambda: sink.names() == ["Down firing"])


def test_what_one_group_records_reaches_the_next_without_its_interval(tmp_path: Path) -> None:
    sink, source = Sink(), MemorySource()
    text = """
groups:
  - {name: two, interval: 1h, rules: [{alert: High, expr: high}]}
  - {name: one, interval: 1h, rules: [{record: high, expr: load > 5}]}
"""
    with running(tmp_path, text, sink, source):
        source.add('load{instance="a"}', (now(), 7))
        wait_until("the alert fires", lambda: sink.names() == ["High firing"])


def test_other_rules_are_in_force_after_a_reload_while_it_runs(tmp_path: Path) -> None:
    sink, source = Sink(), MemorySource()
    with running(tmp_path, HOURLY, sink, source) as scheduler:
        (tmp_path / "rules.yml").write_text(HOURLY.replace("Down", "Other"))
        scheduler.reload(load_rules([tmp_path / "rules.yml"]))
        source.add('procs{instance="a"}', (now(), 0))
        wait_until("the new rule fires", lambda: sink.names() == ["Other firing"])
