"""What recording rules store: their results, and the end of series that are no longer in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np

from forewarn_collector.rules.alerts import (
    DuplicateAlertsError,
    Element,
    LimitExceededError,
)
from forewarn_collector.rules.model import RecordingRule
from forewarn_collector.store import Batch
from forewarn_wire import STALE_NAN, Labels, labels_from, metric_name
from forewarn_wire.labels import METRIC_NAME

_PATIENCE_SECONDS = 30.0
"""How long to wait until the store has made a batch durable before giving up on it."""


class Recorder:
    """Collects what a group's recording rules give, and stores it before it is read.

    `flush` comes before any rule of the same group that reads what is held, so that such a rule
    sees it, and several recording rules in a row cost one write.
    """

    def __init__(self, append: Callable[[Batch], Future[Any]]) -> None:
        self._append = append
        self._at = 0
        self._held: dict[Labels, float] = {}
        self._results: dict[str, frozenset[Labels]] = {}
        self._stored: dict[str, frozenset[Labels]] = {}

    def begin(self, at: int) -> None:
        """Start an evaluation whose results have the time `at` (ms)."""
        self._at = at
        self._held = {}
        self._results = {}

    def holds(self, metrics: frozenset[str] | None) -> bool:
        """Whether something is held that an expression reads; None is one that may read any."""
        if metrics is None:
            return bool(self._held)
        return any(metric_name(labels) in metrics for labels in self._held)

    def take(self, rule: RecordingRule, vector: Sequence[Element], limit: int) -> None:
        """Hold a rule's result, and stale markers for series that its last result had.

        Raises ValueError where two elements would become one series, or there are over `limit`.
        """
        if limit and len(vector) > limit:
            raise LimitExceededError(f"exceeded limit of {limit} with {len(vector)} series")
        result: dict[Labels, float] = {}
        for element, value in vector:
            labels = labels_from({**dict(element), **rule.labels, METRIC_NAME: rule.name})
            if labels in result:
                raise DuplicateAlertsError(
                    "vector contains metrics with the same labelset after applying rule labels"
                )
            result[labels] = value
        ended = self._stored.get(rule.key, frozenset()) - result.keys()
        # Two rules may record one metric: what one of them ends, another may still give.
        self._held = {**dict.fromkeys(ended, STALE_NAN), **self._held, **result}
        self._results[rule.key] = frozenset(result)

    def flush(self) -> None:
        """Store what is held and wait until it is durable. Raises what the store raises."""
        held, self._held = self._held, {}
        results, self._results = self._results, {}
        self._store(held)
        self._stored |= results

    def end(self, keys: Sequence[str], at: int) -> None:
        """End the series of rules that are no more."""
        ended = {labels for key in keys for labels in self._stored.pop(key, ())}
        self._at = at
        self._store(dict.fromkeys(ended, STALE_NAN))

    def recorded(self) -> list[str]:
        """The keys of the rules whose series are in the store."""
        return list(self._stored)

    def _store(self, values: dict[Labels, float]) -> None:
        if not values:
            return
        count = len(values)
        batch = Batch(
            labels=list(values),
            rows=np.arange(count, dtype=np.int64),
            times=np.full(count, self._at, dtype=np.int64),
            values=np.fromiter(values.values(), dtype=np.float64, count=count),
        )
        self._append(batch).result(timeout=_PATIENCE_SECONDS)
