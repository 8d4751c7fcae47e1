"""What is to do on each host: how many tasks stand with an alert of it, and the worst of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import and_, func, select

from forewarn_collector.tasks.identity import severity_rank
from forewarn_collector.tasks.ledger import Ledger
from forewarn_collector.tasks.schema import task_alerts, tasks
from forewarn_collector.tasks.words import STANDING

HostKey = tuple[str, str]
"""A customer, empty for none, and the host's `instance`."""


@dataclass(frozen=True, slots=True)
class HostTasks:
    """How many tasks stand, and the severity of the worst."""

    count: int
    worst: str


def tasks_by_host(ledger: Ledger, customer: str = "") -> Mapping[HostKey, HostTasks]:
    """Of one customer or, where none is given, of all. Raises LedgerError."""
    stands = and_(
        task_alerts.c.left_at.is_(None),
        task_alerts.c.instance != "",
        tasks.c.state.in_([state.value for state in STANDING]),
    )
    columns = (tasks.c.customer, task_alerts.c.instance, tasks.c.severity)
    counted = (
        select(*columns, func.count(tasks.c.id.distinct()))
        .join(tasks, tasks.c.id == task_alerts.c.task_id)
        .where(stands)
        .group_by(*columns)
    )
    if customer:
        counted = counted.where(tasks.c.customer == customer)
    found: dict[HostKey, HostTasks] = {}
    with ledger.read() as connection:
        rows = connection.execute(counted).all()
    for of, instance, severity, count in rows:
        known = found.get((of, instance), HostTasks(0, severity))
        worst = min(known.worst, severity, key=severity_rank)
        found[of, instance] = HostTasks(known.count + count, worst)
    return found
