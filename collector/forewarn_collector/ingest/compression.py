"""Decompression that knows before, or as soon as it can, how large the result gets."""

from __future__ import annotations

import zlib

import cramjam

from forewarn_collector.ingest.limits import TooLargeError, check_size
from forewarn_collector.ingest.protobuf import varint
from forewarn_wire import WireError

_GZIP = 16 + zlib.MAX_WBITS
_MOST_MEMBERS = 16
"""Senders write one; each further one costs a copy of the rest of the body."""


def unsnappy(body: bytes, limit: int, padding: bytes = b"") -> bytes:
    """A snappy block's content with padding after it. Raises WireError or TooLargeError.

    The block starts with the length of its content: a bomb is refused before it is unpacked.
    Source: google/snappy `format_description.txt`.
    """
    if not body:
        raise WireError("the body is empty; expected a snappy block")
    declared, _ = varint(body, 0, len(body))
    check_size(declared, limit, "the uncompressed body")
    try:
        content = cramjam.snappy.decompress_raw(body)
    except cramjam.DecompressionError as error:
        raise WireError(f"not snappy block format: {error}") from None
    if len(content) != declared:
        raise WireError(f"the snappy block holds {len(content)} bytes but declares {declared}")
    return b"".join((content, padding))


def ungzip(body: bytes, limit: int) -> bytes:
    """The content of gzip, of several members too. Raises WireError or TooLargeError."""
    parts: list[bytes] = []
    size = 0
    rest = body
    while rest:
        if len(parts) == _MOST_MEMBERS:
            raise WireError(f"the gzip data has more than {_MOST_MEMBERS} members; send one")
        unpacker = zlib.decompressobj(_GZIP)
        try:
            part = unpacker.decompress(rest, limit - size + 1)
        except zlib.error as error:
            raise WireError(f"not gzip: {error}") from None
        size += len(part)
        if size > limit:
            raise TooLargeError(
                f"the uncompressed body is over the limit of {limit} bytes; send less at once"
            )
        if not unpacker.eof:
            raise WireError("the gzip data is truncated")
        parts.append(part)
        rest = unpacker.unused_data
    if not parts:
        raise WireError("the body is empty; expected gzip")
    return b"".join(parts)
