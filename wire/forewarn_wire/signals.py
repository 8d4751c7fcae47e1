"""What travels: samples and events."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from forewarn_wire.labels import Labels

STALE_NAN_BITS = 0x7FF0000000000002
"""The bits of the NaN by which a sender says that a series has ended.

Source: prometheus/prometheus `model/value/value.go`.
"""
STALE_NAN: float = struct.unpack("<d", struct.pack("<Q", STALE_NAN_BITS))[0]


def is_stale(value: float) -> bool:
    """Whether a value is the stale marker; every other NaN is an ordinary value."""
    bits: int = struct.unpack("<Q", struct.pack("<d", value))[0]
    return bits == STALE_NAN_BITS


class Sample(NamedTuple):
    """One value of one series. `time` is in milliseconds since epoch."""

    labels: Labels
    time: int
    value: float


class Severity(StrEnum):
    """How bad an event is, in OpenTelemetry's six ranges."""

    TRACE = "trace"
    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"
    FATAL = "fatal"

    @property
    def number(self) -> int:
        """The lowest OpenTelemetry `SeverityNumber` of the range."""
        return 1 + 4 * list(Severity).index(self)

    @staticmethod
    def from_number(number: int) -> Severity:
        """The range of an OpenTelemetry `SeverityNumber`; 0 (unspecified) counts as info."""
        if not 1 <= number <= 24:
            return Severity.INFO
        return list(Severity)[(number - 1) // 4]


class Event(NamedTuple):
    """Something that happened: an OpenTelemetry log record with our labels.

    `labels` say what it belongs to (`job`, `instance`, ...) and are few, since rules count by
    them; `attributes` hold details. Two events with one `uid` are the same event.
    """

    time: int
    type: str
    severity: Severity
    labels: Labels
    body: str
    uid: str
    attributes: Mapping[str, str] = {}
