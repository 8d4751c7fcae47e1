"""What recording rules store over many instants, and the end of series after each run of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.promql import Distinct, Result
from forewarn_collector.rules.backtest.model import RuleOutcome
from forewarn_collector.rules.model import RecordingRule
from forewarn_collector.rules.record import SAME_SERIES
from forewarn_collector.store import Batch, Ints
from forewarn_wire import STALE_NAN, Labels, labels_from
from forewarn_wire.labels import METRIC_NAME


class Recording:
    """The series of one rule from one stretch of instants to the next."""

    def __init__(self, rule: RecordingRule, limit: int, outcome: RuleOutcome) -> None:
        self._set = {**rule.labels, METRIC_NAME: rule.name}
        self._limit = limit
        self._outcome = outcome
        # The series that the last result had.
        self._last: Sequence[Labels] = ()

    @property
    def goes_on(self) -> bool:
        """Whether there are series that end when the next result has not got them."""
        return len(self._last) > 0

    def follow(self, result: Result, times: Ints) -> tuple[Batch, Batch] | None:
        """Samples of results at many times (ms), and the ends of series; None if there are none.

        At a time at which two elements would become one series, or there are too many, the rule
        fails, and it is as if it had not been evaluated.
        """
        if not self._last and not result.present.any():
            return None
        distinct = Distinct()
        rows = np.array(
            distinct.numbers(labels_from({**dict(each), **self._set}) for each in result.labels),
            dtype=np.int64,
        )
        before = distinct.numbers(self._last)
        labels = distinct.labels
        counts = np.zeros((len(labels), len(times)), dtype=np.int32)
        np.add.at(counts, rows, result.present)
        good = self._check(counts, times)
        series, columns = np.nonzero(result.present & good)
        values = np.zeros(counts.shape)
        values[rows[series], columns] = result.values[series, columns]
        present, values = counts[:, good] > 0, values[:, good]
        times = times[good]
        if not len(times):
            return None
        ended = ~present
        ended[:, 1:] &= present[:, :-1]
        first = np.zeros(len(labels), dtype=np.bool_)
        first[before] = True
        ended[:, 0] &= first
        self._last = [labels[row] for row in np.flatnonzero(present[:, -1]).tolist()]
        rows, columns = np.nonzero(present)
        taken = Batch(labels, rows, times[columns], values[rows, columns])
        rows, columns = np.nonzero(ended)
        return taken, Batch(labels, rows, times[columns], np.full(len(rows), STALE_NAN))

    def _check(self, counts: NDArray[np.int32], times: Ints) -> NDArray[np.bool_]:
        """The steps at which the rule does not fail. `counts`: elements per series and step."""
        over = counts.sum(axis=0) > self._limit if self._limit else np.zeros(len(times), np.bool_)
        alike = np.logical_or.reduce(counts > 1, axis=0) & ~over
        if over.any():
            step = int(over.argmax())
            message = f"exceeded limit of {self._limit} with {counts[:, step].sum()} series"
            self._outcome.failed(message, int(times[step]), int(over.sum()))
        if alike.any():
            self._outcome.failed(SAME_SERIES, int(times[alike.argmax()]), int(alike.sum()))
        good: NDArray[np.bool_] = ~(over | alike)
        return good


class Held:
    """What rules recorded, until a rule that reads it is evaluated.

    Of one series and time the first sample stays, and what one rule ends, another may still give:
    so the values of all rules come first.
    """

    def __init__(self, append: Callable[[Batch], None]) -> None:
        self._append = append
        self._keys: set[str] = set()
        self._values: list[Batch] = []
        self._ends: list[Batch] = []

    def take(self, key: str, values: Batch, ends: Batch) -> None:
        """Hold what a rule of this key recorded."""
        self._keys.add(key)
        self._values.append(values)
        self._ends.append(ends)

    def flush(self, readable: AbstractSet[str] | None = None) -> None:
        """Store all that is held, if anything of these rules is; None stands for all rules."""
        if not self._keys or (readable is not None and self._keys.isdisjoint(readable)):
            return
        self._append(_united([*self._values, *self._ends]))
        self._keys, self._values, self._ends = set(), [], []


def _united(batches: Collection[Batch]) -> Batch:
    labels: list[Labels] = []
    rows: list[Ints] = []
    for batch in batches:
        rows.append(batch.rows + len(labels))
        labels += batch.labels
    return Batch(
        labels,
        np.concatenate(rows),
        np.concatenate([batch.times for batch in batches]),
        np.concatenate([batch.values for batch in batches]),
    )
