"""Which rules need only the series of the hosts whose data came late."""

from __future__ import annotations

from pathlib import Path

import pytest

from forewarn_collector.backlog.selecting import keeps_instance
from forewarn_collector.rules.load import load_rules

OWN = [
    "procs == 0",
    "rate(busy_seconds_total[5m]) > 0.9",
    "avg by (instance) (rate(busy_seconds_total[5m])) > 0.9",
    "sum without (cpu) (rate(busy_seconds_total[5m])) > 0.9",
    "free / size < 0.1",
    "free < 0.1 * size and on (instance, device) read_only == 0",
    "free and ignoring (device) up == 1",
    "predict_linear(free[1h], 3600) < 0",
    "time() - started > 60",
    "histogram_quantile(0.9, sum by (instance, le) (rate(b[5m])))",
    "topk by (instance) (2, load) > 3",
    "max_over_time((load > 1)[5m:1m])",
]
ACROSS = [
    "sum by (service) (lag) > 5",
    "sum(lag) > 5",
    "sum without (instance) (lag) > 5",
    "lag > on (service) group_left () limit",
    "lag > ignoring (instance) group_left () limit",
    "lag > scalar(limit)",
    "absent(up)",
    "vector(1)",
    "topk(2, load) > 3",
    "hour() > 5",
    'label_replace(load, "instance", "x", "", "") > 1',
    'ALERTS{alertstate="firing"} == 1',
]


def parts(folder: Path, *rules: str) -> list[list[str]]:
    lines = "\n".join(f"      - {rule}" for rule in rules)
    (folder / "r.yml").write_text(f"groups:\n  - name: g\n    rules:\n{lines}\n")
    return [
        sorted(rule.name for rule in part.rules())
        for part in keeps_instance(load_rules([folder / "r.yml"]))
    ]


@pytest.mark.parametrize("expr", OWN)
def test_an_alert_that_follows_from_its_own_host(tmp_path: Path, expr: str) -> None:
    assert parts(tmp_path, f"{{alert: A, expr: '{expr}'}}") == [["A"], []]


@pytest.mark.parametrize("expr", ACROSS)
def test_an_alert_that_may_follow_from_other_hosts(tmp_path: Path, expr: str) -> None:
    assert parts(tmp_path, f"{{alert: A, expr: '{expr}'}}") == [[], ["A"]]


def test_what_is_recorded_counts_as_what_it_was_made_of(tmp_path: Path) -> None:
    rules = (
        "{record: 'host:load:avg', expr: 'avg by (instance) (load)'}",
        "{record: 'service:load:sum', expr: 'sum by (service, instance) (load / on () group_left () all)'}",  # noqa: E501
        "{alert: Own, expr: 'host:load:avg > 1'}",
        "{alert: Across, expr: 'service:load:sum > 1'}",
    )
    assert parts(tmp_path, *rules) == [["Own", "host:load:avg"], ["Across", "service:load:sum"]]


def test_alerts_that_others_read_are_evaluated_with_these(tmp_path: Path) -> None:
    rules = (
        "{alert: Seen, expr: 'procs == 0'}",
        "{alert: Reads, expr: 'count(ALERTS{alertname=\"Seen\"}) > 1'}",
    )
    assert parts(tmp_path, *rules) == [[], ["Reads", "Seen"]]
