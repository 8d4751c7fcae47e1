"""The collector's own metrics as samples, so that its state can be queried and alerted on."""

from __future__ import annotations

import numpy as np
from prometheus_client import CollectorRegistry

from forewarn_collector.store import Batch
from forewarn_wire import Labels, labels_from


def own_batch(registry: CollectorRegistry, target: Labels, now: int) -> Batch:
    """All samples of a registry at `now` (ms), each with the labels of `target`."""
    labels: list[Labels] = []
    values: list[float] = []
    for family in registry.collect():
        for sample in family.samples:
            pairs = {**sample.labels, **dict(target), "__name__": sample.name}
            labels.append(labels_from(pairs))
            values.append(float(sample.value))
    count = len(labels)
    return Batch(
        labels,
        np.arange(count, dtype=np.int64),
        np.full(count, now, dtype=np.int64),
        np.array(values, dtype=np.float64),
    )
