"""What the head knows of each series beside its samples: one element of each column per slot."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.cells import enlarged
from forewarn_collector.store.chunks import NO_CHUNK
from forewarn_collector.store.coded import CodedLabels
from forewarn_collector.store.columns import NEVER, Floats, Ints
from forewarn_collector.store.slots import Slots
from forewarn_wire.labels import METRIC_NAME

HOST_LABEL = "instance"


def numbers_of(sets: CodedLabels, metric_id: Callable[[str], int]) -> tuple[Ints, Ints]:
    """The numbers of the metric and of the host of each label set.

    Two hosts that have the same one share what is theirs, no more.
    """
    metrics = sets.column(METRIC_NAME, metric_id)
    return metrics, sets.column(HOST_LABEL, _host_number)


def _host_number(host: str) -> int:
    return zlib.crc32(host.encode("utf-8", "surrogatepass")) >> 1


class Series:
    """`slots` of all series, and columns; those in int32 are small numbers.

    `newest` is a series' newest chunk; `last_times`, `last_values` its newest sample, also where
    that is no longer in the head; `first_times` the time of its first sample ever, as far as known;
    `floors` before when samples may be missing in the head; `appended` how many samples came in
    order of time, and `rewrites` how often chunks were rewritten for one that did not: places in
    them hold until then; `metrics` and `hosts` are numbers of its metric and of its host.
    """

    _FILLS = (
        ("newest", NO_CHUNK),
        ("last_times", NEVER),
        ("last_values", 0),
        ("first_times", NEVER),
        ("floors", NEVER),
        ("appended", 0),
        ("rewrites", 0),
        ("metrics", 0),
        ("hosts", 0),
        ("refs", -1),
    )

    def __init__(self) -> None:
        """No series; the columns begin with those of `NOWHERE`."""
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
        self._enlarge()

    @property
    def nbytes(self) -> int:
        """Bytes of memory held."""
        columns = sum(int(getattr(self, name).nbytes) for name, _ in self._FILLS)
        return columns + self.slots.nbytes

    def add(self, refs: Ints, metrics: Ints, hosts: Ints) -> None:
        """Make room for new series; one that is added again has another metric and host."""
        if not len(refs):
            return
        slots = self.slots.add(refs)
        self._enlarge()
        self.metrics[slots], self.hosts[slots], self.refs[slots] = metrics, hosts, refs

    def remove(self, refs: Ints) -> None:
        """Forget series that have no sample in the head."""
        slots = self.slots.remove(refs)
        for name, fill in self._FILLS:
            getattr(self, name)[slots] = fill

    def known(self) -> Ints:
        """The slots of all series that have had a sample, here or before what is here."""
        return np.flatnonzero((self.last_times != NEVER) | (self.floors != NEVER))

    def ends(self, slots: Ints) -> Ints:
        """The times of the newest samples; where they are not here, a time not before them."""
        floors = self.floors[slots]
        return np.maximum(self.last_times[slots], np.where(floors == NEVER, NEVER, floors - 1))

    def _enlarge(self) -> None:
        for name, fill in self._FILLS:
            setattr(self, name, enlarged(getattr(self, name), self.slots.count, fill))
