"""Remote write bodies to columns: by a kept skeleton, or by one walk over the bytes, then numpy.

Source: https://prometheus.io/docs/specs/prw/remote_write_spec/ and `prompb/types.proto`:
`TimeSeries{1: repeated Label, 2: repeated Sample, 3: repeated Exemplar, 4: repeated Histogram}`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache

from forewarn_collector.ingest.compression import Unpacked
from forewarn_collector.ingest.limits import Limits, Rejected, check_size
from forewarn_collector.ingest.metadata import MetricMetadata, decode_metadata
from forewarn_collector.ingest.protobuf import LENGTH, fields, varint
from forewarn_collector.ingest.remote_write_2 import SymbolTables, Walk2
from forewarn_collector.ingest.samples import WITH_VALUE, WITHOUT_VALUE, Noted
from forewarn_collector.ingest.series import SeriesCache
from forewarn_collector.ingest.skeleton import Reading, Skeletons
from forewarn_collector.store import Batch
from forewarn_wire import Labels, WireError

_CACHES_KEPT = 64


class Version(IntEnum):
    """Which message a body holds: `prometheus.WriteRequest` or `io.prometheus.write.v2.Request`."""

    ONE = 1
    TWO = 2


@dataclass(frozen=True, slots=True)
class Decoded:
    """A request's samples, what of it was refused, and what it says of metric families.

    `histograms` and `exemplars` are how many there were; none of them is kept.
    """

    batch: Batch
    rejected: list[Rejected]
    metadata: Mapping[str, MetricMetadata] = field(default_factory=dict)
    histograms: int = 0
    exemplars: int = 0


def decode_write_request(
    body: bytes, *, limits: Limits, extra: Labels = (), version: Version = Version.ONE
) -> Decoded:
    """Decode a snappy-compressed body. `extra` labels override those that came.

    A bad series is refused alone, the rest is kept. Raises WireError where the body is not what
    it claims to be and TooLargeError where it is over a limit. Thread-safe.
    """
    return _decoder(limits).decode(body, extra, version)


class WriteDecoder:
    """Decodes bodies and keeps what it has met of them, so that each series is parsed once."""

    def __init__(self, limits: Limits, skeletons: Skeletons | None = None) -> None:
        self._limits = limits
        self._caches: OrderedDict[Labels, SeriesCache] = OrderedDict()
        self._symbols = SymbolTables()
        self._skeletons = skeletons if skeletons is not None else Skeletons()
        self._known_body, self._walked_body = Unpacked(), Unpacked()
        # Threads would not make the walk any faster, but could change the cache under it.
        self._walking = threading.Lock()
        # So that bodies that are known need not wait for those that are not.
        self._lock = threading.Lock()

    def decode(self, body: bytes, extra: Labels = (), version: Version = Version.ONE) -> Decoded:
        """As `decode_write_request`."""
        with self._walking:
            return self.decode_known(body, extra, version) or self._walk(body, extra, version)

    def decode_known(
        self, body: bytes, extra: Labels = (), version: Version = Version.ONE
    ) -> Decoded | None:
        """The same where that is a matter of some hundred microseconds, else None."""
        check_size(len(body), self._limits.max_body, "the body")
        with self._lock:
            self._known_body.unsnappy(body, self._limits.max_decoded)
            reading = self._skeletons.read(version, extra, self._known_body)
        return _decoded(reading) if reading is not None else None

    def _walk(self, body: bytes, extra: Labels, version: Version) -> Decoded:
        self._walked_body.unsnappy(body, self._limits.max_decoded)
        noted = Noted(self._walked_body, self._limits)
        if version is Version.TWO:
            Walk2(noted, self._cache(extra), self._symbols).run()
        else:
            _Walk(noted, self._cache(extra)).run()
        batch = noted.batch()
        once = version is Version.ONE and noted.metadata
        if noted.regular and noted.places and not noted.rejected and not once:
            stamps, omitted = noted.stamps()
            with self._lock:
                self._skeletons.learn(
                    version,
                    extra,
                    self._walked_body,
                    stamps,
                    omitted,
                    batch.labels,
                    batch.rows,
                    noted.metadata,
                )
        return Decoded(batch, noted.rejected, noted.metadata, noted.histograms, noted.exemplars)

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


def _decoded(reading: Reading) -> Decoded:
    return Decoded(reading.batch, [], reading.metadata)


class _Walk:
    """One pass over a body of remote write 1.0."""

    def __init__(self, noted: Noted, cache: SeriesCache) -> None:
        self._noted = noted
        self._cache = cache

    def run(self) -> None:
        """The usual series is known and ends in one sample of 18 bytes, or of 9 without value.

        Comparing from the end is sound: if the bytes before are those of known label fields, then
        what follows them begins a field, here a sample of exactly the size that is left.
        """
        noted = self._noted
        message, end = noted.message, noted.end
        known_series, met = self._cache.known, noted.met
        series, counts = noted.series, noted.counts
        places, times = noted.places, noted.times
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
            if message[tail : tail + 3] == WITH_VALUE and message[tail + 11] == 0x10:
                known = known_series.get(message[start:tail]) if tail > start else None
                place = tail + 3
            else:
                tail = stop - 9
                known = None
                if message[tail : tail + 3] == WITHOUT_VALUE and tail > start:
                    known = known_series.get(message[start:tail])
                place = -tail - 3
            if known is not None:
                time = met.get(message[stop - 6 : stop])
                if time is None:
                    time = noted.usual_time(stop - 6)
                if time is not None:
                    series.append(known)
                    counts.append(1)
                    places.append(place)
                    times.append(time)
                    continue
            if not self._usual_series(start, stop):
                self._one_series(start, stop)

    def _other(self, position: int) -> int:
        """Step over a field of the request that is no series; the position after it."""
        noted = self._noted
        for number, wire_type, _, payload, after in fields(noted.message, position, noted.end):
            if number == 3 and wire_type == LENGTH:
                found = decode_metadata(noted.message, payload, after)
                if found is not None:
                    noted.metadata[found[0]] = found[1]
            if number in (4, 5) and wire_type == LENGTH:
                raise WireError(
                    "this is a remote write 2.0 request, but its Content-Type says 1.0; name"
                    " proto=io.prometheus.write.v2.Request there"
                )
            if number == 1 and wire_type == LENGTH:
                # The tag is there in more bytes than it needs, which is allowed.
                self._one_series(payload, after)
            return after
        return noted.end

    def _usual_series(self, start: int, stop: int) -> bool:
        """A series with any number of samples of 18 or 9 bytes; False for any other."""
        message = self._noted.message
        position = start
        while position < stop and message[position] == 0x0A and message[position + 1] < 0x80:
            position += 2 + message[position + 1]
        if position > stop:
            return False
        found = self._noted.usual_samples(position, stop)
        if found is None or found[0] != stop:
            return False
        known = self._cache.learn(message[start:position])
        if isinstance(known, Rejected):
            return False
        self._noted.add(known, *found[1:])
        return True

    def _one_series(self, start: int, stop: int) -> None:
        """Any series whatever: fields in any order, any number of samples."""
        noted = self._noted
        message = noted.message
        labels: list[bytes] = []
        samples: list[tuple[int, int]] = []
        histograms = 0
        for number, wire_type, begin, payload, after in fields(message, start, stop):
            if wire_type != LENGTH:
                continue
            if number == 1:
                labels.append(message[begin:after])
            elif number == 2:
                samples.append(noted.sample(payload, after))
            elif number == 3:
                noted.exemplars += 1
                noted.regular = False
            elif number == 4:
                histograms += 1
        known = self._cache.learn(b"".join(labels))
        if isinstance(known, Rejected):
            noted.refuse(known)
            return
        if histograms:
            noted.refuse_histograms(histograms, known)
        noted.take(known, samples)
