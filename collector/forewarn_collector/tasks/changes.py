"""What has happened to tasks since, as a log that a reader can follow: the timelines of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from forewarn_collector.tasks.ledger import Ledger
from forewarn_collector.tasks.model import Task, TimelineEntry
from forewarn_collector.tasks.rows import entry_from_row, rows_of, task_from_row
from forewarn_collector.tasks.schema import tasks, timeline


@dataclass(frozen=True, slots=True)
class Happening:
    """An entry of a task's timeline, by its place among those of all tasks.

    `task` is the task as it is now, without timeline and evidence.
    """

    place: int
    entry: TimelineEntry
    task: Task

    def to_json(self) -> dict[str, Any]:
        """The happening as the API shows it."""
        return {
            "number": self.task.number,
            "entry": self.entry.to_json(),
            "task": self.task.to_json(),
        }


class Happenings:
    """Reads of the ledger, which writes one transaction after the other: places only rise.

    Every method may raise LedgerError.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def last(self) -> int:
        """The place of the last one; 0 where there is none."""
        with self._ledger.read() as connection:
            return connection.execute(select(func.max(timeline.c.id))).scalar_one() or 0

    def after(self, place: int, limit: int, customer: str = "") -> list[Happening]:
        """The next ones behind a place, the oldest first; of one customer or of all."""
        found = select(timeline).where(timeline.c.id > place).order_by(timeline.c.id).limit(limit)
        if customer:
            found = found.join(tasks).where(tasks.c.customer == customer)
        with self._ledger.read() as connection:
            rows = rows_of(connection.execute(found))
            of_tasks = select(tasks).where(tasks.c.id.in_({row["task_id"] for row in rows}))
            known = {row["id"]: task_from_row(row) for row in rows_of(connection.execute(of_tasks))}
        return [Happening(row["id"], entry_from_row(row), known[row["task_id"]]) for row in rows]
