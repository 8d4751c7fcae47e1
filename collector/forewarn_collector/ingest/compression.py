"""Decompression that knows before, or as soon as it can, how large the result gets."""

from __future__ import annotations

import zlib

import cramjam
import numpy as np
from numpy.typing import NDArray

from forewarn_collector.ingest.limits import TooLargeError, check_size
from forewarn_collector.ingest.protobuf import varint
from forewarn_wire import WireError

PADDING = 24
"""Zero bytes behind a message: the value of a sample that leaves it out, and room to look ahead."""
_SMALLEST = 1 << 18
_LARGEST_KEPT = 4 << 20
_MOST_GROWTH = 32
"""No block of snappy unpacks to more: three bytes of it give 64 at most."""
_GZIP = 16 + zlib.MAX_WBITS
_MOST_MEMBERS = 16
"""Senders write one; each further one costs a copy of the rest of the body."""


class Unpacked:
    """A message in memory that is used again for the next one, with zero bytes behind it.

    `words: uint64[...]` are the eight bytes from every place on, seven of which are also those of
    its neighbour.
    """

    def __init__(self) -> None:
        self.size = 0
        self._make(_SMALLEST)

    def _make(self, room: int) -> None:
        self._bytes = np.zeros(room + PADDING, dtype=np.uint8)
        self.words: NDArray[np.uint64] = np.ndarray(
            (room + PADDING - 8,), np.dtype("<u8"), buffer=self._bytes, strides=(1,)
        )

    def reserve(self, size: int) -> None:
        """Make room for a message of that size, with nothing in it but what was there before."""
        room = len(self._bytes) - PADDING
        if size > room or room > _LARGEST_KEPT:
            # A half more, so that bodies that grow do not make it anew each time.
            self._make(max(size + size // 2, _SMALLEST) if size <= _LARGEST_KEPT else size)
        self.size = size
        self._bytes[size : size + PADDING] = 0

    def unsnappy(self, body: bytes, limit: int) -> None:
        """Take a snappy block's content. Raises WireError or TooLargeError.

        The block starts with the length of its content: a bomb is refused before it is unpacked.
        Source: google/snappy `format_description.txt`.
        """
        if not body:
            raise WireError("the body is empty; expected a snappy block")
        declared, _ = varint(body, 0, len(body))
        check_size(declared, limit, "the uncompressed body")
        if declared > _MOST_GROWTH * len(body):
            raise WireError(f"a snappy block of {len(body)} bytes cannot hold {declared}")
        self.reserve(declared)
        try:
            found = cramjam.snappy.decompress_raw_into(body, self.room())
        except cramjam.DecompressionError as error:
            raise WireError(f"not snappy block format: {error}") from None
        if found != declared:
            raise WireError(f"the snappy block holds {found} bytes but declares {declared}")

    def room(self) -> memoryview:
        """The message's bytes, to be written to."""
        return self._bytes[: self.size].data

    def aligned(self) -> NDArray[np.uint64]:
        """The message as whole words, its end filled up with zeros: quick to compare."""
        return self._bytes[: -(-self.size // 8) * 8].view(np.uint64)

    def content(self) -> bytes:
        """A copy of the message."""
        return self._bytes[: self.size].tobytes()

    def padded(self) -> bytes:
        """A copy of the message and its padding."""
        return self._bytes[: self.size + PADDING].tobytes()

    def fingerprint(self, stop: int) -> int:
        """A number for the bytes before a place."""
        return hash(self._bytes[:stop].tobytes())


def unsnappy(body: bytes, limit: int) -> bytes:
    """A snappy block's content. Raises WireError or TooLargeError."""
    unpacked = Unpacked()
    unpacked.unsnappy(body, limit)
    return unpacked.content()


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
