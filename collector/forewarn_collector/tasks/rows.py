"""Between the ledger's rows and our dataclasses."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Result

from forewarn_collector.promql import plain_float
from forewarn_collector.rules.alerts import Alert, AlertState
from forewarn_collector.tasks.model import (
    Member,
    Task,
    TimelineEntry,
)
from forewarn_collector.tasks.words import TaskState, TimelineKind
from forewarn_wire import Labels

Row = dict[str, Any]

_ASIDE = {"timeline", "members", "evidence", "following", "tickets"}
"""What of a task stands in other tables."""
_TASK_COLUMNS = [field.name for field in dataclasses.fields(Task) if field.name not in _ASIDE]
_ALERT_TIMES = ("onset", "active_at", "evaluated_at", "fired_at", "keep_firing_since")


def rows_of(result: Result[Any]) -> list[Row]:
    """All rows of a query, each by its columns' names."""
    names = [str(name) for name in result.keys()]  # noqa: SIM118 - a result is its rows
    return [dict(zip(names, row, strict=True)) for row in result]


@functools.lru_cache(maxsize=16_384)
def alert_id(rule_key: str, labels: Labels) -> str:
    """A digest that names an alert: the same rule and labels, the same id, on any machine."""
    text = json.dumps([rule_key, labels], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def alert_to_row(rule_key: str, alert: Alert) -> Row:
    """A row of `alerts`."""
    return {
        "id": alert_id(rule_key, alert.labels),
        "rule_key": rule_key,
        "labels": alert.labels,
        "series": alert.series,
        "annotations": alert.annotations,
        "state": alert.state.value,
        "value": plain_float(alert.value),
        "unknown_since": alert.unknown_since,
        **{name: getattr(alert, name) for name in _ALERT_TIMES},
    }


def alert_from_row(row: Mapping[str, Any]) -> Alert:
    """An alert as the ledger keeps it."""
    return Alert(
        labels=labels_from_row(row["labels"]),
        series=labels_from_row(row["series"]),
        annotations=labels_from_row(row["annotations"]),
        value=float(row["value"]),
        state=AlertState(row["state"]),
        unknown_since=row["unknown_since"],
        **{name: row[name] for name in _ALERT_TIMES},
    )


def task_to_row(task: Task) -> Row:
    """A row of `tasks`; also the snapshot in a delivery, as all of it is JSON."""
    row: Row = {name: getattr(task, name) for name in _TASK_COLUMNS}
    row["state"] = task.state.value
    row["annotations"] = dict(task.annotations)
    return row


def changed_columns(before: Task, after: Task) -> Row:
    """What of a task's row differs."""
    old = task_to_row(before)
    return {name: value for name, value in task_to_row(after).items() if value != old[name]}


def task_from_row(row: Mapping[str, Any]) -> Task:
    """A task without timeline, members and evidence."""
    # A delivery that an older version owed knows nothing of what came later.
    fields = {name: row[name] for name in _TASK_COLUMNS if name in row}
    fields["state"] = TaskState(fields["state"])
    fields["labels"] = labels_from_row(fields["labels"])
    fields["checklist"] = tuple(fields["checklist"])
    return Task(**fields)


def member_to_row(task_id: int, member: Member) -> Row:
    """A row of `task_alerts`."""
    return {
        "task_id": task_id,
        "alert_id": member.alert_id,
        "labels": member.labels,
        "instance": dict(member.labels).get("instance", ""),
        "joined_at": member.joined_at,
        "left_at": member.left_at,
        "unknown_since": member.unknown_since,
    }


def member_from_row(row: Mapping[str, Any]) -> Member:
    """A member of a task."""
    return Member(
        alert_id=row["alert_id"],
        labels=labels_from_row(row["labels"]),
        joined_at=row["joined_at"],
        left_at=row["left_at"],
        unknown_since=row["unknown_since"],
    )


def entry_to_row(task_id: int, entry: TimelineEntry) -> Row:
    """A row of `timeline`."""
    return {
        "task_id": task_id,
        "at": entry.at,
        "kind": entry.kind.value,
        "reason": entry.reason,
        "who": entry.who,
        "text": entry.text,
    }


def entry_from_row(row: Mapping[str, Any]) -> TimelineEntry:
    """An entry of a timeline."""
    return TimelineEntry(
        row["at"], TimelineKind(row["kind"]), row["text"], row["reason"], row["who"]
    )


def labels_from_row(pairs: Iterable[Iterable[str]]) -> Labels:
    """Labels as a column of JSON gives them, which has no tuples."""
    return tuple((name, value) for name, value in pairs)
