"""Where an alert belongs: the key of its task, and the queue of that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.tasks.identity import task_key
from forewarn_wire import Labels


@dataclass(frozen=True, slots=True)
class Place:
    """The key of the task that an alert belongs to, and the queue where that is delivered.

    `reopen_within` (ms) is how long after its end the task comes back. `incident` names the
    grouping across rules that the key is of, empty where the key is of the rule alone; `origin` is
    "rule" or "alertmanager". `further` are other queues that hear of the task, too.
    """

    key: str
    queue: str
    reopen_within: int
    incident: str = ""
    origin: str = "rule"
    further: tuple[str, ...] = ()


class Placing(Protocol):
    """The configuration's view of where alerts belong. Pure."""

    def place(self, rule: AlertingRule, labels: Labels) -> Place:
        """The place of an alert with these final labels."""


@dataclass(frozen=True, slots=True)
class ByRule:
    """Each rule's problems are its own. `default_queue` takes those of rules that name none."""

    default_queue: str = ""

    def place(self, rule: AlertingRule, labels: Labels) -> Place:
        """By the rule's `task.group_by` and `task.queue`."""
        return Place(
            key=task_key(rule, labels),
            queue=rule.task.queue or self.default_queue,
            reopen_within=rule.task.reopen_within,
        )
