"""At which instants the collector would have evaluated each rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from forewarn_collector.rules.agenda import next_tick
from forewarn_collector.rules.backtest.model import Span
from forewarn_collector.rules.model import RuleGroup
from forewarn_collector.rules.order import Order
from forewarn_collector.store import Ints, Matcher


class Timetable:
    """Rules are due at the interval of their group and when a sample that they read arrives.

    And whenever a rule that feeds them is. A sample arrives at its own time. An instant is put off
    to the next multiple of `resolution` (ms), so that arrivals in between are one.
    """

    def __init__(
        self, order: Order, groups: Sequence[RuleGroup], span: Span, resolution: int
    ) -> None:
        self._order = order
        self._end = span.end
        self._resolution = resolution
        by_rule = {rule.key: group for group in groups for rule in group.rules}
        self._groups = [by_rule[rule.key] for rule in order.rules]
        self._ticking = {
            group.key: (next_tick(group, span.start), group.interval) for group in groups
        }
        self.units = units(order)

    def of_slab(
        self, start: int, end: int, arrivals: Callable[[Sequence[Matcher]], Ints]
    ) -> list[Ints]:
        """The instants from `start` to `end` (ms) of each rule, ascending.

        `arrivals` gives the times of the stored samples of a selector there. But in the last slab
        `end` must be a multiple of the resolution.
        """
        ticks = {
            key: self._put_off(_ticks(first, interval, start, end))
            for key, (first, interval) in self._ticking.items()
        }
        selected: dict[frozenset[Matcher], Ints] = {}
        found: list[Ints] = [np.zeros(0, dtype=np.int64)] * len(self._order.rules)
        for unit in self.units:
            parts: list[Ints] = []
            for position in unit:
                parts.append(ticks[self._groups[position].key])
                for selector in self._order.rules[position].query.selectors:
                    key = frozenset(selector.matchers)
                    if key not in selected:
                        selected[key] = self._put_off(arrivals(selector.matchers))
                    parts.append(selected[key])
                parts += [found[feeder] for feeder in self._order.feeders[position]]
            instants = union(parts)
            for position in unit:
                found[position] = instants
        return found

    def _put_off(self, times: Ints) -> Ints:
        if self._resolution == 1:
            return times
        later: Ints = -(-times // self._resolution) * self._resolution
        return np.unique(np.minimum(later, self._end))


def _ticks(first: int, interval: int, start: int, end: int) -> Ints:
    """Every `interval` from the first time on, those from `start` to `end` (ms)."""
    begin = first + max(0, -((first - start) // interval)) * interval
    return np.arange(begin, end + 1, interval, dtype=np.int64)


def units(order: Order) -> list[list[int]]:
    """The rules in their order, those that feed each other in a circle together."""
    found: list[list[int]] = []
    taken: set[int] = set()
    for position, followers in enumerate(order.followers):
        if position in taken:
            continue
        circle = [other for other in followers if position in order.followers[other]]
        unit = sorted({position, *circle})
        taken.update(unit)
        found.append(unit)
    return found


def union(parts: Sequence[Ints]) -> Ints:
    """All times of several columns, each once, ascending."""
    filled = [part for part in parts if len(part)]
    if len(filled) == 1:
        return filled[0]
    if not filled:
        return np.zeros(0, dtype=np.int64)
    return np.unique(np.concatenate(filled))
