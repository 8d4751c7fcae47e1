"""Which series there are: label sets to numbers (refs), and matchers to sorted arrays of refs.

An inverted index, as in prometheus/prometheus `tsdb/index/postings.go`: label name -> value ->
ascending refs. Refs are given out ascending and never twice, so a posting only grows at its end.
"""

from __future__ import annotations

from array import array
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from operator import is_

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.columns import Ints, Matcher, MatchOp, SeriesLabels
from forewarn_collector.store.matching import labels_predicate, metric_of, predicate
from forewarn_collector.store.slots import Slots
from forewarn_wire import Labels
from forewarn_wire.labels import METRIC_NAME

Pair = tuple[str, str]

_SELECTIONS_KEPT = 4096
_SERIES_KEPT = 4_000_000
"""How many series these may have together, each counted as often as it is selected: some 25 bytes
each. Where there are many series it is `_TIMES_KEPT` times their number."""
_TIMES_KEPT = 16
_NONE: Ints = np.empty(0, dtype=np.int64)
_NO_POSTING: array[int] = array("q")


@dataclass(slots=True)
class Selection:
    """The series that meet a set of matchers: `refs` ascending, `labels[i]` that of `refs[i]`.

    It holds for the first `seen` series of the metric (of all, where the matchers name none), as
    long as the `removals` among them are the same.
    """

    refs: Ints
    labels: SeriesLabels
    seen: int
    removals: int


class LabelIndex:
    """Not thread-safe: the store's lock guards it."""

    def __init__(self) -> None:
        self._refs: dict[Labels, int] = {}
        self._slots = Slots()
        self._labels: list[Labels] = [()]
        self._pairs: dict[Pair, Pair] = {}
        self._postings: dict[str, dict[str, array[int]]] = {}
        self._all: array[int] = array("q")
        self._metric_ids: dict[str, int] = {}
        # How often series were removed: of each metric, and under "" of any.
        self._removals: Counter[str] = Counter()
        self._selections: OrderedDict[frozenset[Matcher], Selection] = OrderedDict()
        self._series_kept = 0

    def __len__(self) -> int:
        return len(self._refs)

    def ref(self, labels: Labels) -> int | None:
        """The ref of a label set."""
        return self._refs.get(labels)

    def refs(self) -> Ints:
        """All series, ascending."""
        return np.array(self._all, dtype=np.int64)

    def labels(self, ref: int) -> Labels:
        """The label set of a ref; empty for one that was removed."""
        return self._labels[self._slots.one(ref)]

    def labels_of(self, refs: Ints) -> list[Labels]:
        """The label sets of refs; empty for those that were removed."""
        return list(map(self._labels.__getitem__, self._slots.of(refs).tolist()))

    def metric_id(self, name: str) -> int:
        """A small number for a metric's name, the same for as long as the process runs."""
        return self._metric_ids.setdefault(name, len(self._metric_ids))

    def add(self, series: Sequence[tuple[int, Labels]]) -> None:
        """Add new series; refs ascend and are greater than all that were ever added."""
        if not series:
            return
        slots = self._slots.add(np.array([ref for ref, _ in series], dtype=np.int64))
        self._labels.extend([()] * (self._slots.count - len(self._labels)))
        for slot, (ref, given) in zip(slots.tolist(), series, strict=True):
            labels = self._shared(given)
            self._refs[labels] = ref
            self._labels[slot] = labels
            self._all.append(ref)
            for name, value in labels:
                try:
                    self._postings[name][value].append(ref)
                except KeyError:
                    self._postings.setdefault(name, {})[value] = array("q", (ref,))

    def _shared(self, labels: Labels) -> Labels:
        # Most senders' pairs are shared already, and then so is the label set itself.
        share = self._pairs.setdefault
        pairs = [share(pair, pair) for pair in labels]
        return labels if all(map(is_, pairs, labels)) else tuple(pairs)

    def remove(self, refs: Collection[int]) -> None:
        """Forget series."""
        if not len(refs):
            return
        gone = {int(ref) for ref in refs}
        touched: set[Pair] = set()
        for slot in self._slots.remove(np.array(list(gone), dtype=np.int64)).tolist():
            labels, self._labels[slot] = self._labels[slot], ()
            del self._refs[labels]
            touched.update(labels)
        self._removals.update({"", *(value for name, value in touched if name == METRIC_NAME)})
        for name, value in touched:
            values = self._postings[name]
            values[value] = array("q", (ref for ref in values[value] if ref not in gone))
            if not values[value]:
                del values[value], self._pairs[name, value]
            if not values:
                del self._postings[name]
        self._all = array("q", (ref for ref in self._all if ref not in gone))

    def select(self, matchers: Sequence[Matcher]) -> Selection:
        """The series that meet all matchers; the same `labels` object while they are the same.

        Raises ValueError for a regex that RE2 does not take.
        """
        key = frozenset(matchers)
        kept = self._selections.get(key)
        metric = metric_of(matchers)
        among = (
            self._postings.get(METRIC_NAME, {}).get(metric, _NO_POSTING) if metric else self._all
        )
        removals = self._removals[metric]
        if kept is not None:
            self._selections.move_to_end(key)
            if kept.removals == removals:
                if kept.seen < len(among):
                    self._extend(kept, among, matchers)
                return kept
        refs = self._find(matchers)
        if kept is not None and np.array_equal(kept.refs, refs):
            kept.seen, kept.removals = len(among), removals
            return kept
        labels = SeriesLabels(self.labels_of(refs))
        found = Selection(refs, labels, len(among), removals)
        if kept is not None:
            self._series_kept -= len(kept.refs)
        self._selections[key] = found
        self._series_kept += len(refs)
        self._let_go()
        return found

    def has(self, matchers: Sequence[Matcher]) -> bool:
        """Whether any series meets all matchers. Quick where there is none of their metric."""
        metric = metric_of(matchers)
        if metric and metric not in self._postings.get(METRIC_NAME, {}):
            return False
        return len(self.select(matchers).refs) > 0

    def _let_go(self) -> None:
        """Forget the selections that were not asked for the longest, where they are too many."""
        most = max(_SERIES_KEPT, _TIMES_KEPT * len(self._refs))
        while len(self._selections) > _SELECTIONS_KEPT or self._series_kept > most:
            _, forgotten = self._selections.popitem(last=False)
            self._series_kept -= len(forgotten.refs)

    def _extend(self, kept: Selection, among: array[int], matchers: Sequence[Matcher]) -> None:
        """Take in the series that were added since, which all stand at the end."""
        meets = labels_predicate(matchers)
        more = [ref for ref in among[kept.seen :] if meets(self.labels(ref))]
        kept.seen = len(among)
        if more:
            self._series_kept += len(more)
            kept.refs = np.concatenate((kept.refs, np.array(more, dtype=np.int64)))
            kept.labels = kept.labels.grown(map(self.labels, more))

    def names(self) -> list[str]:
        """The names of all labels. Needs no lock."""
        return list(self._postings)

    def values(self, name: str) -> list[str]:
        """All values of a label. Needs no lock."""
        return list(self._postings.get(name, ()))

    def value_counts(self, name: str) -> list[tuple[str, int]]:
        """All values of a label, each with how many series have it. Needs no lock."""
        return [(value, len(refs)) for value, refs in list(self._postings.get(name, {}).items())]

    def postings(self, name: str) -> Iterator[tuple[str, Ints]]:
        """The values of a label, each with the series that have it, ascending."""
        for value, refs in self._postings.get(name, {}).items():
            yield value, _as_array(refs)

    def posting(self, name: str, value: str) -> Ints:
        """The series that have a label's value."""
        return _as_array(self._postings.get(name, {}).get(value))

    def _find(self, matchers: Sequence[Matcher]) -> Ints:
        """Intersect what matchers demand, then take away what those refuse that allow absence."""
        # All that may fail comes first: a traceback would keep postings that are lent.
        tests = [predicate(matcher) for matcher in matchers]
        demanded: list[Ints] = []
        refused: list[Ints] = []
        for matcher, meets in zip(matchers, tests, strict=True):
            values = self._postings.get(matcher.name, {})
            if meets(""):
                if matcher.op is MatchOp.NOT_EQUAL:
                    refused.append(_lent(values.get(matcher.value)))
                else:
                    found = [_lent(p) for value, p in values.items() if not meets(value)]
                    refused.append(_union(found))
            elif matcher.op is MatchOp.EQUAL:
                demanded.append(_lent(values.get(matcher.value)))
            else:
                found = [_lent(p) for value, p in values.items() if meets(value)]
                demanded.append(_union(found))
        demanded.sort(key=len)
        refs = demanded[0] if demanded else _lent(self._all)
        for other in demanded[1:]:
            refs = refs[_members(refs, other)]
        for other in refused:
            refs = refs[~_members(refs, other)]
        return refs.copy()


def _as_array(posting: array[int] | None) -> Ints:
    # A copy: an array that lends its buffer cannot grow.
    return _NONE if posting is None else np.array(posting, dtype=np.int64)


def _lent(posting: array[int] | None) -> Ints:
    """A posting's own memory, to be let go of before the lock is."""
    return np.frombuffer(posting, dtype=np.int64) if posting else _NONE


def _union(postings: list[Ints]) -> Ints:
    # The values of one label exclude each other, so nothing occurs twice.
    if len(postings) == 1:
        return postings[0]
    return np.sort(np.concatenate(postings)) if postings else _NONE


def _members(refs: Ints, others: Ints) -> NDArray[np.bool_]:
    """Which of `refs` are among `others`; both ascending."""
    if not len(others):
        return np.zeros(len(refs), dtype=np.bool_)
    places = np.minimum(np.searchsorted(others, refs), len(others) - 1)
    return np.asarray(others[places] == refs)
