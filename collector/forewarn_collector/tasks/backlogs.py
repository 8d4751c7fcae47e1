"""Which late data the rules have yet to see at its own time: rows of the ledger."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from forewarn_collector.tasks.ledger import Ledger, chunks
from forewarn_collector.tasks.schema import backlogs


@dataclass(frozen=True, slots=True)
class NotedBacklog:
    """Data of a host came late, the oldest of it from `since` (ms)."""

    id: int
    host: str
    since: int


class BacklogRows:
    """Every method may raise LedgerError."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def add(self, since: Mapping[str, int], at: int) -> dict[str, int]:
        """Note the oldest late data (ms) of some hosts; the rows' ids by host."""
        found: dict[str, int] = {}
        with self._ledger.write() as connection:
            for host, oldest in since.items():
                row = insert(backlogs).values(host=host, since=oldest, noted_at=at)
                found[host] = connection.execute(row.returning(backlogs.c.id)).scalar_one()
        return found

    def load(self) -> list[NotedBacklog]:
        """All rows."""
        with self._ledger.read() as connection:
            rows = connection.execute(select(backlogs.c.id, backlogs.c.host, backlogs.c.since))
            return [NotedBacklog(*row) for row in rows]


def forget_backlogs(connection: Connection, ids: Collection[int]) -> None:
    """Within a transaction: these were looked at."""
    for chunk in chunks(sorted(ids)):
        connection.execute(delete(backlogs).where(backlogs.c.id.in_(chunk)))
