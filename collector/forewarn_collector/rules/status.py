"""How groups and rules fare: immutable snapshots for the API and the metrics."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from forewarn_collector.rules.alerts import Alert
from forewarn_collector.rules.model import Rule, RuleGroup


class Health(StrEnum):
    """Whether a rule's last evaluation went well, in the words of Prometheus' API."""

    UNKNOWN = "unknown"
    OK = "ok"
    ERR = "err"


@dataclass(frozen=True, slots=True)
class RuleStatus:
    """A rule and its last evaluation. `last_evaluation` is in ms, None before the first."""

    rule: Rule
    health: Health = Health.UNKNOWN
    last_error: str = ""
    last_evaluation: int | None = None
    evaluation_seconds: float = 0.0
    alerts: tuple[Alert, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """A group and its last evaluation. `failures` counts rules whose evaluation failed."""

    group: RuleGroup
    rules: tuple[RuleStatus, ...]
    last_evaluation: int | None = None
    evaluation_seconds: float = 0.0
    evaluations: int = 0
    failures: int = 0
