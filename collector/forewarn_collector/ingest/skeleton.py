"""Bodies that come again with other values: compared with the last one's bytes, then gathered.

A sender that keeps its series and their order sends bodies that differ in the values (eight bytes
each) and times (varints of six bytes) of their samples only. What remains once those are blanked
out is the body's skeleton. Where a body's remainder is that of an earlier one, byte by byte, both
have the same fields at the same places, and so the same series: there is nothing left to parse.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cramjam
import numpy as np
from numpy.typing import NDArray

from forewarn_collector.ingest.compression import Unpacked
from forewarn_collector.ingest.metadata import MetricMetadata
from forewarn_collector.store import Batch, Layout
from forewarn_wire import Labels

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

VALUE_TO_TIME = 9
"""From where a sample's value begins to where its time does: eight bytes and a tag."""

_MOST_BYTES = 256 << 20
_MOST_PLAIN = 32 << 20
"""Bytes of skeletons that are kept as they are too: to unpack one takes a third of the time."""
_MOST_SEEN = 1 << 16
_MOST_STARTS = 8
"""Of one size of body: at how many places its first sample may begin."""
_OVERHEAD = 1_500
_SAID_AGAIN = 64
# Of a word that begins with a time: the bits that say that it has six bytes, and what is behind.
_FRAME = np.uint64(0xFFFF_8080_8080_8080)
_SEVEN_BITS = tuple(np.uint64(0x7F << 7 * place) for place in range(6))
_SHIFTS = tuple(np.uint64(place) for place in range(6))
_DIGITS = np.uint64(0x7F7F_7F7F_7F7F)

Key = tuple[int, Labels, int]
"""A message's kind, the labels that are added to its series, and its size."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a body gives that was known by its skeleton; its metadata is said now and then only."""

    batch: Batch
    metadata: Mapping[str, MetricMetadata]


class Skeleton:
    """One body's remainder, compressed, and where its samples stand."""

    __slots__ = (
        "_metadata",
        "_omitted",
        "_packed",
        "_stamps",
        "hits",
        "layout",
        "nbytes",
        "plain",
        "used",
    )

    def __init__(
        self,
        body: Unpacked,
        stamps: Ints,
        omitted: Ints,
        layout: Layout,
        metadata: Mapping[str, MetricMetadata],
    ) -> None:
        """Take the skeleton of a body, which is blanked by that.

        Sample `k` is one of the layout's and has its time at `stamps[k]`, its value right before
        that; those in `omitted` have none, which means 0.
        """
        self._stamps = stamps.astype(np.int32)
        self._omitted = omitted.astype(np.int32)
        self._metadata = metadata
        self.layout = layout
        self.hits = 0
        self.used = False
        self.plain: Words | None = None
        values, times = self._places(body)
        _blank(body.words, values, times, body.words[times])
        self._packed = bytes(cramjam.zstd.compress(body.content(), level=1))
        arrays = self._stamps.nbytes + self._omitted.nbytes + layout.rows.nbytes
        self.nbytes = len(self._packed) + arrays + 16 * len(layout.labels) + _OVERHEAD

    def read(self, body: Unpacked, spare: Unpacked) -> Reading | None:
        """The body's samples; None where it is another one, which is then as it was."""
        values, times = self._places(body)
        value_words, time_words = body.words[values], body.words[times]
        _blank(body.words, values, times, time_words)
        expected = self.plain
        if expected is None:
            spare.reserve(body.size)
            cramjam.zstd.decompress_into(self._packed, spare.room())
            expected = spare.aligned()
        if not np.array_equal(body.aligned(), expected):
            body.words[times] = time_words
            body.words[values] = value_words
            return None
        self.used = True
        self.hits += 1
        layout = self.layout
        batch = Batch(
            layout.labels, layout.rows, _times(time_words), value_words.view(np.float64), layout
        )
        return Reading(batch, {} if self.hits % _SAID_AGAIN else self._metadata)

    def _places(self, body: Unpacked) -> tuple[Ints, Ints]:
        times = self._stamps.astype(np.int64)
        values = times - VALUE_TO_TIME
        if len(self._omitted):
            values[self._omitted] = body.size  # the padding, which is 0
        return values, times


class Skeletons:
    """The skeletons of many senders within bounded memory. Not thread-safe.

    A body must come twice before it is kept. Where there is no more room, the one that was not
    used for longest goes, unless it was used since its turn came last: then the new one is not
    kept, so that too many senders do not push out each other's.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES, most_plain: int = _MOST_PLAIN) -> None:
        self._most_bytes = most_bytes
        self._most_plain = most_plain
        self._kept: OrderedDict[tuple[Key, int, int], Skeleton] = OrderedDict()
        self._starts: dict[Key, dict[int, int]] = {}
        self._seen: OrderedDict[tuple[Key, int, int], None] = OrderedDict()
        self._plain: OrderedDict[Skeleton, None] = OrderedDict()
        self.plain_bytes = 0
        self._spare = Unpacked()
        self.nbytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def read(self, kind: int, extra: Labels, body: Unpacked) -> Reading | None:
        """The body's samples if its skeleton is kept."""
        key = (kind, extra, body.size)
        for start in self._starts.get(key, ()):
            skeleton = self._kept.get((key, start, body.fingerprint(start)))
            if skeleton is not None:
                reading = skeleton.read(body, self._spare)
                if reading is not None:
                    self._keep_plain(skeleton)
                    return reading
        return None

    def learn(
        self,
        kind: int,
        extra: Labels,
        body: Unpacked,
        stamps: Ints,
        omitted: Ints,
        labels: Sequence[Labels],
        rows: Ints,
        metadata: Mapping[str, MetricMetadata],
    ) -> None:
        """Keep the skeleton of a body that was read otherwise, if it has come before."""
        key = (kind, extra, body.size)
        start = int(stamps.min()) - VALUE_TO_TIME
        whole = (key, start, body.fingerprint(max(start, 0)))
        if whole not in self._seen:
            self._seen[whole] = None
            if len(self._seen) > _MOST_SEEN:
                self._seen.popitem(last=False)
            return
        starts = self._starts.setdefault(key, {})
        if start not in starts and len(starts) == _MOST_STARTS:
            return
        self._drop(whole)
        skeleton = Skeleton(body, stamps, omitted, Layout(labels, rows), metadata)
        if not self._make_room(skeleton.nbytes):
            return
        self._kept[whole] = skeleton
        self.nbytes += skeleton.nbytes
        starts = self._starts.setdefault(key, {})
        starts[start] = starts.get(start, 0) + 1

    def _make_room(self, needed: int) -> bool:
        while self._kept and self.nbytes + needed > self._most_bytes:
            whole, oldest = next(iter(self._kept.items()))
            if oldest.used:
                oldest.used = False
                self._kept.move_to_end(whole)
                return False
            self._drop(whole)
        return self.nbytes + needed <= self._most_bytes

    def _keep_plain(self, skeleton: Skeleton) -> None:
        """Keep a skeleton that was just used unpacked, where there is room by the same rule."""
        if skeleton.plain is not None:
            return
        needed = self._spare.size
        while self._plain and self.plain_bytes + needed > self._most_plain:
            oldest = next(iter(self._plain))
            if oldest.used:
                oldest.used = False
                self._plain.move_to_end(oldest)
                return
            self._forget_plain(oldest)
        if needed <= self._most_plain:
            skeleton.plain = self._spare.aligned().copy()
            self._plain[skeleton] = None
            self.plain_bytes += skeleton.plain.nbytes

    def _forget_plain(self, skeleton: Skeleton) -> None:
        if skeleton.plain is not None:
            del self._plain[skeleton]
            self.plain_bytes -= skeleton.plain.nbytes
            skeleton.plain = None

    def _drop(self, whole: tuple[Key, int, int]) -> None:
        skeleton = self._kept.pop(whole, None)
        if skeleton is None:
            return
        self._forget_plain(skeleton)
        self.nbytes -= skeleton.nbytes
        key, start, _ = whole
        starts = self._starts[key]
        starts[start] -= 1
        if not starts[start]:
            del starts[start]
            if not starts:
                del self._starts[key]


def _blank(words: Words, values: Ints, times: Ints, time_words: Words) -> None:
    words[values] = 0
    words[times] = time_words & _FRAME


def _times(words: Words) -> Ints:
    """The numbers of varints of six bytes, each at the beginning of a word."""
    digits = words & _DIGITS
    if len(digits) and (digits == digits[0]).all():
        return np.full(len(digits), int(_joined(digits[:1])[0]), dtype=np.int64)
    return _joined(digits).view(np.int64)


def _joined(digits: Words) -> Words:
    found = digits & _SEVEN_BITS[0]
    for place in range(1, 6):
        found |= (digits >> _SHIFTS[place]) & _SEVEN_BITS[place]
    return found
