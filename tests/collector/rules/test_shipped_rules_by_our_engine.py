"""The tests of the rules that ship, which promtool runs too, give the same in our engine."""

from __future__ import annotations

import queue
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from forewarn_collector.rules.alerts import AlertChange, AlertState
from forewarn_collector.rules.load import load_rules
from forewarn_collector.rules.schedule import Scheduler
from forewarn_wire.durations import parse_duration
from support.memory_source import MemorySource

RULES = Path(__file__).parents[3] / "rules"
NUMBER = r"[\d.]+(?:e[+-]?\d+)?"
VALUE = re.compile(rf"(-?{NUMBER})([+-]{NUMBER})?(?:x(\d+))?")


def cases() -> Iterator[Any]:
    for file in sorted(RULES.glob("*_test.yml")):
        document = yaml.safe_load(file.read_text())
        for case in document["tests"]:
            rules = RULES / document["rule_files"][0]
            step = parse_duration(document["evaluation_interval"])
            yield pytest.param(rules, step, case, id=f"{file.stem}: {case['name']}")


def values(notation: str) -> Iterator[float]:
    """promtool's notation: `a`, `axN`, `a+bxN`; N is how often the value follows itself."""
    for word in notation.split():
        match = VALUE.fullmatch(word)
        assert match is not None, word
        start, rise = float(match[1]), float(match[2] or 0)
        yield from (start + rise * count for count in range(int(match[3] or 0) + 1))


class Sink:
    def apply(self, changes: Sequence[AlertChange], at: int) -> None:
        pass


@pytest.mark.parametrize(("rules", "step", "case"), list(cases()))
def test_the_same_alerts_fire_with_the_same_texts(
    rules: Path, step: int, case: dict[str, Any]
) -> None:
    source = MemorySource()
    interval = parse_duration(case["interval"])
    for series in case["input_series"]:
        samples = enumerate(values(series["values"]))
        source.add(series["series"], *((at * interval, value) for at, value in samples))
    scheduler = Scheduler(
        load_rules([rules]),
        source,
        append=source.append,
        sink=Sink(),
        clock=lambda: 0,
        arrivals=queue.SimpleQueue(),
    )
    checks: dict[int, list[dict[str, Any]]] = {}
    for check in case["alert_rule_test"]:
        checks.setdefault(parse_duration(check["eval_time"]), []).append(check)
    wanted = {check["alertname"] for check in case["alert_rule_test"]}
    groups = [
        status.group.key
        for status in scheduler.groups()
        if wanted & {rule.name for rule in status.group.rules}
    ]
    for at in range(0, max(checks) + 1, step):
        scheduler.evaluate_groups(groups, at)
        for check in checks.get(at, ()):
            name = check["alertname"]
            firing = [
                (dict(alert.labels), dict(alert.annotations))
                for alert in scheduler.alerts()
                if alert.state is AlertState.FIRING and dict(alert.labels)["alertname"] == name
            ]
            expected = [
                ({**each["exp_labels"], "alertname": name}, each["exp_annotations"])
                for each in check["exp_alerts"]
            ]
            assert firing == expected, f"{name} at {check['eval_time']}"
