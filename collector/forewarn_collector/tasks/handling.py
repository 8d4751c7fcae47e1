"""What people and the clock do to a task: each changes a draft, notes it and tells the queue.

Each raises RefusedError where it does not fit the task's state, see `states.py`.
"""

from __future__ import annotations

from dataclasses import replace

from forewarn_collector.tasks.lifecycle import Draft
from forewarn_collector.tasks.model import number_of
from forewarn_collector.tasks.states import Move
from forewarn_collector.tasks.words import (
    CloseReason,
    DeliveryAction,
    OpenReason,
    ResolveReason,
    TimelineKind,
)


def acknowledge(draft: Draft, who: str, text: str) -> None:
    """A person has seen it."""
    draft.move(Move.ACKNOWLEDGE)
    draft.task = replace(draft.task, acknowledged_at=draft.now, acknowledged_by=who)
    _say(draft, TimelineKind.ACKNOWLEDGED, _why(f"Acknowledged by {who}", text), who)


def start(draft: Draft, who: str, text: str, *, takes: bool = True) -> None:
    """A person works on it: whoever does has also seen it, and `takes` it if nobody else has it."""
    draft.move(Move.START)
    task = draft.task
    if task.acknowledged_at is None:
        task = replace(task, acknowledged_at=draft.now, acknowledged_by=who)
    if takes and not task.assignee:
        task = replace(task, assignee=who, assigned_at=draft.now)
    draft.task = task
    _say(draft, TimelineKind.STARTED, _why(f"{who} works on it", text), who)


def wait(draft: Draft, who: str, until: int, when: str, text: str) -> None:
    """It waits for something until a time (ms), which `when` says for people."""
    draft.move(Move.WAIT)
    draft.task = replace(draft.task, waiting_until=until)
    _say(draft, TimelineKind.WAITING, _why(f"{who} has it wait until {when}", text), who)


def wake(draft: Draft, who: str = "") -> None:
    """It is open again: what it waited for is overdue, or `who` has it wait no longer."""
    until = None if who else draft.task.waiting_until
    draft.move(Move.WAKE)
    text = f"{who} has it wait no longer." if who else "The time to wait is over."
    draft.note(TimelineKind.WAIT_OVER, text, who=who, at=until)
    draft.tell(DeliveryAction.UPDATE, TimelineKind.WAIT_OVER.value, text)


def assign(draft: Draft, who: str, assignee: str, text: str) -> None:
    """It is this person's from now on; nobody's where `assignee` is empty."""
    draft.task = replace(draft.task, assignee=assignee, assigned_at=draft.now if assignee else None)
    said = f"{who} gave it to {assignee}" if assignee else f"{who} took it from its assignee"
    if assignee == who:
        said = f"{who} took it"
    _say(draft, TimelineKind.ASSIGNED, _why(said, text), who)


def comment(draft: Draft, who: str, text: str, at: int | None = None) -> None:
    """A remark, made `at` (ms) or now."""
    draft.note(TimelineKind.COMMENT, text, who=who, at=at)
    draft.tell(DeliveryAction.UPDATE, TimelineKind.COMMENT.value, f"{who}: {text}")


def resolve(draft: Draft, who: str, text: str) -> None:
    """It is mended. While its alert fires still, it stays resolved until that ends."""
    draft.resolve(ResolveReason.PERSON, _why(f"Resolved by {who}", text), who)


def close(
    draft: Draft, who: str, reason: CloseReason, text: str, original: int | None, mute_for: int
) -> None:
    """It is over for good. `original` is the id of the task that it is a duplicate of.

    A problem that will not be fixed is muted at this severity until it has ended, and for
    `mute_for` (ms) after that.
    """
    stood = draft.task.state.stands
    draft.move(Move.CLOSE)
    task = replace(
        draft.task,
        closed_at=draft.now,
        closed_by=who,
        close_reason=reason.value,
        duplicate_of=original,
    )
    if stood:
        task = replace(
            task,
            resolved_at=draft.now,
            resolved_by=who,
            resolve_reason=ResolveReason.PERSON.value,
        )
    if reason is CloseReason.WONT_FIX:
        task = replace(task, mute_for=mute_for, mute_severity=task.severity)
    draft.task = task
    said = f"Closed by {who}, {reason.value.replace('_', ' ')}"
    if original is not None:
        said += f" of {number_of(original)}"
    said = _why(said, text)
    draft.note(TimelineKind.CLOSED, said, reason.value, who)
    # A queue that has heard of the end is told once more why, and does not resolve it twice.
    action = DeliveryAction.RESOLVE if stood else DeliveryAction.UPDATE
    draft.tell(action, f"closed_{reason.value}", said)


def reopen(draft: Draft, who: str, text: str) -> None:
    """It is not over."""
    draft.move(Move.REOPEN)
    said = _why(f"Reopened by {who}", text)
    draft.note(TimelineKind.REOPENED, said, OpenReason.REOPENED.value, who)
    draft.tell(DeliveryAction.REOPEN, OpenReason.REOPENED.value, said)


def _say(draft: Draft, kind: TimelineKind, text: str, who: str) -> None:
    draft.note(kind, text, who=who)
    draft.tell(DeliveryAction.UPDATE, kind.value, text)


def _why(said: str, text: str) -> str:
    return f"{said}: {text}" if text else f"{said}."
