"""The parts of the benchmarks that could falsify a figure."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from bench.faults import CALM_LINE, Kind, in_random_order, now, victims
from bench.figures import percentile, spread, table
from bench.process_cost import cost
from bench.receiver import receiver
from bench.victim_exporter import exposition
from support.servers import call


def test_percentiles_are_by_nearest_rank() -> None:
    # The example of https://en.wikipedia.org/wiki/Percentile: ranks ceil(P/100 * 5).
    values = [50.0, 15, 40, 20, 35]
    assert [percentile(values, p) for p in (0.05, 0.3, 0.4, 0.5, 1)] == [15, 20, 20, 35, 50]
    hundred = [float(i) for i in range(1, 101)]
    assert (spread(hundred).p50, spread(hundred).p99, spread(hundred).max) == (50, 99, 100)


def test_nothing_measured_is_shown_as_nothing() -> None:
    assert math.isnan(percentile([], 0.5))
    assert spread([]).count == 0


def test_a_table_is_markdown() -> None:
    assert table(["a", "b"], [["x", "10"]]) == "| a |  b |\n| - | -: |\n| x | 10 |"


def test_victims_suffer_what_the_exporter_then_shows(tmp_path: Path) -> None:
    with victims(tmp_path, 2) as found:
        listed = json.loads((tmp_path / "victims.json").read_text())
        assert 'bench_process_up{victim="victim-000"} 1' in exposition(listed)
        assert found["victim-000"].log.read_text() == CALM_LINE
        before = now()
        assert before <= found["victim-000"].suffer(Kind.KILL) <= now()
        found["victim-001"].suffer(Kind.ERROR)
        state = exposition(listed)
        for line in (
            'bench_process_up{victim="victim-000"} 0',
            'bench_process_up{victim="victim-001"} 1',
            'bench_log_errors_total{victim="victim-000"} 0',
            'bench_log_errors_total{victim="victim-001"} 1',
        ):
            assert line in state.splitlines()
    assert found["victim-001"].process.poll() is not None


def test_faults_are_half_of_each_kind_and_once_per_victim() -> None:
    faults = in_random_order([f"v{i}" for i in range(50)], 100, random.Random(1))
    assert len(set(faults)) == 100
    assert sum(fault.kind is Kind.KILL for fault in faults) == 50


def test_the_receiver_tells_the_systems_and_their_messages_apart() -> None:
    alertmanager = {
        "alerts": [
            {"status": "firing", "labels": {"alertname": "VictimDown", "victim": "v1"}},
            {"status": "resolved", "labels": {"alertname": "VictimDown", "victim": "v2"}},
        ]
    }
    task = {"labels": {"log": "v1"}, "rule_name": "VictimLogError", "opened_at": 1_700_000_000_123}
    with receiver() as found:
        before = now()
        for system, body in (
            ("peer", alertmanager),
            ("peer", alertmanager),
            ("ours", {"action": "open", "task": task}),
            ("ours", {"action": "resolve", "task": task}),
        ):
            assert call(found.url(system), json.dumps(body).encode(), method="POST").status == 200
        ((fault, at),) = found.arrived["peer"].items()
        assert (fault.victim, fault.kind) == ("v1", Kind.KILL)
        assert before <= at <= now()
        ((fault, opened),) = found.opened.items()
        assert (fault.victim, fault.kind, opened) == ("v1", Kind.ERROR, 1_700_000_000_123)
        assert found.repeats == {"peer": 1}


def test_cost_sees_memory_and_cpu_of_a_process() -> None:
    # A page that is written is a private page: 50 MB of them, and a second of counting.
    code = "b = bytearray(b'x' * 50_000_000); sum(range(20_000_000)); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seen = cost(process.pid)
        process.communicate(b"\n")
    assert 50e6 < seen.private <= seen.pss <= seen.rss < 120e6
    assert seen.cpu > 0.05


def test_cost_of_a_process_that_is_gone_is_not_found() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.raises(FileNotFoundError):
        cost(process.pid)
    assert cost(os.getpid()).rss > 0
