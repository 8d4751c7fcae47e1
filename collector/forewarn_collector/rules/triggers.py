"""Which rules an arrival of samples concerns: those that read the series which it brought."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from forewarn_collector.rules.alert_series import ALERT_METRICS
from forewarn_collector.rules.alerts import ALERT_NAME
from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.rules.order import Order, accepts_name
from forewarn_collector.store import Ints, Matcher
from forewarn_collector.store.matching import metric_of, predicate
from forewarn_wire import Labels, metric_name
from forewarn_wire.labels import METRIC_NAME

_UNKNOWN = -1
_NOBODY = 0


class SeriesNames(Protocol):
    """Who knows which labels the numbers of series in an arrival stand for: the store."""

    def labels_of(self, refs: Ints) -> Sequence[Labels]:
        """The label sets of series; empty for one that is gone."""


@dataclass(frozen=True, slots=True)
class _Selector:
    """What a selector demands of labels other than the name, and the rules that have it."""

    accepts_name: Callable[[str], bool]
    demands: tuple[tuple[str, Callable[[str], bool]], ...]
    readers: frozenset[int]

    def meets(self, labels: dict[str, str]) -> bool:
        return all(test(labels.get(name, "")) for name, test in self.demands)


@dataclass(frozen=True, slots=True)
class _Metric:
    """What there is to know of a metric: the selectors that may find series of it.

    `demanded` are the labels that these look at; `sets` are the numbers of the sets of rules by the
    values of these labels, since most series of a metric differ in others.
    """

    selectors: list[_Selector]
    demanded: tuple[str, ...]
    sets: dict[tuple[str, ...], int] = field(default_factory=dict)


class Readers:
    """Finds the rules to evaluate when samples of some series have arrived.

    These are the rules that read the series, and those that read what they record. Series of
    metrics that our rules record concern nobody: their readers are evaluated in the same round as
    the rules which record them, and would otherwise wake themselves for ever. The same holds of the
    series of our rules' alerts.

    Which rules read a series is found out when it arrives for the first time, and kept as the
    number of a set of rules, since there are few such sets and many series.
    """

    def __init__(self, order: Order, names: SeriesNames) -> None:
        self._names = names
        self._followers = order.followers
        self._recorded = {order.rules[each].name for fed in order.feeders for each in fed}
        self._alerts = {rule.name for rule in order.rules if isinstance(rule, AlertingRule)}
        self._by_name, self._others = _selectors(order)
        self._metrics: dict[str, _Metric] = {}
        self._numbers: dict[frozenset[int], int] = {frozenset(): _NOBODY}
        self._members: list[Ints] = [np.empty(0, dtype=np.int64)]
        self._sets = np.full(0, _UNKNOWN, dtype=np.int32)

    def of(self, refs: Ints) -> Ints:
        """The positions of the rules that samples of these series concern, ascending."""
        sets = self._sets_of(refs)
        found = np.zeros(len(self._members), dtype=np.bool_)
        found[sets] = True
        if not found[_NOBODY + 1 :].any():
            return self._members[_NOBODY]
        return np.unique(np.concatenate([self._members[each] for each in np.flatnonzero(found)]))

    def _sets_of(self, refs: Ints) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        size = int(refs.max(initial=_UNKNOWN)) + 1
        if size > len(self._sets):
            larger = np.full(2 * size, _UNKNOWN, dtype=np.int32)
            larger[: len(self._sets)] = self._sets
            self._sets = larger
        sets = self._sets[refs]
        if (sets == _UNKNOWN).any():
            new = np.unique(refs[sets == _UNKNOWN])
            self._sets[new] = [self._set_of(labels) for labels in self._names.labels_of(new)]
            sets = self._sets[refs]
        return sets

    def _set_of(self, series: Labels) -> int:
        """The number of the set of rules that a new series concerns."""
        name = metric_name(series)
        if name in ALERT_METRICS and dict(series).get(ALERT_NAME) in self._alerts:
            return _NOBODY
        known = self._metrics.get(name)
        if known is None:
            known = self._metrics[name] = self._metric(name)
        labels = dict(series) if known.demanded else {}
        values = tuple(labels.get(demanded, "") for demanded in known.demanded)
        number = known.sets.get(values)
        if number is None:
            number = known.sets[values] = self._number_of(
                selector.readers for selector in known.selectors if selector.meets(labels)
            )
        return number

    def _number_of(self, readers: Iterable[frozenset[int]]) -> int:
        found = frozenset[int]().union(*readers)
        number = self._numbers.setdefault(found, len(self._members))
        if number == len(self._members):
            members = found.union(*(self._followers[reader] for reader in found))
            self._members.append(np.array(sorted(members), dtype=np.int64))
        return number

    def _metric(self, name: str) -> _Metric:
        chosen = [] if name in self._recorded else self._by_name.get(name, []) + self._others
        selectors = [selector for selector in chosen if selector.accepts_name(name)]
        demanded = {label for selector in selectors for label, _ in selector.demands}
        return _Metric(selectors, tuple(sorted(demanded)))


def _selectors(order: Order) -> tuple[dict[str, list[_Selector]], list[_Selector]]:
    """The selectors of all rules, each once: by the metric's name, and those that name none."""
    readers: dict[frozenset[Matcher], set[int]] = {}
    for position, rule in enumerate(order.rules):
        for each in rule.query.selectors:
            readers.setdefault(frozenset(each.matchers), set()).add(position)
    by_name: dict[str, list[_Selector]] = {}
    others: list[_Selector] = []
    for matchers, positions in readers.items():
        demands = tuple(
            (matcher.name, predicate(matcher))
            for matcher in matchers
            if matcher.name != METRIC_NAME
        )
        selector = _Selector(accepts_name(tuple(matchers)), demands, frozenset(positions))
        name = metric_of(matchers)
        (by_name.setdefault(name, []) if name else others).append(selector)
    return by_name, others
