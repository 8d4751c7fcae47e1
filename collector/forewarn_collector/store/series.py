"""What the head knows of each series beside its samples: one element of each column per slot."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.cells import enlarged
from forewarn_collector.store.chunks import NO_CHUNK
from forewarn_collector.store.columns import NEVER, Floats, Ints
from forewarn_collector.store.slots import Slots
from forewarn_wire import Labels

HOST_LABEL = "instance"


def host_of(labels: Labels) -> str:
    """The host that a series is of, or ""."""
    return next((value for name, value in labels if name == HOST_LABEL), "")


def host_number(labels: Labels) -> int:
    """A number for its host. Two hosts that have the same one share what is theirs, no more."""
    return zlib.crc32(host_of(labels).encode("utf-8", "surrogatepass")) >> 1


class Series:
    """`slots` of all series, and columns; those in int32 are small numbers.

    `newest` is a series' newest chunk; `last_times`, `last_values` its newest sample, also where
    that is no longer in the head; `first_times` the time of its first sample ever, as far as known;
    `floors` before when samples may be missing in the head; `appended` how many samples came in
    order of time, and `rewrites` how often chunks were rewritten for one that did not: places in
    them hold until then; `metrics` and `hosts` are numbers of its metric and of its host.
    """

    _FILLS = (
        ("newest", np.int32, NO_CHUNK),
        ("last_times", np.int64, NEVER),
        ("last_values", np.float64, 0),
        ("first_times", np.int64, NEVER),
        ("floors", np.int64, NEVER),
        ("appended", np.int64, 0),
        ("rewrites", np.int32, 0),
        ("metrics", np.int32, 0),
        ("hosts", np.int32, 0),
        ("refs", np.int64, -1),
    )

    def __init__(self) -> None:
        self.slots = Slots()
        self.newest: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self.last_times: Ints = np.zeros(0, dtype=np.int64)
        self.last_values: Floats = np.zeros(0, dtype=np.float64)
        self.first_times: Ints = np.zeros(0, dtype=np.int64)
        self.floors: Ints = np.zeros(0, dtype=np.int64)
        self.appended: Ints = np.zeros(0, dtype=np.int64)
        self.rewrites: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self.metrics: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self.hosts: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self.refs: Ints = np.zeros(0, dtype=np.int64)

    @property
    def nbytes(self) -> int:
        """Bytes of memory held."""
        columns = sum(int(getattr(self, name).nbytes) for name, _, _ in self._FILLS)
        return columns + self.slots.nbytes

    def add(self, refs: Ints, metrics: Ints, hosts: Ints) -> None:
        """Make room for new series; one that is added again has another metric and host."""
        if not len(refs):
            return
        slots = self.slots.add(refs)
        for name, _, fill in self._FILLS:
            setattr(self, name, enlarged(getattr(self, name), self.slots.count, fill))
        self.metrics[slots], self.hosts[slots], self.refs[slots] = metrics, hosts, refs

    def remove(self, refs: Ints) -> None:
        """Forget series that have no sample in the head."""
        slots = self.slots.remove(refs)
        for name, _, fill in self._FILLS:
            getattr(self, name)[slots] = fill

    def known(self) -> Ints:
        """The slots of all series that have had a sample."""
        count = self.slots.count
        return np.flatnonzero((self.refs[:count] >= 0) & (self.last_times[:count] != NEVER))
