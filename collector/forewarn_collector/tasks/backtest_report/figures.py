"""How much work and noise a rule made in a backtest: by task, by host and by week."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from forewarn_collector.rules.backtest import Span
from forewarn_collector.tasks.backtest import RuleRecord, TaskRecord
from forewarn_collector.tasks.identity import label

WEEK = 7 * 86_400_000
NO_HOST = "-"
"""Stands for the host of tasks that have no label `instance`."""


@dataclass(frozen=True, slots=True)
class HostWeek:
    """What came up at one host in one ISO week (UTC, as `2026-W47`)."""

    host: str
    week: str
    tasks: int
    flaps: int

    @property
    def noise(self) -> int:
        """How often someone was told that something is wrong."""
        return self.tasks + self.flaps


@dataclass(frozen=True, slots=True)
class Figures:
    """The sums over some tasks. Durations in ms, up to the end of the backtest where still open.

    `rate` is tasks and flaps per host and week: over the hosts that had any, and over the length
    of the backtest, which counts as a week at least.
    """

    tasks: int
    flaps: int
    still_open: int
    open_time: int
    longest: int
    rate: float
    weeks: tuple[HostWeek, ...]

    @property
    def noise(self) -> int:
        """How often someone was told that something is wrong."""
        return self.tasks + self.flaps

    @property
    def noisiest(self) -> HostWeek | None:
        """The host and week with the most, the earliest of several."""
        return max(self.weeks, key=lambda each: each.noise, default=None)


def open_time(task: TaskRecord, span: Span) -> int:
    """How long the task was open in all (ms), the times between its flaps left out."""
    return sum((span.end if end is None else end) - start for start, end in task.episodes)


def figures(tasks: Sequence[TaskRecord], span: Span) -> Figures:
    """The sums over tasks of one backtest."""
    opened: Counter[tuple[str, str]] = Counter()
    again: Counter[tuple[str, str]] = Counter()
    for task in tasks:
        host = label(task.labels, "instance") or NO_HOST
        for number, (start, _) in enumerate(task.episodes):
            (again if number else opened)[host, _week(start)] += 1
    places = sorted({*opened, *again}, key=lambda place: (place[1], place[0]))
    weeks = tuple(HostWeek(*place, opened[place], again[place]) for place in places)
    times = [open_time(task, span) for task in tasks]
    flaps = sum(task.flaps for task in tasks)
    hosts = len({host for host, _ in places})
    length = max(span.length / WEEK, 1)
    return Figures(
        tasks=len(tasks),
        flaps=flaps,
        still_open=sum(task.resolved_at is None for task in tasks),
        open_time=sum(times),
        longest=max(times, default=0),
        rate=(len(tasks) + flaps) / hosts / length if hosts else 0.0,
        weeks=weeks,
    )


def in_order(tasks: Sequence[TaskRecord]) -> list[TaskRecord]:
    """Tasks in the order in which they opened."""
    return sorted(tasks, key=lambda task: task.opened_at)


def worst_first(rules: Sequence[RuleRecord], span: Span) -> list[tuple[RuleRecord, Figures]]:
    """Rules with their figures: the noisiest first, then those whose tasks were open longest."""
    found = [(rule, figures(rule.tasks, span)) for rule in rules]
    return sorted(found, key=lambda each: (-each[1].noise, -each[1].open_time, each[0].rule.name))


def _week(time: int) -> str:
    year, week, _ = datetime.fromtimestamp(time / 1000, UTC).isocalendar()
    return f"{year}-W{week:02d}"
