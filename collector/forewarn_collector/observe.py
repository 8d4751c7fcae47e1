"""The state of store, rules and ledger as metric families, read whenever somebody asks."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from forewarn_collector.ingest.agents import AgentWatch
from forewarn_collector.metrics import Family, Table
from forewarn_collector.rules import AlertingRule, Scheduler
from forewarn_collector.store import Store
from forewarn_collector.tasks import Ledger, LedgerError

log = logging.getLogger(__name__)


def store_families(store: Store, agents: AgentWatch) -> Iterable[Family]:
    """How much the store holds, and how many agents report."""
    stats = store.stats()
    for name, text, value in (
        ("forewarn_store_series", "Series with samples.", stats.series),
        ("forewarn_store_samples", "Samples in memory.", stats.samples),
        ("forewarn_store_head_bytes", "Memory that the columns take.", stats.head_bytes),
        ("forewarn_store_disk_bytes", "Size of the store's files.", stats.disk_bytes),
        ("forewarn_store_events", "Events stored.", stats.events),
        ("forewarn_store_damaged", "Parts of the journal set aside as damaged.", stats.damaged),
    ):
        yield Table(name, text).row(value).family()
    known = agents.agents()
    up = sum(agent.up for agent in known)
    table = Table("forewarn_agents", "Agents known, by whether they report.", ("state",))
    yield table.row(up, "up").row(len(known) - up, "silent").family()


def rule_families(scheduler: Scheduler) -> Iterable[Family]:
    """How the rule groups fare."""
    group = ("group",)
    seconds = Table(
        "forewarn_rule_group_last_duration_seconds", "Time of the last evaluation.", group
    )
    evaluations = Table(
        "forewarn_rule_group_evaluations_total", "Evaluations done.", group, counter=True
    )
    failures = Table(
        "forewarn_rule_group_failures_total", "Rules whose evaluation failed.", group, counter=True
    )
    alerts = Table("forewarn_alerts", "Alerts that are not inactive.", ("state",))
    states: dict[str, int] = {}
    for status in scheduler.groups():
        name = status.group.key
        seconds.row(status.evaluation_seconds, name)
        evaluations.row(status.evaluations, name)
        failures.row(status.failures, name)
        for rule in status.rules:
            if isinstance(rule.rule, AlertingRule):
                for alert in rule.alerts:
                    states[alert.state.value] = states.get(alert.state.value, 0) + 1
    for state in ("pending", "firing", "unknown"):
        alerts.row(states.get(state, 0), state)
    for table in (seconds, evaluations, failures, alerts):
        yield table.family()


def ledger_families(ledger: Ledger) -> Iterable[Family]:
    """Tasks by state and severity, deliveries by queue and state."""
    tasks = Table("forewarn_tasks", "Tasks in the ledger.", ("state", "severity", "kind"))
    deliveries = Table("forewarn_deliveries", "Deliveries in the ledger.", ("queue", "state"))
    try:
        for count in ledger.task_counts():
            tasks.row(count.tasks, count.state, count.severity, count.kind)
        for owed in ledger.delivery_counts():
            deliveries.row(owed.deliveries, owed.queue, owed.state)
    except LedgerError as error:
        # The other metrics must stay readable just when the disk is in trouble.
        log.warning("no task metrics: %s", error)
        return
    yield tasks.family()
    yield deliveries.family()
