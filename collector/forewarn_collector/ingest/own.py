"""The collector's own metrics as samples, so that its state can be queried and alerted on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from prometheus_client import CollectorRegistry

from forewarn_collector.ingest.metadata import MetricMetadata
from forewarn_collector.store import Batch
from forewarn_wire import STALE_NAN, Labels, labels_from


@dataclass(frozen=True, slots=True)
class OwnMetrics:
    """The samples of a registry, the series that it has now, and what those of our own are."""

    batch: Batch
    series: Sequence[Labels]
    metadata: Mapping[str, MetricMetadata]


def own_metrics(
    registry: CollectorRegistry, target: Labels, now: int, before: Collection[Labels]
) -> OwnMetrics:
    """All samples of a registry at `now` (ms), each with the labels of `target`.

    Series that were there `before` and are no more end, as when Prometheus scrapes.
    """
    labels: list[Labels] = []
    values: list[float] = []
    metadata: dict[str, MetricMetadata] = {}
    for family in registry.collect():
        # In the text format the type of a counter stands beside its whole name.
        name = f"{family.name}_total" if family.type == "counter" else family.name
        # Others have `process_*` as well, and say the same of them in other words.
        if name.startswith("forewarn_"):
            metadata[name] = MetricMetadata(family.type, family.documentation, family.unit)
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
    return OwnMetrics(batch, labels, metadata)
