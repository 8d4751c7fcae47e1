"""Label sets as numbers of pairs: whole columns of them, where tuples would take a loop each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from forewarn_collector.store.columns import Ints
from forewarn_wire import Labels

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class CodedLabels:
    """Label sets, one after the other: set `i` has `counts[i]` of `numbers`, by the labels' names.

    A number is that of a pair in `pairs`, each of which is there once.
    """

    pairs: Sequence[Pair]
    numbers: Ints
    counts: Ints

    def __len__(self) -> int:
        """How many label sets there are."""
        return len(self.counts)

    def part(self, low: int, high: int) -> CodedLabels:
        """Sets from and to, with the pairs that these have."""
        begin, end = int(self.counts[:low].sum()), int(self.counts[:high].sum())
        used, numbers = np.unique(self.numbers[begin:end], return_inverse=True)
        pairs = [self.pairs[number] for number in used.tolist()]
        return CodedLabels(pairs, numbers, self.counts[low:high])

    def column(self, name: str, number: Callable[[str], int]) -> Ints:
        """Of each set the number of its value of a label, of "" where it has none."""
        column = np.full(len(self), number(""))
        of_pairs = np.zeros(len(self.pairs), dtype=np.int64)
        named = np.zeros(len(self.pairs), dtype=np.bool_)
        for place, pair in enumerate(self.pairs):
            if pair[0] == name:
                of_pairs[place], named[place] = number(pair[1]), True
        places = np.flatnonzero(named[self.numbers])
        owners = np.searchsorted(np.cumsum(self.counts), places, "right")
        column[owners] = of_pairs[self.numbers[places]]
        return column

    def labels(self) -> list[Labels]:
        """The label sets themselves; equal pairs are one object."""
        pairs = list(map(self.pairs.__getitem__, self.numbers.tolist()))
        return cut(pairs, self.counts)


def coded(labels: Sequence[Labels]) -> CodedLabels:
    """Label sets as numbers."""
    pairs = list(chain.from_iterable(labels))
    numbers = {pair: number for number, pair in enumerate(dict.fromkeys(pairs))}
    return CodedLabels(
        list(numbers),
        np.fromiter(map(numbers.__getitem__, pairs), dtype=np.int64, count=len(pairs)),
        np.fromiter(map(len, labels), dtype=np.int64, count=len(labels)),
    )


def joined(parts: Sequence[CodedLabels]) -> CodedLabels:
    """The label sets of all parts, in order."""
    known: dict[Pair, int] = {}
    numbers = [np.zeros(0, dtype=np.int64)]
    for part in parts:
        own = [known.setdefault(pair, len(known)) for pair in part.pairs]
        numbers.append(np.array(own, dtype=np.int64)[part.numbers])
    counts = [np.zeros(0, dtype=np.int64), *(part.counts for part in parts)]
    return CodedLabels(list(known), np.concatenate(numbers), np.concatenate(counts))


def cut(pairs: Sequence[Pair], counts: Ints) -> list[Labels]:
    """Pairs that stand one after the other as label sets of so many each."""
    ends = np.cumsum(counts)
    return [
        tuple(pairs[low:high])
        for low, high in zip((ends - counts).tolist(), ends.tolist(), strict=True)
    ]
