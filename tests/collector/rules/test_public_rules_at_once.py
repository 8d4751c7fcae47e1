"""All public rules in one process, on a real host's samples, beside promtool."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from forewarn_collector.promql import LiveWindows, compile_query
from forewarn_collector.rules import AlertChange, Scheduler, load_rules
from forewarn_collector.store import Batch, Store
from forewarn_wire import Labels, metric_name
from support.host_signals import Values, captured, from_agent, told

DATA = Path(__file__).parents[4] / "shared" / "data"
PUBLIC = DATA / "rules" / "awesome-prometheus-alerts"
pytestmark = pytest.mark.skipif(not PUBLIC.exists(), reason="../shared/data is not here")

STEP = 29_003
"""Between samples (ms): none is on the edge of a range, which only Prometheus 2 counts in."""
EVERY = 120_000
TICKS = 249
"""Two hours."""

FAULTS: dict[str, Callable[[float], float]] = {
    "node_filesystem_avail_bytes": lambda value: value * 0.001,
    "node_filesystem_files_free": lambda value: value * 0.001,
    "node_memory_MemAvailable_bytes": lambda value: value * 0.001,
    "node_network_receive_errs_total": lambda value: value * 1e6,
    "node_timex_offset_seconds": lambda value: 3.0,
    "node_load1": lambda value: 1e4,
    "node_vmstat_oom_kill": lambda value: value + 5,
    "up": lambda value: 0.0,
    "forewarn_agent_up": lambda value: 0.0,
}


class Sink:
    """Counts changes by their rule's name."""

    def __init__(self) -> None:
        self.changes: Counter[str] = Counter()

    def apply(self, changes: list[AlertChange], at: int) -> None:
        self.changes.update(change.rule.name for change in changes)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Values:
    return captured(DATA / "captures") | from_agent(tmp_path_factory.mktemp("agent"))


def evaluated(folder: Path, host: Values, times: list[int]) -> tuple[Scheduler, list[list[Labels]]]:
    """Two hours of all rules; the series `ALERTS` at some times."""
    rules = load_rules([PUBLIC])
    now = 0
    store = Store(folder, retention=86_400_000, clock=lambda: now)
    store.open()
    try:
        scheduler = Scheduler(
            rules,
            store,
            append=lambda batch: store.append(batch, own=True),
            arrivals=queue.SimpleQueue(),
            sink=Sink(),
            clock=lambda: now,
            live=LiveWindows(store),
            has_series=store.has_series,
        )
        values, labels = told(host, TICKS, FAULTS), list(host)
        groups = [group.key for group in rules.groups]
        seen, sent = [], 1
        for now in range(0, TICKS * STEP, EVERY):
            ticks = np.arange(sent, now // STEP + 1)
            sent += len(ticks)
            rows = np.repeat(np.arange(len(labels)), len(ticks))
            when = np.tile(ticks * STEP, len(labels))
            if len(ticks):
                store.append(Batch(labels, rows, when, values[:, ticks].ravel())).result()
            scheduler.evaluate_groups(groups, now)
            if now in times:
                found = compile_query("ALERTS").instant(store, now).vector()
                seen.append([labels for labels, _ in found])
        return scheduler, seen
    finally:
        store.close()


def promtool_file(folder: Path, host: Values, expected: dict[int, list[Labels]]) -> Path:
    """A unit test for promtool with the same samples, in which `ALERTS` are as expected."""
    values = told(host, TICKS, FAULTS)
    series = [
        {"series": text_of(labels), "values": "_ " + " ".join(map(repr, row[1:].tolist()))}
        for labels, row in zip(host, values, strict=True)
    ]
    tests: list[dict[str, object]] = [
        {
            "expr": "ALERTS",
            "eval_time": f"{at}ms",
            "exp_samples": [{"labels": text_of(labels), "value": 1} for labels in alerts],
        }
        for at, alerts in expected.items()
    ]
    file = folder / "public_test.yml"
    document = {
        "rule_files": [str(path) for path in sorted(PUBLIC.rglob("*.yml"))],
        "evaluation_interval": f"{EVERY}ms",
        "tests": [
            {"interval": f"{STEP}ms", "input_series": series, "promql_expr_test": tests},
        ],
    }
    file.write_text(json.dumps(document))
    return file


def text_of(labels: Labels) -> str:
    pairs = [f"{name}={json.dumps(value)}" for name, value in labels if name != "__name__"]
    return f"{metric_name(labels)}{{{','.join(pairs)}}}"


@pytest.mark.server
def test_none_fails_and_the_same_alerts_are_pending_and_firing(
    tmp_path: Path, host: Values
) -> None:
    times = [25 * EVERY, 35 * EVERY, 45 * EVERY, 59 * EVERY]
    scheduler, seen = evaluated(tmp_path / "store", host, times)
    statuses = [rule for group in scheduler.groups() for rule in group.rules]
    assert len(statuses) > 900
    assert [f"{one.rule.key}: {one.last_error}" for one in statuses if one.health != "ok"] == []
    states = Counter(dict(labels)["alertstate"] for at in seen for labels in at)
    print(f"{len(host)} series; alerts at four times: {dict(states)}")
    assert states["firing"] > 20
    assert states["pending"] > 0
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    file = promtool_file(tmp_path, host, dict(zip(times, seen, strict=True)))
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
