"""What a walk over OTLP points notes of them, and the columns made of that.

The usual number is noted as the place of its value in the message, eight bytes behind which comes
nothing that matters and nine before which its time begins; everything is gathered at the end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.ingest.series import Known
from forewarn_collector.store import NEVER, Batch, Increases
from forewarn_wire import Labels

Ints = NDArray[np.int64]

PADDING = b"\x00" * 24
"""Zero bytes behind a message, so that one may look ahead."""
VALUE_TO_TIME, VALUE_TO_START = -9, -18
"""Where the time and the start of a usual number stand, seen from its value."""
_NANOSECONDS = 1_000_000
_INFO_EVERY = 150_000 * _NANOSECONDS
"""Half of the time that an instant query looks back, so that it finds one everywhere."""
_MOST_INFOS = 1_000


class Noted:
    """Samples of one kind. `places[k]` is where the double of a usual number stands, or minus the
    place of its integer; other samples have their time and start in nanoseconds and their value.
    """

    def __init__(self) -> None:
        self.usual: list[Known] = []
        self.places: list[int] = []
        self.others: list[Known] = []
        self.times: list[int] = []
        self.starts: list[int] = []
        self.values: list[float] = []

    def add(self, known: Known, start: int, time: int, value: float) -> None:
        """Note a sample."""
        self.others.append(known)
        self.starts.append(start)
        self.times.append(time)
        self.values.append(value)

    def add_all(
        self, several: Sequence[Known], start: int, time: int, values: Sequence[float]
    ) -> None:
        """Note samples of one time."""
        self.others += several
        self.starts += [start] * len(values)
        self.times += [time] * len(values)
        self.values += values

    def add_infos(self, known: Known, first: int, last: int) -> None:
        """As Prometheus does it: 1 from the first time (ns) of any point to the last, no hole."""
        times = range(max(first, last - _MOST_INFOS * _INFO_EVERY), last, _INFO_EVERY)
        for time in (*times, last):
            self.add(known, 0, time, 1.0)

    def mark(self) -> tuple[int, int]:
        """How much is noted so far."""
        return len(self.places), len(self.times)


class Columns:
    """The columns of what was noted in a message that has `PADDING` behind it.

    `nanoseconds: uint64[samples]` are the times, those of usual numbers first.
    """

    def __init__(self, message: bytes, noted: Noted) -> None:
        self._noted = noted
        self._message = message
        places = np.array(noted.places, dtype=np.int64)
        integers = places < 0
        self._places = places = np.abs(places)
        values = self._read("<f8", places)
        values[integers] = self._read("<i8", places[integers]).astype(np.float64)
        self.values = np.concatenate((values, np.array(noted.values, dtype=np.float64)))
        self.nanoseconds = np.concatenate(
            (
                self._read("<u8", places + VALUE_TO_TIME),
                np.array(noted.times, dtype=np.uint64),
            )
        )

    def usual_without_time(self) -> NDArray[np.int64]:
        """Which usual numbers have the time 0; of the others the walk has seen to it."""
        return np.flatnonzero(self.nanoseconds[: len(self._places)] == 0)

    def span(self, before: tuple[int, int], after: tuple[int, int]) -> list[int]:
        """The first and last time (ns) of what was noted between two marks, or nothing."""
        usual = len(self._places)
        found = np.concatenate(
            (
                self.nanoseconds[before[0] : after[0]],
                self.nanoseconds[usual + before[1] : usual + after[1]],
            )
        )
        found = found[found > 0]
        return [int(found.min()), int(found.max())] if len(found) else []

    def batch(self) -> Batch:
        """The samples, but for those without a time."""
        return self._batch(self.nanoseconds > 0)

    def increases(self) -> Increases:
        """The same of what increased, each with when that began."""
        kept = self.nanoseconds > 0
        starts = np.concatenate(
            (
                self._read("<u8", self._places + VALUE_TO_START),
                np.array(self._noted.starts, dtype=np.uint64),
            )
        )
        milliseconds = (starts // _NANOSECONDS).astype(np.int64)
        milliseconds[starts == 0] = NEVER
        return Increases(self._batch(kept), milliseconds[kept])

    def _batch(self, kept: NDArray[np.bool_]) -> Batch:
        series = self._noted.usual + self._noted.others
        rows, labels = _numbered(series)
        times = (self.nanoseconds // _NANOSECONDS).astype(np.int64)
        if kept.all():
            return Batch(labels, rows, times, self.values)
        return Batch(labels, rows[kept], times[kept], self.values[kept])

    def _read(self, kind: str, places: Ints) -> NDArray[np.generic]:
        """The eight bytes from each place on."""
        item = np.dtype(kind)
        room = len(self._message) - item.itemsize
        every = np.ndarray((room + 1,), item, buffer=self._message, strides=(1,))
        return every[places]


def _numbered(series: Sequence[Known]) -> tuple[Ints, list[Labels]]:
    """Each sample's row, and the labels of the rows."""
    unique = dict.fromkeys(series)
    rows = np.arange(len(series), dtype=np.int64)
    if len(unique) < len(series):
        numbers = {known: row for row, known in enumerate(unique)}
        rows = np.array([numbers[known] for known in series], dtype=np.int64)
    return rows, [known.labels for known in unique]
