"""The tasks that one round of changes may touch, as drafts, wherever they are kept."""

from __future__ import annotations

from abc import ABC, abstractmethod

from forewarn_collector.tasks.holding import HoldBook
from forewarn_collector.tasks.lifecycle import Draft
from forewarn_collector.tasks.model import Task


class Drafts(ABC):
    """What a round needs to know of tasks and holds. `now` (ms) is when it is written."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.drafts: dict[int, Draft] = {}
        self.holds = HoldBook()
        self._latest: dict[str, Draft] = {}
        self._owners: dict[str, int] = {}

    @abstractmethod
    def new_id(self) -> int:
        """The id for a new task."""

    def owner(self, alert_id: str) -> Draft | None:
        """The task that an alert is a member of now."""
        draft = self.drafts.get(self._owners.get(alert_id, 0))
        return draft if draft is not None and alert_id in draft.members else None

    def latest(self, key: str) -> Draft | None:
        """The newest task of a key, as far as loaded."""
        return self._latest.get(key)

    def own(self, alert_id: str, draft: Draft) -> None:
        """Remember that an alert has become a member of a task."""
        self._owners[alert_id] = draft.task.id
        self._put(draft)

    def _put(self, draft: Draft) -> None:
        task: Task = draft.task
        self.drafts[task.id] = draft
        known = self._latest.get(task.key)
        if known is None or _order(known.task) <= _order(task):
            self._latest[task.key] = draft


def _order(task: Task) -> tuple[bool, float, int]:
    """Of the tasks of a key the one that is not resolved comes last, else the one to end last.

    Their numbers do not tell: a retrospective task is numbered when it became known.
    """
    if task.resolved_at is None or task.ended_at is None:
        return task.state.stands, float("inf"), task.id
    return False, max(task.resolved_at, task.ended_at), task.id
