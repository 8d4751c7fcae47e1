"""A task and all that belongs to it: states, reasons, timeline, members, deliveries."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forewarn_collector.notifications import NotifiedAlert
from forewarn_collector.tasks.words import (
    DeliveryAction,
    TaskState,
    TicketState,
    TimelineKind,
)
from forewarn_wire import Labels

_NUMBER = re.compile(r"(?:FW-)?([1-9][0-9]{0,17})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing that happened to a task. Entries are only ever added. `at` in ms."""

    at: int
    kind: TimelineKind
    text: str
    reason: str = ""
    who: str = ""

    def to_json(self) -> dict[str, Any]:
        """The entry as the API and the queues show it."""
        return {
            "at": self.at,
            "kind": self.kind.value,
            "text": self.text,
            "reason": self.reason,
            "who": self.who,
        }


@dataclass(frozen=True, slots=True)
class Member:
    """An alert that belongs, or belonged (`left_at`), to a task. Times in ms."""

    alert_id: str
    labels: Labels
    joined_at: int
    left_at: int | None = None
    unknown_since: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The member as the API shows it."""
        return {
            "labels": dict(self.labels),
            "joined_at": self.joined_at,
            "left_at": self.left_at,
            "unknown_since": self.unknown_since,
        }


@dataclass(frozen=True, slots=True)
class TaskTicket:
    """A task's ticket in a queue, as it was last read or left: `assignee` is the tracker's name.

    `url` is its address for people. `gone_at` (ms): since when the tracker has it no more.
    """

    queue: str
    ref: str
    url: str
    state: TicketState
    assignee: str
    gone_at: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The ticket as the API shows it."""
        return {
            "queue": self.queue,
            "ref": self.ref,
            "url": self.url,
            "state": "gone" if self.gone_at is not None else self.state.value,
            "assignee": self.assignee,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One problem for a person to work on. Times are ms since epoch.

    `labels` are those that all its alerts share. `onset_at` is the time of the sample that showed
    the fault, `detected_at` the evaluation that first found the rule to hold, `opened_at` the
    moment of writing to the ledger, `delivered_at` the first delivery that a queue took,
    `ended_at` the end of its last alert. `value` is written as in Prometheus' HTTP API.
    A `retrospective` task tells of a problem that was over before its data came: all its times are
    the problem's own but `opened_at`.
    `duplicate_of`, `previous` (the task before, of the same key) and `parent` (that of the lost
    host) are ids of other tasks. `flap_penalty` is in thousandths of a flap as of `flapped_at`;
    while `flapping_since` is set the task is damped, until `calm_at` if nothing more happens.
    `quiet_since` is set while all its alerts are held by something else (`quiet_by`, such as
    "silence 7f3a"). `mute_for` (ms) is how long a task closed as won't fix stays so after its end.
    `held_since` is when an alert was first kept from opening it. `open_lag` (ms) is how much later
    it opened than the fault could be known; None where something held it, or its data came late.
    `timeline`, `members`, `evidence` (one document per alert, see `evidence.py`), `tickets` and
    `following` (ids of the tasks of which it is the previous one) are filled where one task is
    asked for by number.
    """

    id: int
    key: str
    state: TaskState
    title: str
    description: str
    severity: str
    kind: str
    customer: str
    labels: Labels
    annotations: Mapping[str, str]
    rule: str
    rule_name: str
    expr: str
    value: str
    queue: str
    checklist: tuple[str, ...]
    onset_at: int
    detected_at: int
    opened_at: int
    delivered_at: int | None = None
    acknowledged_at: int | None = None
    acknowledged_by: str = ""
    resolved_at: int | None = None
    resolved_by: str = ""
    resolve_reason: str = ""
    ended_at: int | None = None
    due_at: int | None = None
    reopen_count: int = 0
    reopened_at: int | None = None
    input_missing_since: int | None = None
    revision: int = 1
    retrospective: bool = False
    assignee: str = ""
    assigned_at: int | None = None
    waiting_until: int | None = None
    closed_at: int | None = None
    closed_by: str = ""
    close_reason: str = ""
    duplicate_of: int | None = None
    previous: int | None = None
    parent: int | None = None
    flap_count: int = 0
    flap_penalty: int = 0
    flapped_at: int | None = None
    flapping_since: int | None = None
    calm_at: int | None = None
    quiet_since: int | None = None
    quiet_by: str = ""
    mute_for: int | None = None
    mute_severity: str = ""
    escalation_step: int = 0
    next_escalation_at: int | None = None
    incident: str = ""
    origin: str = "rule"
    service: str = ""
    held_since: int | None = None
    open_lag: int | None = None
    timeline: tuple[TimelineEntry, ...] = ()
    members: tuple[Member, ...] = ()
    evidence: tuple[Mapping[str, Any], ...] = ()
    following: tuple[int, ...] = ()
    tickets: tuple[TaskTicket, ...] = ()

    @property
    def number(self) -> str:
        """The number that people use: FW-17."""
        return number_of(self.id)

    @property
    def version(self) -> str:
        """A digest of all that `to_json` has: another one once anything of that has changed."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def muted_until(self) -> int | None:
        """Until when (ms) a problem that will not be fixed is muted; None while that is open."""
        if self.mute_for is None or self.ended_at is None:
            return None
        return self.ended_at + self.mute_for

    @property
    def is_quiet(self) -> bool:
        """Whether its queue is told nothing, and it does not escalate."""
        return self.quiet_since is not None or self.parent is not None

    def to_json(self) -> dict[str, Any]:
        """The task as the API and the queues show it, timeline, members and evidence included."""
        return {
            "number": self.number,
            "key": self.key,
            "state": self.state.value,
            "title": self.title,
            "description": self.description,
            "severity": self.severity,
            "kind": self.kind,
            "customer": self.customer,
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
            "rule": self.rule,
            "rule_name": self.rule_name,
            "expr": self.expr,
            "value": self.value,
            "queue": self.queue,
            "checklist": list(self.checklist),
            "onset_at": self.onset_at,
            "detected_at": self.detected_at,
            "opened_at": self.opened_at,
            "delivered_at": self.delivered_at,
            "acknowledged_at": self.acknowledged_at,
            "acknowledged_by": self.acknowledged_by,
            "resolved_at": self.resolved_at,
            "resolved_by": self.resolved_by,
            "resolve_reason": self.resolve_reason,
            "due_at": self.due_at,
            "reopen_count": self.reopen_count,
            "reopened_at": self.reopened_at,
            "input_missing_since": self.input_missing_since,
            "revision": self.revision,
            "retrospective": self.retrospective,
            "assignee": self.assignee,
            "assigned_at": self.assigned_at,
            "waiting_until": self.waiting_until,
            "closed_at": self.closed_at,
            "closed_by": self.closed_by,
            "close_reason": self.close_reason,
            "duplicate_of": _number(self.duplicate_of),
            "previous": _number(self.previous),
            "next": [number_of(task_id) for task_id in self.following],
            "parent": _number(self.parent),
            "flap_count": self.flap_count,
            "flapping_since": self.flapping_since,
            "quiet_since": self.quiet_since,
            "quiet_by": self.quiet_by,
            "muted_until": self.muted_until,
            "mute_severity": self.mute_severity,
            "escalation_step": self.escalation_step,
            "next_escalation_at": self.next_escalation_at,
            "incident": self.incident,
            "origin": self.origin,
            "service": self.service,
            "held_since": self.held_since,
            "open_lag": self.open_lag,
            "timeline": [entry.to_json() for entry in self.timeline],
            "members": [member.to_json() for member in self.members],
            "evidence": [dict(document) for document in self.evidence],
            "tickets": [ticket.to_json() for ticket in self.tickets],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message that a queue is owed, the same at every attempt but for `attempt` and `sent_at`.

    `id` is a UUID, stable for (ledger, task, revision, queue): the receiver's key to tell a resend
    from news. `thread_id` is the id of the task's first delivery to this queue. `task` is the task
    as it was at this revision. `external_ref` is what the queue answered to an earlier delivery of
    this task. `attempt` counts from 1: above 1, the queue may have it already. `external_url` is
    where people reach this collector, empty where that is not known. `alerts` are those of the task
    that it tells of, without `truncated` others. Times in ms.
    """

    id: str
    thread_id: str
    queue: str
    action: DeliveryAction
    revision: int
    reason: str
    text: str
    task: Task
    created_at: int
    attempt: int
    sent_at: int
    external_ref: str | None = None
    external_url: str = ""
    alerts: tuple[NotifiedAlert, ...] = ()
    truncated: int = 0

    @property
    def page_url(self) -> str:
        """The address of the task's page, where one is known."""
        return self.external_url and f"{self.external_url}/tasks/{self.task.number}"

    @property
    def plot_url(self) -> str:
        """The address of a plot of its evidence, where it comes with any and one is known."""
        if not self.task.evidence or not self.external_url:
            return ""
        return f"{self.external_url}/api/tasks/{self.task.number}/plot.svg"


@dataclass(frozen=True, slots=True)
class TaskChange:
    """What one transaction did to one task; told to whoever listens, once it is durable.

    `onset_at` (ms) is the time of the sample behind an opening or reopening, else None; `at` (ms)
    when it was written.
    """

    task: Task
    action: DeliveryAction
    reason: str
    onset_at: int | None = None
    at: int = 0

    @property
    def ends(self) -> bool:
        """Whether the task has just been resolved."""
        return self.action is DeliveryAction.RESOLVE

    @property
    def opened(self) -> bool:
        """Whether a problem has begun, for the first time or again."""
        return self.onset_at is not None


Notify = Callable[[Sequence[TaskChange]], None]
"""Called after a transaction, from the thread that made it; must not block or raise."""


def number_of(task_id: int) -> str:
    """The number that people use for a task's id."""
    return f"FW-{task_id}"


def _number(task_id: int | None) -> str | None:
    return None if task_id is None else number_of(task_id)


def id_of(number: str) -> int | None:
    """The id behind FW-17, fw-17 or 17; None where the text is no number of a task."""
    match = _NUMBER.fullmatch(number.strip())
    return int(match.group(1)) if match else None


def shared_labels(sets: Sequence[Labels]) -> Labels:
    """The labels with the same value in every set."""
    if not sets:
        return ()
    rest = [set(labels) for labels in sets[1:]]
    return tuple(pair for pair in sets[0] if all(pair in labels for labels in rest))
