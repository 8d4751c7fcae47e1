"""`ALERTS` and `ALERTS_FOR_STATE` in a backtest, as far as any rule reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import groupby

from forewarn_collector.rules.alert_series import AlertSeries
from forewarn_collector.rules.alerts import AlertChange
from forewarn_collector.store import Batch


@dataclass(frozen=True, slots=True)
class _Shown:
    """An evaluation of a rule at an instant (ms) whose alerts are to be shown."""

    instant: int
    position: int
    key: str
    changes: Sequence[AlertChange]
    time: int
    whole: bool


class Showing:
    """Keeps what is to be shown until a rule reads it, and then shows it in the order of time."""

    def __init__(self, append: Callable[[Batch], None]) -> None:
        self._append = append
        self._series = AlertSeries(self._store)
        self._waiting: list[_Shown] = []

    def take(
        self,
        instant: int,
        *,
        position: int,
        key: str,
        changes: Sequence[AlertChange],
        offset: int,
        whole: bool,
    ) -> None:
        """Note an evaluation at an instant (ms), see `AlertSeries.take`.

        `offset` (ms) is how far before it the expression looked.
        """
        if changes or whole:
            time = instant - offset
            self._waiting.append(_Shown(instant, position, key, changes, time, whole))

    def flush(self) -> None:
        """Store what has been noted."""
        waiting = sorted(self._waiting, key=lambda each: (each.instant, each.position))
        self._waiting = []
        for _, together in groupby(waiting, key=lambda each: each.instant):
            for each in together:
                self._series.take(each.key, each.changes, each.time, whole=each.whole)
            self._series.flush()

    def _store(self, batch: Batch) -> Future[None]:
        self._append(batch)
        done: Future[None] = Future()
        done.set_result(None)
        return done
