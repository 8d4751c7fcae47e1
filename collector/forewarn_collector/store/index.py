"""Which series there are: label sets to numbers (refs), and matchers to sorted arrays of refs.

An inverted index, as in prometheus/prometheus `tsdb/index/postings.go`: label name -> value ->
ascending refs. Refs are given out ascending and never twice, so a posting only grows at its end.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.columns import Ints, Matcher, MatchOp
from forewarn_collector.store.matching import predicate
from forewarn_wire import Labels, metric_name
from forewarn_wire.labels import METRIC_NAME

_SELECTIONS_KEPT = 4096
_NONE: Ints = np.empty(0, dtype=np.int64)


@dataclass(slots=True)
class Selection:
    """The series that meet a set of matchers: `refs` ascending, `labels[i]` that of `refs[i]`."""

    refs: Ints
    labels: Sequence[Labels]
    generation: int


class LabelIndex:
    """Not thread-safe: the store's lock guards it."""

    def __init__(self) -> None:
        self._refs: dict[Labels, int] = {}
        self._labels: dict[int, Labels] = {}
        self._postings: dict[str, dict[str, array[int]]] = {}
        self._all: array[int] = array("q")
        self._metric_ids: dict[str, int] = {}
        self._metric_names: list[str] = []
        # The generation of a metric is that of the last change in its set of series.
        self._generation = 0
        self._generations: dict[str, int] = {}
        self._selections: OrderedDict[frozenset[Matcher], Selection] = OrderedDict()

    def __len__(self) -> int:
        return len(self._refs)

    def ref(self, labels: Labels) -> int | None:
        """The ref of a label set."""
        return self._refs.get(labels)

    def labels(self, ref: int) -> Labels:
        """The label set of a ref."""
        return self._labels[ref]

    def metric_id(self, name: str) -> int:
        """A small number for a metric's name, the same for as long as the process runs."""
        known = self._metric_ids.get(name)
        if known is None:
            known = self._metric_ids[name] = len(self._metric_names)
            self._metric_names.append(name)
        return known

    def metric_names(self, ids: Iterable[int]) -> frozenset[str]:
        """The names behind ids given out by `metric_id`."""
        return frozenset(self._metric_names[number] for number in ids)

    def add(self, series: Sequence[tuple[int, Labels]]) -> None:
        """Add new series; refs ascend and are greater than all that were ever added."""
        if not series:
            return
        self._generation += 1
        for ref, labels in series:
            self._refs[labels] = ref
            self._labels[ref] = labels
            self._all.append(ref)
            self._generations[metric_name(labels)] = self._generation
            for name, value in labels:
                values = self._postings.setdefault(name, {})
                posting = values.get(value)
                if posting is None:
                    posting = values[value] = array("q")
                posting.append(ref)

    def remove(self, refs: Collection[int]) -> None:
        """Forget series."""
        if not len(refs):
            return
        self._generation += 1
        gone = {int(ref) for ref in refs}
        touched: set[tuple[str, str]] = set()
        for ref in gone:
            labels = self._labels.pop(ref)
            del self._refs[labels]
            touched.update(labels)
            self._generations[metric_name(labels)] = self._generation
        for name, value in touched:
            values = self._postings[name]
            values[value] = array("q", (ref for ref in values[value] if ref not in gone))
            if not values[value]:
                del values[value]
            if not values:
                del self._postings[name]
        self._all = array("q", (ref for ref in self._all if ref not in gone))

    def select(self, matchers: Sequence[Matcher]) -> Selection:
        """The series that meet all matchers; the same `labels` object while they are the same.

        Raises ValueError for a regex that RE2 does not take.
        """
        key = frozenset(matchers)
        kept = self._selections.get(key)
        generation = self._generation_for(matchers)
        if kept is not None:
            self._selections.move_to_end(key)
            if kept.generation == generation:
                return kept
        refs = self._find(matchers)
        if kept is not None and np.array_equal(kept.refs, refs):
            kept.generation = generation
            return kept
        found = Selection(refs, tuple(map(self._labels.__getitem__, refs.tolist())), generation)
        self._selections[key] = found
        if len(self._selections) > _SELECTIONS_KEPT:
            self._selections.popitem(last=False)
        return found

    def names(self, refs: Ints | None) -> list[str]:
        """Label names, sorted; of all series where `refs` is None."""
        if refs is None:
            return sorted(self._postings)
        return sorted({name for ref in refs.tolist() for name, _ in self._labels[ref]})

    def values(self, name: str, refs: Ints | None) -> list[str]:
        """Values of a label, sorted; of all series where `refs` is None."""
        if refs is None:
            return sorted(self._postings.get(name, ()))
        wanted = set(refs.tolist())
        return sorted(
            value
            for value, posting in self._postings.get(name, {}).items()
            if not wanted.isdisjoint(posting)
        )

    def _generation_for(self, matchers: Sequence[Matcher]) -> int:
        for matcher in matchers:
            if matcher.name == METRIC_NAME and matcher.op is MatchOp.EQUAL and matcher.value:
                return self._generations.get(matcher.value, 0)
        return self._generation

    def _find(self, matchers: Sequence[Matcher]) -> Ints:
        """Intersect what matchers demand, then take away what those refuse that allow absence."""
        demanded: list[Ints] = []
        refused: list[Ints] = []
        for matcher in matchers:
            meets = predicate(matcher)
            values = self._postings.get(matcher.name, {})
            if meets(""):
                if matcher.op is MatchOp.NOT_EQUAL:
                    refused.append(_as_array(values.get(matcher.value)))
                else:
                    found = [_as_array(p) for value, p in values.items() if not meets(value)]
                    refused.append(_union(found))
            elif matcher.op is MatchOp.EQUAL:
                demanded.append(_as_array(values.get(matcher.value)))
            else:
                found = [_as_array(p) for value, p in values.items() if meets(value)]
                demanded.append(_union(found))
        demanded.sort(key=len)
        refs = demanded[0] if demanded else _as_array(self._all)
        for other in demanded[1:]:
            refs = refs[_members(refs, other)]
        for other in refused:
            refs = refs[~_members(refs, other)]
        return refs


def _as_array(posting: array[int] | None) -> Ints:
    # A copy: an array that lends its buffer cannot grow.
    return _NONE if posting is None else np.array(posting, dtype=np.int64)


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
