"""What senders say of their metrics: type, help and unit, kept in memory.

Source: `prompb/types.proto`, `MetricMetadata{1: type, 2: family name, 4: help, 5: unit}`. Senders
repeat it every minute or so, which is why a restart may forget it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from forewarn_collector.ingest.protobuf import LENGTH, VARINT, fields, varint

MOST_FAMILIES = 20_000
_LONGEST_NAME = 1_024
_LONGEST_TEXT = 2_048

_TYPES = (
    "unknown",
    "counter",
    "gauge",
    "histogram",
    "gaugehistogram",
    "summary",
    "info",
    "stateset",
)

# A histogram's series bear its name with one of these behind it, a summary's too but for quantiles.
_SUFFIXES = {
    "histogram": ("_bucket", "_count", "_sum"),
    "gaugehistogram": ("_bucket", "_gcount", "_gsum"),
    "summary": ("_count", "_sum"),
}


@dataclass(frozen=True, slots=True)
class MetricMetadata:
    """Of one metric family: its type in Prometheus' words, and texts for people."""

    type: str
    help: str
    unit: str


class MetadataTable:
    """One entry for each metric family of a customer, the last one that came.

    Of too many the oldest go.
    """

    def __init__(self, most: int = MOST_FAMILIES) -> None:
        self._most = most
        self._entries: OrderedDict[tuple[str, str], MetricMetadata] = OrderedDict()
        self._lock = threading.Lock()

    def update(self, found: Mapping[str, MetricMetadata], customer: str = "") -> None:
        """Take what a request brought, of a customer or of none."""
        with self._lock:
            for name, entry in found.items():
                self._entries[customer, name] = entry
                self._entries.move_to_end((customer, name))
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)

    def entries(self, name: str = "", customer: str = "") -> list[tuple[str, MetricMetadata]]:
        """All families by name, or the one with that name; of a customer, else of everybody.

        What several say of one family, the last one says for everybody.
        """
        with self._lock:
            found = {
                family: entry
                for (owner, family), entry in self._entries.items()
                if customer in ("", owner) and name in ("", family)
            }
        return sorted(found.items(), key=lambda item: item[0])


def decode_metadata(message: bytes, start: int, stop: int) -> tuple[str, MetricMetadata] | None:
    """A family's name and metadata; None where it has no usable name. Raises WireError."""
    texts = {2: "", 4: "", 5: ""}
    kind = 0
    for number, wire_type, _, payload, end in fields(message, start, stop):
        if number == 1 and wire_type == VARINT:
            kind = varint(message, payload, end)[0]
        elif number in texts and wire_type == LENGTH:
            # Cut before it is decoded: a character that is cut through becomes a replacement.
            texts[number] = message[payload : min(end, payload + _LONGEST_TEXT)].decode(
                errors="replace"
            )
    name = texts[2]
    if not name or len(name) > _LONGEST_NAME:
        return None
    return name, MetricMetadata(type_name(kind), texts[4], texts[5])


def type_name(number: int) -> str:
    """A metric type by its number, which is the same in remote write 1.0 and 2.0."""
    return _TYPES[number] if number < len(_TYPES) else _TYPES[0]


def series_metadata(
    metric: str, number: int, help_text: str, unit: str
) -> tuple[str, MetricMetadata] | None:
    """The family that a series belongs to, and its metadata, as remote write 2.0 gives them.

    None where that says nothing, or the metric has no usable name.
    """
    if not metric or len(metric) > _LONGEST_NAME or not (number or help_text or unit):
        return None
    kind = type_name(number)
    for suffix in _SUFFIXES.get(kind, ()):
        if metric.endswith(suffix) and len(metric) > len(suffix):
            metric = metric.removesuffix(suffix)
            break
    return metric, MetricMetadata(kind, help_text[:_LONGEST_TEXT], unit[:_LONGEST_TEXT])
