"""When each rule is due: by its group's interval, and sooner when what it reads has arrived."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.rules.model import RuleGroup
from forewarn_collector.rules.order import Order
from forewarn_collector.store import Floats, Ints

SKEW = 5_000
"""How far (ms) the newest sample may be ahead of our clock for an evaluation to be at its time."""
REST = 4
"""How many times its last duration a rule rests before an arrival has it evaluated again: so that
arrivals keep it busy for a fifth of the time at most."""
SHARE = 0.5
"""The share of a core that evaluations may take for long before those on arrival must wait."""
BURST = 0.25
"""Seconds of a core that evaluations may take at once on top of that."""

SLOT = 1_000
"""Ticks of groups are this far apart (ms), or at the same time: what many small groups have to do
at one time costs less than to wake for each."""

_NEVER = np.inf


@dataclass(frozen=True, slots=True)
class Due:
    """Rules to evaluate now: their positions, ascending, and the moment since when each is due.

    `turns` says of each whether the interval of its group is over.
    """

    positions: Ints
    since: Floats
    turns: NDArray[np.bool_]


class Agenda:
    """Instants are in ms of the clock, moments in seconds of `time.monotonic`.

    A rule is *marked* by an arrival. It is due at once, unless it rests or the thread has taken
    more than its share of a core; at the interval of its group it is due in any case.
    """

    def __init__(self, order: Order, groups: Sequence[RuleGroup], now: int) -> None:
        self._groups = groups
        self._followers = order.followers
        self._ticks = [next_tick(group, now) for group in groups]
        places = {rule.key: place for place, rule in enumerate(order.rules)}
        self._members = [
            np.array([places[rule.key] for rule in group.rules], dtype=np.int64) for group in groups
        ]
        self._marked = np.full(len(order.rules), _NEVER)
        self._rested = np.zeros(len(order.rules))
        self._debt = 0.0
        self._settled = 0.0

    def mark(self, positions: Ints, moment: float) -> None:
        """Note that something which these rules read has arrived; a mark that is there stays."""
        fresh = positions[np.isinf(self._marked[positions])]
        self._marked[fresh] = moment

    def mark_all(self, moment: float) -> None:
        """Have every rule evaluated soon."""
        self._marked = np.minimum(self._marked, moment)

    def patience(self, now: int, moment: float) -> float:
        """Seconds until something is due; infinite where there are no rules."""
        ripe = float(np.maximum(self._marked, self._rested).min(initial=_NEVER))
        return min(max(ripe, self._affordable()) - moment, self.until_tick(now))

    def until_tick(self, now: int) -> float:
        """Seconds until a group's interval is over; infinite where there are no rules."""
        return (min(self._ticks) - now) / 1000 if self._ticks else _NEVER

    def due(self, now: int, moment: float) -> Due:
        """Take the rules that are due off the list, with those that read what they record."""
        since = np.full(len(self._marked), _NEVER)
        turns = np.zeros(len(self._marked), dtype=np.bool_)
        for place, group in enumerate(self._groups):
            late = now - self._ticks[place]
            # A tick further away than the interval: the clock was set back.
            if late >= 0 or -late > group.interval:
                self._ticks[place] = next_tick(group, now)
                since[self._members[place]] = moment - min(max(late, 0), group.interval) / 1000
                turns[self._members[place]] = True
        rested = self._rested <= moment
        if self._affordable() <= moment:
            ripe = rested & (self._marked <= moment)
            since[ripe] = np.minimum(since[ripe], self._marked[ripe])
        self._add_followers(since, rested, moment)
        positions = np.flatnonzero(np.isfinite(since))
        self._marked[positions] = _NEVER
        return Due(positions, since[positions], turns[positions])

    def done(self, positions: Ints, seconds: Floats, busy: float, moment: float) -> None:
        """Note what the evaluation of each rule took, and the CPU time of all of it together."""
        self._rested[positions] = moment + REST * seconds
        self._debt = max(self._debt - SHARE * (moment - self._settled), 0.0) + busy
        self._settled = moment

    def _affordable(self) -> float:
        """The moment from which on evaluations on arrival keep within their share of a core."""
        return self._settled + max(self._debt - BURST, 0.0) / SHARE

    def _add_followers(
        self, since: Floats, rested: np.ndarray[tuple[int], np.dtype[np.bool_]], moment: float
    ) -> None:
        """Those that read what a due rule records are evaluated with it, or later if they rest."""
        following: set[int] = set()
        for position in np.flatnonzero(np.isfinite(since)):
            following |= self._followers[position]
        found = _positions(following)
        found = found[np.isinf(since[found])]
        ready = found[rested[found]]
        since[ready] = np.minimum(self._marked[ready], moment)
        self.mark(found, moment)


def next_tick(group: RuleGroup, now: int) -> int:
    """When (ms) a group is due next by its interval.

    The groups are spread over their interval by their names, always in the same way, as in
    Prometheus (`rules/group.go`, `EvalTimestamp`), but in steps of `SLOT`.
    """
    offset = zlib.crc32(group.key.encode()) % group.interval // SLOT * SLOT
    return (now - offset) // group.interval * group.interval + group.interval + offset


def instant(now: int, newest: int, last: int | None) -> int:
    """The time (ms) of an evaluation: our clock's, or the newest sample's if that is just ahead.

    Always after the last one, so that what is recorded is new, unless the clock was set back by
    more than skew explains.
    """
    at = newest if now < newest < now + SKEW else now
    if last is not None and at <= last <= now + SKEW:
        return last + 1
    return at


def _positions(found: Collection[int]) -> Ints:
    return np.array(sorted(found), dtype=np.int64)
