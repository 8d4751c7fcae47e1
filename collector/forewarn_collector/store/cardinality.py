"""What makes up the series: which metrics, labels and pairs have the most."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter

from forewarn_collector.store.index import LabelIndex
from forewarn_wire.labels import METRIC_NAME

Ranking = list[tuple[str, int]]
"""Names with a number each, the greatest first."""


@dataclass(frozen=True, slots=True)
class Cardinality:
    """Numbers of series, of label pairs and of chunks; times in ms, 0 where there are none.

    `bytes_by_label` counts a value's bytes once for each series that has it, as Prometheus does.
    """

    series: int
    pairs: int
    chunks: int
    earliest: int
    latest: int
    series_by_metric: Ranking
    values_by_label: Ranking
    bytes_by_label: Ranking
    series_by_pair: Ranking


def rankings(index: LabelIndex, limit: int) -> tuple[int, Ranking, Ranking, Ranking, Ranking]:
    """The number of pairs, and the four rankings of `Cardinality`. Needs no lock."""
    pairs = 0
    values_by_label: Ranking = []
    bytes_by_label: Ranking = []
    by_pair: Ranking = []
    by_metric: Ranking = []
    for name in index.names():
        counts = index.value_counts(name)
        pairs += len(counts)
        values_by_label.append((name, len(counts)))
        size = sum(len(value.encode()) * count for value, count in counts)
        bytes_by_label.append((name, size))
        # Only what may be among the greatest is kept of each label.
        greatest = _greatest(counts, limit)
        by_pair += [(f"{name}={value}", count) for value, count in greatest]
        if name == METRIC_NAME:
            by_metric = greatest
    return (
        pairs,
        by_metric,
        _greatest(values_by_label, limit),
        _greatest(bytes_by_label, limit),
        _greatest(by_pair, limit),
    )


def _greatest(counts: Iterable[tuple[str, int]], limit: int) -> Ranking:
    return heapq.nlargest(limit, counts, key=itemgetter(1))
