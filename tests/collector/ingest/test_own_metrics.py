"""The collector's own metrics become series of its store, which end when they are no more."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from forewarn_collector.ingest.metadata import MetricMetadata
from forewarn_collector.ingest.own import own_metrics
from forewarn_wire import is_stale, labels_from

TARGET = labels_from({"job": "forewarn", "instance": "here"})


def test_a_series_that_is_no_more_ends_once() -> None:
    registry = CollectorRegistry()
    gauge = Gauge("tasks", "Tasks.", ("rule",), registry=registry)
    gauge.labels("DiskFull").set(2)
    gauge.labels("HostDown").set(1)
    first = own_metrics(registry, TARGET, 1_000, ())
    gauge.remove("DiskFull")
    second = own_metrics(registry, TARGET, 2_000, first.series)
    full = labels_from({**dict(TARGET), "__name__": "tasks", "rule": "DiskFull"})
    values = dict(zip(second.batch.labels, second.batch.values.tolist(), strict=True))
    assert is_stale(values.pop(full))
    assert list(values.values()) == [1.0]
    assert second.batch.times.tolist() == [2_000, 2_000]
    third = own_metrics(registry, TARGET, 3_000, second.series)
    assert full not in third.batch.labels


def test_a_metric_says_what_it_is_under_the_name_that_is_queried() -> None:
    registry = CollectorRegistry()
    Counter("forewarn_samples_total", "Samples taken.", registry=registry)
    Gauge("process_open_fds", "Others say that, too.", registry=registry)
    (found,) = own_metrics(registry, TARGET, 1_000, ()).metadata.items()
    assert found == ("forewarn_samples_total", MetricMetadata("counter", "Samples taken.", ""))
