"""The progress of escalations as rows of the ledger."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, delete, insert, select

from forewarn_collector.tasks.escalation import Progress
from forewarn_collector.tasks.ledger import chunks
from forewarn_collector.tasks.rows import rows_of
from forewarn_collector.tasks.schema_escalations import escalations


def load_progress(connection: Connection, task_ids: Collection[int]) -> dict[int, Progress]:
    """How far the escalations of these tasks have come, of those that have one."""
    found: dict[int, Progress] = {}
    for chunk in chunks(sorted(task_ids)):
        rows = connection.execute(select(escalations).where(escalations.c.task_id.in_(chunk)))
        for row in rows_of(rows):
            found[row["task_id"]] = Progress(
                episode=row["episode"],
                done=tuple(row["done"]),
                queues=tuple(row["queues"]),
                paused_since=row["paused_since"],
                paused_for=row["paused_for"],
            )
    return found


def save_progress(connection: Connection, progress: Mapping[int, Progress]) -> None:
    """Write how far the escalations of tasks have come."""
    for chunk in chunks(sorted(progress)):
        connection.execute(delete(escalations).where(escalations.c.task_id.in_(chunk)))
    rows = [
        {
            "task_id": task_id,
            "episode": each.episode,
            "done": list(each.done),
            "queues": list(each.queues),
            "paused_since": each.paused_since,
            "paused_for": each.paused_for,
        }
        for task_id, each in progress.items()
    ]
    if rows:
        connection.execute(insert(escalations), rows)
