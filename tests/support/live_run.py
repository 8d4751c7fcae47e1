"""A live run on simulated time: signals arrive one after another, and rules are due meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import pytest

from forewarn_collector.rules import agenda
from forewarn_collector.rules.agenda import next_tick
from forewarn_collector.rules.alerts import AlertChange
from forewarn_collector.rules.model import RuleSet
from forewarn_collector.rules.schedule import Scheduler


@dataclass
class Changes:
    """Keeps what it hears."""

    heard: list[AlertChange] = field(default_factory=list)

    def apply(self, changes: Sequence[AlertChange], at: int) -> None:
        self.heard += changes


def without_rest(patch: pytest.MonkeyPatch) -> None:
    """Have rules evaluated at every arrival: on simulated time none of them takes long."""
    patch.setattr(agenda, "REST", 0)
    patch.setattr(agenda, "BURST", float("inf"))


def live_run(
    rules: RuleSet,
    scheduler: Scheduler,
    set_clock: Callable[[int], None],
    arrivals: Iterable[tuple[int, Callable[[], object]]],
    start: int,
    end: int,
) -> None:
    """Let signals arrive, each by a call at its time (ms), and rules be due, up to `end`."""
    waiting = sorted(arrivals, key=lambda arrival: arrival[0])
    ticks = {group.key: next_tick(group, start) for group in rules.groups}
    while True:
        now = min([*ticks.values(), *(time for time, _ in waiting[:1])])
        if now > end:
            return
        set_clock(now)
        while waiting and waiting[0][0] == now:
            waiting.pop(0)[1]()
        scheduler.catch_up()
        ticks = {group.key: next_tick(group, now) for group in rules.groups}
