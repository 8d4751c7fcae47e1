"""CPU seconds per million samples received by remote write, beside Debian's Prometheus.

    .venv/bin/python tests/bench/ingest.py            # ten minutes
    .venv/bin/python tests/bench/ingest.py --quick    # one minute
    .venv/bin/python tests/bench/ingest.py --agents 1000 --seconds 60   # a fleet, ours only

Both acknowledge as they are: Forewarn when the samples are on disk (fsync, shared by the requests
of one commit), Prometheus when they are in its write-ahead log's buffers, without fsync.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.ingest_bodies import KINDS, Kind, Recording, Shape, bodies
from bench.ingest_fleet import fleet
from bench.ingest_load import Answers, Sender, send_all
from bench.peers import node_exporter
from bench.process_cost import cost
from support.recorder import recording
from support.servers import answers, free_port, program, running, running_collector
from support.waiting import wait_until

_WARM = 3
"""Requests of each sender before the measured ones: its series are new, then known."""
_SHAPES = (Shape(2_000, 1), Shape(500, 1), Shape(500, 10))


@dataclass(frozen=True)
class Receiver:
    """A system that takes remote write."""

    name: str
    port: int
    pid: int
    token: str
    versions: tuple[int, ...]


@dataclass(frozen=True)
class Load:
    """What senders send: of each, the warm-up's bodies and the measured ones."""

    version: int
    warm: list[list[bytes]]
    measured: list[list[bytes]]
    samples: int


@contextmanager
def forewarn(folder: Path) -> Iterator[Receiver]:
    """Our collector without rules."""
    (folder / "none.yml").write_text("groups: []\n")
    arguments = ("--rules", str(folder / "none.yml"))
    with running_collector(folder / "forewarn", *arguments) as collector:
        port = int(collector.url.rpartition(":")[2])
        yield Receiver("Forewarn", port, collector.process.pid, collector.token, (1, 2))


@contextmanager
def prometheus(folder: Path) -> Iterator[Receiver]:
    """Debian's Prometheus as a receiver of 1.0; it scrapes nothing."""
    port = free_port()
    (folder / "p.yml").write_text("global: {}\n")
    command = [
        program("prometheus"),
        f"--config.file={folder / 'p.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
        "--log.level=error",
    ]
    with running(command, folder / "prometheus.log") as process:
        wait_until("ready", partial(answers, f"http://127.0.0.1:{port}/-/ready"), 30)
        yield Receiver("Prometheus", port, process.pid, "none", (1,))


def load_of(kind: Kind, shape: Shape, senders: int, samples: int, start: int) -> Load:
    """Bodies for about so many measured samples."""
    each = max(2, round(samples / shape.size / senders))
    made = [list(bodies(kind, shape, host, start, _WARM + each)) for host in range(senders)]
    return Load(
        kind.version,
        [own[:_WARM] for own in made],
        [own[_WARM:] for own in made],
        senders * each * shape.size,
    )


def replay_of(recorded: Recording, senders: int, samples: int) -> Load:
    """A real sender's bodies, as if of several hosts."""
    each = max(1, round(samples / recorded.samples / senders))
    warm, measured = [], []
    for host in range(senders):
        own = [body for body, _ in recorded.turns(host, each + 1)]
        warm.append(own[: len(recorded.requests)])
        measured.append(own[len(recorded.requests) :])
    return Load(1, warm, measured, senders * each * recorded.samples)


def measure(receiver: Receiver, load: Load) -> float:
    """CPU seconds per million samples."""
    noted = Answers()
    senders = [Sender(receiver.port, receiver.token, load.version, noted) for _ in load.measured]
    try:
        send_all(senders, load.warm)
        before = cost(receiver.pid).cpu
        send_all(senders, load.measured)
        spent = cost(receiver.pid).cpu - before
    finally:
        for sender in senders:
            sender.close()
    refused = {status: count for status, count in noted.counts.items() if status // 100 != 2}
    assert not refused, f"{receiver.name} refused {refused}: {noted.refusal[:300]}"
    return spent / load.samples * 1e6


def record_prometheus(folder: Path, seconds: float) -> Recording:
    """What Prometheus sends of a node_exporter and itself, scraped every second."""
    port = free_port()
    with recording() as recorder, node_exporter(folder) as (_, node):
        (folder / "sender.yml").write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"
            f"  - {{job_name: node, static_configs: [{{targets: ['127.0.0.1:{node}']}}]}}\n"
            f"  - {{job_name: self, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}\n"
            f"remote_write: [{{url: '{recorder.url}/api/v1/write'}}]\n"
        )
        command = [
            program("prometheus"),
            f"--config.file={folder / 'sender.yml'}",
            f"--storage.tsdb.path={folder / 'sender'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with running(command, folder / "sender.log"):
            wait_until("ready", partial(answers, f"http://127.0.0.1:{port}/-/ready"), 30)
            time.sleep(seconds)
        return Recording.of([request.body for request in recorder.to("/api/v1/write")])


def record_vmagent(folder: Path, seconds: float) -> Recording:
    """What vmagent sends of a node_exporter, scraped every second."""
    port = free_port()
    with recording() as recorder, node_exporter(folder) as (_, node):
        (folder / "vmagent.yml").write_text(
            "global: {scrape_interval: 1s}\nscrape_configs:\n"
            f"  - {{job_name: node, static_configs: [{{targets: ['127.0.0.1:{node}']}}]}}\n"
        )
        command = [
            program("vmagent"),
            f"-promscrape.config={folder / 'vmagent.yml'}",
            f"-remoteWrite.url={recorder.url}/api/v1/write",
            f"-remoteWrite.tmpDataPath={folder / 'vmagent'}",
            f"-httpListenAddr=127.0.0.1:{port}",
        ]
        with running(command, folder / "vmagent.log"):
            time.sleep(seconds)
        return Recording.of([request.body for request in recorder.to("/api/v1/write")])


def compare(title: str, load: Load, *, ours_only: bool) -> None:
    """Measure one load at both, each fresh, and print a row."""
    found: dict[str, float] = {}
    for system in (forewarn, prometheus):
        with tempfile.TemporaryDirectory(prefix="forewarn-ingest-") as folder:
            if ours_only and system is prometheus:
                continue
            with system(Path(folder)) as receiver:
                if load.version in receiver.versions:
                    found[receiver.name] = measure(receiver, load)
    ours, theirs = found["Forewarn"], found.get("Prometheus")
    beside = f"{theirs:10.2f} {ours / theirs:8.2f}" if theirs else f"{'-':>10} {'-':>8}"
    print(f"{title:44} {ours:9.2f} {beside}", flush=True)


def main(arguments: Sequence[str]) -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="fewer samples and senders")
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument("--only", default="", help="kinds of sender whose name contains this")
    parser.add_argument("--agents", type=int, default=0, help="replay a fleet of so many instead")
    parser.add_argument("--seconds", type=float, default=60, help="for how long")
    given = parser.parse_args(arguments)
    start = int(time.time() * 1000) - 3_600_000
    if given.agents:
        with (
            tempfile.TemporaryDirectory(prefix="forewarn-ingest-") as folder,
            forewarn(Path(folder)) as receiver,
        ):
            fleet(receiver.port, receiver.token, receiver.pid, given.agents, given.seconds)
        return
    samples = 200_000 if given.quick else 1_000_000
    counts = (1, 10) if given.quick else (1, 10, 50)
    print(f"{'CPU seconds per million samples':44} {'Forewarn':>9} {'Prometheus':>10} {'ratio':>8}")
    for kind in KINDS:
        if given.only not in kind.name:
            continue
        for shape in _SHAPES:
            for senders in counts:
                load = load_of(kind, shape, senders, samples, start)
                title = f"{kind.name}: {shape}, {senders} senders"
                compare(title, load, ours_only=given.ours_only)
    for name, record in (("Prometheus", record_prometheus), ("vmagent", record_vmagent)):
        if given.only not in f"recorded {name}":
            continue
        with tempfile.TemporaryDirectory(prefix="forewarn-ingest-") as folder:
            recorded = record(Path(folder), 6 if given.quick else 20)
        for senders in counts:
            load = replay_of(recorded, senders, samples)
            compare(f"recorded {name}, {senders} senders", load, ours_only=given.ours_only)


if __name__ == "__main__":
    main(sys.argv[1:])
