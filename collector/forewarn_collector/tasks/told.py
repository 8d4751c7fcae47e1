"""Which alerts a delivery tells of: those that fire, and those that are over and were told before.

It is what Alertmanager would send of the group. A queue that hears the first time of a task hears
of no alert that had ended by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, and_, func, select

from forewarn_collector.notifications import NotifiedAlert
from forewarn_collector.rules.alerts import Alert
from forewarn_collector.tasks.ledger import chunks
from forewarn_collector.tasks.lifecycle import Draft
from forewarn_collector.tasks.model import Member, Task
from forewarn_collector.tasks.rows import (
    Row,
    alert_from_row,
    labels_from_row,
    member_from_row,
    rows_of,
)
from forewarn_collector.tasks.schema import alerts, deliveries, task_alerts
from forewarn_collector.tasks.schema_silences import received_alerts
from forewarn_collector.tasks.words import DeliveryAction

MOST = 200
"""How many alerts a delivery tells of at most; it counts the others."""
_MOST_LETTERS = 256 * 1024


def told_alerts(connection: Connection, drafts: Sequence[Draft]) -> dict[int, Row]:
    """By task what its deliveries tell of alerts: JSON that is part of their snapshot.

    To be called before the rows of alerts that end are dropped.
    """
    earlier = _ended_before(connection, [draft for draft in drafts if not draft.is_new])
    members = {
        draft.task.id: {
            member.alert_id: member
            for member in (
                *draft.members.values(),
                *(each for each in draft.touched.values() if each.left_at is not None),
            )
        }
        for draft in drafts
    }
    ids = [name for of_task in members.values() for name in of_task]
    new = {name for draft in drafts for name in draft.alerts}
    known = _known(connection, [name for name in ids if name not in new])
    links = _links(connection, ids)
    found = {}
    for draft in drafts:
        told = [
            _told(member, draft.alerts.get(name) or known.get(name), draft.task, links.get(name))
            for name, member in members[draft.task.id].items()
        ]
        found[draft.task.id] = _bounded([*told, *earlier.get(draft.task.id, ())])
    return found


def alerts_of(snapshot: Mapping[str, Any], task: Task, action: DeliveryAction) -> Row:
    """The `alerts` of a delivery, and how many are `truncated`.

    An end is one of all alerts, whoever said so. A delivery that an older version owed has one
    alert, with what all of the task's share.
    """
    told = [_from_json(each) for each in snapshot.get("alerts", ())]
    if not told:
        told = [NotifiedAlert(task.labels, tuple(task.annotations.items()), task.onset_at)]
    if action is DeliveryAction.RESOLVE:
        ended = task.ended_at or task.resolved_at or task.onset_at
        told = [replace(each, ends_at=each.ends_at or ended) for each in told]
    return {"alerts": tuple(told), "truncated": snapshot.get("alerts_truncated", 0)}


def _told(member: Member, alert: Alert | None, task: Task, link: str | None) -> NotifiedAlert:
    annotations = tuple(task.annotations.items()) if alert is None else alert.annotations
    return NotifiedAlert(
        labels=member.labels,
        annotations=annotations,
        starts_at=member.joined_at if alert is None else alert.onset,
        ends_at=member.left_at,
        generator_url=link or "",
    )


def _known(connection: Connection, ids: Sequence[str]) -> dict[str, Alert]:
    found = {}
    for chunk in chunks(ids):
        for row in rows_of(connection.execute(select(alerts).where(alerts.c.id.in_(chunk)))):
            found[row["id"]] = alert_from_row(row)
    return found


def _links(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """Where alerts that came from outside say that they come from."""
    found: dict[str, str] = {}
    columns = received_alerts.c.id, received_alerts.c.generator_url
    for chunk in chunks(ids):
        rows = connection.execute(select(*columns).where(received_alerts.c.id.in_(chunk)))
        found |= {row[0]: row[1] for row in rows}
    return found


def _ended_before(
    connection: Connection, drafts: Sequence[Draft]
) -> dict[int, list[NotifiedAlert]]:
    """The alerts that fired as the last delivery told of a task, and ended before this."""
    by_id = {draft.task.id: draft for draft in drafts}
    left: dict[int, dict[Any, int]] = {}
    for chunk in chunks(list(by_id)):
        over = and_(task_alerts.c.task_id.in_(chunk), task_alerts.c.left_at.is_not(None))
        for row in rows_of(connection.execute(select(task_alerts).where(over))):
            member = member_from_row(row)
            if member.alert_id not in by_id[row["task_id"]].touched and member.left_at is not None:
                left.setdefault(row["task_id"], {})[member.labels] = member.left_at
    return {
        task_id: [
            replace(alert, ends_at=ends[alert.labels])
            for alert in map(_from_json, _last_told(connection, task_id))
            if alert.ends_at is None and alert.labels in ends
        ]
        for task_id, ends in left.items()
    }


def _last_told(connection: Connection, task_id: int) -> Iterable[Mapping[str, Any]]:
    of_task = deliveries.c.task_id == task_id
    last = select(func.max(deliveries.c.revision)).where(of_task).scalar_subquery()
    newest = select(deliveries.c.snapshot).where(of_task, deliveries.c.revision == last).limit(1)
    snapshot: Mapping[str, Any] | None = connection.execute(newest).scalar_one_or_none()
    return () if snapshot is None else snapshot.get("alerts", ())


def _bounded(told: Sequence[NotifiedAlert]) -> Row:
    """What fires comes first, each in the order in which it began."""
    ordered = sorted(told, key=lambda each: (each.ends_at is not None, each.starts_at, each.labels))
    taken: list[Row] = []
    letters = 0
    for alert in ordered[:MOST]:
        pairs = (*alert.labels, *alert.annotations)
        letters += sum(len(name) + len(value) for name, value in pairs) + len(alert.generator_url)
        if taken and letters > _MOST_LETTERS:
            break
        taken.append(_to_json(alert))
    return {"alerts": taken, "alerts_truncated": len(ordered) - len(taken)}


def _to_json(alert: NotifiedAlert) -> Row:
    return {
        "labels": alert.labels,
        "annotations": alert.annotations,
        "starts_at": alert.starts_at,
        "ends_at": alert.ends_at,
        "generator_url": alert.generator_url,
    }


def _from_json(row: Mapping[str, Any]) -> NotifiedAlert:
    return NotifiedAlert(
        labels=labels_from_row(row["labels"]),
        annotations=labels_from_row(row["annotations"]),
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        generator_url=row["generator_url"],
    )
