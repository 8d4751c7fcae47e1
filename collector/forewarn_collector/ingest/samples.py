"""What a walk over a remote-write body notes of its samples, and the columns made of that.

`Sample{1: double value, 2: int64 timestamp}` is the same message in 1.0 and 2.0. Go senders leave
out a value of 0 altogether.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.ingest.compression import Unpacked
from forewarn_collector.ingest.limits import (
    EARLIEST,
    LATEST,
    Kind,
    Limits,
    Rejected,
    check_rejected,
)
from forewarn_collector.ingest.metadata import MetricMetadata
from forewarn_collector.ingest.protobuf import FIXED64, VARINT, fields, signed, varint
from forewarn_collector.ingest.series import Known, show
from forewarn_collector.ingest.skeleton import VALUE_TO_TIME
from forewarn_collector.store import Batch
from forewarn_wire import WireError

Ints = NDArray[np.int64]

WITH_VALUE, WITHOUT_VALUE = b"\x12\x10\x09", b"\x12\x07\x10"
"""How the usual sample begins: with its value and a time of six bytes, or with the time alone."""


class Noted:
    """The samples of one body: of which series, their times, and where their values stand.

    `places[k]` is where the value of sample `k` begins; where it has none, minus the place of its
    time. Values are gathered at the end, bit by bit.
    """

    def __init__(self, body: Unpacked, limits: Limits) -> None:
        self.message = body.padded()
        self.end = body.size
        self.limits = limits
        self.series: list[Known] = []
        self.counts: list[int] = []
        self.places: list[int] = []
        self.times: list[int] = []
        # Whether all samples are of the usual forms, so that the next body may be alike.
        self.regular = True
        # The few times that a body holds, by their bytes.
        self.met: dict[bytes, int] = {}
        self.rejected: list[Rejected] = []
        self.metadata: dict[str, MetricMetadata] = {}
        self.histograms = 0
        self.exemplars = 0

    def batch(self) -> Batch:
        """The columns of what was noted."""
        places, omitted = self._value_places()
        places[omitted] = self.end
        # Any byte may be the first of a value: a view of doubles that overlap by seven bytes.
        doubles = np.ndarray((self.end + 1,), np.dtype("<f8"), buffer=self.message, strides=(1,))
        values = doubles[places].astype(np.float64, copy=False)
        times = np.array(self.times, dtype=np.int64)
        counts = np.array(self.counts, dtype=np.int64)
        unique = dict.fromkeys(self.series)
        rows = np.arange(len(self.series), dtype=np.int64)
        if len(unique) != len(self.series):
            numbers = {known: row for row, known in enumerate(unique)}
            rows = np.array([numbers[known] for known in self.series], dtype=np.int64)
        return Batch([known.labels for known in unique], np.repeat(rows, counts), times, values)

    def stamps(self) -> tuple[Ints, Ints]:
        """Where each sample's time begins, and which samples have no value."""
        places, omitted = self._value_places()
        stamps = places + VALUE_TO_TIME
        stamps[omitted] = -places[omitted]
        return stamps, omitted

    def _value_places(self) -> tuple[Ints, Ints]:
        places = np.array(self.places, dtype=np.int64)
        return places, np.flatnonzero(places < 0)

    def usual_time(self, position: int) -> int | None:
        """The time whose varint takes exactly the six bytes here; None where it does not."""
        try:
            time, after = varint(self.message, position, position + 6)
        except WireError:
            return None
        if after != position + 6:
            return None
        self.met[self.message[position:after]] = time
        return time

    def usual_samples(self, position: int, stop: int) -> tuple[int, list[int], list[int]] | None:
        """Samples of the usual forms: where the next field begins, their places and times.

        None where they must be read field by field.
        """
        message, met = self.message, self.met
        places: list[int] = []
        times: list[int] = []
        while position < stop:
            head = message[position : position + 3]
            if head == WITH_VALUE and message[position + 11] == 0x10:
                places.append(position + 3)
                position += 18
            elif head == WITHOUT_VALUE:
                places.append(-position - 3)
                position += 9
            else:
                break
            time = met.get(message[position - 6 : position])
            if time is None and (time := self.usual_time(position - 6)) is None:
                return None
            times.append(time)
        return (position, places, times) if times and position <= stop else None

    def add(self, known: Known, places: list[int], times: list[int]) -> None:
        """Note samples of a series, of which there is one at least."""
        self.series.append(known)
        self.counts.append(len(times))
        self.places += places
        self.times += times

    def take(self, known: Known, samples: Iterable[tuple[int, int]]) -> None:
        """Note samples that were read one by one, each a place and a time."""
        given = list(samples)
        good = [item for item in given if EARLIEST <= item[1] <= LATEST]
        if len(good) < len(given):
            bad = next(time for _, time in given if not EARLIEST <= time <= LATEST)
            reason = (
                f"{len(given) - len(good)} samples with a time outside the years 1970 to 9999,"
                f" such as {bad} ms; times are milliseconds since epoch"
            )
            self.refuse(Rejected(Kind.BAD_TIME, show(known.labels), reason))
        if good:
            self.add(known, [place for place, _ in good], [time for _, time in good])

    def refuse(self, found: Rejected) -> None:
        """Note what is refused. Raises WireError where it is too much."""
        self.rejected.append(found)
        check_rejected(self.rejected, self.limits)

    def refuse_histograms(self, count: int, known: Known) -> None:
        """Note native histograms, see docs/adr/009."""
        self.histograms += count
        reason = f"{count} native histograms are not taken; its floats are"
        self.refuse(Rejected(Kind.NATIVE_HISTOGRAM, show(known.labels), reason))

    def sample(self, start: int, stop: int) -> tuple[int, int]:
        """A sample's place, as in `places`, and its time."""
        message = self.message
        size = stop - start
        # The usual 16 or 7 bytes: value, if it is not left out, then a time of six bytes.
        if (size == 16 and message[start] == 0x09 and message[start + 9] == 0x10) or (
            size == 7 and message[start] == 0x10
        ):
            time = self.met.get(message[stop - 6 : stop])
            if time is not None or (time := self.usual_time(stop - 6)) is not None:
                return (start + 1 if size == 16 else -start - 1), time
        self.regular = False
        place, time = self.end, 0
        for number, wire_type, _, payload, _ in fields(message, start, stop):
            if number == 1 and wire_type == FIXED64:
                place = payload
            elif number == 2 and wire_type == VARINT:
                time = signed(varint(message, payload, stop)[0])
        return place, time
