"""A year of many series, thinned, asked for over HTTP: time, memory, bytes; beside VictoriaMetrics.

    .venv/bin/python tests/bench/year.py [--series 500] [--minutes 5] [--alone]

A sample every so many minutes is written in simulated time and thinned by the real upkeep, with
rows of an hour after 90 days. VictoriaMetrics has every sample. Prints figures; asserts nothing
about them.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figures import number, percentile, table
from bench.store_servers import Server, disk, forewarn, victoria_metrics
from forewarn_collector.store import Floats, Thinning
from forewarn_wire import Labels, labels_from
from support.servers import call
from support.year import DAY, DAYS, HOST, write_year, year_of

HOUR = 3_600
_SERIES = '{bench="year"}'
_QUESTIONS = [
    ("instant, 12 h", _SERIES, 365, 12 * HOUR),
    ("instant, 1 h", _SERIES, 365, HOUR),
    ("sum, 1 h", f"sum({_SERIES})", 365, HOUR),
    ("rate[1h], 1 h", f"sum(rate({_SERIES}[1h]))", 365, HOUR),
    ("max[1d], 12 h", f"max_over_time({_SERIES}[1d])", 365, 12 * HOUR),
    ("avg[1d], 12 h", f"sum(avg_over_time({_SERIES}[1d]))", 365, 12 * HOUR),
    ("quantile[7d], 1 d", f"sum(quantile_over_time(0.9, {_SERIES}[7d]))", 365, 24 * HOUR),
    ("predict[30d], 1 d", f"predict_linear({_SERIES}[30d], 2592000)", 335, 24 * HOUR),
    ("predict[365d], once", f"predict_linear({_SERIES}[365d], 2592000)", 0, HOUR),
    ("rate[1h], a month, 1 h", f"sum(rate({_SERIES}[1h]))", 30, HOUR),
]
_REPEATED = 3


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=5, help="between two samples")
    parser.add_argument("--alone", action="store_true", help="without VictoriaMetrics")
    options = parser.parse_args()
    step = int(options.minutes * 60_000)
    end = int(time.time()) // 86_400 * DAY
    labels, values = _fleet(options.series, step)
    with tempfile.TemporaryDirectory(prefix="forewarn-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        ours = forewarn(folder)
        began = time.perf_counter()
        thinning = Thinning(after=90 * DAY, hourly_after=90 * DAY)
        write_year(ours.data, labels, values, end, thinning)
        print(f"written and thinned in {time.perf_counter() - began:.0f} s")
        print(f"ours: {disk(ours.data) / 1e6:.1f} MB for {values.size / 1e6:.1f} million samples")
        servers = [ours] if options.alone else [ours, victoria_metrics(folder)]
        for server in servers:
            server.start()
            stack.callback(server.stop)
        for peer in servers[1:]:
            _fill(peer, labels, values, end)
            print(f"{peer.name}: {disk(peer.data) / 1e6:.1f} MB")
        _ask(servers, end // 1000)


def _fleet(series: int, step: int) -> tuple[list[Labels], Floats]:
    hosts = -(-series // len(HOST))
    labels = [
        labels_from({**dict(each), "instance": f"web{host:03}", "bench": "year"})
        for host in range(hosts)
        for each in HOST
    ]
    return labels[:series], np.vstack([year_of(step, seed) for seed in range(hosts)])[:series]


def _fill(peer: Server, labels: list[Labels], values: Floats, end: int) -> None:
    ticks = values.shape[1]
    times = end - DAYS * DAY // ticks * np.arange(ticks - 1, -1, -1, dtype=np.int64)
    for row, of in enumerate(labels):
        line = {"metric": dict(of), "values": values[row], "timestamps": times}
        body = orjson.dumps(line, option=orjson.OPT_SERIALIZE_NUMPY)
        answer = call(peer.url("/api/v1/import"), body, method="POST", timeout=120)
        assert answer.status == 204, answer.body
    call(peer.url("/internal/force_flush"), timeout=120)
    call(peer.url("/internal/force_merge"), timeout=300)


def _ask(servers: list[Server], end: int) -> None:
    rows = []
    for name, query, days, step in _QUESTIONS:
        given = {"query": query, "start": end - days * 24 * HOUR, "end": end, "step": step}
        row = [name]
        for server in servers:
            assert server.process is not None
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
            Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
            taken, body = [], b""
            for _ in range(_REPEATED):
                milliseconds, body = server.ask(
                    connection, f"/api/v1/query_range?{urlencode(given)}"
                )
                taken.append(milliseconds)
            found = json.loads(body)["data"]["result"]
            points = sum(len(each["values"]) for each in found)
            row += [number(percentile(taken, 0.5), 0), number(_peak(server), 0), str(points)]
            connection.close()
        rows.append(row)
    heads = [f"{server.name} {unit}" for server in servers for unit in ("ms", "peak MB", "points")]
    print(table(["query, step", *heads], rows))


def _peak(server: Server) -> float:
    """The most memory (MB) that it had since that was last forgotten."""
    assert server.process is not None
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    (kib,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(kib) / 1000


if __name__ == "__main__":
    main()
