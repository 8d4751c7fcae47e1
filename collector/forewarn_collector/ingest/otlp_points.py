"""One point of an OTLP metric, field by field: for points that are not the usual number.

Source: opentelemetry-proto `metrics/v1/metrics.proto`. All kinds of points have `start_time` 2 and
`time` 3; the other fields' numbers are given by whoever asks.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.ingest.protobuf import FIXED64, LENGTH, VARINT, fields, varint
from forewarn_wire import WireError

_START, _TIME = 2, 3
_NO_RECORDED_VALUE = 1


@dataclass(slots=True)
class Point:
    """The fields of a point. `counts` says how often there is a field that is a message."""

    attributes: bytes
    fixed: dict[int, bytes] = field(default_factory=dict)
    varints: dict[int, int] = field(default_factory=dict)
    packed: dict[int, list[bytes]] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)

    @property
    def start(self) -> int:
        """When it began (ns), 0 where that is unknown."""
        return self.unsigned(_START)

    @property
    def time(self) -> int:
        """Its time (ns), 0 where it has none."""
        return self.unsigned(_TIME)

    def unsigned(self, number: int) -> int:
        """A fixed64, 0 where it is left out."""
        return int.from_bytes(self.fixed.get(number, b""), "little")

    def integer(self, number: int) -> float | None:
        """An sfixed64 as a number, None where it is left out."""
        found = self.fixed.get(number)
        return float(int.from_bytes(found, "little", signed=True)) if found is not None else None

    def double(self, number: int, default: float | None = None) -> float | None:
        """A double bit by bit, or the default where it is left out."""
        found = self.fixed.get(number)
        return struct.unpack("<d", found)[0] if found is not None else default

    def doubles(self, number: int) -> NDArray[np.float64]:
        """The elements of a repeated double, packed or not. Raises WireError."""
        return np.frombuffer(self._elements(number), "<f8")

    def unsigneds(self, number: int) -> NDArray[np.uint64]:
        """The elements of a repeated fixed64, packed or not. Raises WireError."""
        return np.frombuffer(self._elements(number), "<u8")

    def has_no_value(self, number: int) -> bool:
        """Whether its flags, the field of that number, say that nothing was recorded."""
        return bool(self.varints.get(number, 0) & _NO_RECORDED_VALUE)

    def _elements(self, number: int) -> bytes:
        content = b"".join(self.packed.get(number, ()))
        if len(content) % 8:
            raise WireError(f"a packed field has {len(content)} bytes; its elements have eight")
        return content


def read_point(message: bytes, start: int, stop: int, attributes: int) -> Point:
    """The fields of the point there; `attributes` is the number of that field. WireError."""
    parts: list[bytes] = []
    point = Point(b"")
    for number, wire_type, begin, payload, after in fields(message, start, stop):
        if wire_type == FIXED64:
            point.fixed[number] = message[payload:after]
            point.packed.setdefault(number, []).append(message[payload:after])
        elif wire_type == VARINT:
            point.varints[number] = varint(message, payload, after)[0]
        elif wire_type == LENGTH and number == attributes:
            parts.append(message[begin:after])
        elif wire_type == LENGTH:
            point.counts[number] = point.counts.get(number, 0) + 1
            point.packed.setdefault(number, []).append(message[payload:after])
    point.attributes = b"".join(parts)
    return point
