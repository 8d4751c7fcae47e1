"""Remote write 1.0 bodies to columns: one walk over the bytes, then numpy.

Source: https://prometheus.io/docs/specs/prw/remote_write_spec/ and `prompb/types.proto`:
`TimeSeries{1: repeated Label, 2: repeated Sample, 3: repeated Exemplar, 4: repeated Histogram}`,
`Sample{1: double value, 2: int64 timestamp}`. Go senders leave out a value of 0 altogether.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from forewarn_collector.ingest.compression import unsnappy
from forewarn_collector.ingest.limits import (
    EARLIEST,
    LATEST,
    Kind,
    Limits,
    Rejected,
    check_rejected,
    check_size,
)
from forewarn_collector.ingest.metadata import MetricMetadata, decode_metadata
from forewarn_collector.ingest.protobuf import FIXED64, LENGTH, VARINT, fields, signed, varint
from forewarn_collector.ingest.series import Known, SeriesCache, show
from forewarn_collector.store import Batch
from forewarn_wire import Labels, WireError

_CACHES_KEPT = 64
# Zero bytes after the body: the value of a sample that leaves it out, and room to look ahead in.
_PADDING = bytes(24)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A request's samples, what of it was refused, and what it says of metric families."""

    batch: Batch
    rejected: list[Rejected]
    metadata: dict[str, MetricMetadata] = field(default_factory=dict)


def decode_write_request(body: bytes, *, limits: Limits, extra: Labels = ()) -> Decoded:
    """Decode a snappy-compressed body. `extra` labels override those that came.

    A bad series is refused alone, the rest is kept. Raises WireError where the body is not what
    it claims to be and TooLargeError where it is over a limit. Thread-safe.
    """
    return _decoder(limits).decode(body, extra)


class WriteDecoder:
    """Decodes bodies and keeps the label sets it has met, so that each is parsed once."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._caches: OrderedDict[Labels, SeriesCache] = OrderedDict()
        # Threads would not make the walk any faster, but could change the cache under it.
        self._lock = threading.Lock()

    def decode(self, body: bytes, extra: Labels = ()) -> Decoded:
        """As `decode_write_request`."""
        check_size(len(body), self._limits.max_body, "the body")
        message = unsnappy(body, self._limits.max_decoded, _PADDING)
        with self._lock:
            walk = _Walk(message, len(message) - len(_PADDING), self._cache(extra), self._limits)
            walk.run()
        return Decoded(walk.batch(), walk.rejected, walk.metadata)

    def _cache(self, extra: Labels) -> SeriesCache:
        cache = self._caches.get(extra)
        if cache is None:
            cache = self._caches[extra] = SeriesCache(self._limits, extra)
            if len(self._caches) > _CACHES_KEPT:
                self._caches.popitem(last=False)
        self._caches.move_to_end(extra)
        cache.trim()
        return cache


@lru_cache(maxsize=8)
def _decoder(limits: Limits) -> WriteDecoder:
    return WriteDecoder(limits)


class _Walk:
    """One pass over a body: notes series, how many samples each has, their times, and where their
    values stand in the body; values themselves are gathered at the end, bit by bit."""

    def __init__(self, message: bytes, end: int, cache: SeriesCache, limits: Limits) -> None:
        self._limits = limits
        self._message = message
        self._end = end
        self._cache = cache
        self._series: list[Known] = []
        self._counts: list[int] = []
        self._places: list[int] = []
        self._times: list[int] = []
        # The few times that a body holds, by their bytes.
        self._met: dict[bytes, int] = {}
        self.rejected: list[Rejected] = []
        self.metadata: dict[str, MetricMetadata] = {}

    def run(self) -> None:
        """The usual series is known and ends in one sample of 18 bytes, or of 9 without value.

        Comparing from the end is sound: if the bytes before are those of known label fields, then
        what follows them begins a field, here a sample of exactly the size that is left.
        """
        message, end = self._message, self._end
        known_series, met = self._cache.known, self._met
        series, counts = self._series, self._counts
        places, times = self._places, self._times
        position = 0
        while position < end:
            if message[position] != 0x0A:
                position = self._other(position)
                continue
            start = position + 2
            size = message[position + 1]
            if size >= 0x80:
                size, start = varint(message, position + 1, end)
            stop = start + size
            if stop > end:
                raise WireError("truncated: a series is longer than the body")
            position = stop
            tail = stop - 18
            if message[tail : tail + 3] == b"\x12\x10\x09" and message[tail + 11] == 0x10:
                known = known_series.get(message[start:tail]) if tail > start else None
                place = tail + 3
            else:
                tail = stop - 9
                known = None
                if message[tail : tail + 3] == b"\x12\x07\x10" and tail > start:
                    known = known_series.get(message[start:tail])
                place = end
            if known is not None:
                time = met.get(message[stop - 6 : stop])
                if time is None:
                    time = self._usual_time(stop - 6)
                if time is not None:
                    series.append(known)
                    counts.append(1)
                    places.append(place)
                    times.append(time)
                    continue
            if not self._usual_series(start, stop):
                self._one_series(start, stop)

    def batch(self) -> Batch:
        """The columns of what was noted."""
        # Any byte may be the first of a value: a view of doubles that overlap by seven bytes.
        doubles = np.ndarray((self._end + 1,), np.dtype("<f8"), buffer=self._message, strides=(1,))
        values = doubles[np.array(self._places, dtype=np.int64)].astype(np.float64, copy=False)
        times = np.array(self._times, dtype=np.int64)
        counts = np.array(self._counts, dtype=np.int64)
        unique = dict.fromkeys(self._series)
        rows = np.arange(len(self._series), dtype=np.int64)
        if len(unique) != len(self._series):
            numbers = {known: row for row, known in enumerate(unique)}
            rows = np.array([numbers[known] for known in self._series], dtype=np.int64)
        return Batch([known.labels for known in unique], np.repeat(rows, counts), times, values)

    def _other(self, position: int) -> int:
        """Step over a field of the request that is no series; the position after it."""
        for number, wire_type, _, payload, after in fields(self._message, position, self._end):
            if number == 3 and wire_type == LENGTH:
                found = decode_metadata(self._message, payload, after)
                if found is not None:
                    self.metadata[found[0]] = found[1]
            if number in (4, 5) and wire_type == LENGTH:
                raise WireError(
                    "this is a remote write 2.0 request; send 1.0 (prometheus.WriteRequest)"
                )
            if number == 1 and wire_type == LENGTH:
                # The tag is there in more bytes than it needs, which is allowed.
                self._one_series(*self._payload(position))
            return after
        return self._end

    def _payload(self, position: int) -> tuple[int, int]:
        _, position = varint(self._message, position, self._end)
        size, start = varint(self._message, position, self._end)
        return start, start + size

    def _usual_time(self, position: int) -> int | None:
        """The time whose varint takes exactly the six bytes here; None where it does not."""
        try:
            time, after = varint(self._message, position, position + 6)
        except WireError:
            return None
        if after != position + 6:
            return None
        self._met[self._message[position:after]] = time
        return time

    def _usual_series(self, start: int, stop: int) -> bool:
        """A known series with any number of samples of 18 or 9 bytes; False for any other."""
        message, met = self._message, self._met
        position = start
        while position < stop and message[position] == 0x0A and message[position + 1] < 0x80:
            position += 2 + message[position + 1]
        known = self._cache.known.get(message[start:position])
        if known is None or position >= stop:
            return False
        places, times = [], []
        while position < stop:
            if (
                message[position : position + 3] == b"\x12\x10\x09"
                and message[position + 11] == 0x10
            ):
                places.append(position + 3)
                position += 18
            elif message[position : position + 3] == b"\x12\x07\x10":
                places.append(self._end)
                position += 9
            else:
                return False
            time = met.get(message[position - 6 : position])
            if time is None and (time := self._usual_time(position - 6)) is None:
                return False
            times.append(time)
        if position > stop:
            return False
        self._series.append(known)
        self._counts.append(len(times))
        self._places += places
        self._times += times
        return True

    def _one_series(self, start: int, stop: int) -> None:
        """Any series whatever: fields in any order, any number of samples."""
        message = self._message
        labels: list[bytes] = []
        samples: list[tuple[int, int]] = []
        histograms = 0
        for number, wire_type, begin, payload, after in fields(message, start, stop):
            if wire_type != LENGTH:
                continue
            if number == 1:
                labels.append(message[begin:after])
            elif number == 2:
                samples.append(self._sample(payload, after))
            elif number == 4:
                histograms += 1
        known = self._cache.learn(b"".join(labels))
        if isinstance(known, Rejected):
            self._refuse(known)
            return
        if histograms:
            reason = f"{histograms} native histograms are not taken; its floats are"
            self._refuse(Rejected(Kind.NATIVE_HISTOGRAM, show(known.labels), reason))
        good = [item for item in samples if EARLIEST <= item[1] <= LATEST]
        if len(good) < len(samples):
            bad = next(time for _, time in samples if not EARLIEST <= time <= LATEST)
            reason = (
                f"{len(samples) - len(good)} samples with a time outside the years 1970 to 9999,"
                f" such as {bad} ms; times are milliseconds since epoch"
            )
            self._refuse(Rejected(Kind.BAD_TIME, show(known.labels), reason))
        if good:
            self._series.append(known)
            self._counts.append(len(good))
            self._places += [place for place, _ in good]
            self._times += [time for _, time in good]

    def _refuse(self, found: Rejected) -> None:
        self.rejected.append(found)
        check_rejected(self.rejected, self._limits)

    def _sample(self, start: int, stop: int) -> tuple[int, int]:
        """Where the value of a sample stands, and its time."""
        message = self._message
        # The usual 16 or 7 bytes: value, if it is not left out, then a time of six bytes.
        if stop - start == 16 and message[start] == 0x09 and message[start + 9] == 0x10:
            time = self._met.get(message[stop - 6 : stop])
            if time is not None or (time := self._usual_time(stop - 6)) is not None:
                return start + 1, time
        place, time = self._end, 0
        for number, wire_type, _, payload, _ in fields(message, start, stop):
            if number == 1 and wire_type == FIXED64:
                place = payload
            elif number == 2 and wire_type == VARINT:
                time = signed(varint(message, payload, stop)[0])
        return place, time
