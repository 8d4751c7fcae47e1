"""Earlier tasks of the same problem, or of the same rule on the same host, and what ended them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, select

from forewarn_collector.tasks.ledger import chunks
from forewarn_collector.tasks.model import Task, number_of
from forewarn_collector.tasks.rows import Row, rows_of
from forewarn_collector.tasks.schema import task_alerts, tasks, timeline
from forewarn_collector.tasks.words import STANDING, TimelineKind

_OF_PROBLEM = 4
_OF_HOST = 3
_MOST = 5
_LENGTH = 500
_ENDED = tasks.c.state.not_in([state.value for state in STANDING])
_TOLD = [TimelineKind.RESOLVED.value, TimelineKind.CLOSED.value, TimelineKind.COMMENT.value]


def earlier_tasks(connection: Connection, of: Sequence[Task]) -> dict[int, list[dict[str, Any]]]:
    """Of each task, by its id, those before it that are over, the nearest kin and newest first.

    As JSON: `number`, `same` ("problem" or "rule"), `onset_at` and `ended_at` (ms), `reason`, `by`,
    `text` (what ended it) and `comment` (the last that somebody made).
    """
    ids: dict[int, dict[int, str]] = {task.id: {} for task in of}
    by_key = _by_key(connection, {task.key for task in of})
    by_host = _by_host(connection, {task.rule for task in of}, {_host(task) for task in of} - {""})
    for task in of:
        for found in by_key.get(task.key, ()):
            ids[task.id][found] = "problem"
        for found in by_host.get((task.rule, _host(task), task.customer), ()):
            ids[task.id].setdefault(found, "rule")
        ids[task.id].pop(task.id, None)
    told = _documents(connection, {found for of_task in ids.values() for found in of_task})
    return {
        task_id: [{**told[found], "same": same} for found, same in list(of_task.items())[:_MOST]]
        for task_id, of_task in ids.items()
    }


def _by_key(connection: Connection, keys: Iterable[str]) -> dict[str, list[int]]:
    place = func.row_number().over(partition_by=tasks.c.key, order_by=tasks.c.id.desc())
    found: dict[str, list[int]] = {}
    for chunk in chunks(sorted(keys)):
        ended = tasks.c.key.in_(chunk) & _ENDED
        numbered = select(tasks.c.id, tasks.c.key, place.label("place")).where(ended)
        for task_id, key, _ in connection.execute(_first(numbered, _OF_PROBLEM)):
            found.setdefault(key, []).append(task_id)
    return found


def _by_host(
    connection: Connection, rules: Iterable[str], hosts: Iterable[str]
) -> dict[tuple[str, str, str], list[int]]:
    """Of one customer only: two may have hosts of one name."""
    found: dict[tuple[str, str, str], list[int]] = {}
    wanted = sorted(rules)
    for some in chunks(sorted(hosts)):
        for chunk in chunks(wanted):
            of_host = (task_alerts.c.task_id == tasks.c.id) & task_alerts.c.instance.in_(some)
            kin = (tasks.c.rule, task_alerts.c.instance, tasks.c.customer)
            once = (
                select(tasks.c.id, *kin)
                .where(of_host, tasks.c.rule.in_(chunk), _ENDED)
                .distinct()
                .subquery()
            )
            place = func.row_number().over(
                partition_by=(once.c.rule, once.c.instance, once.c.customer),
                order_by=once.c.id.desc(),
            )
            for task_id, rule, host, customer, _ in connection.execute(
                _first(select(once, place.label("place")), _OF_HOST)
            ):
                found.setdefault((rule, host, customer), []).append(task_id)
    return found


def _first(numbered: Select[Any], most: int) -> Select[Any]:
    rows = numbered.subquery()
    return select(rows).where(rows.c.place <= most).order_by(rows.c.id.desc())


def _documents(connection: Connection, ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for chunk in chunks(sorted(ids)):
        for row in rows_of(connection.execute(select(tasks).where(tasks.c.id.in_(chunk)))):
            found[row["id"]] = _document(row)
        entries = select(timeline).where(timeline.c.task_id.in_(chunk), timeline.c.kind.in_(_TOLD))
        # The last of each kind counts.
        for entry in rows_of(connection.execute(entries.order_by(timeline.c.id))):
            said = "comment" if entry["kind"] == TimelineKind.COMMENT.value else "text"
            who = f"{entry['who']}: " if said == "comment" and entry["who"] else ""
            found[entry["task_id"]][said] = f"{who}{entry['text']}"[:_LENGTH]
    return found


def _document(row: Row) -> dict[str, Any]:
    return {
        "number": number_of(row["id"]),
        "onset_at": row["onset_at"],
        "ended_at": row["closed_at"] or row["resolved_at"],
        "reason": row["close_reason"] or row["resolve_reason"],
        "by": row["closed_by"] or row["resolved_by"],
        "text": "",
        "comment": "",
    }


def _host(task: Task) -> str:
    return dict(task.labels).get("instance", "")
