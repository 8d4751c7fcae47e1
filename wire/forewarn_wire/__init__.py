"""The leaf that agent and collector share: signals, labels, encodings, readable errors."""

from forewarn_wire.errors import Problem, WireError
from forewarn_wire.labels import (
    Labels,
    is_label_name,
    is_metric_name,
    labels_from,
    metric_name,
    without,
)
from forewarn_wire.signals import STALE_NAN, STALE_NAN_BITS, Event, Sample, Severity, is_stale

__all__ = [
    "STALE_NAN",
    "STALE_NAN_BITS",
    "Event",
    "Labels",
    "Problem",
    "Sample",
    "Severity",
    "WireError",
    "is_label_name",
    "is_metric_name",
    "is_stale",
    "labels_from",
    "metric_name",
    "without",
]
