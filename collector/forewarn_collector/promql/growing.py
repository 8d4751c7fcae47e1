"""What is derived from series one after the other, and goes on where there are more of them.

A rule over ten thousand hosts meets a new series now and then. What was derived from the others
(labels of the result, groups, pairs) holds as it was, so that only the new one costs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Generic, Protocol, TypeVar

from forewarn_collector.store.columns import SeriesLabels
from forewarn_wire.labels import Labels

Derived = TypeVar("Derived", covariant=True)
Result = TypeVar("Result")


class Deriver(Protocol[Derived]):
    """Derives something from sequences of series, of which it has met the first ones before."""

    def derive(self, *series: Sequence[Labels]) -> Derived:
        """What follows from these series: those of the last call, and maybe more of each."""


class Growing(Generic[Result]):
    """Keeps what was last derived, for as long as the series are the same or grow at their end.

    Threads may share it.
    """

    __slots__ = ("_begin", "_deriver", "_known", "_lock", "_result")

    def __init__(self, begin: Callable[[], Deriver[Result]]) -> None:
        """`begin` makes what derives from series that share nothing with those before."""
        self._begin = begin
        self._lock = threading.Lock()
        self._known: tuple[Sequence[Labels], ...] = ()
        self._deriver: Deriver[Result] | None = None
        self._result: Result | None = None

    def __call__(self, *series: Sequence[Labels]) -> Result:
        with self._lock:
            deriver, known = self._deriver, self._known
            if deriver is not None:
                pairs = list(zip(series, known, strict=True))
                if self._result is not None and all(new is old for new, old in pairs):
                    return self._result
                if not all(continues(new, old) for new, old in pairs):
                    deriver = None
            # Whoever fails half-way is not asked again.
            self._deriver = None
            deriver = deriver or self._begin()
            result = deriver.derive(*series)
            self._deriver, self._known, self._result = deriver, series, result
            return result


def continues(new: Sequence[Labels], old: Sequence[Labels]) -> bool:
    """Whether these are the same series as before, or those and more behind them."""
    if isinstance(new, SeriesLabels) and isinstance(old, SeriesLabels):
        return new.continues(old)
    return new is old


class Distinct:
    """Label sets, each once, numbered as they come."""

    __slots__ = ("_labels", "_places")

    def __init__(self) -> None:
        self._places: dict[Labels, int] = {}
        self._labels = SeriesLabels()

    def __len__(self) -> int:
        return len(self._places)

    def numbers(self, labels: Iterable[Labels]) -> list[int]:
        """The number of each label set; new ones get the next ones."""
        places = self._places
        return [places.setdefault(each, len(places)) for each in labels]

    @property
    def labels(self) -> SeriesLabels:
        """The label sets in the order of their numbers."""
        if len(self._places) > len(self._labels):
            self._labels = self._labels.grown(islice(self._places, len(self._labels), None))
        return self._labels
