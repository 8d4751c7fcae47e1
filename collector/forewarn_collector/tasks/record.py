"""One task while a transaction changes it: what is noted, what its queue is told, its state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from forewarn_collector.tasks.identity import describe
from forewarn_collector.tasks.model import Task, TimelineEntry
from forewarn_collector.tasks.states import Move, moved
from forewarn_collector.tasks.words import (
    DeliveryAction,
    TaskState,
    TimelineKind,
)

_NOTHING_GOES_ON: Mapping[str, Any] = {
    "input_missing_since": None,
    "flapping_since": None,
    "calm_at": None,
    "quiet_since": None,
    "quiet_by": "",
    "parent": None,
    "next_escalation_at": None,
}
_UNACKNOWLEDGED: Mapping[str, Any] = {
    "acknowledged_at": None,
    "acknowledged_by": "",
    "escalation_step": 0,
}
_NOT_ENDED: Mapping[str, Any] = {
    "resolved_at": None,
    "resolved_by": "",
    "resolve_reason": "",
    "closed_at": None,
    "closed_by": "",
    "close_reason": "",
    "duplicate_of": None,
    "mute_for": None,
    "mute_severity": "",
    "retrospective": False,
}


@dataclass(frozen=True, slots=True)
class Message:
    """What the queue is to be told: the task as it is at this revision, and what changed.

    It is for the task's own queue and all that an escalation has told of it, unless `queue` names
    the only one. `but` is one that knows it already.
    """

    action: DeliveryAction
    reason: str
    text: str
    task: Task
    onset_at: int | None = None
    queue: str = ""
    but: str = ""


class Record:
    """A task with what a transaction adds to it. `now` in ms.

    `loaded` is the task as it was; `entries` what to add to the timeline, `messages` what its
    queue is owed.
    """

    def __init__(self, task: Task, now: int) -> None:
        self.task = task
        self.loaded = task
        self.entries: list[TimelineEntry] = []
        self.messages: list[Message] = []
        self.is_new = False
        self.now = now

    def note(
        self,
        kind: TimelineKind,
        text: str,
        reason: str = "",
        who: str = "",
        at: int | None = None,
    ) -> None:
        """Add an entry to the timeline, as of `at` (ms) or now."""
        self.entries.append(TimelineEntry(self.now if at is None else at, kind, text, reason, who))

    def tell(self, action: DeliveryAction, reason: str, text: str) -> None:
        """Owe the queue a message about the task as it is now, at a revision of its own."""
        self.task = replace(self.task, revision=self.task.revision + 1)
        self.messages.append(Message(action, reason, text, self.task))

    def introduction(self) -> Sequence[Message]:
        """What a queue is told that is to hear of the task from now on."""
        told = [message for message in self.messages if not message.queue]
        if not told:
            text = f"{describe(self.task.labels)} is firing."
            return [Message(DeliveryAction.OPEN, "routed", text, self.task)]
        first, *rest = told
        if first.action is not DeliveryAction.RESOLVE:
            first = replace(first, action=DeliveryAction.OPEN)
        return [first, *rest]

    def mention(self, reason: str, text: str) -> None:
        """Tell the queue of a change by itself, unless the task is quiet or damped."""
        if not self.task.is_quiet and self.task.flapping_since is None:
            self.tell(DeliveryAction.UPDATE, reason, text)

    def move(self, move: Move) -> None:
        """Bring the task to another state, and forget what held of the one before.

        Raises RefusedError where the move does not fit.
        """
        state = moved(self.task, move)
        changes: dict[str, Any] = {"state": state, "waiting_until": None}
        if not state.stands:
            changes |= _NOTHING_GOES_ON
        if state is TaskState.OPEN:
            changes |= _UNACKNOWLEDGED
        if move is Move.REOPEN:
            changes |= _NOT_ENDED
            changes |= {"reopen_count": self.task.reopen_count + 1, "reopened_at": self.now}
        self.task = replace(self.task, **changes)
