"""Which steps of an escalation are due: a function of the task, the levels and the time."""

from __future__ import annotations

from dataclasses import dataclass, replace

from forewarn_collector.tasks.identity import severity_rank
from forewarn_collector.tasks.lifecycle import Draft
from forewarn_collector.tasks.model import Task
from forewarn_collector.tasks.record import Message
from forewarn_collector.tasks.service import ServiceLevels, Step
from forewarn_collector.tasks.words import (
    DeliveryAction,
    TaskState,
    TimelineKind,
)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task's escalation has come.

    `episode` counts how often the task was reopened: each time, it begins anew. `done` are the
    names of steps, `queues` the further queues that have been told, which go on to hear of the
    task. While the task is quiet, waits or lacks its input, `paused_since` (ms) is set;
    `paused_for` (ms) is how long it was paused before in this episode.
    """

    episode: int = 0
    done: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    paused_since: int | None = None
    paused_for: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """The steps due now, ascending; the progress without them; when (ms) to look again."""

    steps: tuple[Step, ...]
    progress: Progress
    next_at: int | None


def decide(task: Task, progress: Progress, levels: ServiceLevels, at: int) -> Decision:
    """What is due for a task that stands by `at` (ms)."""
    if progress.episode != task.reopen_count:
        progress = Progress(task.reopen_count, queues=progress.queues)
    begun = task.reopened_at or task.opened_at
    if _is_paused(task):
        since = progress.paused_since
        if since is None:
            known = [each for each in (task.quiet_since, task.input_missing_since) if each]
            since = max(begun, min(known, default=at))
        # Whoever ends the pause has the task looked at again.
        return Decision((), replace(progress, paused_since=since), None)
    if progress.paused_since is not None:
        paused = progress.paused_for + at - progress.paused_since
        progress = replace(progress, paused_since=None, paused_for=paused)
    since = begun + progress.paused_for
    waiting = [step for step in levels.steps(task, since) if step.name not in progress.done]
    due = tuple(step for step in waiting if step.at <= at)
    return Decision(due, progress, min((s.at for s in waiting if s.at > at), default=None))


def take(draft: Draft, step: Step, progress: Progress, new: tuple[str, ...]) -> tuple[str, ...]:
    """Take a step; `new` are further queues first told in this transaction, before and after."""
    done: list[str] = []
    task = draft.task
    if step.severity and severity_rank(step.severity) < severity_rank(task.severity):
        done.append(f"severity raised from {task.severity or 'none'} to {step.severity}")
        task = replace(task, severity=step.severity)
    if step.assignee and step.assignee != task.assignee:
        because = f" ({step.because})" if step.because else ""
        done.append(f"assigned to {step.assignee}{because}")
        task = replace(task, assignee=step.assignee, assigned_at=draft.now)
    is_new = step.queue not in {"", task.queue, *progress.queues, *new}
    if is_new:
        done.append(f"{step.queue} is told")
    draft.task = task
    what = f": {', '.join(done)}" if done else ""
    text = f"Escalated, as {step.reason}{what}."
    kind = TimelineKind.ESCALATED
    draft.note(kind, text, step.name)
    draft.tell(DeliveryAction.UPDATE, kind.value, text)
    # The ledger does not know these yet as queues of this task.
    for queue in new:
        told = Message(DeliveryAction.UPDATE, kind.value, text, draft.task, queue=queue)
        draft.messages.append(told)
    if not is_new:
        return new
    opened = Message(DeliveryAction.OPEN, kind.value, text, draft.task, queue=step.queue)
    draft.messages.append(opened)
    return (*new, step.queue)


def may_differ(before: Task | None, after: Task) -> bool:
    """Whether the escalation of a task that is changed (or new) may be another than it was."""
    return after.state.stands and (before is None or _watched(before) != _watched(after))


def _is_paused(task: Task) -> bool:
    """Nobody is to be hurried by what may be over: without its input, a task only stays."""
    missing = task.input_missing_since is not None
    return task.is_quiet or task.state is TaskState.WAITING or missing


def _watched(task: Task) -> tuple[object, ...]:
    return (
        task.state,
        task.severity,
        task.labels,
        task.due_at,
        task.acknowledged_at,
        task.reopen_count,
        _is_paused(task),
    )
