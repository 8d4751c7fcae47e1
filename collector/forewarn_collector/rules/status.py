"""How groups and rules fare: immutable snapshots for the API and the metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from forewarn_collector.rules.alerts import Alert
from forewarn_collector.rules.model import Rule, RuleGroup
from forewarn_collector.rules.standing import Standing


class Health(StrEnum):
    """Whether a rule's last evaluation went well, in the words of Prometheus' API."""

    UNKNOWN = "unknown"
    OK = "ok"
    ERR = "err"


@dataclass(frozen=True, slots=True)
class RuleStatus:
    """A rule and its last evaluation. `last_evaluation` is in ms, None before the first.

    `elements` is how many elements its result had.
    """

    rule: Rule
    health: Health = Health.UNKNOWN
    last_error: str = ""
    last_evaluation: int | None = None
    evaluation_seconds: float = 0.0
    elements: int = 0
    standing: Standing = field(default_factory=Standing)

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The alerts that are not inactive."""
        return tuple(self.standing.alerts().values())


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """A group and how it fares.

    An evaluation may be one of all its rules or, where something arrived, of some. `evaluations`
    counts both, `failures` the rules that failed in one. `lag_seconds` is how long the last one
    was done after it was due, by the clock or by an arrival: the worst of its rules.
    """

    group: RuleGroup
    rules: tuple[RuleStatus, ...]
    evaluations: int = 0
    failures: int = 0
    lag_seconds: float = 0.0

    @property
    def last_evaluation(self) -> int | None:
        """When (ms) a rule of it was last evaluated; None before the first."""
        return max(
            (each.last_evaluation for each in self.rules if each.last_evaluation), default=None
        )

    @property
    def evaluation_seconds(self) -> float:
        """How long all its rules take, each by its last evaluation."""
        return sum(each.evaluation_seconds for each in self.rules)
