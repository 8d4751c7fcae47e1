"""Holds as rows of the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.tasks.gates import GatedAlert, Hold, HoldKind
from forewarn_collector.tasks.holding import HeldAlert
from forewarn_collector.tasks.ledger import chunks
from forewarn_collector.tasks.rows import Row, labels_from_row, rows_of
from forewarn_collector.tasks.schema import alerts, holds

KEPT = 30 * 86_400_000
"""How long (ms) the row of a hold stays after its end."""


def gated_alerts(connection: Connection) -> list[GatedAlert]:
    """All alerts that fire or are unknown."""
    columns = (alerts.c.id, alerts.c.rule_key, alerts.c.labels, alerts.c.state, alerts.c.onset)
    states = [AlertState.FIRING.value, AlertState.UNKNOWN.value]
    return [
        GatedAlert(
            row.id, row.rule_key, labels_from_row(row.labels), AlertState(row.state), row.onset
        )
        for row in connection.execute(select(*columns).where(alerts.c.state.in_(states)))
    ]


def current_holds(connection: Connection) -> list[HeldAlert]:
    """All that is held now."""
    found = select(holds).where(holds.c.ended_at.is_(None)).order_by(holds.c.id)
    return [_held(row) for row in rows_of(connection.execute(found))]


def held_of(connection: Connection, alert_ids: Sequence[str]) -> list[HeldAlert]:
    """What held these alerts, in the order in which it did; the ended as far as they are kept."""
    found: list[HeldAlert] = []
    for chunk in chunks(alert_ids):
        rows = connection.execute(
            select(holds).where(holds.c.alert_id.in_(chunk)).order_by(holds.c.id)
        )
        found += [_held(row) for row in rows_of(rows)]
    return found


def save_holds(connection: Connection, changed: Sequence[HeldAlert]) -> None:
    """Write holds that began, changed or ended."""
    # First those that ended: the database admits one of each alert that has not.
    known = [_row(held) | {"of_row": held.row} for held in changed if held.row]
    if known:
        columns: dict[str, Any] = {name: bindparam(name) for name in _row(changed[0])}
        statement = update(holds).where(holds.c.id == bindparam("of_row")).values(columns)
        connection.execute(statement, known)
    new = [_row(held) for held in changed if not held.row]
    if new:
        connection.execute(insert(holds), new)


def forget_holds(connection: Connection, before: int) -> None:
    """Drop the rows of holds that ended before this (ms)."""
    connection.execute(delete(holds).where(holds.c.ended_at < before))


def _row(held: HeldAlert) -> Row:
    return {
        "alert_id": held.alert_id,
        "rule_key": held.rule_key,
        "labels": held.labels,
        "kind": held.hold.kind.value,
        "ref": held.hold.ref,
        "text": held.hold.text,
        "until": held.hold.until,
        "since": held.since,
        "ended_at": held.ended_at,
        "outcome": held.outcome,
    }


def _held(row: Mapping[str, Any]) -> HeldAlert:
    return HeldAlert(
        alert_id=row["alert_id"],
        rule_key=row["rule_key"],
        labels=labels_from_row(row["labels"]),
        hold=Hold(HoldKind(row["kind"]), row["ref"], row["text"], row["until"]),
        since=row["since"],
        ended_at=row["ended_at"],
        outcome=row["outcome"],
        row=row["id"],
    )
