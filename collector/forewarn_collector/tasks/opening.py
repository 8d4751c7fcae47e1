"""What a firing alert leads to, and the task that it opens."""

from __future__ import annotations

from dataclasses import dataclass, replace

from forewarn_collector.promql import plain_float
from forewarn_collector.rules.alerts import Alert
from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.tasks.identity import CUSTOMER, SERVICE, SEVERITY, label, severity_rank
from forewarn_collector.tasks.model import Task
from forewarn_collector.tasks.placing import Place
from forewarn_collector.tasks.routing import ORIGIN
from forewarn_collector.tasks.words import (
    CloseReason,
    OpenReason,
    TaskState,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """A firing alert with what the configuration makes of it. `due_at` in ms."""

    rule: AlertingRule
    alert: Alert
    place: Place
    title: str
    due_at: int

    @property
    def severity(self) -> str:
        """The alert's label `severity`."""
        return label(self.alert.labels, SEVERITY)


def decide_firing(
    own: Task | None,
    last: Task | None,
    original: Task | None,
    place: Place,
    severity: str,
    now: int,
) -> OpenReason:
    """What a firing alert leads to.

    `own` is the task that the alert is a member of now, `last` the newest task of its key, and
    `original` the one that `last` is a duplicate of. A resolved task reopens for
    `place.reopen_within` (ms) from when it was resolved or its last alert ended, whichever is
    later: what a person resolved early counts from the end of the problem. A closed one never
    does.
    """
    if own is not None:
        return OpenReason.ALREADY_MEMBER if own.state.stands else OpenReason.RESOLVED_BY_PERSON
    if last is None:
        return OpenReason.NEW
    if last.state.stands:
        return OpenReason.JOINED
    if last.state is TaskState.CLOSED:
        muted = is_muted(last, severity, now) or (original is not None and original.state.stands)
        return OpenReason.MUTED if muted else OpenReason.NEW
    if last.ended_at is None or last.resolved_at is None:
        # Another alert of the same problem fires still: the problem never ended.
        return OpenReason.REOPENED
    if now - max(last.resolved_at, last.ended_at) <= place.reopen_within:
        return OpenReason.REOPENED
    return OpenReason.NEW


def is_muted(task: Task, severity: str, now: int) -> bool:
    """Whether a problem that will not be fixed is still to be kept quiet, at this severity."""
    if task.close_reason != CloseReason.WONT_FIX:
        return False
    if severity_rank(severity) < severity_rank(task.mute_severity):
        return False
    return task.muted_until is None or now < task.muted_until


def new_task(
    task_id: int, problem: Problem, now: int, *, previous: int | None, held_since: int | None
) -> Task:
    """The task that a firing alert opens."""
    rule, alert, place = problem.rule, problem.alert, problem.place
    known_at = alert.onset + rule.for_
    # What others evaluate comes when they send it.
    in_time = held_since is None and place.origin == "rule"
    return described(
        Task(
            id=task_id,
            key=place.key,
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
            queue=place.queue,
            checklist=(),
            onset_at=alert.onset,
            detected_at=alert.active_at,
            opened_at=now,
            previous=previous,
            incident=place.incident,
            origin=place.origin,
            service=label(alert.labels, SERVICE),
            held_since=held_since,
            open_lag=max(0, now - known_at) if in_time else None,
        ),
        problem,
    )


def described(task: Task, problem: Problem) -> Task:
    """The task, as the alert that opens or reopens it tells of it."""
    alert = problem.alert
    return replace(
        task,
        title=problem.title,
        description=label(alert.annotations, "description"),
        severity=problem.severity,
        annotations=dict(alert.annotations),
        expr=problem.rule.expr,
        # What came from outside has none.
        value="" if problem.place.origin == ORIGIN else plain_float(alert.value),
        checklist=problem.rule.task.checklist,
        due_at=problem.due_at,
    )
