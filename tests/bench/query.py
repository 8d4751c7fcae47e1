"""A dashboard's queries: those of Node Exporter Full for one host of 1,000, beside Prometheus.

    .venv/bin/python tests/bench/query.py [--hosts 1000] [--repeats 5]

Both servers get the same remote write and are asked over HTTP as Grafana asks: by form POST, with
gzip allowed, on a kept connection; in turns, each expression over an hour (step 15 s) and over a
day (step 60 s). The host that is asked for has a day of samples at 15 s, of all series that
node_exporter gives; the other hosts have the same series, but for a few minutes only, so that both
servers fit into memory. No rules run. Prints figures; fails only where the answers differ.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import sys
import tempfile
import time
import urllib.parse
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figures import number, percentile, ratio, table
from bench.process_cost import cost
from bench.query_host import EVERY, TARGET, Shape, series, shapes, values
from bench.write_bodies import label_bytes, write_body
from support.servers import answers, call, free_port, program, running, running_collector
from support.waiting import wait_until

EXPRESSIONS = (
    Path(__file__).resolve().parents[3] / "shared/data/dashboards/node-exporter-full.jsonl"
)
DAY = 24 * 3_600_000
RANGES = {"1 h": (DAY // 24, 15_000), "24 h": (DAY, 60_000)}
"""Length and step, in ms."""
TOLERANCE = 1e-9
_OTHERS_TICKS = 10
_HOSTS_A_BODY = 10


@dataclass(frozen=True)
class Question:
    """An expression over a range that ends at `end` (ms)."""

    expr: str
    over: str
    end: int

    @property
    def form(self) -> str:
        """As a form's body."""
        length, step = RANGES[self.over]
        start = (self.end - length) // step * step
        asked = {"query": self.expr, "start": start / 1000, "end": self.end / 1000}
        return urllib.parse.urlencode({**asked, "step": step / 1000})


@dataclass
class Server:
    """A server under test, with the seconds that each of its answers took."""

    name: str
    port: int
    pid: int
    seconds: dict[Question, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def write(self, body: bytes) -> None:
        """Send a remote-write body."""
        headers = {
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "snappy",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        }
        self._connection.request("POST", "/api/v1/write", body, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status // 100 == 2, (self.name, answer.status, text)

    def ask(self, question: Question) -> bytes:
        """The JSON that answers; how long it took is noted."""
        form = question.form.encode()
        lines = (
            "POST /api/v1/query_range HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            "Accept-Encoding: gzip",
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(form)}",
        )
        request = "\r\n".join(lines).encode() + b"\r\n\r\n" + form
        began = time.perf_counter()
        # In one write, as Go's client does; that of Python's library takes two.
        self._connection.sock.sendall(request)
        answer = http.client.HTTPResponse(self._connection.sock, method="POST")
        answer.begin()
        body = answer.read()
        self.seconds.setdefault(question, []).append(time.perf_counter() - began)
        if answer.headers.get("Content-Encoding") == "gzip":
            body = zlib.decompress(body, 31)
        assert answer.status == 200, (self.name, question, body)
        return body

    def median(self, question: Question) -> float:
        """Seconds, without the first answer's."""
        return percentile(self.seconds[question][1:], 0.5)

    def settle(self) -> None:
        """Wait until it has nothing more to do."""

        def idle() -> bool:
            before = cost(self.pid).cpu
            time.sleep(3)
            return cost(self.pid).cpu - before < 0.15

        wait_until(f"{self.name} is idle", idle, 300)
        # A server closes a connection on which nothing was asked for long.
        self._connection.close()
        self._connection.connect()


def main() -> int:
    """Run the benchmark; returns 1 if the answers differ."""
    options = _options()
    expressions = [
        row["filled"]
        for row in map(json.loads, EXPRESSIONS.read_text().splitlines())
        if "filled" in row
    ]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="forewarn-bench-")))
        host = shapes(_scrape(folder), expressions)
        ours, peer = stack.enter_context(_servers(folder))
        end = _load((ours, peer), host, options.hosts)
        questions = [Question(expr, over, end) for over in RANGES for expr in expressions]
        for repeat in range(options.repeats + 1):
            for question in questions:
                for server in (ours, peer)[:: 1 if repeat % 2 else -1]:
                    server.ask(question)
        differing = _compare(questions, ours, peer)
    _report(questions, ours, peer)
    return 1 if differing else 0


@contextmanager
def _servers(folder: Path) -> Iterator[tuple[Server, Server]]:
    """Forewarn and Prometheus, both without rules."""
    (folder / "rules.yml").write_text("groups: []\n")
    (folder / "prometheus.yml").write_text("global: {}\n")
    port = free_port()
    command = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
        "--log.level=warn",
    ]
    options = ("--no-auth", "--retention", "48h", "--rules", str(folder / "rules.yml"))
    with (
        running_collector(folder / "ours", *options) as collector,
        running(command, folder / "prometheus.log") as process,
    ):
        wait_until("Prometheus is ready", lambda: answers(f"http://127.0.0.1:{port}/-/ready"), 30)
        our_port = urlsplit(collector.url).port
        assert our_port is not None
        yield (
            Server("Forewarn", our_port, collector.process.pid),
            Server("Prometheus", port, process.pid),
        )


def _scrape(folder: Path) -> str:
    """What node_exporter gives here, with those collectors on that the dashboard shows, too."""
    port = free_port()
    command = [program("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{port}"]
    command += [f"--collector.{name}" for name in ("processes", "interrupts", "tcpstat")]
    with running(command, folder / "node_exporter.log"):
        wait_until("node_exporter answers", lambda: answers(f"http://127.0.0.1:{port}/"))
        return call(f"http://127.0.0.1:{port}/metrics").body.decode()


def _load(servers: Sequence[Server], host: Sequence[Shape], hosts: int) -> int:
    """A day of the target and some minutes of the others; returns when (ms) the samples end."""
    began = time.perf_counter()
    dice = np.random.default_rng(1)
    ticks = DAY // EVERY + 4 * 20
    end = time.time_ns() // 1_000_000 // 60_000 * 60_000
    # No sample lies on a step, where ranges of 2.x and of 3.x differ.
    times = (
        end - 10_137 - EVERY * np.arange(ticks, dtype=np.int64)[::-1] + dice.integers(0, 9, ticks)
    )
    sent = dice.random(ticks) >= 0.001
    measured = values(host, ticks, dice)
    heads = [[label_bytes(labels) for labels in series(host, **TARGET)]]
    for tick in np.flatnonzero(sent).tolist():
        at = slice(tick, tick + 1)
        body = write_body(
            heads, times[np.newaxis, at], measured[np.newaxis, :, at], sent[np.newaxis, at]
        )
        for server in servers:
            server.write(body)
    print(f"{len(host)} series of the host, {sent.sum() * len(host):,} samples", flush=True)
    for low in range(1, hosts, _HOSTS_A_BODY):
        names = [
            f"10.0.{number // 250}.{number % 250}:9100"
            for number in range(low, low + _HOSTS_A_BODY)
        ]
        heads = [
            [label_bytes(labels) for labels in series(host, instance=name, job="node")]
            for name in names[: hosts - low]
        ]
        count = len(heads)
        phases = dice.integers(0, EVERY, (count, 1))
        others = np.stack([values(host, _OTHERS_TICKS, dice) for _ in heads])
        every = times[np.newaxis, -_OTHERS_TICKS:] - phases
        body = write_body(heads, every, others, np.ones(every.shape, dtype=np.bool_))
        for server in servers:
            server.write(body)
    for server in servers:
        server.settle()
    total = hosts * len(host)
    print(f"{total:,} series loaded in {time.perf_counter() - began:.0f} s", flush=True)
    return end


def _compare(questions: Sequence[Question], ours: Server, peer: Server) -> int:
    """Show where answers differ; how many do."""
    differing = empty = points = 0
    for question in questions:
        mine, theirs = (_matrix(server.ask(question)) for server in (ours, peer))
        empty += not theirs
        points += sum(map(len, theirs.values()))
        unlike = _difference(mine, theirs)
        if unlike:
            differing += 1
            print(f"  {question.expr} over {question.over}: {unlike}")
    print(
        f"answers compared: {len(questions)}, {points:,} points; {empty} are empty,"
        f" {differing} differ"
    )
    return differing


_Matrix = dict[tuple[tuple[str, str], ...], dict[float, float]]


def _matrix(body: bytes) -> _Matrix:
    data: dict[str, Any] = json.loads(body)["data"]
    assert data["resultType"] == "matrix"
    return {
        tuple(sorted(row["metric"].items())): {at: float(value) for at, value in row["values"]}
        for row in data["result"]
    }


def _difference(mine: _Matrix, theirs: _Matrix) -> str:
    if mine.keys() != theirs.keys():
        return f"{len(mine)} series in ours, {len(theirs)} in Prometheus"
    for labels, row in theirs.items():
        if row.keys() != mine[labels].keys():
            return f"{labels}: {len(mine[labels])} points in ours, {len(row)} in Prometheus"
        for at, value in row.items():
            other = mine[labels][at]
            both_nan = math.isnan(value) and math.isnan(other)
            if not both_nan and not math.isclose(value, other, rel_tol=TOLERANCE):
                return f"{labels} at {at}: {other} in ours, {value} in Prometheus"
    return ""


def _report(questions: Sequence[Question], ours: Server, peer: Server) -> None:
    rows = []
    for over in RANGES:
        asked = [question for question in questions if question.over == over]
        for title, took in (("first", _first), ("median", Server.median)):
            mine, theirs = (sum(took(server, q) for q in asked) for server in (ours, peer))
            figures = (number(theirs * 1000, 1), number(mine * 1000, 1), ratio(mine, theirs))
            rows.append([f"all over {over}, {title} answers, ms", *figures])
    print(f"\n{table(['', 'Prometheus', 'ours', 'ratio'], rows)}\n")
    ratios = {q: ours.median(q) / peer.median(q) for q in questions}
    shares = (0.0, 0.1, 0.5, 0.9, 0.99, 1.0)
    spread = [f"{percentile(list(ratios.values()), share):.2f}" for share in shares]
    print(f"ratios of medians, at {', '.join(f'{s:.0%}' for s in shares)}: {', '.join(spread)}")
    print(f"slower than Prometheus: {sum(each > 1 for each in ratios.values())} of {len(ratios)},")
    print(f"more than 3 times: {sum(each > 3 for each in ratios.values())}")
    _most("slowest of ours", questions, ours.median, ours, peer)
    _most("worst ratios", questions, ratios.__getitem__, ours, peer)


def _first(server: Server, question: Question) -> float:
    return server.seconds[question][0]


def _most(
    title: str,
    questions: Sequence[Question],
    rank: Callable[[Question], float],
    ours: Server,
    peer: Server,
) -> None:
    rows = []
    for question in sorted(questions, key=rank, reverse=True)[:10]:
        mine, theirs = ours.median(question), peer.median(question)
        figures = [number(theirs * 1000, 2), number(mine * 1000, 2), ratio(mine, theirs)]
        rows.append([question.expr[:90], question.over, *figures])
    print(f"\n{table([title, 'over', 'Prometheus ms', 'ours ms', 'ratio'], rows)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hosts", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=5, help="answers of each that are measured")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
