"""The life of a task, without a database: what alerts and people do to it, and why.

A `Draft` collects what one transaction does to one task. Changes of alerts are taken one by one,
and `settle` then draws the conclusions once for all of them: a task whose alert ends and whose
other alert fires in the same round neither resolves nor reopens, and a thousand alerts that join
at once make one entry in the timeline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from forewarn_collector.promql import plain_float
from forewarn_collector.rules.alerts import Alert, ChangeReason
from forewarn_collector.tasks.holding import HeldAlert
from forewarn_collector.tasks.identity import describe, severity_rank, span
from forewarn_collector.tasks.model import (
    DeliveryAction,
    Member,
    OpenReason,
    ResolveReason,
    Task,
    TaskState,
    TimelineEntry,
    TimelineKind,
    shared_labels,
)
from forewarn_collector.tasks.opening import Problem, described

_NAMED = 5
"""How many alerts an entry of the timeline names before it only counts."""


@dataclass(frozen=True, slots=True)
class Message:
    """What the queue is to be told: the task as it is at this revision, and what changed."""

    action: DeliveryAction
    reason: str
    text: str
    task: Task
    onset_at: int | None = None


class Draft:
    """One task while a transaction changes it.

    `members` are the alerts that belong to it now, by their id; `touched` the memberships to
    write, `entries` what to add to the timeline, `messages` what its queue is owed.
    """

    def __init__(self, task: Task, members: Mapping[str, Member], now: int) -> None:
        self.task = task
        self.loaded = task
        self.members = dict(members)
        self.touched: dict[str, Member] = {}
        self.entries: list[TimelineEntry] = []
        self.messages: list[Message] = []
        self.is_new = False
        self._now = now
        self._opening: tuple[OpenReason, Alert] | None = None
        self._recorded = False
        self._raised: tuple[str, int] | None = None
        self._joined: list[Member] = []
        self._left: dict[str, Member] = {}
        self._ended_by = ResolveReason.ALERT_ENDED
        self._missing: list[Member] = []
        self._back: list[Member] = []

    @property
    def opening_revision(self) -> int | None:
        """The revision at which this draft opens, reopens or records its task."""
        begun = self._opening is not None or self._recorded
        return self.task.revision if begun else None

    def open(self, alert_id: str, alert: Alert, at: int) -> None:
        """The alert has just made this task."""
        self.is_new = True
        self._opening = (OpenReason.NEW, alert)
        self._admit(alert_id, alert, at)

    def reopen(self, alert_id: str, problem: Problem, at: int) -> None:
        """The alert brings a resolved task back; whoever acknowledged it must do so again."""
        task = described(self.task, problem)
        self.task = replace(
            task,
            state=TaskState.OPEN,
            acknowledged_at=None,
            acknowledged_by="",
            resolved_at=None,
            resolved_by="",
            resolve_reason="",
            ended_at=None,
            reopen_count=task.reopen_count + 1,
            reopened_at=self._now,
            revision=task.revision + 1,
            retrospective=False,
        )
        self._opening = (OpenReason.REOPENED, problem.alert)
        self._admit(alert_id, problem.alert, at)

    def join(self, alert_id: str, problem: Problem, at: int) -> None:
        """One more alert of the same problem."""
        returned = self._left.pop(alert_id, None)
        self._admit(alert_id, problem.alert, at)
        if returned is None:
            self._joined.append(self.members[alert_id])
        if severity_rank(problem.severity) < severity_rank(self.task.severity):
            self._raised = (problem.severity, problem.due_at)

    def was_held(self, held: Sequence[HeldAlert]) -> None:
        """The alert that has just become a member was held by these, one after the other."""
        for each in held:
            until = each.ended_at or self._now
            text = f"{describe(each.labels)} was held for {span(until - each.since)}"
            self.note(TimelineKind.HELD, f"{text}: {each.hold.text}.", each.hold.by)

    def leave(self, alert_id: str, reason: ChangeReason, at: int) -> None:
        """An alert of this task ended."""
        member = self.members.pop(alert_id)
        self.touched[alert_id] = replace(member, left_at=at, unknown_since=None)
        self._left[alert_id] = member
        removed = reason is ChangeReason.RULE_REMOVED
        self._ended_by = ResolveReason.RULE_REMOVED if removed else ResolveReason.ALERT_ENDED
        if not self.members:
            self.task = replace(self.task, ended_at=at)

    def lose_input(self, alert_id: str, since: int) -> None:
        """The input of an alert of this task stopped."""
        member = self.members[alert_id]
        if member.unknown_since is None:
            self._set(replace(member, unknown_since=since))
            self._missing.append(member)

    def regain_input(self, alert_id: str) -> None:
        """The alert of this task fires, and is known to."""
        member = self.members[alert_id]
        if member.unknown_since is not None:
            self._set(replace(member, unknown_since=None))
            self._back.append(member)

    def record(
        self, members: Sequence[Member], entries: Sequence[TimelineEntry], text: str
    ) -> None:
        """The task tells of a problem that was over before anybody knew of it."""
        self.is_new = self._recorded = True
        self.touched = {member.alert_id: member for member in members}
        self.entries += entries
        self.note(TimelineKind.RETROSPECT, text, ResolveReason.RETROSPECTIVE.value)
        reason = ResolveReason.RETROSPECTIVE.value
        self.messages.append(Message(DeliveryAction.RESOLVE, reason, text, self.task))

    def learn(self, onset_at: int, ended_at: int | None, text: str) -> None:
        """Data that came late tells more of the problem.

        It began no later than `onset_at`; `ended_at` (ms) is the end of a retrospective task, which
        nobody saw.
        """
        self.task = replace(self.task, onset_at=min(self.task.onset_at, onset_at))
        if ended_at is not None:
            self.task = replace(self.task, ended_at=ended_at, resolved_at=ended_at)
        self.note(TimelineKind.RETROSPECT, text)
        self.tell(DeliveryAction.UPDATE, ResolveReason.RETROSPECTIVE.value, text)

    def note(self, kind: TimelineKind, text: str, reason: str = "", who: str = "") -> None:
        """Add an entry to the timeline."""
        self.entries.append(TimelineEntry(self._now, kind, text, reason, who))

    def tell(self, action: DeliveryAction, reason: str, text: str) -> None:
        """Owe the queue a message about the task as it is now, at a revision of its own."""
        self.task = replace(self.task, revision=self.task.revision + 1)
        self.messages.append(Message(action, reason, text, self.task))

    def acknowledge(self, who: str) -> None:
        """A person works on it."""
        self.task = replace(
            self.task,
            state=TaskState.ACKNOWLEDGED,
            acknowledged_at=self._now,
            acknowledged_by=who,
        )
        text = f"Acknowledged by {who}."
        self.note(TimelineKind.ACKNOWLEDGED, text, who=who)
        self.tell(DeliveryAction.UPDATE, TimelineKind.ACKNOWLEDGED.value, text)

    def resolve(self, reason: ResolveReason, text: str, who: str = "") -> None:
        """End the task."""
        self.task = replace(
            self.task,
            state=TaskState.RESOLVED,
            resolved_at=self._now,
            resolved_by=who,
            resolve_reason=reason.value,
            input_missing_since=None,
        )
        self.note(TimelineKind.RESOLVED, text, reason.value, who)
        self.tell(DeliveryAction.RESOLVE, reason.value, text)

    def settle(self) -> None:
        """Draw the conclusions from all changes of alerts that were taken."""
        self._settle_labels()
        self._settle_severity()
        self._settle_opening()
        self._summarise(TimelineKind.JOINED, self._joined, "joined")
        self._summarise(TimelineKind.LEFT, list(self._left.values()), "ended")
        if not self.task.state.stands:
            return
        self._settle_input()
        # A person may have reopened it when no alert of it fired.
        if self._left and not self.members:
            text = {
                ResolveReason.ALERT_ENDED: "The alert ended.",
                ResolveReason.RULE_REMOVED: "The rule was removed or renamed.",
            }[self._ended_by]
            self.resolve(self._ended_by, text)

    def _admit(self, alert_id: str, alert: Alert, at: int) -> None:
        self.task = replace(self.task, ended_at=None)
        self._set(Member(alert_id, alert.labels, at, unknown_since=alert.unknown_since))

    def _set(self, member: Member) -> None:
        self.members[member.alert_id] = self.touched[member.alert_id] = member

    def _settle_labels(self) -> None:
        # A task keeps the labels of its last alerts when these have ended.
        if self.members:
            labels = shared_labels([member.labels for member in self.members.values()])
            self.task = replace(self.task, labels=labels)

    def _settle_severity(self) -> None:
        if self._raised is None:
            return
        before, (severity, due_at) = self.task.severity, self._raised
        due_at = min(due_at, self.task.due_at or due_at)
        self.task = replace(self.task, severity=severity, due_at=due_at)
        if self._opening is None and self.task.state.stands:
            text = f"Severity raised from {before or 'none'} to {severity}."
            self.note(TimelineKind.SEVERITY, text)
            self.tell(DeliveryAction.UPDATE, TimelineKind.SEVERITY.value, text)

    def _settle_opening(self) -> None:
        if self._opening is None:
            return
        reason, alert = self._opening
        text = f"{describe(alert.labels)} is firing, value {plain_float(alert.value)}."
        if reason is OpenReason.NEW:
            kind, action = TimelineKind.OPENED, DeliveryAction.OPEN
        else:
            kind, action = TimelineKind.REOPENED, DeliveryAction.REOPEN
        self.note(kind, text, reason.value)
        self.messages.append(Message(action, reason.value, text, self.task, alert.onset))

    def _settle_input(self) -> None:
        unknown = [member.unknown_since for member in self.members.values()]
        since = min((time for time in unknown if time is not None), default=None)
        self._summarise(TimelineKind.INPUT_MISSING, self._missing, "is unknown: its input stopped")
        self._summarise(TimelineKind.INPUT_BACK, self._back, "fires still: its input is back")
        self.task = replace(self.task, input_missing_since=since)

    def _summarise(self, kind: TimelineKind, members: list[Member], what: str) -> None:
        if not members:
            return
        names = "; ".join(describe(member.labels) for member in members[:_NAMED])
        more = f" and {len(members) - _NAMED} more" if len(members) > _NAMED else ""
        self.note(kind, f"{names}{more} {what}.")
