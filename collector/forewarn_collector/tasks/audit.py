"""The audit log: who did what to what, when and why. It only grows; the database sees to that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert, select

from forewarn_collector.tasks.ledger import Ledger
from forewarn_collector.tasks.rows import rows_of
from forewarn_collector.tasks.schema import audit

MOST = 1_000
"""The most entries that one page of the log holds."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a person with the role of their token, or a part of the collector."""

    name: str
    role: str = ""
    token: str = ""
    """The name of the token by which that came."""

    def detail(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """What the audit log says beside: `found`, and by which token it came, if by any."""
        return {**found, "token": self.token} if self.token else dict(found)


RULES = Actor("rules", "collector")
"""Alerts and the clock."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that was done. `object` is a task's number, a silence's id, and so on; `at` ms."""

    at: int
    who: str
    role: str
    action: str
    object: str
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0

    def to_json(self) -> dict[str, Any]:
        """The entry as the API shows it."""
        return {
            "id": self.id,
            "at": self.at,
            "who": self.who,
            "role": self.role,
            "action": self.action,
            "object": self.object,
            "reason": self.reason,
            "detail": dict(self.detail),
        }


def add_audit(connection: Connection, entries: Sequence[AuditEntry]) -> None:
    """Within a transaction: write what it does."""
    rows = [
        {name: value for name, value in entry.to_json().items() if name != "id"}
        for entry in entries
    ]
    if rows:
        connection.execute(insert(audit), rows)


class AuditLog:
    """Reads of the log. Every method may raise LedgerError."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def list(
        self,
        *,
        of: str = "",
        who: str = "",
        action: str = "",
        since: int | None = None,
        until: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[AuditEntry]:
        """Entries, the newest first, `of` one object; `before` is the id of the last known.

        `since` and `until` (ms, the latter not included) are when that was.
        """
        found = select(audit).order_by(audit.c.id.desc()).limit(max(0, min(limit, MOST)))
        if of:
            found = found.where(audit.c.object == of)
        if who:
            found = found.where(audit.c.who == who)
        if action:
            found = found.where(audit.c.action == action)
        if since is not None:
            found = found.where(audit.c.at >= since)
        if until is not None:
            found = found.where(audit.c.at < until)
        if before is not None:
            found = found.where(audit.c.id < before)
        with self._ledger.read() as connection:
            return [AuditEntry(**row) for row in rows_of(connection.execute(found))]
