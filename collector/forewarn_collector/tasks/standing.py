"""What the tasks that stand have in common: how many there are of each customer, severity, ..."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, select

from forewarn_collector.tasks.identity import severity_rank
from forewarn_collector.tasks.schema import task_alerts, tasks
from forewarn_collector.tasks.words import STANDING

FIELDS = ("severity", "customer", "service", "kind", "queue", "assignee")
_MOST_HOSTS = 500


@dataclass(frozen=True, slots=True)
class Standing:
    """How many tasks stand with each value of each of `FIELDS`, and the hosts that they are of."""

    counts: Mapping[str, Mapping[str, int]]
    hosts: tuple[str, ...]

    @property
    def total(self) -> int:
        """How many stand."""
        return sum(self.counts["severity"].values())

    def values(self, field: str) -> list[str]:
        """The values of a field in order, an empty one not among them; severities worst first."""
        found = [value for value in self.counts[field] if value]
        return sorted(found, key=severity_rank) if field == "severity" else sorted(found)


def read_standing(connection: Connection, within: Sequence[ColumnElement[bool]]) -> Standing:
    """Read that, of tasks that meet the conditions; of the hosts the first few hundred."""
    stands = [tasks.c.id > 0, tasks.c.state.in_([state.value for state in STANDING]), *within]
    columns = [tasks.c[name] for name in FIELDS]
    counted = select(*columns, func.count()).where(*stands).group_by(*columns)
    counts: dict[str, Counter[str]] = {name: Counter() for name in FIELDS}
    for *values, count in connection.execute(counted).all():
        for name, value in zip(FIELDS, values, strict=True):
            counts[name][value] += count
    hosts = (
        select(task_alerts.c.instance)
        .join(tasks, tasks.c.id == task_alerts.c.task_id)
        .where(*stands, task_alerts.c.instance != "")
        .distinct()
        .order_by(task_alerts.c.instance)
        .limit(_MOST_HOSTS)
    )
    return Standing(counts, tuple(connection.execute(hosts).scalars()))
