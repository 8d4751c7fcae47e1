"""The collector's own metrics as samples, so that its state can be queried and alerted on."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from prometheus_client import CollectorRegistry

from forewarn_collector.store import Batch
from forewarn_wire import STALE_NAN, Labels, labels_from


def own_batch(
    registry: CollectorRegistry, target: Labels, now: int, before: Collection[Labels]
) -> tuple[Batch, Sequence[Labels]]:
    """All samples of a registry at `now` (ms), each with the labels of `target`, and their series.

    Series that were there `before` and are no more end, as when Prometheus scrapes.
    """
    labels: list[Labels] = []
    values: list[float] = []
    for family in registry.collect():
        for sample in family.samples:
            pairs = {**sample.labels, **dict(target), "__name__": sample.name}
            labels.append(labels_from(pairs))
            values.append(float(sample.value))
    gone = set(before).difference(labels)
    count = len(labels) + len(gone)
    batch = Batch(
        [*labels, *gone],
        np.arange(count, dtype=np.int64),
        np.full(count, now, dtype=np.int64),
        np.array([*values, *[STALE_NAN] * len(gone)], dtype=np.float64),
    )
    return batch, labels
