"""What a round of changes of alerts does to tasks, without saying where these are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from forewarn_collector.rules.alerts import Alert, AlertChange, AlertState, ChangeReason
from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.tasks.drafts import Drafts
from forewarn_collector.tasks.gates import GatedAlert, Hold, HoldKind, Verdicts
from forewarn_collector.tasks.holding import HoldOutcome
from forewarn_collector.tasks.identity import CUSTOMER, label, title_of
from forewarn_collector.tasks.lifecycle import Draft
from forewarn_collector.tasks.model import Task, number_of
from forewarn_collector.tasks.opening import Problem, decide_firing, new_task
from forewarn_collector.tasks.placing import Place
from forewarn_collector.tasks.policy import Policy
from forewarn_collector.tasks.rows import alert_id
from forewarn_collector.tasks.words import (
    CloseReason,
    OpenReason,
    TimelineKind,
)


def fires(change: AlertChange) -> bool:
    """Whether the alert fires after the change."""
    return change.after is AlertState.FIRING


def id_of_alert(change: AlertChange) -> str:
    """The id of the alert that changed."""
    return alert_id(change.rule.key, change.alert.labels)


def gated(change: AlertChange) -> GatedAlert:
    """The alert that changed, for gates."""
    alert = change.alert
    return GatedAlert(id_of_alert(change), change.rule.key, alert.labels, change.after, alert.onset)


def still_fires(rule: AlertingRule, alert: Alert, at: int) -> AlertChange:
    """An alert that fires, as if it had just begun to: for one that was held until now."""
    firing = AlertState.FIRING
    return AlertChange(rule, alert, firing, firing, ChangeReason.CONDITION_MET, at)


def place_of(policy: Policy, change: AlertChange) -> Place:
    """Where the alert belongs."""
    return policy.placing.place(change.rule, change.alert.labels)


def take_round(
    drafts: Drafts, changes: Sequence[AlertChange], policy: Policy, verdicts: Verdicts
) -> dict[str, Draft]:
    """Open, reopen, join and resolve tasks, as the changes of one evaluation demand.

    `drafts` must have the tasks of which these alerts are members, the newest of each key, and the
    holds of these alerts; `verdicts` is what the gates say of those that fire. The drafts of alerts
    that have come to be members of a task in this round, by the alert's id.
    """
    joined: dict[str, Draft] = {}
    for draft in drafts.drafts.values():
        draft.calm()
    for change in changes:
        name = id_of_alert(change)
        if fires(change):
            found = _fire(drafts, change, name, policy, verdicts.get(name))
            if found is not None:
                joined[name] = found
            continue
        if change.after is AlertState.INACTIVE:
            drafts.holds.release(name, HoldOutcome.ALERT_ENDED, drafts.now)
        owner = drafts.owner(name)
        if owner is None:
            continue
        if change.after is AlertState.INACTIVE:
            owner.leave(name, change.reason, change.at)
        elif change.after is AlertState.UNKNOWN:
            owner.lose_input(name, change.alert.unknown_since or change.at)
    for draft in drafts.drafts.values():
        draft.settle()
    return joined


def _fire(
    drafts: Drafts, change: AlertChange, name: str, policy: Policy, hold: Hold | None
) -> Draft | None:
    """The task that a firing alert comes to be a member of; None if it was before, or is held."""
    rule, alert = change.rule, change.alert
    place = place_of(policy, change)
    own, last = drafts.owner(name), drafts.latest(place.key)
    if own is not None:
        own.regain_input(name)
        if hold is None:
            own.reach(place.further)
        return None
    problem = _problem(change, place, policy, drafts.now)
    last_task = last.task if last else None
    reason = decide_firing(
        None, last_task, _original(drafts, last_task), place, problem.severity, drafts.now
    )
    if hold is None and reason is OpenReason.MUTED and last_task is not None:
        hold = _mute(last_task)
    if hold is not None:
        drafts.holds.hold(name, rule.key, alert.labels, hold, drafts.now)
        return None
    held = drafts.holds.release(name, HoldOutcome.OPENED, drafts.now)
    if reason is OpenReason.NEW or last is None:
        task = new_task(
            drafts.new_id(),
            problem,
            drafts.now,
            previous=last_task.id if last_task else None,
            held_since=held[0].since if held else None,
        )
        draft = Draft(task, {}, drafts.now)
        if last is not None:
            _link(last, draft)
        draft.open(name, alert, change.at)
    else:
        draft = last
        damping = policy.damping_of(rule)
        if reason is OpenReason.REOPENED:
            draft.reopen(name, problem, change.at, damping)
        else:
            draft.join(name, problem, change.at, damping)
    if reason is not OpenReason.JOINED:
        on_call = policy.levels.on_call(draft.task, drafts.now)
        if on_call is not None:
            draft.hand_to(on_call)
    draft.reach(place.further)
    draft.was_held(held)
    drafts.own(name, draft)
    return draft


def _link(last: Draft, new: Draft) -> None:
    """Note at both tasks of one problem that there is the other."""
    ended = last.task.close_reason or last.task.resolve_reason
    reason = ended.replace("_", " ")
    new.note(TimelineKind.LINKED, f"{last.task.number} was the same problem ({reason}).")
    last.note(TimelineKind.LINKED, f"The problem is back as {new.task.number}.")


def _problem(change: AlertChange, place: Place, policy: Policy, now: int) -> Problem:
    rule, alert = change.rule, change.alert
    problem = Problem(rule, alert, place, title_of(rule, alert, policy.templates), now)
    return replace(problem, due_at=_due(problem, policy, now))


def _due(problem: Problem, policy: Policy, now: int) -> int:
    rule, labels = problem.rule, problem.alert.labels
    if rule.task.due is not None:
        return now + rule.task.due
    kind, customer = rule.task.kind.value, label(labels, CUSTOMER)
    return policy.levels.due(kind, problem.severity, customer, labels, now)


def _original(drafts: Drafts, task: Task | None) -> Task | None:
    """The task that another is a duplicate of, as far as loaded."""
    if task is None or task.duplicate_of is None:
        return None
    draft = drafts.drafts.get(task.duplicate_of)
    return draft.task if draft else None


def _mute(task: Task) -> Hold:
    if task.close_reason == CloseReason.DUPLICATE and task.duplicate_of is not None:
        text = f"{task.number} was closed as a duplicate of {number_of(task.duplicate_of)}"
        return Hold(HoldKind.MUTED, number_of(task.duplicate_of), text)
    text = f"{task.number} was closed as won't fix by {task.closed_by}"
    return Hold(HoldKind.MUTED, task.number, text, task.muted_until)
