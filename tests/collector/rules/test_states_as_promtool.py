"""`for` and `keep_firing_for` in our engine and in promtool, on the same made-up histories."""

from __future__ import annotations

import json
import queue
import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from forewarn_collector.rules.alerts import AlertChange, AlertState
from forewarn_collector.rules.load import load_rules
from forewarn_collector.rules.schedule import Scheduler
from forewarn_collector.rules.testing import run_file
from forewarn_collector.tasks.rehearsal import rehearsal
from forewarn_wire import STALE_NAN
from support.memory_source import MemorySource
from support.rules import MINUTE

MINUTES = 60
HOSTS = 12
WAITS = [(wait, keep) for wait in (0, 1, 2, 5) for keep in (0, 1, 3)]


class Sink:
    def apply(self, changes: Sequence[AlertChange], at: int) -> None:
        pass


def histories() -> dict[str, list[str]]:
    """For each host a value, or the end of the series, by minute: mostly as the minute before."""
    chance = random.Random(17)
    found = {}
    for host in range(HOSTS):
        word, words = "0", []
        for _ in range(MINUTES + 1):
            word = word if chance.random() < 0.7 else chance.choice(["0", "1", "1", "stale"])
            words.append(word)
        found[f"h{host}"] = words
    return found


def rule(wait: int, keep: int) -> dict[str, object]:
    waits = {"for": f"{wait}m", "keep_firing_for": f"{keep}m"}
    return {"alert": f"For{wait}Keep{keep}", "expr": "broken > 0", **waits}


def firing_in_our_engine(rules: Path) -> list[list[tuple[str, str]]]:
    """By minute: rule and host of every alert that fires."""
    source = MemorySource()
    for host, words in histories().items():
        samples = [STALE_NAN if word == "stale" else float(word) for word in words]
        timed = [(minute * MINUTE, value) for minute, value in enumerate(samples)]
        source.add(f'broken{{instance="{host}"}}', *timed)
    scheduler = Scheduler(
        load_rules([rules]),
        source,
        append=source.append,
        sink=Sink(),
        clock=lambda: 0,
        arrivals=queue.SimpleQueue(),
    )
    found = []
    for minute in range(MINUTES + 1):
        scheduler.evaluate_groups([f"{rules};g"], minute * MINUTE)
        alerts = [dict(one.labels) for one in scheduler.alerts() if one.state is AlertState.FIRING]
        found.append([(alert["alertname"], alert["instance"]) for alert in alerts])
    return found


@pytest.mark.server
def test_the_same_alerts_fire_at_every_minute(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    resolve = {"task": {"on_missing": "resolve"}}
    for name, more in (("ours.yml", resolve), ("rules.yml", {})):
        rules = [rule(*waits) | more for waits in WAITS]
        document = {"groups": [{"name": "g", "rules": rules}]}
        (tmp_path / name).write_text(json.dumps(document))
    firing = firing_in_our_engine(tmp_path / "ours.yml")
    assert sum(map(len, firing)) > 500
    checks = [
        {
            "eval_time": f"{minute}m",
            "alertname": rule(*waits)["alert"],
            "exp_alerts": [
                {"exp_labels": {"instance": host}}
                for name, host in alerts
                if name == rule(*waits)["alert"]
            ],
        }
        for minute, alerts in enumerate(firing)
        for waits in WAITS
    ]
    series = [
        {"series": f'broken{{instance="{host}"}}', "values": " ".join(words)}
        for host, words in histories().items()
    ]
    case = {"interval": "1m", "input_series": series, "alert_rule_test": checks}
    tests = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [case]}
    (tmp_path / "test.yml").write_text(json.dumps(tests))
    done = subprocess.run(
        ["promtool", "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[:5_000]
    assert run_file(tmp_path / "test.yml", rehearsal).passed
