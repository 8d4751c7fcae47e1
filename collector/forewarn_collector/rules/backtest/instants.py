"""At which instants the collector would have evaluated each rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.rules.agenda import next_tick
from forewarn_collector.rules.backtest.block import each_once
from forewarn_collector.rules.backtest.model import Span
from forewarn_collector.rules.model import RuleGroup
from forewarn_collector.rules.order import Order
from forewarn_collector.store import Ints, Matcher

_NONE: Ints = np.zeros(0, dtype=np.int64)


class Timetable:
    """The instants of one slab of time after another.

    Rules are due at the interval of their group, when a sample that they read arrives, and whenever
    a rule that feeds them is. A sample arrives at its own time. An instant is put off to the next
    multiple of `resolution` (ms), so that arrivals in between are one. Rules that read alerts are
    also due just after these change.

    `units` are the rules in their order, those that depend on each other together.
    """

    def __init__(
        self, order: Order, groups: Sequence[RuleGroup], span: Span, resolution: int
    ) -> None:
        self.units = _units(order)
        self._order = order
        self._last = span.end
        self.resolution = resolution
        by_rule = {rule.key: group for group in groups for rule in group.rules}
        self._groups = [by_rule[rule.key] for rule in order.rules]
        self._ticking = {
            group.key: (next_tick(group, span.start), group.interval) for group in groups
        }
        self._start = self._end = span.start
        self._ticks: dict[str, Ints] = {}
        self._arrived: dict[frozenset[Matcher], Ints] = {}
        self._found: list[Ints] = []
        # When alerts of a rule changed in this slab, and instants that lie behind the last one.
        self._changes: dict[int, Ints] = {}
        self._carried: dict[int, Ints] = {}

    def begin(self, start: int, end: int) -> None:
        """Go on to the slab from `start` to `end` (ms).

        But in the last one `end` must be a multiple of the resolution.
        """
        self._start, self._end = start, end
        self._ticks = {
            key: self._put_off(_every(first, interval, start, end))
            for key, (first, interval) in self._ticking.items()
        }
        self._arrived = {}
        self._found = [_NONE] * len(self._order.rules)
        self._changes = {}

    def of(self, unit: Sequence[int], arrivals: Callable[[Sequence[Matcher]], Ints]) -> list[Ints]:
        """The instants of the rules of a unit in the slab, after those of the units before.

        `arrivals` gives the times of the stored samples of a selector there.
        """
        own = {position: self._own(position, arrivals) for position in unit}
        roused: dict[int, Ints] = {}
        for position in unit:
            instants = union([own[position], *self._followed(position, own)])
            roused[position] = union(self._roused(position, instants))
            self._found[position] = union([instants, roused[position]])
        for position in unit:
            followed = self._followed(position, roused)
            self._found[position] = union([self._found[position], *followed])
        return [self._found[position] for position in unit]

    def _followed(self, position: int, instants: Mapping[int, Ints]) -> Iterator[Ints]:
        """The instants of those rules of a unit that feed this one, directly or through others."""
        return (
            times for other, times in instants.items() if position in self._order.followers[other]
        )

    def changed(self, position: int, times: Iterable[int]) -> None:
        """Note when (ms) alerts of a rule changed in this slab."""
        if self._order.watchers[position]:
            self._changes[position] = np.fromiter(times, np.int64)

    def turns(self, position: int, instants: Ints) -> NDArray[np.bool_]:
        """At which of some instants the interval of the rule's group is over."""
        ticks = self._ticks[self._groups[position].key]
        if not len(ticks):
            return np.zeros(len(instants), dtype=np.bool_)
        places = np.minimum(np.searchsorted(ticks, instants), len(ticks) - 1)
        return np.asarray(ticks[places] == instants)

    def count(self) -> int:
        """How many different instants there were in this slab."""
        return len(union(self._found))

    def _own(self, position: int, arrivals: Callable[[Sequence[Matcher]], Ints]) -> Ints:
        """The instants of a rule that others of its unit have no part in."""
        parts = [self._ticks[self._groups[position].key]]
        for selector in self._order.rules[position].query.selectors:
            key = frozenset(selector.matchers)
            if key not in self._arrived:
                self._arrived[key] = self._put_off(arrivals(selector.matchers))
            parts.append(self._arrived[key])
        parts += [self._found[feeder] for feeder in self._order.feeders[position]]
        return union(parts)

    def _roused(self, position: int, instants: Ints) -> list[Ints]:
        """When a rule is evaluated since alerts that it reads changed while it was not."""
        carried = self._carried.pop(position, _NONE)
        times = union(
            [
                changes
                for watched, changes in self._changes.items()
                if self._reads(position, watched)
            ]
        )
        roused = union([carried, np.setdiff1d(times, instants, assume_unique=True) + 1])
        later = roused[roused > self._end]
        if len(later) and self._end < self._last:
            self._carried[position] = later
        return [roused[roused <= self._end]]

    def _reads(self, position: int, watched: int) -> bool:
        return position in self._order.watchers[watched]

    def _put_off(self, times: Ints) -> Ints:
        if self.resolution == 1:
            return times
        later: Ints = -(-times // self.resolution) * self.resolution
        return each_once(np.minimum(later, self._last))


def _every(first: int, interval: int, start: int, end: int) -> Ints:
    """Every `interval` from the first time on, those from `start` to `end` (ms)."""
    begin = first + max(0, -((first - start) // interval)) * interval
    return np.arange(begin, end + 1, interval, dtype=np.int64)


def _units(order: Order) -> list[list[int]]:
    found: list[list[int]] = []
    taken: set[int] = set()
    for position, circle in enumerate(order.circles):
        if position not in taken:
            found.append(sorted({position, *circle}))
            taken.update(found[-1])
    return found


def union(parts: Iterable[Ints]) -> Ints:
    """All times of several columns, each of them ascending, each time once, ascending."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return _NONE
    if all(part is filled[0] for part in filled):
        return filled[0]
    return each_once(np.sort(np.concatenate(filled)))
