"""Label sets: sorted pairs of name and value, with the metric's name under `__name__`.

Source: the Prometheus data model, https://prometheus.io/docs/concepts/data_model/.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

Labels = tuple[tuple[str, str], ...]
"""Pairs sorted by name, each name once, no empty value: equal sets are equal tuples."""

METRIC_NAME = "__name__"

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def labels_from(pairs: Mapping[str, str] | Iterable[tuple[str, str]]) -> Labels:
    """Sort pairs into a label set. An empty value means the label is absent, as in Prometheus."""
    items = pairs.items() if isinstance(pairs, Mapping) else pairs
    return tuple(sorted((name, value) for name, value in items if value))


def metric_name(labels: Labels) -> str:
    """The metric's name, or the empty string."""
    for name, value in labels:
        if name == METRIC_NAME:
            return value
    return ""


def without(labels: Labels, names: Collection[str]) -> Labels:
    """The label set less the labels named."""
    return tuple(pair for pair in labels if pair[0] not in names)


def is_label_name(name: str) -> bool:
    """Whether a name may be written unquoted in PromQL as a label's name."""
    return _LABEL_NAME.fullmatch(name) is not None


def is_metric_name(name: str) -> bool:
    """Whether a name may be written unquoted in PromQL as a metric's name."""
    return _METRIC_NAME.fullmatch(name) is not None
