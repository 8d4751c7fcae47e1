"""Backup and restore as docs/operations.md tells it: real collectors, and all is there again."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

from forewarn_wire import Event, Severity, labels_from
from support.servers import RunningCollector, running_collector
from support.waiting import wait_until
from support.writing import LOGS_HEADERS, WRITE_HEADERS, logs_body, write_body

ROOT = Path(__file__).parents[2]
RULES = """\
groups:
  - name: shop
    rules:
      - {alert: Down, expr: shop_up == 0, labels: {severity: high}, task: {}}
"""


def documented(heading: str) -> list[list[str]]:
    """The commands that a section of the document shows."""
    text = (ROOT / "docs" / "operations.md").read_text()
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [shlex.split(line) for line in re.findall(r"^    (.+)$", section, re.MULTILINE)]


def send(collector: RunningCollector, now: int) -> None:
    body = write_body({"shop_up": 0.0, "shop_orders": 7.0}, now, instance="web1")
    assert collector.post("/api/v1/write", body, **WRITE_HEADERS).status == 204
    event = Event(
        time=now,
        type="log",
        severity=Severity.ERROR,
        labels=labels_from({"instance": "web1"}),
        body="cannot reach the bank",
        uid="e/1",
        attributes={},
    )
    assert collector.post("/v1/logs", logs_body(event), **LOGS_HEADERS).status == 200
    wait_until("there is a task", collector.tasks)


def test_the_walk_through_brings_everything_back(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "collector.yml").write_text("retention: 2d\n")
    (tmp_path / "backups").mkdir()
    serve = (
        *("--rules", str(tmp_path / "rules.yml")),
        *("--config", str(tmp_path / "collector.yml")),
    )
    places = {
        "/var/backups/forewarn": str(tmp_path / "backups"),
        "/var/lib/forewarn": str(tmp_path / "data"),
        "/etc/forewarn": str(tmp_path),
    }
    steps = documented("Backup and restore")
    assert [step[:2] for step in steps if step[0] == "systemctl"] == [
        ["systemctl", "stop"],
        ["systemctl", "start"],
    ]
    stop = next(number for number, step in enumerate(steps) if step[0] == "systemctl")
    now = time.time_ns() // 1_000_000
    with running_collector(tmp_path, *serve) as collector:
        send(collector, now)
        tasks = collector.tasks()
        token = collector.token
        for step in steps[:stop]:
            carry_out(step, places)
    for step in steps[stop:]:
        carry_out(step, places)
    assert (tmp_path / "data.old").is_dir()
    with running_collector(tmp_path, *serve) as restored:
        assert restored.token == token
        (found,) = restored.query("shop_orders", now / 1000)
        assert found["value"][1] == "7"
        (event,) = restored.get("/api/events", q="bank").json()["data"]["events"]
        assert event["uid"] == "e/1"
        assert [task["number"] for task in restored.tasks()] == [task["number"] for task in tasks]


def carry_out(step: list[str], places: dict[str, str]) -> None:
    if step[0] in {"systemctl", "chown"}:
        # The test starts and stops collectors itself, and is their user.
        return
    for place, ours in places.items():
        step = [argument.replace(place, ours) for argument in step]
    if step[0] == "forewarn":
        step = [sys.executable, "-m", "forewarn_collector", *step[1:]]
    done = subprocess.run(step, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{step}: {done.stdout}{done.stderr}"
