"""What a store's new series cost: hosts that come one after the other, each with its first samples.

    .venv/bin/python tests/bench/new_series.py [--series 200000] [--of-a-host 500]

Prints CPU seconds per million series of whole commits, and of the parts that only new series need.
Decoding is not among them: label sets come as decoders hand them out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figures import number, table
from bench.ingest_bodies import host_labels
from forewarn_collector.store import Batch, Layout, Store
from forewarn_collector.store.commit import Committer
from forewarn_collector.store.head import Head
from forewarn_collector.store.index import LabelIndex
from forewarn_collector.store.journal import Journal
from forewarn_wire import Labels

START = 1_750_000_000_000
_PARTS: tuple[tuple[str, type, str], ...] = (
    ("a commit", Committer, "commit"),
    ("looked up in the index", LabelIndex, "find"),
    ("rows of labels in the journal", Journal, "add_series"),
    ("added to the index", LabelIndex, "add_coded"),
    ("a place in the head", Head, "add_series"),
)


def main() -> None:
    """Run it, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, default=200_000)
    parser.add_argument("--of-a-host", type=int, default=500)
    options = parser.parse_args()
    rows = np.arange(options.of_a_host, dtype=np.int64)
    shared: dict[tuple[str, str], tuple[str, str]] = {}
    spent: Counter[str] = Counter()
    for what, owner, method in _PARTS:
        setattr(owner, method, _measured(getattr(owner, method), what, spent))
    with (
        tempfile.TemporaryDirectory(prefix="forewarn-bench-") as folder,
        closing(Store(Path(folder), retention=1 << 50, clock=lambda: START)) as store,
    ):
        store.open()
        hosts = options.series // options.of_a_host
        writes = []
        for host in range(hosts):
            labels = [_shared(each, shared) for each in host_labels(options.of_a_host, host)]
            times = np.full(len(rows), START)
            layout = Layout(labels, rows)
            writes.append(store.append(Batch(labels, rows, times, rows.astype(float), layout)))
        for write in writes:
            write.result()
    figures = [[what, number(spent[what] / hosts / len(rows) * 1e6, 2)] for what, *_ in _PARTS]
    print(table(["", "CPU seconds per million"], figures))


def _shared(labels: Labels, shared: dict[tuple[str, str], tuple[str, str]]) -> Labels:
    return tuple(shared.setdefault(pair, pair) for pair in labels)


def _measured(call: Callable[..., Any], what: str, spent: Counter[str]) -> Callable[..., Any]:
    def measured(*arguments: Any) -> Any:
        began = time.thread_time()
        try:
            return call(*arguments)
        finally:
            spent[what] += time.thread_time() - began  # type: ignore[assignment]

    return measured


if __name__ == "__main__":
    main()
