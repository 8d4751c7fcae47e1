"""A year of a host in a data directory, written in simulated time by a real store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from forewarn_collector.store import Batch, Floats, Store, Thinning
from forewarn_wire import Labels
from support.stores import Clock, series

MINUTE = 60_000
DAY = 86_400_000
DAYS = 365
_AT_ONCE = 8
"""Days that are written before they are sealed and merged."""

HOST = [
    series("node_load1", instance="web1"),
    series("node_filesystem_avail_bytes", instance="web1", mountpoint="/"),
    series("node_network_receive_bytes_total", instance="web1", device="eth0"),
    series("up", instance="web1", job="node"),
]


def year_of(step: int, seed: int = 11) -> Floats:
    """Values of HOST every `step` ms for a year: float64[series, ticks].

    Load by the hour of the day, a disk that fills, a counter that starts anew now and then, and
    some hours down.
    """
    random = np.random.default_rng(seed)
    ticks = DAYS * DAY // step
    hours = np.arange(ticks) * step / 3_600_000
    load = np.round(2 + np.sin(hours / 24 * 2 * np.pi) + random.exponential(0.4, ticks), 2)
    free = np.round(4e11 - 3e11 * hours / hours[-1] + random.normal(0, 2e8, ticks), -3)
    steps = random.integers(0, 100_000, ticks).astype(np.float64)
    received = np.cumsum(steps)
    for start in np.sort(random.integers(0, ticks, 20)):
        received[start:] -= received[start]
    up = np.ones(ticks)
    for start in random.integers(0, ticks, 30):
        up[start : start + 40] = 0.0
    return np.stack((load, free, received, up))


def write_year(
    directory: Path,
    labels: Sequence[Labels],
    values: Floats,
    end: int,
    thinning: Thinning | None,
) -> None:
    """Evenly spaced samples over the year before `end` (ms), the last of them at it."""
    ticks = values.shape[1]
    step = DAYS * DAY // ticks
    times = end - step * np.arange(ticks - 1, -1, -1, dtype=np.int64)
    clock = Clock(int(times[0]))
    store = Store(directory, retention=400 * DAY, clock=clock, thinning=thinning)
    store.open()
    try:
        per_turn = _AT_ONCE * DAY // step
        for first in range(0, ticks, per_turn):
            part = slice(first, min(first + per_turn, ticks))
            count = part.stop - part.start
            rows = np.tile(np.arange(len(labels), dtype=np.int64), count)
            clock.now = int(times[part.stop - 1])
            batch = Batch(
                labels, rows, np.repeat(times[part], len(labels)), values[:, part].T.ravel()
            )
            store.append(batch).result()
            store.seal()
            while sum(store.compact()):
                pass
    finally:
        store.close()
