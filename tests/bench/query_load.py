"""What dear queries do to ingestion and to rules: delays with and without them.

    .venv/bin/python tests/bench/query_load.py [--series 4000] [--seconds 60]

A collector holds a day of samples at 15 s. A client writes a small batch ten times a second and
measures how long each takes until it is durable; rules read what it writes, and their lag (from
arrival to evaluation, 50 ms of which are the coalescing window) is sampled. A process that only
sleeps shows what the machine itself adds. Then the same while
readers, which have the lowest priority since they stand for other machines, ask for whole days of
all series, without a pause. Prints figures.
"""

from __future__ import annotations

import argparse
import http.client
import re
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figures import number, spread, table
from bench.write_bodies import label_bytes, write_body
from forewarn_wire import labels_from
from support.servers import RunningCollector, call, program, running, running_collector
from support.writing import WRITE_HEADERS
from support.writing import write_body as small_body

DAY = 86_400_000
TICK = 15_000
SERIES_A_HOST = 10
READERS = 4

RULES = """
groups:
  - name: arrival
    interval: 5s
    rules:
      - {record: 'probe:sum', expr: sum(probe_value)}
      - {alert: ProbeHigh, expr: probe_value > 1e9}
      - {alert: ProbeRate, expr: 'rate(probe_value[5m]) > 1e9'}
  - name: clock
    interval: 1s
    rules:
      - {record: 'c:rate5m', expr: 'sum by (instance) (rate(load_total[5m]))'}
      - {alert: Fast, expr: 'rate(load_total[5m]) > 1e9'}
"""


def queries(now: float) -> dict[str, tuple[str, dict[str, str]]]:
    """What the readers ask for in turns: path and parameters by a name for people."""
    day = {"start": str(now - 86_400), "end": str(now)}
    every = {**day, "step": "30"}
    return {
        "a day of rate(), each series": ("query_range", {"query": "rate(load_total[5m])", **every}),
        "a day of sums of rate()": (
            "query_range",
            {"query": "sum by (instance) (rate(load_total[1h]))", **every},
        ),
        "all raw samples of a day": ("query", {"query": "load_total[1d]", "time": str(now)}),
        "a day of quantiles over 1 h": (
            "query_range",
            {"query": "quantile_over_time(0.9, load_total[1h])", **every, "timeout": "20s"},
        ),
        "a day of topk()": ("query_range", {"query": "topk(10, load_total)", **every}),
        "every series' labels": ("series", {"match[]": '{__name__!=""}'}),
    }


@dataclass
class Delays:
    """Seconds until a small write was durable, and lags of the groups, as they were measured.

    `machine` is by how much a process that only sleeps woke up too late: what the machine does to
    everybody.
    """

    writes: list[float] = field(default_factory=list)
    machine: list[float] = field(default_factory=list)
    lags: dict[str, list[float]] = field(default_factory=dict)


def fill(collector: RunningCollector, series: int, end: int) -> None:
    """A day of samples until `end` (ms): counters with a little noise."""
    hosts, ticks = series // SERIES_A_HOST, DAY // TICK
    random = np.random.default_rng(1)
    for first in range(0, hosts, 4):
        some = range(first, min(first + 4, hosts))
        heads = [
            [
                label_bytes(
                    labels_from(
                        {"__name__": "load_total", "instance": f"host-{host}", "n": str(place)}
                    )
                )
                for place in range(SERIES_A_HOST)
            ]
            for host in some
        ]
        jitter = random.integers(0, TICK // 2, len(some))[:, np.newaxis]
        times = end - DAY + np.arange(ticks, dtype=np.int64) * TICK + jitter
        steps = random.exponential(10.0, (len(some), SERIES_A_HOST, ticks))
        sent = np.ones(times.shape, dtype=np.bool_)
        body = write_body(heads, times, np.cumsum(steps, axis=2), sent)
        answer = collector.post("/api/v1/write", body, **WRITE_HEADERS)
        assert answer.status == 204, answer.body


def measure(collector: RunningCollector, seconds: float) -> Delays:
    """Write ten times a second, on a kept connection; sample the lags four times a second."""
    found = Delays()
    ended = threading.Event()
    sampler = threading.Thread(target=_sample_lags, args=(collector.url, found, ended))
    sampler.start()
    with tempfile.TemporaryDirectory() as name, running(_SLEEPER, Path(name) / "woke.txt"):
        _write(collector, found, seconds)
        found.machine += map(float, (Path(name) / "woke.txt").read_text().split("\n")[1:-1])
    ended.set()
    sampler.join()
    return found


_SLEEPER = (
    sys.executable,
    "-uc",
    "import time\n"
    "while True:\n"
    "    began = time.perf_counter()\n"
    "    time.sleep(0.01)\n"
    "    print(time.perf_counter() - began - 0.01)\n",
)


def _write(collector: RunningCollector, found: Delays, seconds: float) -> None:
    address = urlsplit(collector.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    headers = {name.replace("_", "-"): value for name, value in WRITE_HEADERS.items()}
    begin = time.perf_counter()
    for turn in range(int(seconds * 10)):
        time.sleep(max(begin + turn / 10 - time.perf_counter(), 0.0))
        values = {"probe_value": float(turn)}
        now = int(time.time() * 1000)
        bodies = small_body(values, now, instance=f"probe-{turn % 10}")
        sent = time.perf_counter()
        connection.request("POST", "/api/v1/write", bodies, headers)
        answer = connection.getresponse()
        answer.read()
        found.writes.append(time.perf_counter() - sent)
        assert answer.status == 204, answer.status
    connection.close()


_LAG = re.compile(r'^forewarn_rule_group_last_lag_seconds\{group="[^"]*;(\w+)"\} (\S+)$', re.M)


def _sample_lags(url: str, found: Delays, ended: threading.Event) -> None:
    while not ended.wait(0.25):
        text = call(f"{url}/metrics", timeout=60).body.decode()
        for group, seconds in _LAG.findall(text):
            found.lags.setdefault(group, []).append(float(seconds))


@contextmanager
def readers(url: str, folder: Path, now: float) -> Iterator[Callable[[], dict[str, list[str]]]]:
    """Clients that ask without a pause; gives what each question's answers were like so far."""
    curl = program("curl")
    asked = queries(now)
    told: dict[str, list[str]] = {name: [] for name in asked}
    ended = threading.Event()

    def read(reader: int) -> None:
        turn = reader
        while not ended.is_set():
            name = list(asked)[turn % len(asked)]
            path, given = asked[name]
            log = folder / f"reader-{reader}.log"
            log.unlink(missing_ok=True)
            command = [
                "nice",
                "-n",
                "19",
                curl,
                "-s",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code} %{size_download} ",
            ]
            command[-1] += "%{time_starttransfer} %{time_total}"
            command.append(f"{url}/api/v1/{path}?{urllib.parse.urlencode(given)}")
            with running(command, log) as process:
                while process.poll() is None and not ended.wait(0.05):
                    pass
            if not ended.is_set():
                told[name].append(log.read_text())
            turn += 1

    threads = [threading.Thread(target=read, args=(reader,)) for reader in range(READERS)]
    for thread in threads:
        thread.start()
    try:
        yield lambda: told
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def row(name: str, values: list[float]) -> list[str]:
    """A measured delay in ms, as a row."""
    ms = spread([value * 1000 for value in values])
    return [name, str(ms.count), number(ms.p50, 1), number(ms.p99, 1), number(ms.max, 1)]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=4_000)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rules = folder / "rules.yml"
        rules.write_text(RULES)
        options = ("--no-auth", "--rules", str(rules), "--retention", "2d")
        with running_collector(folder, *options) as collector:
            now = time.time()
            fill(collector, arguments.series, int(now * 1000))
            print(f"{arguments.series} series, {arguments.series * DAY // TICK:,} samples\n")
            alone = measure(collector, arguments.seconds)
            with readers(collector.url, folder, now) as told:
                loaded = measure(collector, arguments.seconds)
                answers = {name: list(found) for name, found in told().items()}
    print(
        table(
            ["delay, ms", "n", "p50", "p99", "max"],
            [
                row("small write, no queries", alone.writes),
                row("small write, with queries", loaded.writes),
                row("a sleeping process, no queries", alone.machine),
                row("a sleeping process, with queries", loaded.machine),
                *(row(f"lag of rules by {g}, no queries", v) for g, v in alone.lags.items()),
                *(row(f"lag of rules by {g}, with queries", v) for g, v in loaded.lags.items()),
            ],
        )
    )
    print()
    headings = ["query", "answers", "status, bytes, first byte s, all s of the last"]
    print(table(headings, [[n, str(len(f)), f[-1] if f else "-"] for n, f in answers.items()]))


if __name__ == "__main__":
    main()
