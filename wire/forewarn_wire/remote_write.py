"""Encode samples as a Prometheus remote write 1.0 `WriteRequest`.

Source: https://prometheus.io/docs/specs/prw/remote_write_spec/ and `prompb/types.proto`:
`WriteRequest{1: repeated TimeSeries}`, `TimeSeries{1: repeated Label, 2: repeated Sample}`,
`Label{1: name, 2: value}`, `Sample{1: double value, 2: int64 timestamp}`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from forewarn_wire.labels import Labels
from forewarn_wire.protobuf import length_delimited, text, varint

CONTENT_TYPE = "application/x-protobuf"
CONTENT_ENCODING = "snappy"
VERSION = "0.1.0"

_DOUBLE = struct.Struct("<d")
# A Sample's value is field 1, fixed64: written even when zero, so that a body's layout depends
# on its series alone and the collector can decode it by the last one's skeleton.
_VALUE_TAG = b"\x09"
_TIME_TAG = b"\x10"


class Series:
    """A label set with its encoding kept, since an agent sends the same series again and again."""

    __slots__ = ("encoded", "labels")

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.encoded = b"".join(
            length_delimited(1, text(1, name) + text(2, value)) for name, value in labels
        )

    def __repr__(self) -> str:
        return f"Series({dict(self.labels)!r})"


Reading = tuple[Series, float]
"""A series and its value now; the time is that of the round it was read in."""


def encode_write_request(readings: Sequence[Reading], time: int) -> bytes:
    """Encode one round of readings, all of them at `time` (milliseconds), in their order."""
    end = _TIME_TAG + varint(time)
    sample_head = varint(2 << 3 | 2) + varint(1 + 8 + len(end)) + _VALUE_TAG
    sample_size = len(sample_head) + 8 + len(end)
    pack = _DOUBLE.pack
    parts: list[bytes] = []
    for series, value in readings:
        encoded = series.encoded
        parts += (
            b"\x0a",
            varint(len(encoded) + sample_size),
            encoded,
            sample_head,
            pack(value),
            end,
        )
    return b"".join(parts)
