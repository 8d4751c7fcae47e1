"""What a day of a host takes on disk as samples, as rows of 5 minutes and as rows of an hour.

    .venv/bin/python tests/bench/thinning.py RECORDING...

The recordings are those of `chunks.py`; each host's is repeated until it lasts a day.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from chunks import DAY, Host, recorded
from figures import number, table

from forewarn_collector.store.rows import coarser, encode_rows, rows_of_samples
from forewarn_collector.store.sealed import ChunkData, encode_chunk
from forewarn_collector.store.spans import repeated, spans

FIVE_MINUTES, HOUR = 300_000, 3_600_000


def _lasting(host: Host) -> ChunkData:
    """A day of the series that are there all the time."""
    data = host.data
    counts = np.diff(data.offsets)
    there = np.flatnonzero(counts >= counts.max() * 0.95)
    cells = spans(data.offsets[there], counts[there])
    offsets = np.concatenate(([0], np.cumsum(counts[there])))
    steady = ChunkData(data.refs[there], offsets, data.times[cells], data.values[cells])
    return Host(host.name, steady).lasting(DAY, 1, 512)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", nargs="+", type=Path)
    found = []
    for host in recorded(parser.parse_args().recordings):
        day = _lasting(host)
        series = len(day.refs)
        samples = encode_chunk(day).size()
        began = time.perf_counter()
        owners = repeated(np.arange(series, dtype=np.int64), np.diff(day.offsets))
        fine = coarser(rows_of_samples(owners, day.times, day.values), FIVE_MINUTES)
        minutes = encode_chunk(encode_rows(fine, day.refs, FIVE_MINUTES)).size()
        seconds = time.perf_counter() - began
        hours = encode_chunk(encode_rows(coarser(fine, HOUR), day.refs, HOUR)).size()
        sizes = [number(size / 1024) for size in (samples, minutes, hours)]
        year = number(hours * 365 / 2**20)
        found.append([host.name, str(series), *sizes, year, number(seconds, 1)])
    heads = ["host", "series", "samples, KiB", "5 min, KiB", "1 h, KiB", "year of 1 h, MiB", "s"]
    print(table(heads, found))


if __name__ == "__main__":
    main()
