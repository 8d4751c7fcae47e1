"""Remote-write bodies of several kinds of sender, for the benchmark of ingest.

`agent` writes every value and keeps its order, as our agent does; `go` leaves out values of zero,
as all Go senders do; both in 1.0 and 2.0. Recorded bodies of real senders are moved in time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cramjam
import numpy as np
from numpy.typing import NDArray

from bench.write_bodies import label_bytes
from forewarn_wire import Labels, labels_from
from forewarn_wire.protobuf import integer, length_delimited, text, varint
from support.prompb import WriteRequest

STEP = 10_000
"""Between two samples of a series (ms)."""
_ZEROS = 0.42
"""Of the samples of a host, how many are zero (measured on node_exporter)."""
_METRICS = 100


@dataclass(frozen=True)
class Shape:
    """A request: so many series, each with so many samples."""

    series: int
    samples: int

    def __str__(self) -> str:
        return f"{self.series:,} x {self.samples}"

    @property
    def size(self) -> int:
        """Samples of a request."""
        return self.series * self.samples


@dataclass(frozen=True)
class Kind:
    """How a sender encodes: with zeros or without, in which version of remote write."""

    name: str
    zeros: bool
    version: int


KINDS = (
    Kind("agent, 1.0", zeros=True, version=1),
    Kind("Go, 1.0", zeros=False, version=1),
    Kind("agent, 2.0", zeros=True, version=2),
    Kind("Go, 2.0", zeros=False, version=2),
)


def host_labels(series: int, host: int) -> list[Labels]:
    """The series of one host, named and labelled about as node_exporter's."""
    return [
        labels_from(
            {
                "__name__": f"node_bench_{k % _METRICS:03}_seconds_total",
                "instance": f"host-{host:05}.example.org:9100",
                "job": "node",
                "device": f"device{k // _METRICS}",
                "mode": ("idle", "user", "system", "iowait")[k % 4],
            }
        )
        for k in range(series)
    ]


def bodies(kind: Kind, shape: Shape, host: int, start: int, count: int) -> Iterator[bytes]:
    """`count` requests of one host, the first one's first samples at `start` (ms)."""
    rng = np.random.default_rng(host)
    labels = host_labels(shape.series, host)
    encoder = _Encoder1(labels) if kind.version == 1 else _Encoder2(labels)
    idle = rng.random(shape.series) < _ZEROS
    values = rng.integers(0, 1_000_000, shape.series).astype(float)
    for request in range(count):
        first = start + request * shape.samples * STEP
        times = first + np.arange(shape.samples, dtype=np.int64) * STEP
        steps = rng.integers(0, 5_000, (shape.series, shape.samples)) / 100
        rows = values[:, np.newaxis] + np.cumsum(steps, axis=1)
        rows[idle] = 0.0
        values = rows[:, -1]
        message = encoder.encode(times, rows, zeros=kind.zeros)
        yield bytes(cramjam.snappy.compress_raw(message))


class _Encoder1:
    def __init__(self, labels: Sequence[Labels]) -> None:
        self._heads = [label_bytes(item) for item in labels]

    def encode(self, times: NDArray[np.int64], rows: NDArray[np.float64], *, zeros: bool) -> bytes:
        parts = []
        for head, samples in zip(self._heads, _samples(times, rows, zeros=zeros), strict=True):
            parts += (b"\x0a", varint(len(head) + len(samples)), head, samples)
        return b"".join(parts)


class _Encoder2:
    """Symbols in order of first use, each series with its metadata, as Prometheus 3 does."""

    def __init__(self, labels: Sequence[Labels]) -> None:
        symbols = {"": 0}

        def reference(symbol: str) -> bytes:
            return varint(symbols.setdefault(symbol, len(symbols)))

        self._heads, self._tails = [], []
        for item in labels:
            refs = b"".join(reference(symbol) for pair in item for symbol in pair)
            self._heads.append(length_delimited(1, refs))
            help_text = f"Help of {dict(item)['__name__']}."
            metadata = integer(1, 1) + varint(3 << 3) + reference(help_text)
            self._tails.append(length_delimited(5, metadata))
        self._symbols = b"".join(_symbol(symbol) for symbol in symbols)

    def encode(self, times: NDArray[np.int64], rows: NDArray[np.float64], *, zeros: bool) -> bytes:
        parts = [self._symbols]
        found = _samples(times, rows, zeros=zeros)
        for head, samples, tail in zip(self._heads, found, self._tails, strict=True):
            size = len(head) + len(samples) + len(tail)
            parts += (b"\x2a", varint(size), head, samples, tail)
        return b"".join(parts)


def _symbol(symbol: str) -> bytes:
    return text(4, symbol) or b"\x22\x00"


def _samples(
    times: NDArray[np.int64], rows: NDArray[np.float64], *, zeros: bool
) -> Iterator[bytes]:
    """Each series' samples as fields."""
    ends = [b"\x10" + varint(int(time)) for time in times]
    for row in np.ascontiguousarray(rows, dtype="<f8"):
        data = row.tobytes()
        parts = []
        for place, end in enumerate(ends):
            if zeros or row[place] != 0.0:
                parts += (b"\x12\x10\x09", data[place * 8 : place * 8 + 8], end)
            else:
                parts += (b"\x12\x07", end)
        yield b"".join(parts)


@dataclass(frozen=True)
class Recording:
    """What a real sender sent within a while, to be sent again at later times."""

    requests: list[WriteRequest]  # type: ignore[valid-type] # made by protobuf at run time
    span: int

    @classmethod
    def of(cls, raw: Sequence[bytes]) -> Recording:
        """Of snappy-compressed bodies; those without samples are left out."""
        requests = []
        times: list[int] = []
        for body in raw:
            request = WriteRequest.FromString(bytes(cramjam.snappy.decompress_raw(body)))
            found = [sample.timestamp for series in request.timeseries for sample in series.samples]
            if found:
                requests.append(request)
                times += found
        return cls(requests, max(times) - min(times) + 1_000)

    @property
    def samples(self) -> int:
        """How many samples one turn has."""
        return sum(len(series.samples) for item in self.requests for series in item.timeseries)

    def turns(self, host: int, count: int) -> Iterator[tuple[bytes, int]]:
        """`count` turns as of a host of its own, each later by the span; bodies and samples."""
        for turn in range(count):
            for request in self.requests:
                moved = WriteRequest()
                moved.CopyFrom(request)
                samples = 0
                for series in moved.timeseries:
                    for label in series.labels:
                        if label.name == "instance":
                            label.value = f"host-{host:05}"
                    for sample in series.samples:
                        sample.timestamp += turn * self.span
                        samples += 1
                yield bytes(cramjam.snappy.compress_raw(moved.SerializeToString())), samples
