"""The peers: Debian's node_exporter, Prometheus and Alertmanager, configured for a benchmark."""

from __future__ import annotations

import shutil
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from support.servers import answers, call, free_port, program, running
from support.waiting import wait_until

RULES = """\
groups:
  - name: victims
    rules:
      - alert: VictimDown
        expr: bench_process_up == 0
      - alert: VictimLogError
        expr: increase(bench_log_errors_total[5m]) > 0
"""

_PROMETHEUS = """\
global: {{{global_}}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: node
    static_configs: [{{targets: ['127.0.0.1:{node}']}}]
  - job_name: victims
    static_configs: [{{targets: ['127.0.0.1:{victims}']}}]
alerting:
  alertmanagers:
    - static_configs: [{{targets: ['127.0.0.1:{alertmanager}']}}]
"""

# `...`: each alert is a group of its own, so that none waits for another's group_interval.
_ALERTMANAGER = """\
route: {{receiver: bench, group_by: ['...']{wait}}}
receivers:
  - name: bench
    webhook_configs: [{{url: '{url}', send_resolved: false}}]
"""


@dataclass(frozen=True)
class Peer:
    """A Prometheus with its Alertmanager."""

    name: str
    port: int

    def query(self, expr: str) -> list[float]:
        """The values of an instant query's result."""
        text = urllib.parse.urlencode({"query": expr})
        answer = call(f"http://127.0.0.1:{self.port}/api/v1/query?{text}")
        return [float(row["value"][1]) for row in answer.json()["data"]["result"]]

    def watches(self, victims: int) -> bool:
        """Whether it has seen every victim healthy, logs too."""
        both = "(bench_process_up == 1) and on(victim) (bench_log_errors_total == 0)"
        return self.query(f"count({both})") == [float(victims)]


@dataclass(frozen=True)
class Exporters:
    """The ports of what Prometheus scrapes."""

    node: int
    victims: int


@contextmanager
def node_exporter(
    folder: Path, *, copied: bool = False
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Debian's node_exporter with its default collectors; yields its process and port.

    `copied`: run from a copy of the program, which shares no pages with other node_exporters.
    """
    port = free_port()
    path = program("prometheus-node-exporter")
    if copied:
        path = shutil.copy2(path, str(folder / "node_exporter"))
    command = [path, f"--web.listen-address=127.0.0.1:{port}"]
    with running(command, folder / "node_exporter.log") as process:
        wait_until("node_exporter answers", lambda: answers(f"http://127.0.0.1:{port}/"))
        yield process, port


@contextmanager
def victim_exporter(folder: Path, victims: Path) -> Iterator[int]:
    """Our exporter of the victims; yields its port."""
    port = free_port()
    script = Path(__file__).with_name("victim_exporter.py")
    command = [sys.executable, str(script), str(port), str(victims)]
    with running(command, folder / "victim_exporter.log"):
        wait_until("the exporter answers", lambda: answers(f"http://127.0.0.1:{port}/metrics"))
        yield port


@contextmanager
def prometheus_and_alertmanager(
    folder: Path, name: str, url: str, exporters: Exporters, *, every: str = "", wait: str = ""
) -> Iterator[Peer]:
    """A Prometheus that scrapes the exporters, with an Alertmanager that delivers to `url`.

    `every`: scrape and evaluation interval, `wait`: group_wait; empty leaves them at their
    defaults (1m and 30s).
    """
    home = folder / name
    home.mkdir(parents=True)
    port, alertmanager = free_port(), free_port()
    interval = f"scrape_interval: {every}, scrape_timeout: {every}, evaluation_interval: {every}"
    (home / "rules.yml").write_text(RULES)
    (home / "prometheus.yml").write_text(
        _PROMETHEUS.format(
            global_=interval if every else "",
            node=exporters.node,
            victims=exporters.victims,
            alertmanager=alertmanager,
        )
    )
    (home / "alertmanager.yml").write_text(
        _ALERTMANAGER.format(wait=f", group_wait: {wait}" if wait else "", url=url)
    )
    deliver = [
        program("prometheus-alertmanager"),
        f"--config.file={home / 'alertmanager.yml'}",
        f"--storage.path={home / 'am'}",
        f"--web.listen-address=127.0.0.1:{alertmanager}",
        "--cluster.listen-address=",
    ]
    watch = [
        program("prometheus"),
        f"--config.file={home / 'prometheus.yml'}",
        f"--storage.tsdb.path={home / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (
        running(deliver, home / "alertmanager.log"),
        running(watch, home / "prometheus.log"),
    ):
        for at in (alertmanager, port):
            wait_until(f"{name} is ready", partial(answers, f"http://127.0.0.1:{at}/-/ready"), 30)
        yield Peer(name, port)
