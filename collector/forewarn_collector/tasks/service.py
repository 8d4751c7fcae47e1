"""What customers are promised: when a task is due, who hears of it next, who is on call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from forewarn_collector.tasks.identity import due_after
from forewarn_collector.tasks.model import Task
from forewarn_wire import Labels


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an escalation, to be taken once from `at` (ms) on.

    `name` is unique among all steps. `reason` says why it is taken, for people. `queue` is told,
    too, `severity` is the least from then on, `assignee` gets it (`because` of what); each empty
    for nothing of the kind.
    """

    name: str
    at: int
    reason: str
    queue: str = ""
    severity: str = ""
    assignee: str = ""
    because: str = ""


@dataclass(frozen=True, slots=True)
class OnCall:
    """Who gets a new task, and why, for people."""

    who: str
    why: str


class ServiceLevels(Protocol):
    """Service levels by configuration. Pure: the same question has the same answer."""

    @property
    def escalates(self) -> bool:
        """Whether any task has steps."""

    def due(self, kind: str, severity: str, customer: str, labels: Labels, opened_at: int) -> int:
        """When (ms) a task that opens at `opened_at` is due. A rule's own `task.due` wins."""

    def steps(self, task: Task, since: int) -> Sequence[Step]:
        """The steps that a task as it is now is to take, those that were taken among them.

        `since` (ms) is from when the time without an acknowledgement counts.
        """

    def on_call(self, task: Task, at: int) -> OnCall | None:
        """Who is assigned a task that opens at `at` (ms); None where no rotation says so."""


class BySeverity:
    """What holds without any configuration: due by severity alone, and nobody else is told."""

    escalates = False

    def due(self, kind: str, severity: str, customer: str, labels: Labels, opened_at: int) -> int:
        """critical 4 h, high 1 d, medium or warning 3 d, low 7 d, anything else 14 d."""
        return opened_at + due_after(severity)

    def steps(self, task: Task, since: int) -> Sequence[Step]:
        """None."""
        return ()

    def on_call(self, task: Task, at: int) -> OnCall | None:
        """Nobody."""
        return None
