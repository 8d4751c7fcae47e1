"""Alerts of several rules that are one task."""

from __future__ import annotations

from pathlib import Path

import pytest

from forewarn_collector.config import read_config
from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.tasks import ByRule, TaskQueries
from forewarn_collector.tasks.incidents import ByIncident, read_incidents
from support.alerts import HOUR, MINUTE, T0, Desk, alert_of, change, rule_of

FIRING, INACTIVE = AlertState.FIRING, AlertState.INACTIVE
CONFIG = """\
incidents:
  - name: service
    match: ['severity=~"high|critical"']
    group_by: [service]
    window: 30m
"""
SLOW, DOWN = rule_of("Slow"), rule_of("Down")


@pytest.fixture
def desk(tmp_path: Path, each_database: str) -> Desk:
    config = read_config(CONFIG, "c.yml")
    incidents = read_incidents(config.incidents)
    assert config.problems == []
    return Desk(tmp_path, placing=ByIncident(ByRule("support"), incidents))


def test_alerts_of_one_service_and_customer_are_one_incident_whatever_their_rules(
    desk: Desk,
) -> None:
    shop = {"service": "shop", "customer": "acme"}
    told = desk.apply(
        change(SLOW, alert_of(SLOW, {**shop, "instance": "a", "severity": "high"}), FIRING),
        change(DOWN, alert_of(DOWN, {**shop, "instance": "b", "severity": "critical"}), FIRING),
        # Another customer's, one that does not match, and one of no service.
        change(DOWN, alert_of(DOWN, {"service": "shop", "severity": "high"}), FIRING),
        change(SLOW, alert_of(SLOW, {**shop, "severity": "low"}), FIRING),
        change(SLOW, alert_of(SLOW, {"instance": "c", "severity": "high"}), FIRING),
    )
    assert [(each.task.number, each.task.incident, each.task.key) for each in told] == [
        ("FW-1", "service", 'incident/service{customer="acme", service="shop"}'),
        ("FW-2", "service", 'incident/service{service="shop"}'),
        ("FW-3", "", 'storage/Slow{customer="acme", service="shop"}'),
        ("FW-4", "", 'storage/Slow{instance="c"}'),
    ]
    task = TaskQueries(desk.ledger).one("FW-1")
    assert (len(task.members), task.severity, task.service) == (2, "critical", "shop")
    desk.close()


def test_an_incident_that_is_over_comes_back_within_its_window_and_not_after(desk: Desk) -> None:
    slow = alert_of(SLOW, {"service": "shop", "severity": "high"})
    down = alert_of(DOWN, {"service": "shop", "severity": "high"})
    desk.apply(change(SLOW, slow, FIRING))
    desk.apply(change(SLOW, slow, INACTIVE, T0 + MINUTE))
    (told,) = desk.apply(change(DOWN, down, FIRING, T0 + 31 * MINUTE))
    assert (told.task.number, told.reason) == ("FW-1", "reopened")
    desk.apply(change(DOWN, down, INACTIVE, T0 + HOUR))
    (told,) = desk.apply(change(SLOW, slow, FIRING, T0 + HOUR + 31 * MINUTE))
    assert (told.task.number, told.reason, told.task.previous) == ("FW-2", "new", 1)
    desk.close()


def test_what_is_wrong_with_incidents_is_said_with_its_place() -> None:
    config = read_config(
        "incidents:\n  - {name: a, group_by: [service], match: 'x'}\n"
        "  - {name: a, group_by: ['1x'], when: 3}\n",
        "c.yml",
    )
    read_incidents(config.incidents)
    assert [str(problem).partition(" (")[0] for problem in config.problems] == [
        "c.yml:2:43: match: bad matcher format: x",
        "c.yml:3:25: group_by: not a label's name: '1x'",
        "c.yml:3:33: unknown field when",
        "c.yml:3:12: there is an incident a already",
    ]
