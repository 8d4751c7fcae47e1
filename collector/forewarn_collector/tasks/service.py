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
    """One step of an escalation: from `at` (ms) on, unless somebody has taken the task.

    `text` says it for people; `assignee` and `queue` are whom and what to tell, empty for the same.
    """

    at: int
    text: str
    assignee: str = ""
    queue: str = ""


class ServiceLevels(Protocol):
    """Service levels by configuration. Pure: the same question has the same answer."""

    def due(self, kind: str, severity: str, customer: str, labels: Labels, opened_at: int) -> int:
        """When (ms) a task that opens at `opened_at` is due. A rule's own `task.due` wins."""

    def steps(self, task: Task) -> Sequence[Step]:
        """The escalation of a task, from its times as they are now; ascending."""

    def on_call(self, customer: str, service: str, at: int) -> str:
        """Who is assigned what opens at `at` (ms); empty where no rotation says so."""


class BySeverity:
    """What holds without any configuration: due by severity alone, and nobody else is told."""

    def due(self, kind: str, severity: str, customer: str, labels: Labels, opened_at: int) -> int:
        """critical 4 h, high 1 d, medium or warning 3 d, low 7 d, anything else 14 d."""
        return opened_at + due_after(severity)

    def steps(self, task: Task) -> Sequence[Step]:
        """None."""
        return ()

    def on_call(self, customer: str, service: str, at: int) -> str:
        """Nobody."""
        return ""
