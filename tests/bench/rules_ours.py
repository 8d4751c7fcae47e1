"""The rules benchmark's own side: the product's store and scheduler, in this process."""

from __future__ import annotations

import cProfile
import math
import queue
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from bench.rules_fleet import SERIES, TICK, Fleet, Tick
from forewarn_collector.promql import LiveWindows, compile_query
from forewarn_collector.rules import AlertChange, RuleSet, Scheduler, load_rules
from forewarn_collector.store import Arrival, Batch, Store
from forewarn_wire import Labels, without
from forewarn_wire.labels import METRIC_NAME

HOUR = 3_600_000


class CountingSink:
    """Takes the changes of alerts, and keeps nothing but their number."""

    def __init__(self) -> None:
        self.changes = 0

    def apply(self, changes: Sequence[AlertChange], at: int) -> None:
        """Count them."""
        self.changes += len(changes)


@dataclass
class Measured:
    """What rounds cost, in seconds: by group's name, in all, and to take the samples in."""

    wall: dict[str, list[float]] = field(default_factory=dict)
    round_wall: list[float] = field(default_factory=list)
    round_cpu: list[float] = field(default_factory=list)
    arrival_cpu: list[float] = field(default_factory=list)


class Ours:
    """A store and a scheduler, composed as `app.py` does, on simulated time."""

    def __init__(self, folder: Path, rule_file: Path, fleet: Fleet) -> None:
        self._fleet = fleet
        self.now = 0
        self.rules: RuleSet = load_rules([rule_file], interval=15_000)
        self.sink = CountingSink()
        self.store = Store(folder, retention=24 * HOUR, clock=lambda: self.now)
        self.store.open()
        self._arrivals: queue.SimpleQueue[Arrival] = self.store.arrivals()
        self._scheduler = Scheduler(
            self.rules,
            self.store,
            append=lambda batch: self.store.append(batch, own=True),
            arrivals=self._arrivals,
            sink=self.sink,
            clock=lambda: self.now,
            live=LiveWindows(self.store),
        )
        # A tick's samples come in up to a hundred writes, since a commit takes what is there.
        writes = min(max(fleet.hosts // 10, 10), 100)
        bounds = np.searchsorted(fleet.phases, np.linspace(0, TICK, writes + 1)).tolist()
        self._slots = [(low, high) for low, high in pairwise(bounds) if low < high]
        # A sender's label sets stay the same objects, and so does the list while all of them send.
        self._labels = [
            [labels for host in fleet.labels[low:high] for labels in host]
            for low, high in self._slots
        ]

    def close(self) -> None:
        """End the store's thread."""
        self.store.close()

    def take(self, tick: Tick) -> None:
        """Store what the hosts sampled, each write when the one before it is durable."""
        for (low, high), labels in zip(self._slots, self._labels, strict=True):
            sent = tick.sent[low:high]
            if not sent.any():
                continue
            if not sent.all():
                hosts = np.flatnonzero(sent).tolist()
                labels = [one for host in hosts for one in labels[host * SERIES :][:SERIES]]
            values = tick.values[low:high][sent].ravel()
            times = np.repeat(tick.times[low:high][sent], SERIES)
            rows = np.arange(len(labels), dtype=np.int64)
            self.now = max(self.now, int(times.max()))
            self.store.append(Batch(labels, rows, times, values)).result()
        while not self._arrivals.empty():
            self._arrivals.get()

    def rounds(self, count: int, warm: int, profile: cProfile.Profile | None = None) -> Measured:
        """Let a tick's samples arrive and evaluate every group, again and again."""
        found = Measured()
        for number in range(warm + count):
            tick = self._fleet.tick()
            began = time.process_time()
            self.take(tick)
            arrival = time.process_time() - began
            measured = found if number >= warm else Measured()
            measured.arrival_cpu.append(arrival)
            if profile is not None and number >= warm:
                profile.enable()
            self._round(measured)
            if profile is not None:
                profile.disable()
        failed = [
            f"{status.rule.key}: {status.last_error}"
            for group in self._scheduler.groups()
            for status in group.rules
            if status.last_error
        ]
        assert not failed, failed
        return found

    def _round(self, found: Measured) -> None:
        groups = [group.key for group in self.rules.groups]
        wall, cpu = time.perf_counter(), time.process_time()
        self._scheduler.evaluate_groups(groups, self.now)
        found.round_wall.append(time.perf_counter() - wall)
        found.round_cpu.append(time.process_time() - cpu)
        for status in self._scheduler.groups():
            found.wall.setdefault(status.group.name, []).append(status.evaluation_seconds)

    def drifted(self) -> list[str]:
        """Rules whose last result is not what a query that keeps nothing gives at that time."""
        found = []
        for status in (rule for group in self._scheduler.groups() for rule in group.rules):
            fresh = self.ask(status.rule.expr, self.now)
            if len(fresh) != status.elements:
                found.append(f"{status.rule.key}: {status.elements} elements, afresh {len(fresh)}")
                continue
            for alert in status.alerts:
                value = fresh.get(without(alert.series, (METRIC_NAME,)), math.nan)
                if alert.evaluated_at == self.now and not math.isclose(alert.value, value):
                    found.append(f"{status.rule.key}: {alert.value} of {alert.series}, not {value}")
        return found

    def alerts(self) -> int:
        """How many alerts are not inactive."""
        return len(self._scheduler.alerts())

    def ask(self, expr: str, at: int) -> dict[Labels, float]:
        """An instant query's vector at `at` (ms), without the names of metrics."""
        vector = compile_query(expr).instant(self.store, at).vector()
        return {without(labels, (METRIC_NAME,)): value for labels, value in vector}
