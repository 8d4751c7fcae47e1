"""Rules, alerts and rounds of changes for tests of what comes after the rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from forewarn_collector.rules.alerts import Alert, AlertChange, AlertState, ChangeReason
from forewarn_collector.rules.model import AlertingRule, TaskSpec
from forewarn_collector.tasks.evidence_source import EvidenceSource
from forewarn_collector.tasks.gates import Gate
from forewarn_collector.tasks.keeper import TaskKeeper
from forewarn_collector.tasks.ledger import Ledger
from forewarn_collector.tasks.model import TaskChange
from forewarn_collector.tasks.placing import ByRule, Placing
from forewarn_collector.tasks.policy import Policy
from forewarn_collector.tasks.service import BySeverity, ServiceLevels
from forewarn_wire import labels_from
from support.databases import DATABASES

T0 = 1_700_000_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Hand:
    """A clock that stands where it is put."""

    def __init__(self, now: int = T0) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


class NoEvidence:
    """An evidence source that gives the value and nothing else."""

    def gather(self, wanted: Sequence[tuple[AlertingRule, Alert]], at: int) -> list[dict[str, Any]]:
        return [{"gathered_at": at, "value": str(alert.value)} for _, alert in wanted]

    def follow_up(self, documents: Sequence[Mapping[str, Any]], at: int) -> list[dict[str, Any]]:
        return [{"follows": each["gathered_at"], "gathered_at": at} for each in documents]


def rule_of(name: str = "DiskFull", **task: Any) -> AlertingRule:
    """A rule of the group `storage`; its query is of no concern here."""
    return AlertingRule(
        key=f"storage/{name}",
        name=name,
        group="storage",
        file="rules.yml",
        line=1,
        expr="disk_free < 1",
        query=cast(Any, None),
        task=TaskSpec(**task),
    )


def alert_of(rule: AlertingRule, labels: Mapping[str, str], **fields: Any) -> Alert:
    """An alert of a rule with these labels, and any other field."""
    annotations = fields.pop("annotations", {})
    return replace(
        Alert(
            labels=labels_from({**labels, "alertname": rule.name}),
            series=labels_from(labels),
            annotations=labels_from(annotations),
            value=0.5,
            state=AlertState.INACTIVE,
            onset=T0 - 500,
            active_at=T0,
            evaluated_at=T0,
        ),
        **fields,
    )


def change(
    rule: AlertingRule, alert: Alert, after: AlertState, at: int = T0, **more: Any
) -> AlertChange:
    """A change of an alert to a state, with the reason that the rules give for it."""
    reasons = {
        AlertState.INACTIVE: ChangeReason.CONDITION_CLEARED,
        AlertState.PENDING: ChangeReason.CONDITION_MET,
        AlertState.FIRING: ChangeReason.CONDITION_MET,
        AlertState.UNKNOWN: ChangeReason.INPUT_MISSING,
    }
    times: dict[str, Any] = {
        AlertState.INACTIVE: {"resolved_at": at},
        AlertState.PENDING: {},
        AlertState.FIRING: {"fired_at": at},
        AlertState.UNKNOWN: {"fired_at": T0, "unknown_since": at},
    }[after]
    return AlertChange(
        rule=rule,
        alert=replace(alert, state=after, **times),
        before=alert.state,
        after=after,
        reason=more.get("reason", reasons[after]),
        at=at,
    )


class Desk:
    """A ledger with a keeper on simulated time, and what the keeper told."""

    def __init__(
        self,
        directory: Path,
        default_queue: str = "support",
        placing: Placing | None = None,
        levels: ServiceLevels | None = None,
        member: str = "",
        evidence: EvidenceSource | None = None,
    ) -> None:
        self.evidence = evidence or NoEvidence()
        self.clock = Hand()
        self.told: list[TaskChange] = []
        self.ledger = Ledger(directory, DATABASES.url(directory), member)
        self.ledger.open()
        self.rules: dict[str, AlertingRule] = {}
        self.gates: list[Gate] = []
        self.policy = Policy(
            placing or ByRule(default_queue),
            gates=self.gates,
            levels=levels or BySeverity(),
            rule_of=self.rules.get,
        )
        self.restart()

    def restart(self) -> None:
        """A keeper that knows only what the ledger has."""
        self.keeper = TaskKeeper(
            self.ledger, self.evidence, self.policy, self.clock, self.told.extend
        )

    def close(self) -> None:
        self.ledger.close()

    def apply(self, *changes: AlertChange) -> list[TaskChange]:
        """Apply a round at the time of its first change; returns what was told."""
        self.clock.now = changes[0].at
        before = len(self.told)
        self.rules |= {change.rule.key: change.rule for change in changes}
        self.keeper.apply(changes, changes[0].at)
        return self.told[before:]

    def tick(self, at: int) -> list[TaskChange]:
        """Have done what is due at a time (ms); returns what was told."""
        self.clock.now = at
        before = len(self.told)
        self.keeper.tick(at)
        return self.told[before:]
