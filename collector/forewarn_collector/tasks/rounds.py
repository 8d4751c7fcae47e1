"""What a round of changes of alerts does to tasks, without saying where these are kept."""

from __future__ import annotations

from collections.abc import Sequence

from forewarn_collector.rules.alerts import AlertChange, AlertState
from forewarn_collector.rules.templates import TemplateContext
from forewarn_collector.tasks.drafts import Drafts
from forewarn_collector.tasks.identity import task_key, title_of
from forewarn_collector.tasks.lifecycle import Draft, decide_firing, new_task
from forewarn_collector.tasks.model import OpenReason
from forewarn_collector.tasks.rows import alert_id


def fires(change: AlertChange) -> bool:
    """Whether the alert fires after the change."""
    return change.after is AlertState.FIRING


def id_of_alert(change: AlertChange) -> str:
    """The id of the alert that changed."""
    return alert_id(change.rule.key, change.alert.labels)


def key_of(change: AlertChange) -> str:
    """The key of the task that the alert belongs to, if it fires."""
    return task_key(change.rule, change.alert.labels)


def take_round(
    drafts: Drafts,
    changes: Sequence[AlertChange],
    templates: TemplateContext,
    default_queue: str,
) -> dict[str, Draft]:
    """Open, reopen, join and resolve tasks, as the changes of one evaluation demand.

    `drafts` must have the tasks of which these alerts are members, and the newest of each key.
    The drafts of alerts that have come to be members of a task in this round, by the alert's id.
    """
    joined: dict[str, Draft] = {}
    for change in changes:
        name = id_of_alert(change)
        if fires(change):
            draft = _fire(drafts, change, name, templates, default_queue)
            if draft is not None:
                joined[name] = draft
            continue
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
    drafts: Drafts,
    change: AlertChange,
    name: str,
    templates: TemplateContext,
    default_queue: str,
) -> Draft | None:
    """The task that a firing alert has come to be a member of; None if it was one before."""
    rule, alert = change.rule, change.alert
    own, last = drafts.owner(name), drafts.latest(key_of(change))
    reason = decide_firing(
        own.task if own else None,
        last.task if last else None,
        rule.task.reopen_within,
        drafts.now,
    )
    if own is not None:
        own.regain_input(name)
        return None
    title = title_of(rule, alert, templates)
    if reason is OpenReason.NEW or last is None:
        task = new_task(drafts.new_id(), rule, alert, title, default_queue, drafts.now)
        draft = Draft(task, {}, drafts.now)
        draft.open(name, alert, change.at)
    else:
        draft = last
        if reason is OpenReason.REOPENED:
            draft.reopen(name, rule, alert, title, change.at)
        else:
            draft.join(name, rule, alert, change.at)
    drafts.own(name, draft)
    return draft
