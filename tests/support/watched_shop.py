"""A customer's host that a real agent watches, tasks in every state, and a host that was recorded.

All that the dashboards show is there: of the real host `shop-1`, or, where this machine has none of
it, of the host `recorded-1`, whose signals of two hours are sent as they would come from its agent.
"""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from forewarn_wire import labels_from
from forewarn_wire.remote_write import Series, encode_write_request
from support.servers import (
    Answer,
    RunningCollector,
    call,
    free_port,
    running,
    running_agent,
    running_collector,
)
from support.waiting import wait_until
from support.writing import WRITE_HEADERS, snappy, write_body

HOST, RECORDED, CUSTOMER = "shop-1", "recorded-1", "acme"
URL = "https://forewarn.example.org"

# The product, with its own figures every second in place of every fifteen.
_PROGRAM = (
    "import forewarn_collector.upkeep as upkeep; upkeep.OWN_INTERVAL = 1000; "
    "from forewarn_collector.__main__ import main; main()"
)

_RULES = """\
groups:
  - name: dashboards
    rules:
      - {alert: HostReports, expr: 'up{job="node"} == 1', labels: {severity: high}}
      - {alert: ShopAnswers, expr: probe_success == 1, labels: {severity: critical}}
      - {alert: ShopRuns, expr: namedprocess_namegroup_num_procs > 0, labels: {severity: low}}
      - alert: NobodyHears
        expr: node_load1 >= 0
        labels: {severity: medium}
        task: {queue: nobody}
      - {alert: LogErrors, expr: 'forewarn_events_total{type="log"} > 0', labels: {severity: high}}
"""

_RECORDED = {
    # name and labels -> value at so many seconds before now
    ("node_memory_SwapTotal_bytes", ""): lambda ago: 4e9,
    ("node_memory_SwapFree_bytes", ""): lambda ago: 3e9,
    ("node_filesystem_avail_bytes", "fs"): lambda ago: 1e10 + 1e6 * ago,
    ("node_filesystem_size_bytes", "fs"): lambda ago: 1e11,
    ("node_boot_time_seconds", ""): lambda ago: time.time() - 3600,
    ("probe_ssl_earliest_cert_expiry", "check"): lambda ago: time.time() + 30 * 86_400,
    ("node_nf_conntrack_entries", ""): lambda ago: 100,
    ("node_nf_conntrack_entries_limit", ""): lambda ago: 65_536,
    ("node_disk_reads_completed_total", "device"): lambda ago: 1e6 - ago,
    ("node_disk_read_time_seconds_total", "device"): lambda ago: 1e4 - 0.01 * ago,
    ("node_disk_writes_completed_total", "device"): lambda ago: 1e6 - 2 * ago,
    ("node_disk_write_time_seconds_total", "device"): lambda ago: 1e4 - 0.05 * ago,
    ("forewarn_agent_info", "version"): lambda ago: 1,
    ("forewarn_agent_spool_dropped_total", "kind"): lambda ago: 1e5 - ago,
    ("forewarn_agent_rejected_total", "kind"): lambda ago: 1e5 - ago,
    ("forewarn_agent_clock_offset_seconds", ""): lambda ago: -3.5,
    ("forewarn_agent_config_last_reload_successful", ""): lambda ago: 0,
    ("forewarn_notifications_sent_total", "alertmanager"): lambda ago: 1e5 - ago,
    ("forewarn_notifications_errors_total", "alertmanager"): lambda ago: 100,
    ("forewarn_archive_bytes", "level"): lambda ago: 1e6,
    ("node_cpu_seconds_total", "idle"): lambda ago: 1e6 - 0.5 * ago,
    ("node_memory_MemTotal_bytes", ""): lambda ago: 8e9,
    ("node_memory_MemAvailable_bytes", ""): lambda ago: 2e9,
}

_LABELS = {
    "": {},
    "fs": {"device": "/dev/sda1", "fstype": "ext4", "mountpoint": "/"},
    "check": {"job": "blackbox", "check": "shop", "target": "https://shop.example.org/"},
    "device": {"device": "sda"},
    "level": {"job": "forewarn", "level": "0"},
    "idle": {"cpu": "0", "mode": "idle"},
    "kind": {"kind": "samples"},
    "alertmanager": {"job": "forewarn", "alertmanager": "http://127.0.0.1:9093"},
}


@dataclass
class WatchedShop:
    """The collector, and the tokens of those who look at it."""

    collector: RunningCollector
    viewer: str
    of_customer: str

    def ask(
        self, path: str, method: str = "GET", who: str = "viewer", **given: str | list[str]
    ) -> Answer:
        """What Grafana asks with a data source's token: GET, or POST of a form."""
        token = self.of_customer if who == "customer" else self.viewer
        headers = {"Authorization": f"Bearer {token}"}
        form = urllib.parse.urlencode(given, doseq=True)
        url = self.collector.url + path
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            return call(url, form.encode(), headers, "POST")
        return call(f"{url}?{form}" if form else url, headers=headers, method=method)


@contextmanager
def watched_shop(folder: Path) -> Iterator[WatchedShop]:
    """All of it, with what has happened in some ten seconds."""
    tokens = {name: f"secret-of-the-{name}" for name in ("acme", "tiny", "grafana", "acme-desk")}
    for name, token in tokens.items():
        (folder / f"{name}.token").write_text(token)
    (folder / "rules.yml").write_text(_RULES)
    config = folder / "collector.yml"
    config.write_text(_config(folder))
    log = folder / "shop.log"
    log.touch()
    with running_collector(folder, "--config", str(config), program=("-c", _PROGRAM)) as collector:
        wait_until("its own figures", lambda: collector.query("forewarn_ingest_samples_total"))
        agent = _agent_config(folder, collector)
        token_file = folder / "acme.token"
        with running_agent(folder, collector.url, agent, token_file=token_file):
            with _shop(folder):
                wait_until(
                    "the shop runs",
                    lambda: collector.query("namedprocess_namegroup_num_procs == 1"),
                )
            with _shop(folder):
                _something_happens(collector, folder, tokens)
                yield WatchedShop(collector, tokens["grafana"], tokens["acme-desk"])


def _config(folder: Path) -> str:
    now = datetime.fromtimestamp(time.time() - 3600, UTC)
    return f"""\
rules: [rules.yml]
external_url: {URL}
evaluate_late: 0s
queues:
  support: {{kind: log}}
  nobody: {{kind: webhook, url: 'http://127.0.0.1:{free_port()}/'}}
default_queue: support
limits: {{customers: [{{customer: tiny, series: 1}}]}}
maintenance:
  - name: patching
    match: {{instance: nowhere}}
    timezone: UTC
    start: {now:%Y-%m-%d %H:%M}
    duration: 2h
service_levels:
  - {{name: gold, match: {{alertname: ShopRuns}}, steps: [{{name: remind, after: 1s}}]}}
tokens:
  - {{name: acme, token_file: {folder}/acme.token, customer: acme}}
  - {{name: tiny, token_file: {folder}/tiny.token, customer: tiny}}
  - {{name: grafana, token_file: {folder}/grafana.token, role: viewer}}
  - {{name: acme-desk, token_file: {folder}/acme-desk.token, customer: acme, role: viewer}}
"""


def _agent_config(folder: Path, collector: RunningCollector) -> str:
    return f"""\
instance: {HOST}
interval: 1s
processes: [{{name: shop, pidfile: {folder}/shop.pid}}]
checks: [{{name: shop, url: '{collector.url}/-/healthy', interval: 1s}}]
logs:
  - name: shop
    paths: [{folder}/shop.log]
    patterns: [{{name: error, regex: ERROR, severity: error}}]
"""


@contextmanager
def _shop(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The software that the agent watches: a process that is there."""
    program = [sys.executable, "-c", "import time; time.sleep(600)"]
    with running(program, folder / "shop.out") as process:
        (folder / "shop.pid").write_text(str(process.pid))
        yield process


def _something_happens(collector: RunningCollector, folder: Path, tokens: dict[str, str]) -> None:
    with (folder / "shop.log").open("a") as log:
        wait_until("the log is followed", lambda: collector.query("forewarn_log_files > 0"))
        log.write("ERROR the basket is empty\n")
    _record(collector, tokens["acme"])
    for name in ("first", "second"):
        _write(collector, tokens["tiny"], write_body({name: 1.0}, _now()))
    rules = {"HostReports", "ShopAnswers", "ShopRuns", "NobodyHears", "LogErrors"}
    wait_until("all tasks", lambda: rules <= {t["rule_name"] for t in collector.tasks()})
    numbers = {task["rule_name"]: task["number"] for task in collector.tasks()}
    for rule, command, body in (
        ("ShopAnswers", "acknowledge", b"{}"),
        ("ShopRuns", "assign", b'{"assignee": "ann"}'),
        ("LogErrors", "assign", b'{"assignee": "ann"}'),
        ("LogErrors", "resolve", b"{}"),
    ):
        path = f"/api/tasks/{numbers[rule]}/{command}"
        assert collector.post(path, body, Content_Type="application/json").status == 200
    (folder / "rules.yml").write_text(_RULES + "# once more\n")
    for what in (
        'increase(forewarn_task_step_seconds_count{step="resolved"}[1m]) > 0',
        'increase(forewarn_rule_reloads_total{outcome="taken"}[1m]) > 0',
        "count_over_time(forewarn_escalations_total[1m]) > 1",
        'count_over_time(forewarn_ingest_limited_total{customer="tiny"}[1m]) > 1',
        'count_over_time(forewarn_events_total{type="log"}[1m]) > 1',
        'count_over_time(forewarn_events_total{type="process_start"}[1m]) > 1',
        "increase(forewarn_delivery_failures_total[1m]) > 0",
        'forewarn_task_info{state="resolved"}',
    ):
        wait_until(what, lambda what=what: collector.query(what), pause=0.1)


def _record(collector: RunningCollector, token: str) -> None:
    """Send two hours of the recorded host, of late a sample every twenty seconds."""
    now = _now()
    for ago in (*range(7200, 600, -300), *range(600, -1, -20)):
        readings = []
        for (name, kind), value in _RECORDED.items():
            version = {"version": "0.0.9" if ago > 300 else "0.1.0"}
            given = version if kind == "version" else _LABELS[kind]
            labels = {"__name__": name, "job": "node", "instance": RECORDED, **given}
            readings.append((Series(labels_from(labels)), float(value(ago))))
        _write(collector, token, snappy(encode_write_request(readings, now - 1000 * ago)))


def _write(collector: RunningCollector, token: str, body: bytes) -> None:
    headers = {name.replace("_", "-"): value for name, value in WRITE_HEADERS.items()}
    headers["Authorization"] = f"Bearer {token}"
    answer = call(f"{collector.url}/api/v1/write", body, headers, "POST")
    assert answer.status in (204, 400, 429), answer.body


def _now() -> int:
    return int(time.time() * 1000)
