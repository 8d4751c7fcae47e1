"""`ALERTS` and `ALERTS_FOR_STATE` of a real collector, and of a Prometheus with the same rules."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from support.api_calls import data
from support.servers import (
    RunningCollector,
    answers,
    call,
    free_port,
    program,
    running,
    running_collector,
)
from support.waiting import wait_until
from support.writing import WRITE_HEADERS, write_body

pytestmark = pytest.mark.server

RULES = """
groups:
  - name: g
    interval: 1s
    rules:
      - {alert: Hot, expr: 'level > 5', labels: {severity: high}}
      - alert: Held
        expr: level > 5
        for: 2s
        keep_firing_for: 2s
        labels: {on: '{{ $labels.instance }}'}
      - {alert: Later, expr: 'level > 5', for: 1h}
      - {alert: OnHot, expr: 'ALERTS{alertname="Hot"} unless on (instance) ALERTS{alertname="Off"}'}
      - {record: 'alerts:count', expr: count by (alertname) (ALERTS)}
"""
EXPECTED = {
    ("Hot", "firing", "a"),
    ("Held", "firing", "a"),
    ("Later", "pending", "a"),
    ("OnHot", "firing", "a"),
}
NOTHING: set[tuple[str, str, str]] = set()


def level(value: float) -> bytes:
    return write_body({"level": value}, int(time.time() * 1000), instance="a")


def shown(url: str, query: str) -> list[dict[str, str]]:
    """The label sets that a query finds."""
    found: list[dict[str, Any]] = data(url, "query", query=query)["result"]
    return sorted((each["metric"] for each in found), key=lambda labels: sorted(labels.items()))


def states(url: str) -> set[tuple[str, str, str]]:
    return {(it["alertname"], it["alertstate"], it["instance"]) for it in shown(url, "ALERTS")}


def wait_for_states(url: str, expected: set[tuple[str, str, str]]) -> None:
    wait_until(f"{url} shows {expected}", lambda: states(url) == expected, 30)


def wait_for_the_same(url: str, other: str, query: str) -> None:
    wait_until(f"both have the same {query}", lambda: shown(url, query) == shown(other, query))


def test_the_same_alerts_are_shown_as_by_prometheus_and_end(tmp_path: Path) -> None:
    prometheus, port = program("prometheus"), free_port()
    rules, config = tmp_path / "rules.yml", tmp_path / "prometheus.yml"
    rules.write_text(RULES)
    config.write_text(f"rule_files: [{rules}]\n")
    command = [
        prometheus,
        f"--config.file={config}",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
    ]
    theirs = f"http://127.0.0.1:{port}"
    with (
        running(command, tmp_path / "prometheus.log"),
        running_collector(tmp_path, "--no-auth", "--rules", str(rules)) as collector,
    ):
        wait_until("Prometheus is ready", lambda: answers(f"{theirs}/-/ready"))
        headers = {name.replace("_", "-"): value for name, value in WRITE_HEADERS.items()}
        for value, expected in ((9, EXPECTED), (1, NOTHING)):
            body = level(value)
            assert call(f"{theirs}/api/v1/write", body, headers).status == 204
            assert collector.post("/api/v1/write", body, **WRITE_HEADERS).status == 204
            wait_for_states(theirs, expected)
            wait_for_states(collector.url, expected)
            for query in ("ALERTS", "ALERTS_FOR_STATE", "alerts:count"):
                wait_for_the_same(theirs, collector.url, query)


def test_alerts_that_end_while_the_collector_is_dead_are_not_shown_after(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES)

    def write(collector: RunningCollector, value: float) -> None:
        assert collector.post("/api/v1/write", level(value), **WRITE_HEADERS).status == 204

    with running_collector(tmp_path, "--no-auth", "--rules", str(rules)) as collector:
        write(collector, 9)
        wait_for_states(collector.url, EXPECTED)
        since = shown(collector.url, "ALERTS_FOR_STATE")
        collector.process.kill()
        collector.process.wait(10)
    with running_collector(tmp_path, "--no-auth", "--rules", str(rules)) as collector:
        # They stand as they were, and are active since then.
        assert shown(collector.url, "ALERTS_FOR_STATE") == since
        write(collector, 1)
        wait_for_states(collector.url, NOTHING)
        assert shown(collector.url, "ALERTS_FOR_STATE") == []
