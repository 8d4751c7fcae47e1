"""The pieces of protobuf's wire format that the decoders walk over by hand.

Source: https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from collections.abc import Iterator

from forewarn_wire import WireError

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_MASK = 0xFFFF_FFFF_FFFF_FFFF


def varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    """An unsigned 64-bit varint and the position after it. Raises WireError."""
    number = shift = 0
    while position < end:
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & _MASK, position
        shift += 7
        if shift > 63:
            raise WireError("a varint is longer than ten bytes")
    raise WireError("truncated: a varint has no end")


def signed(number: int) -> int:
    """The 64-bit number as two's complement."""
    return number - (1 << 64) if number >> 63 else number


def fields(data: bytes, position: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Each field of a message: number, wire type, where it, its payload, and the next field start.

    Raises WireError for a field that does not fit into the message.
    """
    while position < end:
        start = position
        tag, position = varint(data, position, end)
        number, wire_type = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise WireError(f"a field has the number {number}")
        payload = position
        if wire_type == VARINT:
            _, position = varint(data, position, end)
        elif wire_type == FIXED64:
            position += 8
        elif wire_type == LENGTH:
            size, payload = varint(data, position, end)
            position = payload + size
        elif wire_type == FIXED32:
            position += 4
        else:
            raise WireError(f"a field has the wire type {wire_type}, which is not in use")
        if position > end:
            raise WireError("truncated: a field is longer than its message")
        yield number, wire_type, start, payload, position
