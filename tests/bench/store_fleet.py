"""A fleet of hosts like the recorded ones, as remote-write bodies that any server takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bench.chunks import Host
from bench.write_bodies import label_bytes, write_body
from forewarn_collector.store.columns import Floats, Ints
from forewarn_collector.store.sealed import ChunkData
from forewarn_wire import Labels, labels_from

MARK = ("bench", "store")
"""What all samples of the fleet have, and what a server says of itself has not."""
_SLICE = 30
"""Samples of a series in a body: five minutes at 10 s, so that no sender is far ahead."""


class Fleet:
    """`times: int64[series, ticks]` (ms), `values: float64[series, ticks]`, and the labels."""

    def __init__(self, hosts: Sequence[Host], series: int, length: int, end: int) -> None:
        """At least `series` series over `length` ms up to `end`; each copy is its own instance."""
        whole = [_whole(host) for host in hosts]
        self.labels: list[Labels] = []
        times: list[Ints] = []
        values: list[Floats] = []
        copies = 0
        while len(self.labels) < series:
            for host in whole:
                most = min(len(host.labels), series - len(self.labels))
                if most <= 0:
                    break
                data = host.lasting(length, 0, most)
                rows = data.times.reshape(most, -1)
                times.append(rows + (end - rows.max()))
                values.append(data.values.reshape(most, -1))
                self.labels += [_copied(each, copies) for each in host.labels[:most]]
            copies += 1
        self.hosts = len(times)
        # Recordings may have one sample more or less.
        ticks = min(rows.shape[1] for rows in times)
        self.times = np.vstack([rows[:, -ticks:] for rows in times])
        self.values = np.vstack([rows[:, -ticks:] for rows in values])
        self.end = end

    @property
    def samples(self) -> int:
        """How many there are in all."""
        return self.times.size

    def bodies(self) -> Iterator[bytes]:
        """Requests in the order of time."""
        heads = [[label_bytes(labels)] for labels in self.labels]
        for first in range(0, self.times.shape[1], _SLICE):
            part = slice(first, first + _SLICE)
            times, values = self.times[:, part], self.values[:, np.newaxis, part]
            yield write_body(heads, times, values, np.ones(times.shape, dtype=np.bool_))


def _whole(host: Host) -> Host:
    """The series that were there all the time and always a number: no peer keeps other NaNs."""
    counts = np.diff(host.data.offsets)
    finite = np.add.reduceat(~np.isfinite(host.data.values), host.data.offsets[:-1]) == 0
    kept = np.flatnonzero(finite & (counts >= 0.95 * np.median(counts)))
    cells = np.concatenate([np.arange(*host.data.offsets[k : k + 2]) for k in kept])
    offsets = np.concatenate(([0], np.cumsum(counts[kept])))
    data = host.data
    picked = ChunkData(data.refs[kept], offsets, data.times[cells], data.values[cells])
    return Host(host.name, picked, [host.labels[k] for k in kept])


def _copied(labels: Labels, copy: int) -> Labels:
    own = dict(labels)
    own["instance"] = f"{own.get('instance', '')}-{copy:03}"
    return labels_from({**own, **dict([MARK])})
