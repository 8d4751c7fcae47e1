"""What came after an alert fired: gathered once when it is due, and kept with its task."""

from __future__ import annotations

from sqlalchemy import insert, select, update

from forewarn_collector.tasks.evidence_source import EvidenceSource
from forewarn_collector.tasks.ledger import Ledger
from forewarn_collector.tasks.rows import rows_of
from forewarn_collector.tasks.schema import evidence, tasks

_AT_ONCE = 50


def keep_follow_ups(ledger: Ledger, source: EvidenceSource, at: int) -> None:
    """Add the follow-ups that are due by `at` (ms) and that this collector is to gather.

    What there is no time for is left to the next call. A row's time is taken away in the
    transaction that adds its follow-up, so that there is one, whatever crashes. Nobody is told of
    it for its own sake: the next delivery of the task carries it. Raises LedgerError.
    """
    due = (
        select(evidence.c.id, evidence.c.task_id, evidence.c.document)
        .where(evidence.c.follow_up_at <= at, evidence.c.gathered_by == ledger.member)
        .order_by(evidence.c.follow_up_at, evidence.c.id)
        .limit(_AT_ONCE)
    )
    with ledger.read() as connection:
        rows = rows_of(connection.execute(due))
    if not rows:
        return
    found = source.follow_up([row["document"] for row in rows], at)
    with ledger.write() as connection:
        for row, document in zip(rows, found, strict=False):
            owed = (evidence.c.id == row["id"]) & evidence.c.follow_up_at.is_not(None)
            taken = connection.execute(update(evidence).where(owed).values(follow_up_at=None))
            if taken.rowcount == 1:
                revision = select(tasks.c.revision).where(tasks.c.id == row["task_id"])
                added = {
                    "task_id": row["task_id"],
                    "revision": connection.execute(revision).scalar_one() + 1,
                    "document": dict(document),
                }
                connection.execute(insert(evidence).values(added))
