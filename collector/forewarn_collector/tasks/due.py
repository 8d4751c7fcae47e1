"""What time alone does to tasks, and what holds do to those that are open: found and done."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, and_, or_, select

from forewarn_collector.tasks import handling
from forewarn_collector.tasks.gates import Hold, HoldKind, Verdicts
from forewarn_collector.tasks.ledger import chunks
from forewarn_collector.tasks.lifecycle import Draft
from forewarn_collector.tasks.schema import holds, task_alerts, tasks
from forewarn_collector.tasks.words import STANDING
from forewarn_collector.tasks.work import Work

_STANDS = tasks.c.state.in_([state.value for state in STANDING])


@dataclass(frozen=True, slots=True)
class Due:
    """Ids of tasks of which something is due, and of muted alerts to look at again."""

    tasks: frozenset[int]
    alerts: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.tasks or self.alerts)


def find_due(connection: Connection, at: int) -> Due:
    """What is due by `at` (ms)."""
    times = (tasks.c.waiting_until, tasks.c.calm_at)
    waiting = select(tasks.c.id).where(_STANDS, or_(*(time <= at for time in times)))
    muted = select(holds.c.alert_id).where(
        holds.c.ended_at.is_(None), holds.c.kind == HoldKind.MUTED.value, holds.c.until <= at
    )
    return Due(
        frozenset(connection.execute(waiting).scalars()),
        frozenset(connection.execute(muted).scalars()),
    )


def find_quiet(connection: Connection, alert_ids: Collection[str]) -> frozenset[int]:
    """Ids of the tasks that are quiet, and of those that stand and that these alerts belong to."""
    is_quiet = or_(tasks.c.quiet_since.is_not(None), tasks.c.parent.is_not(None))
    found = set(connection.execute(select(tasks.c.id).where(is_quiet)).scalars())
    for chunk in chunks(sorted(alert_ids)):
        current = and_(task_alerts.c.alert_id.in_(chunk), task_alerts.c.left_at.is_(None))
        found.update(connection.execute(select(task_alerts.c.task_id).where(current)).scalars())
    return frozenset(found)


def wake_waiting(work: Work) -> None:
    """Open again what has waited for long enough."""
    for draft in work.drafts.values():
        until = draft.task.waiting_until
        if until is not None and until <= work.now:
            handling.wake(draft)


def settle_quiet(work: Work, verdicts: Verdicts) -> None:
    """Have the tasks that are loaded be quiet while all their alerts are held, and speak if not.

    The tasks of alerts by which others are held must be loaded too.
    """
    for draft in work.drafts.values():
        if not draft.task.state.stands or not draft.members:
            continue
        found = [verdicts.get(name) for name in sorted(draft.members)]
        if all(hold is not None for hold in found):
            _quieten(work, draft, next(hold for hold in found if hold is not None))
        elif draft.task.is_quiet:
            draft.speak()


def sources(verdicts: Verdicts) -> list[str]:
    """The ids of the alerts that say that a host is lost."""
    return sorted({hold.ref for hold in verdicts.values() if hold.kind is HoldKind.HOST_LOST})


def _quieten(work: Work, draft: Draft, hold: Hold) -> None:
    parent = None
    if hold.kind is HoldKind.HOST_LOST:
        owner = work.owner(hold.ref)
        if owner is not None and owner.task.state.stands:
            parent = owner.task.id
    draft.quieten(hold.kind.value, hold.by, hold.text, parent)
