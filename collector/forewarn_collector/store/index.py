"""Which series there are: label sets to numbers (refs), and matchers to sorted arrays of refs.

An inverted index, as in prometheus/prometheus `tsdb/index/postings.go`: label name -> value ->
ascending refs. Refs are given out ascending and never twice, so a posting only grows at its end.
"""

from __future__ import annotations

from array import array
from collections import Counter, OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain, compress
from operator import is_

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.cells import enlarged
from forewarn_collector.store.coded import CodedLabels, Pair, coded, cut
from forewarn_collector.store.columns import Ints, Matcher, MatchOp, SeriesLabels
from forewarn_collector.store.label_sets import LabelSets
from forewarn_collector.store.matching import labels_predicate, metric_of, predicate
from forewarn_collector.store.slots import Slots
from forewarn_collector.store.spans import repeated, run_starts
from forewarn_wire import Labels
from forewarn_wire.labels import METRIC_NAME

NO_REF = -1
"""The ref of what is no series."""

_SELECTIONS_KEPT = 4096
_SERIES_KEPT = 4_000_000
"""How many series these may have together, each counted as often as it is selected: some 25 bytes
each. Where there are many series it is `_TIMES_KEPT` times their number."""
_TIMES_KEPT = 16
_NONE: Ints = np.empty(0, dtype=np.int64)
_NO_POSTING: array[int] = array("q")
_NO_PAIR = ("", "")
_NO_NUMBER = -1
_MOST_SHORT = 1 << 16


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
        self._slots = Slots()
        self._sets = LabelSets()
        self._refs: Ints = np.full(1, NO_REF, dtype=np.int64)
        # By slot, once they were asked for: whether they were, and what they are.
        self._made: NDArray[np.bool_] = np.ones(1, dtype=np.bool_)
        self._labels: list[Labels] = [()]
        # Each pair that series have has a number, and by that its posting.
        self._numbers: dict[Pair, int] = {}
        self._pairs: list[Pair] = []
        self._lists: list[array[int]] = []
        self._unused: list[int] = []
        self._postings: dict[str, dict[str, array[int]]] = {}
        self._all: array[int] = array("q")
        self._metric_ids: dict[str, int] = {}
        # How often series were removed: of each metric, and under "" of any.
        self._removals: Counter[str] = Counter()
        self._selections: OrderedDict[frozenset[Matcher], Selection] = OrderedDict()
        self._series_kept = 0

    def __len__(self) -> int:
        return len(self._all)

    @property
    def nbytes(self) -> int:
        """Bytes of memory held by columns of all series: not of pairs, nor of label sets."""
        return self._slots.nbytes + self._sets.nbytes + self._refs.nbytes

    def ref(self, labels: Labels) -> int | None:
        """The ref of a label set."""
        ref = int(self.find([labels])[0])
        return None if ref == NO_REF else ref

    def find(self, labels: Sequence[Labels]) -> Ints:
        """The refs of label sets, `NO_REF` where no series has them."""
        sets = coded(labels)
        known = [self._numbers.get(pair, _NO_NUMBER) for pair in sets.pairs]
        numbers = np.array(known, dtype=np.int64)
        slots = self._sets.find(numbers[sets.numbers], sets.counts)
        return self._refs[slots]

    def refs(self) -> Ints:
        """All series, ascending."""
        return np.array(self._all, dtype=np.int64)

    def labels(self, ref: int) -> Labels:
        """The label set of a ref; empty for one that was removed."""
        return self.labels_of(np.array([ref]))[0]

    def labels_of(self, refs: Ints) -> list[Labels]:
        """The label sets of refs; empty for those that were removed."""
        slots = self._slots.of(refs)
        missing = np.flatnonzero(~self._made[slots])
        if len(missing):
            self._make(slots[missing])
        return list(map(self._labels.__getitem__, slots.tolist()))

    def _make(self, slots: Ints) -> None:
        numbers, counts = self._sets.of(slots)
        made = cut(list(map(self._pairs.__getitem__, numbers.tolist())), counts)
        for slot, labels in zip(slots.tolist(), made, strict=True):
            self._labels[slot] = labels
        self._made[slots] = True

    def values_of(self, name: str, refs: Ints) -> list[str]:
        """The value of a label that each series has, "" where it has none."""
        numbers, counts = self._sets.of(self._slots.of(refs))
        used, places = np.unique(numbers, return_inverse=True)
        sets = CodedLabels(list(map(self._pairs.__getitem__, used.tolist())), places, counts)
        values: dict[str, int] = {}
        column = sets.column(name, lambda value: values.setdefault(value, len(values)))
        return list(map(list(values).__getitem__, column.tolist()))

    def metric_id(self, name: str) -> int:
        """A small number for a metric's name, the same for as long as the process runs."""
        return self._metric_ids.setdefault(name, len(self._metric_ids))

    def expect(self, series: int) -> None:
        """Make room for so many series at once that are about to be added."""
        self._sets.expect(series)

    def add(self, series: Sequence[tuple[int, Labels]]) -> None:
        """Add new series; refs ascend and are greater than all that were ever added."""
        labels = [each for _, each in series]
        self.add_coded(np.array([ref for ref, _ in series], dtype=np.int64), coded(labels), labels)

    def add_coded(
        self, refs: Ints, sets: CodedLabels, labels: Sequence[Labels] | None = None
    ) -> None:
        """The same, of label sets as numbers; `labels` are these sets, where they are there."""
        if not len(refs):
            return
        slots = self._slots.add(refs)
        numbers = np.array([self._number(pair) for pair in sets.pairs], dtype=np.int64)
        of_sets = numbers[sets.numbers]
        self._sets.add(slots, of_sets, sets.counts)
        self._refs = enlarged(self._refs, self._slots.count, NO_REF)
        self._refs[slots] = refs
        self._all.frombytes(refs.tobytes())
        self._post(sets, numbers, refs)
        self._labels.extend([()] * (self._slots.count - len(self._labels)))
        self._made = enlarged(self._made, self._slots.count)
        if labels is None:
            return
        # Most senders' pairs are one object already, and then so may be the label sets.
        pairs = map(self._pairs.__getitem__, of_sets.tolist())
        if all(map(is_, chain.from_iterable(labels), pairs)):
            for slot, each in zip(slots.tolist(), labels, strict=True):
                self._labels[slot] = each
            self._made[slots] = True

    def _number(self, pair: Pair) -> int:
        number = self._numbers.get(pair)
        if number is None:
            number = self._unused.pop() if self._unused else len(self._pairs)
            if number == len(self._pairs):
                self._pairs.append(pair)
                self._lists.append(_NO_POSTING)
            self._pairs[number] = pair
            posting = self._lists[number] = array("q")
            self._numbers[pair] = number
            self._postings.setdefault(pair[0], {})[pair[1]] = posting
        return number

    def _post(self, sets: CodedLabels, numbers: Ints, refs: Ints) -> None:
        """Add refs to the postings of their pairs."""
        # Numpy sorts short numbers by counting them, in a fraction of the time.
        small = len(numbers) <= _MOST_SHORT
        keys = sets.numbers.astype(np.uint16) if small else sets.numbers
        order = np.argsort(keys, kind="stable")
        owners = memoryview(repeated(refs, sets.counts)[order].tobytes())
        keys = sets.numbers[order]
        starts = run_starts(keys)
        ends = np.append(starts, len(keys))[1:] * refs.itemsize
        for number, low, high in zip(
            numbers[keys[starts]].tolist(),
            (starts * refs.itemsize).tolist(),
            ends.tolist(),
            strict=True,
        ):
            self._lists[number].frombytes(owners[low:high])

    def remove(self, refs: Collection[int]) -> None:
        """Forget series."""
        if not len(refs):
            return
        gone = np.unique(np.fromiter(refs, dtype=np.int64, count=len(refs)))
        slots = self._slots.remove(gone)
        touched = np.unique(self._sets.of(slots)[0])
        self._sets.remove(slots)
        self._refs[slots] = NO_REF
        for slot in slots.tolist():
            self._labels[slot] = ()
        self._made[slots] = False
        self._removals[""] += 1
        for number in touched.tolist():
            pair = name, value = self._pairs[number]
            if name == METRIC_NAME:
                self._removals[value] += 1
            left = self._lists[number] = _without(self._lists[number], gone)
            self._postings[name][value] = left
            if not left:
                self._let_go_of(pair, number)
        self._all = _without(self._all, gone)

    def _let_go_of(self, pair: Pair, number: int) -> None:
        name, value = pair
        del self._numbers[pair], self._postings[name][value]
        if not self._postings[name]:
            del self._postings[name]
        self._pairs[number] = _NO_PAIR
        self._unused.append(number)

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
        most = max(_SERIES_KEPT, _TIMES_KEPT * len(self))
        while len(self._selections) > _SELECTIONS_KEPT or self._series_kept > most:
            _, forgotten = self._selections.popitem(last=False)
            self._series_kept -= len(forgotten.refs)

    def _extend(self, kept: Selection, among: array[int], matchers: Sequence[Matcher]) -> None:
        """Take in the series that were added since, which all stand at the end."""
        meets = labels_predicate(matchers)
        new = np.array(among[kept.seen :], dtype=np.int64)
        kept.seen = len(among)
        labels = self.labels_of(new)
        more = list(map(meets, labels))
        if any(more):
            self._series_kept += sum(more)
            kept.refs = np.concatenate((kept.refs, new[more]))
            kept.labels = kept.labels.grown(compress(labels, more))

    def names(self) -> list[str]:
        """The names of all labels. Needs no lock."""
        return list(self._postings)

    def values(self, name: str) -> list[str]:
        """All values of a label. Needs no lock."""
        return list(self._postings.get(name, ()))

    def value_counts(self, name: str) -> list[tuple[str, int]]:
        """All values of a label, each with how many series have it. Needs no lock."""
        return [(value, len(refs)) for value, refs in list(self._postings.get(name, {}).items())]

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


def _without(posting: array[int], gone: Ints) -> array[int]:
    """A posting without some refs, both ascending."""
    refs = _lent(posting)
    places = np.searchsorted(refs, gone)
    places = places[_members(gone, refs)]
    left = array("q")
    left.frombytes(np.delete(refs, places).tobytes())
    return left


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
