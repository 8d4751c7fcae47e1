"""What was sent and what was acknowledged, and what a store must hold after it."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from forewarn_wire import STALE_NAN_BITS

Bits = NDArray[np.uint64]
Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]
"""Numbers, times and whether acknowledged, one element a tick, by time."""

METRIC = "crash_sample"
SERIES = 20
"""Series of each sender."""

# The stale marker, another NaN with a payload, -0.0, infinities, the least denormal and the
# greatest, the greatest number.
_ODD = np.array(
    [
        STALE_NAN_BITS,
        0x7FF8_0000_DEAD_BEEF,
        1 << 63,
        0x7FF0 << 48,
        0xFFF0 << 48,
        1,
        0x000F_FFFF_FFFF_FFFF,
        0x7FEF_FFFF_FFFF_FFFF,
    ],
    dtype=np.uint64,
)


def bits_of(sender: int, series: int, numbers: NDArray[np.int64]) -> Bits:
    """The values, as the bits of doubles, that a sender's series has at its ticks."""
    mixed = numbers.astype(np.uint64) + np.uint64((sender * SERIES + series + 1) << 32)
    # The finaliser of splitmix64: every bit depends on every other.
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58_476D_1CE4_E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D0_49BB_1331_11EB)
    mixed ^= mixed >> np.uint64(31)
    # Most are numbers such as hosts have, some are odd.
    usual = (mixed % np.uint64(100_000)).astype(np.float64) / 100
    odd = mixed >> np.uint64(60) == 0
    return np.where(odd, _ODD[(mixed >> np.uint64(8)) % np.uint64(8)], usual.view(np.uint64))


def floats(bits: Bits) -> list[float]:
    """Doubles with these bits."""
    return [struct.unpack("<d", struct.pack("<Q", each))[0] for each in bits.tolist()]


@dataclass
class Sent:
    """One sender's ticks: their numbers and times (ms), and whether each was acknowledged."""

    sender: int
    times: dict[int, int] = field(default_factory=dict)
    acknowledged: set[int] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def about_to_send(self, number: int, time: int) -> None:
        """A tick may be in the store from now on."""
        with self.lock:
            self.times[number] = time

    def answered(self, number: int) -> None:
        """A tick must be in the store from now on."""
        with self.lock:
            self.acknowledged.add(number)

    def columns(self) -> Columns:
        """All ticks."""
        with self.lock:
            numbers = np.array(sorted(self.times, key=self.times.__getitem__), dtype=np.int64)
            times = np.array([self.times[number] for number in numbers.tolist()], dtype=np.int64)
            known = np.array([number in self.acknowledged for number in numbers.tolist()])
        return numbers, times, known.astype(np.bool_)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a store gave of one series."""

    times: NDArray[np.int64]
    values: Bits


NOTHING = Stored(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.uint64))


def faults(series: tuple[int, int], columns: Columns, stored: Stored, since: int) -> Iterator[str]:
    """What is wrong with a sender's series; what is before `since` (ms) may have been dropped."""
    numbers, times, known = columns
    where = f"sender {series[0]}, series {series[1]}"
    if (np.diff(stored.times) <= 0).any():
        yield f"{where}: times are doubled or out of order"
    place = np.searchsorted(times, stored.times)
    place[place == len(times)] = 0
    if len(stored.times) and (not len(times) or (times[place] != stored.times).any()):
        yield f"{where}: samples that nobody sent"
        return
    wrong = stored.values != bits_of(*series, numbers[place])
    if wrong.any():
        yield f"{where}: {int(wrong.sum())} values differ, first at {stored.times[wrong][0]}"
    there = np.zeros(len(times), dtype=np.bool_)
    there[place] = True
    lost = known & ~there & (times >= since)
    if lost.any():
        yield f"{where}: {int(lost.sum())} acknowledged samples lost, first at {times[lost][0]}"
