"""Fills a data directory with very many series, for the restart that `store.py` measures.

.venv/bin/python tests/bench/store_million.py DIRECTORY SERIES
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.ingest_bodies import STEP, host_labels
from forewarn_collector.store import Batch, Layout, Store

_OF_A_HOST = 500
_SEALED, _WAITING = 6, 4
"""Samples of each series in the archive, and after those in the journal."""


def main() -> None:
    """Fill it, and print how much of it is sealed and how much waits."""
    directory, series = Path(sys.argv[1]), int(sys.argv[2])
    now = time.time_ns() // 1_000_000
    rows = np.arange(_OF_A_HOST, dtype=np.int64)
    layouts = [Layout(host_labels(_OF_A_HOST, host), rows) for host in range(series // _OF_A_HOST)]
    with closing(Store(directory, retention=1 << 50, clock=lambda: now)) as store:
        store.open()
        start = now - (_SEALED + _WAITING) * STEP
        _fill(store, layouts, start, _SEALED)
        store.seal()
        _fill(store, layouts, start + _SEALED * STEP, _WAITING)
    held = len(layouts) * _OF_A_HOST
    print(json.dumps({"sealed": held * _SEALED, "waiting": held * _WAITING}))


def _fill(store: Store, layouts: Sequence[Layout], start: int, ticks: int) -> None:
    rows = np.arange(_OF_A_HOST, dtype=np.int64)
    for tick in range(ticks):
        writes = []
        for host, layout in enumerate(layouts):
            times = np.full(len(rows), start + tick * STEP + host % STEP)
            values = (rows * 7 + host) % 1000 + tick * 0.25
            writes.append(store.append(Batch(layout.labels, rows, times, values, layout)))
        for write in writes:
            write.result()


if __name__ == "__main__":
    main()
