"""What a collector's answer says: when to come again, its clock, what it rejected, what to halve.

Source: RFC 9110 sections 5.6.7 and 10.2.3; OTLP's `ExportLogsServiceResponse{1: partial_success
{1: rejected_log_records, 2: error_message}}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import cramjam

from forewarn_wire.protobuf import length_delimited

MAX_RETRY_AFTER = 3600.0
"""Seconds: a peer that says more is asked again after this."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE = re.compile(r"\w{3}, (\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT")


def parse_http_date(text: str) -> int | None:
    """Milliseconds since epoch of an HTTP date (IMF-fixdate); None if it is none."""
    match = _DATE.fullmatch(text)
    if match is None or match[2] not in _MONTHS:
        return None
    day, month, year, hour, minute, second = match.groups()
    try:
        moment = datetime(
            int(year), 1 + _MONTHS.index(month), int(day), int(hour), int(minute), int(second),
            tzinfo=UTC,
        )  # fmt: skip
    except ValueError:
        return None
    return int(moment.timestamp()) * 1000


def server_time(headers: Mapping[str, str]) -> int | None:
    """The peer's clock when it answered, milliseconds, in whole seconds; None if it did not say."""
    return parse_http_date(headers.get("date", ""))


def retry_after(headers: Mapping[str, str], now: int) -> float:
    """Seconds to wait as the peer asks, 0 if it does not; a date counts by the peer's own clock."""
    value = headers.get("retry-after", "")
    if value.isdecimal():
        return min(MAX_RETRY_AFTER, float(value))
    at = parse_http_date(value)
    if at is None:
        return 0.0
    theirs = server_time(headers)
    return max(0.0, min(MAX_RETRY_AFTER, (at - (now if theirs is None else theirs)) / 1000))


def rejected_logs(body: bytes) -> tuple[int, str]:
    """How many records of an OTLP request that was taken were rejected, and why."""
    try:
        for field, value in fields(body):
            if field == 1 and isinstance(value, bytes):
                partial = dict(fields(value))
                count, why = partial.get(1, 0), partial.get(2, b"")
                if isinstance(count, int) and isinstance(why, bytes):
                    return count, why.decode("utf-8", "replace")[:500]
    except (ValueError, IndexError):
        pass  # an answer that is no protobuf says nothing about rejected records
    return 0, ""


def split_write_request(compressed: bytes) -> list[tuple[int, bytes]]:
    """Two halves (series, body) of a compressed write request; one where it has one series."""
    body = bytes(cramjam.snappy.decompress_raw(compressed))
    series = [value for field, value in fields(body) if field == 1 and isinstance(value, bytes)]
    middle = (len(series) + 1) // 2
    halves = [half for half in (series[:middle], series[middle:]) if half]
    return [
        (len(half), compress(b"".join(length_delimited(1, one) for one in half))) for half in halves
    ]


def compress(body: bytes) -> bytes:
    """A body as remote write wants it: snappy's block format."""
    return bytes(cramjam.snappy.compress_raw(body))


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Fields of a protobuf message: numbers and the bytes of what is delimited by length."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        wire_type = tag & 7
        if wire_type == 0:
            value, position = _varint(message, position)
            yield tag >> 3, value
        elif wire_type == 2:
            size, position = _varint(message, position)
            if position + size > len(message):
                raise ValueError("truncated")
            yield tag >> 3, message[position : position + size]
            position += size
        else:
            raise ValueError(f"wire type {wire_type} is not expected here")


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("a varint is too long")
