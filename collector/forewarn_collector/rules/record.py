"""What recording rules store: their results, and the end of series that are no longer in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.promql import Distinct, Growing, Result
from forewarn_collector.rules.alerts import DuplicateAlertsError, LimitExceededError
from forewarn_collector.rules.model import RecordingRule
from forewarn_collector.store import Batch, Floats, Ints
from forewarn_wire import STALE_NAN, Labels, labels_from
from forewarn_wire.labels import METRIC_NAME

SAME_SERIES = "vector contains metrics with the same labelset after applying rule labels"

_PATIENCE_SECONDS = 30.0
"""How long to wait until the store has made a batch durable before giving up on it."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the rows of a rule's results are stored as, while its series are the same or grow.

    `labels[i]` are those of row `i` of a result: the same object while the series grow.
    `numbers: int64[rows]` are alike where rows would become one series; None where all differ.
    """

    labels: Sequence[Labels]
    numbers: Ints | None


class _Shaping:
    """Gives a rule's results their labels, series after series."""

    def __init__(self, rule: RecordingRule) -> None:
        self._set = {**rule.labels, METRIC_NAME: rule.name}
        self._labels: list[Labels] = []
        self._distinct = Distinct()
        self._numbers: list[int] = []

    def derive(self, *series: Sequence[Labels]) -> _Shape:
        (source,) = series
        known = len(self._labels)
        self._labels += [labels_from({**dict(each), **self._set}) for each in source[known:]]
        self._numbers += self._distinct.numbers(self._labels[known:])
        alike = len(self._distinct) < len(self._numbers)
        return _Shape(self._labels, np.array(self._numbers) if alike else None)


@dataclass(frozen=True, slots=True)
class _Stored:
    """The rows of its shape that a rule's last result had. `present: bool[rows]`."""

    shape: _Shape
    present: NDArray[np.bool_]

    def labels(self) -> list[Labels]:
        return [self.shape.labels[row] for row in np.flatnonzero(self.present).tolist()]


@dataclass(frozen=True, slots=True)
class _Held:
    """A result that is to be stored at the time `at` (ms), and series that end with it."""

    at: int
    result: _Stored
    values: Floats
    ended: Sequence[Labels]


class Recorder:
    """Collects what recording rules give, and stores it before it is read.

    `flush` comes before any rule that reads what is held, so that such a rule sees it, and several
    recording rules in a row cost one write. Rules are known by their keys.
    """

    def __init__(self, append: Callable[[Batch], Future[Any]]) -> None:
        self._append = append
        self._held: dict[str, _Held] = {}
        self._stored: dict[str, _Stored] = {}
        self._shapes: dict[str, Growing[_Shape]] = {}

    def held(self) -> list[str]:
        """The rules whose results are held."""
        return list(self._held)

    def goes_on(self, key: str) -> bool:
        """Whether a rule's last result had series, which end when the next one has not."""
        stored = self._stored.get(key)
        return stored is not None and bool(stored.present.any())

    def holds_any(self, keys: AbstractSet[str]) -> bool:
        """Whether the result of any of these rules is held."""
        return not self._held.keys().isdisjoint(keys)

    def take(self, rule: RecordingRule, result: Result, at: int, limit: int) -> int:
        """Hold a rule's result, and stale markers for series that its last result had.

        `at` is the time (ms) of the samples. Returns how many there are. Raises ValueError where
        two elements would become one series, or there are over `limit`.
        """
        if rule.key not in self._shapes:
            self._shapes[rule.key] = Growing(lambda: _Shaping(rule))
        shape = self._shapes[rule.key](result.labels)
        rows = result.rows()
        if limit and len(rows) > limit:
            raise LimitExceededError(f"exceeded limit of {limit} with {len(rows)} series")
        if shape.numbers is not None and len(np.unique(shape.numbers[rows])) < len(rows):
            raise DuplicateAlertsError(SAME_SERIES)
        present = np.zeros(len(result.labels), dtype=np.bool_)
        present[rows] = True
        now = _Stored(shape, present)
        ended = _ended(self._stored.get(rule.key), now)
        self._held[rule.key] = _Held(at, now, result.values[present, 0], ended)
        return len(rows)

    def flush(self) -> None:
        """Store what is held and wait until it is durable. Raises what the store raises."""
        held, self._held = self._held, {}
        # The store keeps the first of two samples: what one rule ends, another may still give.
        parts = [
            *((each.result.labels(), each.values, each.at) for each in held.values()),
            *((each.ended, ends(each.ended), each.at) for each in held.values()),
        ]
        store_series(self._append, parts)
        self._stored |= {key: each.result for key, each in held.items()}

    def end_all_but(self, keys: AbstractSet[str], at: int) -> None:
        """End the series of rules that are no more at the time `at` (ms)."""
        gone = self._stored.keys() - keys
        ended = [label for key in gone for label in self._stored.pop(key).labels()]
        self._shapes = {key: shape for key, shape in self._shapes.items() if key in keys}
        store_series(self._append, [(ended, ends(ended), at)])


def store_series(
    append: Callable[[Batch], Future[Any]], parts: Sequence[tuple[Sequence[Labels], Floats, int]]
) -> None:
    """Store a sample of each series, and wait until that is durable.

    Each part has series, their values, and the time (ms). Raises what the store raises.
    """
    labels = [label for part in parts for label in part[0]]
    if not labels:
        return
    batch = Batch(
        labels=labels,
        rows=np.arange(len(labels), dtype=np.int64),
        times=np.repeat([at for _, _, at in parts], [len(part[0]) for part in parts]),
        values=np.concatenate([values for _, values, _ in parts]),
    )
    append(batch).result(timeout=_PATIENCE_SECONDS)


def ends(series: Sequence[Labels]) -> Floats:
    """The values that end these series."""
    return np.full(len(series), STALE_NAN)


def _ended(before: _Stored | None, now: _Stored) -> Sequence[Labels]:
    """The series of the last result that are not in this one."""
    if before is None:
        return ()
    if before.shape.labels is now.shape.labels and now.shape.numbers is None:
        gone = before.present & ~now.present[: len(before.present)]
        return [now.shape.labels[row] for row in np.flatnonzero(gone).tolist()]
    still = set(now.labels())
    return [labels for labels in before.labels() if labels not in still]
