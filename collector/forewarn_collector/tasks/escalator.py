"""Takes the steps of escalations when they are due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import and_, select, update

from forewarn_collector.tasks.escalation import Progress, decide, take
from forewarn_collector.tasks.escalation_rows import load_progress
from forewarn_collector.tasks.ledger import Ledger, chunks
from forewarn_collector.tasks.model import TaskChange
from forewarn_collector.tasks.schema import tasks
from forewarn_collector.tasks.service import ServiceLevels
from forewarn_collector.tasks.words import STANDING
from forewarn_collector.tasks.work import Work

_STANDS = tasks.c.state.in_([state.value for state in STANDING])


class Escalator:
    """Looks at tasks when something of theirs has changed or is due; `taken` counts steps by name.

    At first it looks at every task that stands, since the levels may be others than before.
    """

    def __init__(self, ledger: Ledger, levels: ServiceLevels) -> None:
        self._ledger = ledger
        self._levels = levels
        self._first = True
        self.taken: Counter[str] = Counter()

    def tick(self, at: int) -> list[TaskChange]:
        """Take the steps that are due by `at` (ms). Raises LedgerError; what was taken stays so."""
        due = tasks.c.next_escalation_at <= at
        which = _STANDS if self._first and self._levels.escalates else and_(_STANDS, due)
        with self._ledger.read() as connection:
            ids = list(connection.execute(select(tasks.c.id).where(which)).scalars())
        told: list[TaskChange] = []
        if self._levels.escalates:
            for chunk in chunks(ids):
                told += self._look(chunk, at)
        elif ids:
            with self._ledger.write() as connection:
                connection.execute(update(tasks).where(due).values(next_escalation_at=None))
        self._first = False
        return told

    def _look(self, ids: Sequence[int], at: int) -> list[TaskChange]:
        """One transaction: what was decided is written with what it does."""
        taken: list[str] = []
        with self._ledger.write() as connection:
            work = Work(self._ledger, connection, at, self._levels)
            work.load(ids)
            known = load_progress(connection, ids)
            for task_id, draft in work.drafts.items():
                if not draft.task.state.stands:
                    continue
                before = known.get(task_id, Progress())
                decision = decide(draft.task, before, self._levels, at)
                progress = decision.progress
                new: tuple[str, ...] = ()
                for step in decision.steps:
                    new = take(draft, step, progress, new)
                    taken.append(step.name)
                done = (*progress.done, *(step.name for step in decision.steps))
                progress = replace(progress, done=done, queues=(*progress.queues, *new))
                draft.task = replace(draft.task, escalation_step=len(done))
                work.progress[task_id] = progress
            told = work.save()
        self.taken.update(taken)
        return told
