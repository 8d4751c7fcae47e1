"""What people do to tasks: acknowledge, comment, resolve."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from forewarn_collector.tasks.errors import NoSuchTaskError, RefusedError
from forewarn_collector.tasks.ledger import Ledger
from forewarn_collector.tasks.lifecycle import Draft
from forewarn_collector.tasks.model import (
    DeliveryAction,
    Notify,
    ResolveReason,
    Task,
    TaskChange,
    TaskState,
    TimelineKind,
    id_of,
)
from forewarn_collector.tasks.work import Work

_LONGEST = 10_000


class TaskCommands:
    """A person's commands. Each is one transaction, tells the queue, and returns the task.

    `who` names the person, `at` is the time in ms. Raises NoSuchTaskError, RefusedError where the
    command does not fit, LedgerError. Giving a command twice is harmless.
    """

    def __init__(self, ledger: Ledger, notify: Notify) -> None:
        self._ledger = ledger
        self._notify = notify

    def acknowledge(self, number: str, who: str, at: int) -> Task:
        """Say that somebody works on it."""
        with self._draft(number, at) as draft:
            if not draft.task.state.stands:
                raise RefusedError(f"{draft.task.number} is resolved; nothing to acknowledge")
            if draft.task.state is TaskState.OPEN:
                draft.acknowledge(who)
        return draft.task

    def comment(self, number: str, who: str, text: str, at: int) -> Task:
        """Add a remark to the timeline and to the queue's ticket."""
        text = _checked(text)
        if not text:
            raise RefusedError("a comment needs a text")
        with self._draft(number, at) as draft:
            draft.note(TimelineKind.COMMENT, text, who=who)
            draft.tell(DeliveryAction.UPDATE, TimelineKind.COMMENT.value, f"{who}: {text}")
        return draft.task

    def resolve(self, number: str, who: str, at: int, text: str = "") -> Task:
        """Say that it is mended. While its alert fires still, it stays resolved until that ends."""
        text = _checked(text)
        with self._draft(number, at) as draft:
            if draft.task.state.stands:
                said = f"Resolved by {who}: {text}" if text else f"Resolved by {who}."
                draft.resolve(ResolveReason.PERSON, said, who)
        return draft.task

    @contextmanager
    def _draft(self, number: str, at: int) -> Iterator[Draft]:
        task_id = id_of(number)
        told: list[TaskChange] = []
        with self._ledger.write() as connection:
            work = Work(self._ledger, connection, at)
            work.load([] if task_id is None else [task_id])
            draft = work.drafts.get(task_id or 0)
            if draft is None:
                raise NoSuchTaskError(number)
            yield draft
            told = work.save()
        if told:
            self._notify(told)


def _checked(text: str) -> str:
    text = text.strip()
    if len(text) > _LONGEST:
        raise RefusedError(f"the text has {len(text)} characters; {_LONGEST} is the most")
    return text
