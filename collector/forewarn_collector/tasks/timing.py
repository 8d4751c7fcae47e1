"""How long the steps of a task's life took."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from forewarn_collector.tasks.model import TaskChange
from forewarn_collector.tasks.words import OpenReason


class Milestone(StrEnum):
    """What a task comes to; the first two count from its onset, the others from its opening."""

    DETECTED = "detected"
    OPENED = "opened"
    DELIVERED = "delivered"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


def milestones(change: TaskChange) -> Iterator[tuple[Milestone, int]]:
    """The steps that a change takes, each with the time (ms) that it took.

    A task that comes back counts from then on. What was held back, or known only when it was over,
    tells nothing of how soon tasks open.
    """
    task, at = change.task, change.at
    if task.retrospective:
        return
    if change.reason == OpenReason.NEW and task.held_since is None:
        yield Milestone.DETECTED, max(0, task.detected_at - task.onset_at)
        yield Milestone.OPENED, max(0, task.opened_at - task.onset_at)
    begun = task.opened_at if task.reopened_at is None else task.reopened_at
    if task.acknowledged_at == at:
        yield Milestone.ACKNOWLEDGED, max(0, at - begun)
    if task.resolved_at is not None and change.ends:
        yield Milestone.RESOLVED, max(0, task.resolved_at - begun)
