"""The life of a task, without a database: what alerts do to it, and why.

A `Draft` collects what one transaction does to one task. Changes of alerts are taken one by one,
and `settle` then draws the conclusions once for all of them: a task whose alert ends and whose
other alert fires in the same round neither resolves nor reopens, and a thousand alerts that join
at once make one entry in the timeline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from forewarn_collector.config_damping import Damping
from forewarn_collector.rules.alerts import Alert, ChangeReason
from forewarn_collector.tasks.damping import calm_at, penalised
from forewarn_collector.tasks.holding import HeldAlert
from forewarn_collector.tasks.identity import describe, severity_rank, span
from forewarn_collector.tasks.model import (
    Member,
    Task,
    TimelineEntry,
    shared_labels,
)
from forewarn_collector.tasks.opening import Problem, described
from forewarn_collector.tasks.record import Message, Record
from forewarn_collector.tasks.service import OnCall
from forewarn_collector.tasks.states import Move
from forewarn_collector.tasks.words import (
    DeliveryAction,
    OpenReason,
    ResolveReason,
    TimelineKind,
)

_NAMED = 5
"""How many alerts an entry of the timeline names before it only counts."""


class Draft(Record):
    """One task while a transaction changes it.

    `members` are the alerts that belong to it now, by their id; `touched` the memberships to
    write; `alerts` those that became members, by their id; `further` the queues that are to hear of
    it besides its own.
    """

    def __init__(self, task: Task, members: Mapping[str, Member], now: int) -> None:
        super().__init__(task, now)
        self.members = dict(members)
        self.touched: dict[str, Member] = {}
        self.alerts: dict[str, Alert] = {}
        self.further: tuple[str, ...] = ()
        self._opening: tuple[OpenReason, Alert] | None = None
        self._recorded = False
        self._raised: tuple[str, int] | None = None
        self._joined: list[Member] = []
        self._left: dict[str, Member] = {}
        self._ended_by = ResolveReason.ALERT_ENDED
        self._missing: list[Member] = []
        self._back: list[Member] = []
        self._handed = ""

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

    def reopen(self, alert_id: str, problem: Problem, at: int, damping: Damping) -> None:
        """The alert brings a resolved task back; whoever acknowledged it must do so again."""
        self.task = described(self.task, problem)
        self.move(Move.REOPEN)
        self.task = replace(self.task, ended_at=None, revision=self.task.revision + 1)
        self._flap(damping)
        damped = damping.suppress and self.task.flap_penalty >= damping.suppress
        if damped:
            self.task = replace(self.task, flapping_since=self.now)
        reason = OpenReason.FLAPPING if damped else OpenReason.REOPENED
        self._opening = (reason, problem.alert)
        self._admit(alert_id, problem.alert, at)

    def join(self, alert_id: str, problem: Problem, at: int, damping: Damping) -> None:
        """One more alert of the same problem."""
        if self.task.flapping_since is not None and not self.members and not self._left:
            self._flap(damping)
        returned = self._left.pop(alert_id, None)
        self._admit(alert_id, problem.alert, at)
        if returned is None:
            self._joined.append(self.members[alert_id])
        if severity_rank(problem.severity) < severity_rank(self.task.severity):
            self._raised = (problem.severity, problem.due_at)

    def hand_to(self, on_call: OnCall) -> None:
        """The task that opens or reopens is for whoever is on call."""
        self.task = replace(self.task, assignee=on_call.who, assigned_at=self.now)
        self._handed = f"Assigned to {on_call.who}: {on_call.why}."

    def reach(self, queues: Sequence[str]) -> None:
        """The task is for these queues, too, from now on."""
        self.further = tuple(dict.fromkeys((*self.further, *queues)))

    def was_held(self, held: Sequence[HeldAlert]) -> None:
        """The alert that has just become a member was held by these, one after the other."""
        for each in held:
            until = each.ended_at or self.now
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
        self,
        onset_at: int,
        ended_at: int | None,
        reopen_count: int,
        flap_count: int,
        text: str,
        *,
        tell: bool,
    ) -> None:
        """Data that came late tells more of the problem.

        It began no later than `onset_at`; `ended_at` (ms) is the end of a retrospective task, which
        nobody saw, and it was reopened and came back as often as this at least. Its queue hears of
        it if it is to `tell`.
        """
        self.task = replace(self.task, onset_at=min(self.task.onset_at, onset_at))
        if ended_at is not None:
            self.task = replace(
                self.task,
                ended_at=ended_at,
                resolved_at=ended_at,
                reopen_count=max(self.task.reopen_count, reopen_count),
                flap_count=max(self.task.flap_count, flap_count),
            )
        self.note(TimelineKind.RETROSPECT, text)
        if tell:
            self.tell(DeliveryAction.UPDATE, ResolveReason.RETROSPECTIVE.value, text)

    def calm(self) -> None:
        """End the damping, if its time is over: resolve what has stayed away since."""
        at = self.task.calm_at
        if self.task.flapping_since is None or at is None or at > self.now:
            return
        flaps = f"{self.task.flap_count} times in all"
        self.task = replace(self.task, flapping_since=None, calm_at=None)
        if self.members:
            text = f"It does not flap any more ({flaps}), and fires still."
            self.note(TimelineKind.CALMED, text, at=at)
            self.mention(TimelineKind.CALMED.value, text)
        else:
            text = f"It does not flap any more ({flaps}), and has stayed away since."
            self.resolve(ResolveReason.CALMED, text, at=at)

    def resolve(
        self, reason: ResolveReason, text: str, who: str = "", at: int | None = None
    ) -> None:
        """End the task, as of `at` (ms) or now."""
        self.move(Move.RESOLVE)
        self.task = replace(
            self.task,
            resolved_at=self.now if at is None else at,
            resolved_by=who,
            resolve_reason=reason.value,
        )
        self.note(TimelineKind.RESOLVED, text, reason.value, who, at)
        self.tell(DeliveryAction.RESOLVE, reason.value, text)

    def quieten(self, kind: str, by: str, text: str, parent: int | None) -> None:
        """All its alerts are held by something; `parent` is the task of their lost host."""
        if parent is not None and self.task.parent != parent:
            self.task = replace(self.task, parent=parent)
            self.note(TimelineKind.UNDER, f"Held under FW-{parent}: {text}.", kind)
        if parent is None and self.task.quiet_by != by:
            self.task = replace(
                self.task, quiet_since=self.task.quiet_since or self.now, quiet_by=by
            )
            self.note(TimelineKind.QUIET, f"Its queue hears nothing for now: {text}.", kind)

    def speak(self) -> None:
        """Nothing holds all its alerts any more."""
        if self.task.parent is not None:
            text = f"No longer held under FW-{self.task.parent}."
            self.task = replace(self.task, parent=None)
            self.note(TimelineKind.ALONE, text)
        if self.task.quiet_since is not None:
            quiet = span(self.now - self.task.quiet_since)
            self.note(TimelineKind.LOUD, f"It was quiet for {quiet}.", self.task.quiet_by)
            self.task = replace(self.task, quiet_since=None, quiet_by="")

    def settle(self) -> None:
        """Draw the conclusions from all changes of alerts that were taken."""
        self._settle_labels()
        if self.task.is_quiet and self._joined:
            self.speak()
        self._settle_severity()
        self._settle_opening()
        self._summarise(TimelineKind.JOINED, self._joined, "joined")
        self._summarise(TimelineKind.LEFT, list(self._left.values()), "ended")
        if not self.task.state.stands:
            return
        self._settle_input()
        # A person may reopen it when no alert of it fires. What flaps stays until it is calm.
        if self._left and not self.members and self.task.flapping_since is None:
            text = {
                ResolveReason.ALERT_ENDED: "The alert ended.",
                ResolveReason.RULE_REMOVED: "The rule was removed or renamed.",
            }[self._ended_by]
            self.resolve(self._ended_by, text)

    def _flap(self, damping: Damping) -> None:
        task = self.task
        penalty = penalised(task.flap_penalty, task.flapped_at, self.now, damping)
        self.task = replace(
            task,
            flap_count=task.flap_count + 1,
            flap_penalty=penalty,
            flapped_at=self.now,
            calm_at=calm_at(penalty, self.now, damping),
        )

    def _admit(self, alert_id: str, alert: Alert, at: int) -> None:
        if self.task.ended_at is not None:
            self.task = replace(self.task, ended_at=None)
        self.alerts[alert_id] = alert
        self._set(Member(alert_id, alert.labels, at, unknown_since=alert.unknown_since))

    def _set(self, member: Member) -> None:
        self.members[member.alert_id] = self.touched[member.alert_id] = member

    def _settle_labels(self) -> None:
        # A task keeps the labels of its last alerts when these have ended.
        if self.members:
            labels = shared_labels([member.labels for member in self.members.values()])
            if labels != self.task.labels:
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
            self.mention(TimelineKind.SEVERITY.value, text)

    def _settle_opening(self) -> None:
        if self._opening is None:
            return
        reason, alert = self._opening
        value = f", value {self.task.value}" if self.task.value else ""
        text = f"{describe(alert.labels)} is firing{value}."
        if reason is OpenReason.NEW:
            kind, action = TimelineKind.OPENED, DeliveryAction.OPEN
        else:
            kind, action = TimelineKind.REOPENED, DeliveryAction.REOPEN
        self.note(kind, text, reason.value)
        if self._handed:
            self.note(TimelineKind.ASSIGNED, self._handed, "on_call")
        if reason is OpenReason.FLAPPING:
            text = (
                f"It comes and goes, {self.task.flap_count} times in all; nothing more is told"
                " until it is calm."
            )
            self.note(TimelineKind.FLAPPING, text, reason.value)
        self.messages.append(Message(action, reason.value, text, self.task, alert.onset))

    def _settle_input(self) -> None:
        unknown = [member.unknown_since for member in self.members.values()]
        since = min((time for time in unknown if time is not None), default=None)
        self._summarise(TimelineKind.INPUT_MISSING, self._missing, "is unknown: its input stopped")
        self._summarise(TimelineKind.INPUT_BACK, self._back, "fires still: its input is back")
        if since != self.task.input_missing_since:
            self.task = replace(self.task, input_missing_since=since)

    def _summarise(self, kind: TimelineKind, members: list[Member], what: str) -> None:
        if not members:
            return
        names = "; ".join(describe(member.labels) for member in members[:_NAMED])
        more = f" and {len(members) - _NAMED} more" if len(members) > _NAMED else ""
        self.note(kind, f"{names}{more} {what}.")
