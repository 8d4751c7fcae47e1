"""Service levels as configured: how soon what is due, and what happens when nobody acts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from forewarn_collector.calendars.hours import BusinessHours
from forewarn_collector.calendars.rotation import Rotation
from forewarn_collector.silencing.matchers import Matcher, matches_all


class StepFrom(StrEnum):
    """What a step of an escalation counts from."""

    OPENED = "after"
    BEFORE_DUE = "before_due"
    OVERDUE = "overdue"


NEXT = "next"
"""The assignee of a step that hands a task to the next of the rotation."""


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One step: when, what it does, and whether an acknowledgement makes it needless.

    `wait` (ms of business time) is how long after opening, before the due time or after it.
    `queue`, `severity` and `assign` are empty where it does nothing of the kind.
    """

    name: str
    counts_from: StepFrom
    wait: int
    queue: str = ""
    severity: str = ""
    assign: str = ""
    stops_on_acknowledgement: bool = True


@dataclass(frozen=True)
class ServiceLevel:
    """What is promised for the tasks that all `matchers` fit.

    `due` is by severity, in ms of business time. `hours` tells business time, `rotation` who gets
    a new task; without the latter, nobody does.
    """

    name: str
    matchers: tuple[Matcher, ...]
    hours: BusinessHours
    due: Mapping[str, int] = field(default_factory=dict)
    steps: tuple[StepSpec, ...] = ()
    rotation: Rotation | None = None

    def concerns(self, labels: Mapping[str, str]) -> bool:
        """Whether a task with these labels is meant."""
        return matches_all(self.matchers, labels)
