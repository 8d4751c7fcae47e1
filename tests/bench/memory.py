"""Memory of the store per active series: hosts with node_exporter's number of series send for a
simulated hour every 10 s.

    python -m bench.memory [--hosts 400] [--series 500] [--minutes 60]

Once with rules that read an hour of every metric, once with none that reads a range, and once with
hosts that go after ten minutes for others to come (a retention of as long): memory then must be
that of the series that are there. Each runs in a process of its own, whose resident memory is read:
labels, index, columns and all.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.ingest_bodies import host_labels
from forewarn_collector.store import Batch, Layout, Store

TICK = 10_000
START = 1_750_000_000_000
SEALED_EVERY = 12
"""Ticks: two minutes."""
_TITLES = {
    "range": "an hour is read",
    "no range": "no range is read",
    "churn": "hosts come and go",
}
_RUNS = tuple(_TITLES)
_STAY = 60
"""Ticks that a host of the third run stays, and is kept after that."""
_GENERATIONS = 8


def main() -> None:
    """Run both and print what they need."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=400)
    parser.add_argument("--series", type=int, default=500, help="of each host")
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--only", choices=_RUNS)
    arguments = parser.parse_args()
    if arguments.only:
        run = churned if arguments.only == "churn" else measured
        print(json.dumps(run(arguments)))
        return
    for what in _RUNS:
        shape = [f"--{name}={getattr(arguments, name)}" for name in ("hosts", "series", "minutes")]
        command = [sys.executable, "-m", "bench.memory", "--only", what, *shape]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found: Mapping[str, float] = json.loads(done.stdout)
        print(f"{_TITLES[what]}:")
        for name, figure in found.items():
            print(f"  {name:42} {figure:12,.1f}")


def measured(arguments: argparse.Namespace) -> Mapping[str, float]:
    """The figures of one run, in this process."""
    hosts, series = arguments.hosts, arguments.series
    total = hosts * series
    before = resident()
    with tempfile.TemporaryDirectory() as folder:
        now = START
        store = Store(Path(folder), retention=1 << 50, clock=lambda: now)
        store.open()
        rows = np.arange(series, dtype=np.int64)
        shared: dict[tuple[str, str], tuple[str, str]] = {}
        layouts = _layouts(range(hosts), series, shared)
        if arguments.only == "range":
            store.keep({labels[0][1]: 3_600_000 for labels in layouts[0].labels})
        dice = np.random.default_rng(7)
        phases = dice.integers(0, TICK, hosts)
        values = dice.random((hosts, series))
        spent = 0.0
        one: dict[str, float] = {}
        for tick in range(arguments.minutes * 60_000 // TICK):
            now = START + (tick + 1) * TICK
            began = time.process_time()
            writes = []
            for host, layout in enumerate(layouts):
                times = np.full(series, now - TICK + phases[host])
                values[host] += 0.25
                writes.append(store.append(Batch(layout.labels, rows, times, values[host], layout)))
            for write in writes:
                write.result()
            spent += time.process_time() - began
            if tick == 1:
                one["bytes a series after two samples"] = (resident() - before) / total
            if tick % SEALED_EVERY == SEALED_EVERY - 1:
                store.seal()
        found = {
            **one,
            "bytes a series in the end": (resident() - before) / total,
            "the most there was": (_most() - before) / total,
            "bytes a series that samples take (nbytes)": store.stats().memory_bytes / total,
            "CPU seconds per million samples": spent / (total * (tick + 1) / 1e6),
        }
        store.close()
    return found


def churned(arguments: argparse.Namespace) -> Mapping[str, float]:
    """The figures of hosts that come and go, a fourth as many at a time."""
    hosts, series = arguments.hosts // 4, arguments.series
    before = resident()
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        now = START
        store = Store(Path(folder), retention=_STAY * TICK, clock=lambda: now)
        store.open()
        rows = np.arange(series, dtype=np.int64)
        for generation in range(_GENERATIONS):
            # What decoders keep goes with the sender.
            layouts = _layouts(range(generation * hosts, (generation + 1) * hosts), series, {})
            for tick in range(_STAY):
                now += TICK
                times = np.full(series, now)
                writes = [
                    store.append(Batch(each.labels, rows, times, rows * 0.25 + tick, each))
                    for each in layouts
                ]
                for write in writes:
                    write.result()
                if tick % SEALED_EVERY == SEALED_EVERY - 1:
                    store.seal()
                    store.settle(lambda: False)
                    store.enforce_retention()
            if generation in {1, _GENERATIONS // 2, _GENERATIONS - 1}:
                total = store.stats().series
                name = f"after {generation + 1} generations"
                found[f"{name}: series"] = total
                found[f"{name}: MB"] = (resident() - before) / 1e6
                found[f"{name}: MB that samples take"] = store.stats().memory_bytes / 1e6
        store.close()
    return found


def _layouts(
    hosts: range, series: int, shared: dict[tuple[str, str], tuple[str, str]]
) -> list[Layout]:
    """As decoders hand them out: equal pairs are one object."""
    rows = np.arange(series, dtype=np.int64)
    return [
        Layout(
            [
                tuple(shared.setdefault(pair, pair) for pair in labels)
                for labels in host_labels(series, host)
            ],
            rows,
        )
        for host in hosts
    ]


def resident() -> int:
    """Bytes of this process' resident memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _most() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
