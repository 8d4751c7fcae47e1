"""Tasks that nobody works on: what the keeper makes of alerts on simulated time.

For tests and backtests of rules. The keeper and the ledger are the collector's own; the ledger lies
in a folder that is gone afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from forewarn_collector.rules import Alert, AlertChange, AlertingRule, TemplateContext
from forewarn_collector.rules.testing import OpenTask
from forewarn_collector.tasks.keeper import TaskKeeper
from forewarn_collector.tasks.ledger import Ledger
from forewarn_collector.tasks.model import Task, TaskChange, TaskState
from forewarn_collector.tasks.queries import MOST, TaskFilter, TaskQueries

_NOT_RESOLVED = TaskFilter(states=(TaskState.OPEN, TaskState.ACKNOWLEDGED))


@contextmanager
def rehearsal(external_url: str, external_labels: Mapping[str, str]) -> Iterator[Rehearsal]:
    """A rehearsal without any task yet; what templates know of the outside is given."""
    with TemporaryDirectory(prefix="forewarn-") as folder:
        ledger = Ledger(Path(folder), durable=False)
        ledger.open()
        try:
            context = TemplateContext(external_url=external_url, external_labels=external_labels)
            yield Rehearsal(ledger, context)
        finally:
            ledger.close()


class Rehearsal:
    """Takes changes of alerts in the order of their times. Raises LedgerError."""

    def __init__(self, ledger: Ledger, templates: TemplateContext) -> None:
        self._now = 0
        self._queries = TaskQueries(ledger)
        self._keeper = TaskKeeper(
            ledger, _NoEvidence(), "", lambda: self._now, _tell_nobody, templates
        )

    def apply(self, changes: Sequence[AlertChange], at: int) -> None:
        """Make tasks of the changes of one evaluation, as if `at` (ms) were now."""
        self._now = at
        self._keeper.apply(changes, at)

    def open_tasks(self) -> list[OpenTask]:
        """The tasks that are not resolved, the newest first."""
        page = self._queries.list(_NOT_RESOLVED, limit=MOST)
        return [
            OpenTask(task.rule_name, task.title, task.severity, task.labels) for task in page.tasks
        ]

    def tasks(self) -> tuple[Task, ...]:
        """All tasks with their timelines, in the order in which they opened."""
        return self._queries.everything()


class _NoEvidence:
    """There are no samples but the test's own."""

    def gather(
        self, wanted: Sequence[tuple[AlertingRule, Alert]], at: int
    ) -> Sequence[Mapping[str, Any]]:
        return [{} for _ in wanted]


def _tell_nobody(changes: Sequence[TaskChange]) -> None:
    """There is no queue."""
