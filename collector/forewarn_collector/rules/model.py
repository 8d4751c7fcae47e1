"""What a rule file says, checked and compiled: groups, rules and their tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from forewarn_collector.config_damping import Damping
from forewarn_collector.rules.templates import Template

if TYPE_CHECKING:
    from forewarn_collector.promql import Query

DAY = 86_400_000


class TaskKind(StrEnum):
    """What sort of maintenance a task is (ISO/IEC/IEEE 14764's words, less one)."""

    CORRECTIVE = "corrective"
    PREVENTIVE = "preventive"
    UPGRADE = "upgrade"
    PLAN = "plan"


class OnMissing(StrEnum):
    """What becomes of an alert whose input stopped."""

    HOLD = "hold"
    FIRE = "fire"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class EvidenceSpec:
    """What to attach to a task: samples of `expr`, or events that match `events`.

    Exactly one of the two is set. Both may hold `$name`, which stands for the alert's label of
    that name. `last` is how far back to look, in milliseconds.
    """

    expr: str
    events: str
    last: int


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """The `task:` block of a rule. Durations in milliseconds; None means that it was not given."""

    kind: TaskKind = TaskKind.CORRECTIVE
    title: Template | None = None
    queue: str | None = None
    group_by: tuple[str, ...] | None = None
    due: int | None = None
    reopen_within: int = DAY
    on_missing: OnMissing = OnMissing.HOLD
    evidence: tuple[EvidenceSpec, ...] = ()
    checklist: tuple[str, ...] = ()
    damping: Damping | None = None


@dataclass(frozen=True, slots=True)
class AlertingRule:
    """A rule that says when something is wrong.

    `key` names it in the ledger: "group/alert", with more where a file has that name twice.
    `for_` and `keep_firing_for` are in milliseconds.
    """

    key: str
    name: str
    group: str
    file: str
    line: int
    expr: str
    query: Query
    for_: int = 0
    keep_firing_for: int = 0
    labels: Mapping[str, Template] = field(default_factory=dict)
    annotations: Mapping[str, Template] = field(default_factory=dict)
    task: TaskSpec = field(default_factory=TaskSpec)

    @property
    def is_steady(self) -> bool:
        """Whether an alert that goes on to fire keeps its labels, whatever its value.

        And whether its annotations can be told from the alert, when somebody looks.
        """
        return not any(text.reads_value or text.asks_queries for text in self.labels.values()) and (
            not any(text.asks_queries for text in self.annotations.values())
        )


@dataclass(frozen=True, slots=True)
class RecordingRule:
    """A rule whose result becomes the series `name`; its labels are plain text, no templates."""

    key: str
    name: str
    group: str
    file: str
    line: int
    expr: str
    query: Query
    labels: Mapping[str, str] = field(default_factory=dict)


Rule = AlertingRule | RecordingRule


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """Rules that are evaluated together, one after another in the order of the file.

    `interval` and `query_offset` are in milliseconds; `limit` 0 means none.
    """

    name: str
    file: str
    interval: int
    limit: int
    query_offset: int
    rules: tuple[Rule, ...]

    @property
    def key(self) -> str:
        """Names the group among all files, as Prometheus does."""
        return f"{self.file};{self.name}"

    @property
    def metrics(self) -> frozenset[str] | None:
        """The metrics that its expressions read; None if that cannot be known."""
        return _union(rule.query.metrics for rule in self.rules)

    @property
    def recorded(self) -> frozenset[str]:
        """The metrics that its recording rules write."""
        return frozenset(rule.name for rule in self.rules if isinstance(rule, RecordingRule))


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules of all files, in the order in which the files were given."""

    groups: tuple[RuleGroup, ...] = ()

    def rules(self) -> Iterator[Rule]:
        """Every rule, group by group."""
        for group in self.groups:
            yield from group.rules

    def alerting(self) -> dict[str, AlertingRule]:
        """The alerting rules by their key."""
        return {rule.key: rule for rule in self.rules() if isinstance(rule, AlertingRule)}

    def recording(self) -> dict[str, list[RecordingRule]]:
        """The recording rules by the metric that they write."""
        found: dict[str, list[RecordingRule]] = {}
        for rule in self.rules():
            if isinstance(rule, RecordingRule):
                found.setdefault(rule.name, []).append(rule)
        return found


def _union(parts: Iterator[frozenset[str] | None]) -> frozenset[str] | None:
    names: set[str] = set()
    for part in parts:
        if part is None:
            return None
        names |= part
    return frozenset(names)
