"""Alertmanager's routes as the place of alerts: which task is theirs, in which queue, and when."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.silencing import Route, TimeInterval, contains_any
from forewarn_collector.tasks.gates import GatedAlert, Hold, HoldKind
from forewarn_collector.tasks.identity import CUSTOMER
from forewarn_collector.tasks.placing import Place, Placing
from forewarn_wire import Labels

RECEIVED = "/alertmanager/"
"""What the keys of rules begin with that are known only by their alerts, sent from outside.

No group of a rule file has such a name.
"""
ORIGIN = "alertmanager"


@dataclass(frozen=True, slots=True)
class ByOrigin:
    """Says of alerts that came from outside that they did; `inner` places all."""

    inner: Placing

    def place(self, rule: AlertingRule, labels: Labels) -> Place:
        """See Placing."""
        place = self.inner.place(rule, labels)
        return replace(place, origin=ORIGIN) if rule.key.startswith(RECEIVED) else place


@dataclass(frozen=True, slots=True)
class ByRoutes:
    """By the routes that an alert ends at, as far as its rule does not say itself.

    A rule that names no queue takes those of the routes, of which the first is the task's own; one
    that names neither queue nor `group_by` is grouped as the first route says, across rules: a
    group of Alertmanager's is one task for a customer. The key of such a task is Alertmanager's own
    of the group: where it is delivered is not in it. Routes that are mute now do not count, unless
    all are.
    """

    inner: Placing
    root: Route
    queues: Mapping[str, Sequence[str]]
    """The queues of each receiver."""
    is_mute: Callable[[Route], bool]

    def place(self, rule: AlertingRule, labels: Labels) -> Place:
        """See Placing."""
        place = self.inner.place(rule, labels)
        if rule.task.queue is not None:
            return place
        routes = self.root.match(dict(labels))
        heard = [route for route in routes if not self.is_mute(route)] or routes
        queues = [queue for route in heard for queue in self.queues.get(route.receiver, ())]
        # Where there are several, the first is among them: it may come to be heard later.
        several = len(routes) > 1 or len(queues) > 1
        further = tuple(dict.fromkeys(queues)) if several else ()
        place = replace(place, queue=queues[0] if queues else "", further=further)
        if rule.task.group_by is not None:
            return place
        return replace(place, key=group_key(routes[0], labels), incident=ORIGIN)


def group_key(route: Route, labels: Labels) -> str:
    """The key of the group that an alert belongs to; the customer always counts."""
    chosen = dict(route.group_labels(labels))
    customer = dict(labels).get(CUSTOMER)
    if customer is not None:
        chosen[CUSTOMER] = customer
    pairs = (
        f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in sorted(chosen.items())
    )
    return f"{route.key}:{{{', '.join(pairs)}}}"


class RouteTimes:
    """The gate of `mute_time_intervals` and `active_time_intervals` of routes.

    Where an alert ends at several routes, it is held only while all of them are mute.
    """

    def __init__(self, root: Route, intervals: Mapping[str, Sequence[TimeInterval]]) -> None:
        self._root = root
        self._intervals = intervals
        self._timed = any(map(_is_timed, root.walk()))
        self._current: frozenset[str] = frozenset()
        self._seen: frozenset[str] | None = None

    def holds(
        self, asked: Sequence[GatedAlert], firing: Collection[GatedAlert], at: int
    ) -> Sequence[Hold | None]:
        """The gate."""
        if not self._timed:
            return [None] * len(asked)
        self._current = self._names(at)
        return [self._hold(alert.labels, self._current) for alert in asked]

    def is_mute(self, route: Route) -> bool:
        """Whether a route is mute, as of the last time that the gate was asked."""
        return bool(_mutes(route, self._current))

    def moved(self, firing: Iterable[GatedAlert]) -> list[str]:
        """The ids of alerts that may end at other routes now than when this was asked last."""
        before, self._seen = self._seen, self._current
        if not self._timed or before == self._current:
            return []
        ends = ((alert.id, self._root.match(dict(alert.labels))) for alert in firing)
        return [name for name, at in ends if len(at) > 1 and any(map(_is_timed, at))]

    def muted_by(self, labels: Labels, at: int) -> list[str]:
        """The names of the intervals that keep an alert quiet at a time (ms)."""
        return self._muted_by(labels, self._names(at)) if self._timed else []

    def _names(self, at: int) -> frozenset[str]:
        found = (name for name, given in self._intervals.items() if contains_any(given, at))
        return frozenset(found)

    def _hold(self, labels: Labels, current: frozenset[str]) -> Hold | None:
        names = self._muted_by(labels, current)
        if not names:
            return None
        return Hold(HoldKind.WINDOW, names[0], f"in the time interval {names[0]} of its route")

    def _muted_by(self, labels: Labels, current: frozenset[str]) -> list[str]:
        names = [_mutes(route, current) for route in self._root.match(dict(labels))]
        return list(dict.fromkeys(chain.from_iterable(names))) if all(names) else []


def _is_timed(route: Route) -> bool:
    return bool(route.mute_intervals or route.active_intervals)


def _mutes(route: Route, current: frozenset[str]) -> Sequence[str]:
    """Which intervals make a route mute now."""
    muting = [name for name in route.mute_intervals if name in current]
    if muting or current.intersection(route.active_intervals):
        return muting
    return route.active_intervals
