"""The few pieces of protobuf's wire format that the agent writes.

The agent must stay small, so it does not load a protobuf library; the collector decodes with one.
Source: https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

import struct

_FIXED64 = struct.Struct("<Q")


def varint(number: int) -> bytes:
    """Encode an integer in base 128; a negative one as its 64-bit two's complement."""
    number &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def length_delimited(field: int, payload: bytes) -> bytes:
    """A field that holds bytes, a string or a message."""
    return varint(field << 3 | 2) + varint(len(payload)) + payload


def text(field: int, value: str) -> bytes:
    """A string field."""
    return length_delimited(field, value.encode("utf-8", "replace"))


def integer(field: int, value: int) -> bytes:
    """A varint field."""
    return varint(field << 3) + varint(value)


def fixed64(field: int, value: int) -> bytes:
    """A fixed64 field."""
    return varint(field << 3 | 1) + _FIXED64.pack(value)
