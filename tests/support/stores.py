"""Clocks, batches and readings for tests that use a real store."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forewarn_collector.store import Batch, Matcher, MatchOp, Store
from forewarn_wire import Labels, labels_from

HOUR = 3_600_000
START = 1_750_000_000_000


class Clock:
    """A clock that tests set."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def series(name: str, **labels: str) -> Labels:
    return labels_from({"__name__": name, **labels})


def batch(*samples: tuple[Labels, int, float]) -> Batch:
    labels = list(dict.fromkeys(sample[0] for sample in samples))
    return Batch(
        labels,
        np.array([labels.index(sample[0]) for sample in samples], dtype=np.int64),
        np.array([sample[1] for sample in samples], dtype=np.int64),
        np.array([sample[2] for sample in samples], dtype=np.float64),
    )


def matching(name: str, **labels: str) -> list[Matcher]:
    pairs = {"__name__": name, **labels}
    return [Matcher(label, MatchOp.EQUAL, value) for label, value in pairs.items()]


def contents(
    store: Store, matchers: Sequence[Matcher], start: int = 0, end: int = 1 << 60
) -> dict[Labels, list[tuple[int, float]]]:
    found = store.select(matchers, start, end)
    return {
        labels: list(
            zip(
                found.times[found.offsets[i] : found.offsets[i + 1]].tolist(),
                found.values[found.offsets[i] : found.offsets[i + 1]].tolist(),
                strict=True,
            )
        )
        for i, labels in enumerate(found.labels)
    }
