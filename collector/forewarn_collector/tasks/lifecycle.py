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
from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.tasks.identity import (
    CUSTOMER,
    SEVERITY,
    describe,
    due_after,
    label,
    severity_rank,
    task_key,
)
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


def decide_firing(own: Task | None, last: Task | None, reopen_within: int, now: int) -> OpenReason:
    """What a firing alert leads to.

    `own` is the task that the alert is a member of now, `last` the newest task of its key.
    A resolved task reopens for `reopen_within` (ms) from when it was resolved or its last alert
    ended, whichever is later: what a person resolved early counts from the end of the problem.
    """
    if own is not None:
        if own.state is TaskState.RESOLVED:
            return OpenReason.RESOLVED_BY_PERSON
        return OpenReason.ALREADY_MEMBER
    if last is None:
        return OpenReason.NEW
    if last.state is not TaskState.RESOLVED:
        return OpenReason.JOINED
    if last.ended_at is None or last.resolved_at is None:
        # Another alert of the same problem fires still: the problem never ended.
        return OpenReason.REOPENED
    if now - max(last.resolved_at, last.ended_at) <= reopen_within:
        return OpenReason.REOPENED
    return OpenReason.NEW


def new_task(
    task_id: int, rule: AlertingRule, alert: Alert, title: str, queue: str, now: int
) -> Task:
    """The task that a firing alert opens."""
    return _described(
        Task(
            id=task_id,
            key=task_key(rule, alert.labels),
            state=TaskState.OPEN,
            title="",
            description="",
            severity="",
            kind=rule.task.kind.value,
            customer=label(alert.labels, CUSTOMER),
            labels=alert.labels,
            annotations={},
            rule=rule.key,
            rule_name=rule.name,
            expr="",
            value="",
            queue=rule.task.queue or queue,
            checklist=(),
            onset_at=alert.onset,
            detected_at=alert.active_at,
            opened_at=now,
        ),
        rule,
        alert,
        title,
        now,
    )


def _described(task: Task, rule: AlertingRule, alert: Alert, title: str, now: int) -> Task:
    severity = label(alert.labels, SEVERITY)
    return replace(
        task,
        title=title,
        description=label(alert.annotations, "description"),
        severity=severity,
        annotations=dict(alert.annotations),
        expr=rule.expr,
        value=plain_float(alert.value),
        checklist=rule.task.checklist,
        due_at=now + due_after(rule, severity),
    )


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

    def reopen(self, alert_id: str, rule: AlertingRule, alert: Alert, title: str, at: int) -> None:
        """The alert brings a resolved task back; whoever acknowledged it must do so again."""
        task = _described(self.task, rule, alert, title, self._now)
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
        self._opening = (OpenReason.REOPENED, alert)
        self._admit(alert_id, alert, at)

    def join(self, alert_id: str, rule: AlertingRule, alert: Alert, at: int) -> None:
        """One more alert of the same problem."""
        returned = self._left.pop(alert_id, None)
        self._admit(alert_id, alert, at)
        if returned is None:
            self._joined.append(self.members[alert_id])
        severity = label(alert.labels, SEVERITY)
        if severity_rank(severity) < severity_rank(self.task.severity):
            self._raised = (severity, self._now + due_after(rule, severity))

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
        self,
        members: Sequence[Member],
        entries: Sequence[TimelineEntry],
        text: str,
        message: str | None,
    ) -> None:
        """The task tells of a problem that was over before anybody knew of it.

        Its queue gets the `message`, or none.
        """
        self.is_new = self._recorded = True
        self.touched = {member.alert_id: member for member in members}
        self.entries += entries
        self.note(TimelineKind.RETROSPECT, text, ResolveReason.RETROSPECTIVE.value)
        if message is not None:
            reason = ResolveReason.RETROSPECTIVE.value
            self.messages.append(Message(DeliveryAction.RESOLVE, reason, message, self.task))

    def learn(
        self, onset_at: int, ended_at: int | None, reopen_count: int, text: str, *, tell: bool
    ) -> None:
        """Data that came late tells more of the problem.

        It began no later than `onset_at`; `ended_at` (ms) is the end of a retrospective task, which
        nobody saw, and it came back `reopen_count` times at least. Its queue hears of it if it is
        to `tell`.
        """
        self.task = replace(self.task, onset_at=min(self.task.onset_at, onset_at))
        if ended_at is not None:
            self.task = replace(
                self.task,
                ended_at=ended_at,
                resolved_at=ended_at,
                reopen_count=max(self.task.reopen_count, reopen_count),
            )
        self.note(TimelineKind.RETROSPECT, text)
        if tell:
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
        if self.task.state is TaskState.RESOLVED:
            return
        self._settle_input()
        if not self.members:
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
        if self._opening is None and self.task.state is not TaskState.RESOLVED:
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
