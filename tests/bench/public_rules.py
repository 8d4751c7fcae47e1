"""What a public rule collection costs a collector that watches one real host, beside Prometheus.

    .venv/bin/python tests/bench/public_rules.py [--minutes 5] [--interval 10]

Two collectors and two Prometheus servers, one of each with all rules of `../shared/data` and one
with none. The Prometheus servers scrape Debian's node_exporter, and the one without rules sends
what it scrapes to both collectors by remote write; these also take what our agent sends of this
host, so that they have about twice the series. Prints figures; asserts nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figures import number, percentile, ratio, table
from bench.peers import node_exporter
from bench.process_cost import Cost, cost
from forewarn_collector.rules import load_rules
from support.servers import (
    answers,
    call,
    free_port,
    program,
    running,
    running_agent,
    running_collector,
)
from support.waiting import wait_until

RULES = Path(__file__).parents[3] / "shared/data/rules/awesome-prometheus-alerts"
EVERY = 15
"""Seconds between evaluations of a group: our default, given to Prometheus too."""
WARM = 90
"""Seconds before anything is measured: caches fill, and every group was evaluated."""
MB = 1e6

_DURATION = re.compile(
    r"^(?:prometheus|forewarn)_rule_group_last_duration_seconds\{.*\} (\S+)$", re.M
)


@dataclass
class Server:
    """One of the four, with what was seen of it; `started` is how many seconds that took."""

    name: str
    url: str
    pid: int
    started: float
    began: Cost | None = None
    costs: list[Cost] = field(default_factory=list)
    durations: list[float] = field(default_factory=list)
    """Seconds of all groups together, each by its last evaluation."""

    def look(self) -> None:
        """Note what it costs now."""
        self.costs.append(cost(self.pid))
        text = call(f"{self.url}/metrics").body.decode()
        self.durations.append(sum(map(float, _DURATION.findall(text))))

    def cpu(self, minutes: float) -> float:
        """CPU seconds a minute since it began to be watched."""
        assert self.began is not None
        return (self.costs[-1].cpu - self.began.cpu) / minutes

    def memory(self, what: str) -> float:
        """The median of a kind of memory, in MB."""
        return percentile([float(getattr(each, what)) / MB for each in self.costs], 0.5)

    def alerts(self, instance: str) -> set[tuple[str, ...]]:
        """State and labels of the alerts that are about an instance."""
        found = call(f"{self.url}/api/v1/alerts").json()["data"]["alerts"]
        return {
            (each["state"], *(f"{name}={text}" for name, text in sorted(each["labels"].items())))
            for each in found
            if each["labels"].get("instance") == instance
        }

    def series(self) -> int:
        """How many series it has of hosts."""
        body = call(f"{self.url}/api/v1/query?query=count(%7Bjob%3D%22node%22%7D)")
        found = body.json()["data"]["result"]
        return int(found[0]["value"][1]) if found else 0


@dataclass(frozen=True)
class Rounds:
    """Our rounds of one kind: how many rules each evaluated, in how many seconds."""

    rules: list[float]
    seconds: list[float]


def main() -> int:
    """Run the benchmark."""
    options = _options()
    began = time.perf_counter()
    count = len(list(load_rules([RULES]).rules()))
    loading = time.perf_counter() - began
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="forewarn-bench-")))
        none = folder / "none.yml"
        none.write_text("groups: []\n")
        _, port = stack.enter_context(node_exporter(folder))
        ours = [
            stack.enter_context(_collector(folder, "forewarn", RULES, options.interval)),
            stack.enter_context(_collector(folder, "forewarn, no rules", none, options.interval)),
        ]
        scrape = f"127.0.0.1:{port}", options.interval
        to = [f"{server.url}/api/v1/write" for server in ours]
        files = sorted(RULES.rglob("*.yml"))
        servers = [
            *ours,
            stack.enter_context(_prometheus(folder, "prometheus", files, *scrape, ())),
            stack.enter_context(_prometheus(folder, "prometheus, no rules", [none], *scrape, to)),
        ]
        wait_until("all have the host", lambda: all(each.series() > 300 for each in servers), 90)
        time.sleep(WARM)
        print(f"measuring for {options.minutes:g} minutes", flush=True)
        for server in servers:
            server.began = cost(server.pid)
        noted = (folder / "forewarn" / "rounds").stat().st_size
        for _ in range(max(round(options.minutes * 60 / EVERY), 1)):
            time.sleep(EVERY)
            for server in servers:
                server.look()
        lines = (folder / "forewarn" / "rounds").read_text()[noted:].splitlines()
        series = [server.series() for server in servers]
        alerts = [server.alerts(scrape[0]) for server in (servers[0], servers[2])]
    print(f"\n{count} rules read in {loading:.2f} s\n")
    _report(servers, series, lines, len(servers[0].costs) * EVERY / 60)
    _compare(*alerts)
    return 0


@contextmanager
def _collector(folder: Path, name: str, rules: Path, interval: int) -> Iterator[Server]:
    """A collector that notes its rounds, and an agent that reports to it."""
    home = folder / name
    home.mkdir()
    began = time.perf_counter()
    timed = str(Path(__file__).with_name("timed_collector.py")), str(home / "rounds")
    with running_collector(home, "--no-auth", "--rules", str(rules), program=timed) as collector:
        started = time.perf_counter() - began
        # The PID is that of the collector, which the benchmark runs itself.
        with running_agent(home / "agent", collector.url, "", "--interval", f"{interval}s"):
            yield Server(name, collector.url, collector.process.pid, started)


@contextmanager
def _prometheus(
    folder: Path, name: str, rules: Sequence[Path], target: str, interval: int, send: Sequence[str]
) -> Iterator[Server]:
    """A Prometheus that scrapes a target, and sends what it scrapes to some addresses."""
    home = folder / name
    home.mkdir()
    port = free_port()
    config = {
        "global": {"scrape_interval": f"{interval}s", "evaluation_interval": f"{EVERY}s"},
        "rule_files": [str(file) for file in rules],
        "scrape_configs": [{"job_name": "node", "static_configs": [{"targets": [target]}]}],
        "remote_write": [{"url": url} for url in send],
    }
    (home / "prometheus.yml").write_text(json.dumps(config))
    command = [
        program("prometheus"),
        f"--config.file={home / 'prometheus.yml'}",
        f"--storage.tsdb.path={home / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    url = f"http://127.0.0.1:{port}"
    began = time.perf_counter()
    with running(command, home / "prometheus.log") as process:
        wait_until("Prometheus is ready", lambda: answers(f"{url}/-/ready"), 30)
        yield Server(name, url, process.pid, time.perf_counter() - began)


def _rounds(lines: Sequence[str], *, on_interval: bool) -> Rounds:
    """The rounds of one kind, of the lines that `timed_collector.py` wrote."""
    rows = [list(map(float, line.split())) for line in lines]
    chosen = [row for row in rows if bool(row[0]) is on_interval]
    return Rounds([row[1] for row in chosen], [row[2] for row in chosen])


def _report(
    servers: Sequence[Server], series: Sequence[int], lines: Sequence[str], minutes: float
) -> None:
    rows: list[tuple[str, list[float], int]] = [
        ("series of the host", [float(each) for each in series], 0),
        ("s to start", [each.started for each in servers], 2),
        ("CPU s a minute", [each.cpu(minutes) for each in servers], 2),
        ("ms for all groups once, median", [_ms(each.durations, 0.5) for each in servers], 1),
        ("ms for all groups once, p99", [_ms(each.durations, 0.99) for each in servers], 1),
        ("PSS, MB", [each.memory("pss") for each in servers], 1),
        ("RSS, MB", [each.memory("rss") for each in servers], 1),
        ("private memory, MB", [each.memory("private") for each in servers], 1),
    ]
    shown = []
    for title, values, digits in rows:
        all_ours, none_ours, all_peer, none_peer = values
        more = [all_ours - none_ours, all_peer - none_peer]
        if title.startswith("CPU"):
            # The Prometheus without rules sends samples on, which costs more than rules do.
            more[1] = math.nan
        cells = [number(each, digits) for each in (*values, *more)]
        shown.append([title, *cells, ratio(all_ours, all_peer), ratio(*more)])
    headings = ["", *(each.name for each in servers), "our rules", "its rules"]
    print(table([*headings, "ratio with rules", "ratio of the rules"], shown))
    print("\nOur rounds, in milliseconds:\n")
    kinds = {"by arrival": False, "by interval": True}
    found = {name: _rounds(lines, on_interval=kind) for name, kind in kinds.items()}
    shown = [
        [
            name,
            number(len(each.seconds)),
            number(percentile(each.rules, 0.5)),
            *(number(_ms(each.seconds, share), 2) for share in (0.5, 0.99, 1)),
        ]
        for name, each in found.items()
    ]
    print(table(["", "rounds", "rules in one, median", "median", "p99", "longest"], shown))


def _ms(seconds: Sequence[float], share: float) -> float:
    return 1000 * percentile(seconds, share)


def _compare(ours: set[tuple[str, ...]], peer: set[tuple[str, ...]]) -> None:
    """Alerts about node_exporter's host. The collectors have another scrape's samples, so some
    that are on the edge may differ."""
    print(f"\nalerts of the scraped host: {len(ours & peer)} in both")
    for name, more in (("ours only", ours - peer), ("Prometheus only", peer - ours)):
        for alert in sorted(more):
            print(f"{name}: {' '.join(alert)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--interval", type=int, default=10, help="seconds between samples")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
