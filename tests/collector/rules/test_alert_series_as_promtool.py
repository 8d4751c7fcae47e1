"""`ALERTS` and `ALERTS_FOR_STATE` of our collector and of promtool, on made-up histories."""

from __future__ import annotations

import json
import queue
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from forewarn_collector.promql import compile_query
from forewarn_collector.rules.alerts import AlertChange
from forewarn_collector.rules.load import load_rules
from forewarn_collector.rules.schedule import Scheduler
from forewarn_collector.rules.testing import run_file
from forewarn_collector.rules.testing.memory import MemoryStore
from forewarn_collector.store import Batch, Ints
from forewarn_collector.tasks.rehearsal import rehearsal
from forewarn_wire import STALE_NAN, Labels
from support.memory_source import labels_of
from support.rules import MINUTE

MINUTES = 40
HOSTS = 6
RULES: list[dict[str, object]] = [
    {"alert": "Now", "expr": "broken > 0"},
    {"alert": "Wait", "expr": "broken > 0", "for": "2m", "labels": {"severity": "high"}},
    {"alert": "Keep", "expr": "broken > 0", "for": "1m", "keep_firing_for": "2m"},
    {
        "alert": "Valued",
        "expr": "broken > 0",
        "labels": {"value": "{{ $value }}", "alertstate": "x"},
    },
    {
        "alert": "OnlyNow",
        "expr": (
            'ALERTS{alertname="Now"}'
            ' unless on (instance) ALERTS{alertname="Wait",alertstate="firing"}'
        ),
    },
    {"alert": "Quiet", "expr": 'absent(ALERTS{alertname=~"Now|Wait",instance="h0"})'},
    {"alert": "Long", "expr": 'time() - ALERTS_FOR_STATE{alertname="Keep"} > 180'},
    {"alert": "Itself", "expr": 'absent(ALERTS{alertname="Itself"})'},
    {"alert": "Many", "expr": 'count(ALERTS{alertstate="firing"}) > 12', "for": "1m"},
    {"record": "alerts:count", "expr": "count by (alertname, alertstate) (ALERTS)"},
]
QUERIES = ("ALERTS", "ALERTS_FOR_STATE", "alerts:count")


class Sink:
    def apply(self, changes: Sequence[AlertChange], at: int) -> None:
        pass


class Source(MemoryStore):
    """A store whose series nobody is told of."""

    def labels_of(self, refs: Ints) -> Sequence[Labels]:
        return []


def histories() -> dict[str, list[str]]:
    """For each host a value, or the end of the series, by minute: mostly as the minute before."""
    chance = random.Random(29)
    found = {}
    for host in range(HOSTS):
        word, words = "0", []
        for _ in range(MINUTES + 1):
            word = word if chance.random() < 0.7 else chance.choice(["0", "1", "2", "stale"])
            words.append(word)
        found[f'broken{{instance="h{host}"}}'] = words
    return found


def answers_of_our_engine(rules: Path) -> list[dict[str, list[tuple[Labels, float]]]]:
    """By minute: what each query answers after the evaluation."""
    source = Source()
    scheduler = Scheduler(
        load_rules([rules]),
        source,
        append=source.append,
        sink=Sink(),
        clock=lambda: 0,
        arrivals=queue.SimpleQueue(),
    )
    found = []
    series = [labels_of(text) for text in histories()]
    for minute, words in enumerate(zip(*histories().values(), strict=True)):
        values = [STALE_NAN if word == "stale" else float(word) for word in words]
        source.append(_batch(series, minute * MINUTE, values))
        scheduler.evaluate_groups([f"{rules};g"], minute * MINUTE)
        assert {one.last_error for group in scheduler.groups() for one in group.rules} == {""}
        found.append(
            {
                text: compile_query(text).instant(source, minute * MINUTE).vector()
                for text in QUERIES
            }
        )
    return found


def _batch(series: Sequence[Labels], at: int, values: Sequence[float]) -> Batch:
    rows = np.arange(len(series), dtype=np.int64)
    return Batch(series, rows, np.full(len(series), at), np.array(values))


@pytest.mark.server
def test_the_same_series_are_there_at_every_minute(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    resolve = {"task": {"on_missing": "resolve"}}
    for name, more in (("ours.yml", resolve), ("rules.yml", {})):
        rules = [rule | (more if "alert" in rule else {}) for rule in RULES]
        document = {"groups": [{"name": "g", "rules": rules}]}
        (tmp_path / name).write_text(json.dumps(document))
    answers = answers_of_our_engine(tmp_path / "ours.yml")
    names = Counter(dict(labels)["alertname"] for each in answers for labels, _ in each["ALERTS"])
    assert min(names[str(rule["alert"])] for rule in RULES if "alert" in rule) >= 10, names
    checks = [
        {
            "expr": text,
            "eval_time": f"{minute}m",
            "exp_samples": [{"labels": _text(labels), "value": value} for labels, value in vector],
        }
        for minute, found in enumerate(answers)
        for text, vector in found.items()
    ]
    series = [{"series": text, "values": " ".join(words)} for text, words in histories().items()]
    case = {"interval": "1m", "input_series": series, "promql_expr_test": checks}
    tests = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [case]}
    (tmp_path / "test.yml").write_text(json.dumps(tests))
    done = subprocess.run(
        ["promtool", "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[:5_000]
    assert run_file(tmp_path / "test.yml", rehearsal).passed


def _text(labels: Labels) -> str:
    name = dict(labels)["__name__"]
    pairs = (f"{label}={json.dumps(value)}" for label, value in labels if label != "__name__")
    return f"{name}{{{','.join(pairs)}}}"
