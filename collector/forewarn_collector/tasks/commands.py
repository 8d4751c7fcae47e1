"""What people do to tasks, each as one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from forewarn_collector.tasks import handling
from forewarn_collector.tasks.audit import Actor
from forewarn_collector.tasks.errors import ChangedError, NoSuchTaskError, RefusedError, UnfitError
from forewarn_collector.tasks.ledger import Ledger
from forewarn_collector.tasks.lifecycle import Draft
from forewarn_collector.tasks.model import (
    Notify,
    Task,
    TaskChange,
    id_of,
    number_of,
)
from forewarn_collector.tasks.once import Once
from forewarn_collector.tasks.queries import version_of
from forewarn_collector.tasks.service import BySeverity, ServiceLevels
from forewarn_collector.tasks.words import CloseReason, TaskState
from forewarn_collector.tasks.work import Work

_LONGEST = 10_000
_LONGEST_NAME = 200
MUTE_FOR = 30 * 86_400_000
"""How long (ms) after its end a problem that will not be fixed stays muted, if nobody says."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms commands are given.

    `customer` is whose tasks there are, empty for all. `role` and `token` are of whoever gives
    them. With `versions` the task must be one of these; with `once` the command has a key.
    """

    customer: str = ""
    role: str = ""
    token: str = ""
    versions: frozenset[str] = frozenset()
    once: Once | None = None

    def admits(self, task: Task) -> bool:
        """Whether there is this task, for whoever gives the command."""
        return self.customer in ("", task.customer)


_ANY = Terms()
_NO_LEVELS = BySeverity()


class TaskCommands:
    """A person's commands. Each is one transaction, tells the queue, and returns the task.

    `who` names the person, `at` is the time in ms; `text` says why, and may be empty. Raises
    NoSuchTaskError, UnfitError where the command makes no sense, RefusedError where it does not
    fit (which names those that do), ChangedError, RepeatedError and KeyReusedError by its terms,
    LedgerError. Giving a command twice is harmless.
    """

    def __init__(
        self,
        ledger: Ledger,
        notify: Notify,
        terms: Terms = _ANY,
        *,
        levels: ServiceLevels = _NO_LEVELS,
    ) -> None:
        """`levels` say how tasks escalate; by default none does."""
        self._ledger = ledger
        self._notify = notify
        self._levels = levels
        self._terms = terms

    def on(self, terms: Terms) -> TaskCommands:
        """The same commands on these terms."""
        return TaskCommands(self._ledger, self._notify, terms, levels=self._levels)

    def acknowledge(self, number: str, who: str, at: int, text: str = "") -> Task:
        """Say that somebody has seen it."""
        text = _checked(text)
        return self._move(
            number,
            who,
            at,
            TaskState.ACKNOWLEDGED,
            lambda draft: handling.acknowledge(draft, who, text),
        )

    def start(self, number: str, who: str, at: int, text: str = "") -> Task:
        """Say that somebody works on it."""
        text = _checked(text)
        return self._move(
            number,
            who,
            at,
            TaskState.IN_PROGRESS,
            lambda draft: handling.start(draft, who, text),
        )

    def wait(self, number: str, who: str, until: int, at: int, text: str = "") -> Task:
        """Have it wait until a time (ms), when it is open again."""
        text = _checked(text)
        with self._draft(number, who, at) as draft:
            # Only now: a command that was carried out before is answered as it was then.
            if until <= at:
                raise UnfitError(f"it can't wait until {_when(until)}: that is over")
            if (draft.task.state, draft.task.waiting_until) != (TaskState.WAITING, until):
                if draft.task.state is TaskState.WAITING:
                    # A person may put off a time that was given before.
                    handling.start(draft, who, "")
                handling.wait(draft, who, until, _when(until), text)
        return draft.task

    def assign(self, number: str, who: str, assignee: str, at: int, text: str = "") -> Task:
        """Give it to somebody, or to nobody (empty)."""
        text, assignee = _checked(text), assignee.strip()
        if len(assignee) > _LONGEST_NAME:
            raise UnfitError(f"a name has at most {_LONGEST_NAME} characters")
        with self._draft(number, who, at) as draft:
            if not draft.task.state.stands:
                raise RefusedError(f"{draft.task.number} is {draft.task.state}; reopen it first")
            if draft.task.assignee != assignee:
                handling.assign(draft, who, assignee, text)
        return draft.task

    def comment(self, number: str, who: str, text: str, at: int) -> Task:
        """Add a remark to the timeline and to the queue's ticket."""
        text = _checked(text)
        if not text:
            raise UnfitError("a comment needs a text")
        with self._draft(number, who, at) as draft:
            handling.comment(draft, who, text)
        return draft.task

    def resolve(self, number: str, who: str, at: int, text: str = "") -> Task:
        """Say that it is mended. While its alert fires still, it stays resolved until that ends."""
        text = _checked(text)
        with self._draft(number, who, at) as draft:
            if draft.task.state.stands:
                handling.resolve(draft, who, text)
        return draft.task

    def close(
        self,
        number: str,
        who: str,
        reason: CloseReason,
        at: int,
        text: str = "",
        *,
        duplicate_of: str = "",
        mute_for: int = MUTE_FOR,
    ) -> Task:
        """Say that it is over for good: what fires after that is another task.

        `duplicate_of` is the number of another task, for that reason and no other. `mute_for` (ms)
        is how long a problem that will not be fixed stays muted after its end.
        """
        text = _checked(text)
        if (reason is CloseReason.DUPLICATE) != bool(duplicate_of):
            raise UnfitError("duplicate_of goes with the reason duplicate: say both, or neither")
        with self._draft(number, who, at, also=duplicate_of) as draft:
            original = id_of(duplicate_of) if duplicate_of else None
            if original == draft.task.id:
                raise UnfitError(f"{draft.task.number} is no duplicate of itself")
            known = (draft.task.close_reason, draft.task.duplicate_of)
            if draft.task.state is not TaskState.CLOSED or known != (reason.value, original):
                handling.close(draft, who, reason, text, original, mute_for)
        return draft.task

    def reopen(self, number: str, who: str, at: int, text: str = "") -> Task:
        """Say that it is not over."""
        text = _checked(text)
        with self._draft(number, who, at) as draft:
            if not draft.task.state.stands:
                handling.reopen(draft, who, text)
        return draft.task

    def _move(
        self,
        number: str,
        who: str,
        at: int,
        to: TaskState,
        change: Callable[[Draft], None],
    ) -> Task:
        with self._draft(number, who, at) as draft:
            if draft.task.state is not to:
                change(draft)
        return draft.task

    @contextmanager
    def _draft(self, number: str, who: str, at: int, *, also: str = "") -> Iterator[Draft]:
        """The draft of a task, while its transaction lasts; `also` names another that must be."""
        terms = self._terms
        wanted = {name: id_of(name) for name in ((number, also) if also else (number,))}
        told: list[TaskChange] = []
        with self._ledger.write() as connection:
            if terms.once is not None:
                terms.once.begin(connection, at)
            actor = Actor(who, terms.role, terms.token)
            work = Work(self._ledger, connection, at, self._levels, actor)
            work.load([task_id for task_id in wanted.values() if task_id is not None])
            for name, task_id in wanted.items():
                if task_id not in work.drafts or not terms.admits(work.drafts[task_id].task):
                    raise NoSuchTaskError(name)
            draft = work.drafts[wanted[number] or 0]
            if terms.versions and version_of(connection, draft.task.id) not in terms.versions:
                raise ChangedError(number)
            stood = draft.task.state.stands
            yield draft
            if draft.task.state.stands and not stood:
                _refuse_second(work, draft)
            told = work.save()
            if terms.once is not None:
                terms.once.end(connection, draft.task.to_json(), at)
        if told:
            self._notify(told)


def _refuse_second(work: Work, draft: Draft) -> None:
    """One problem, one task: refuse to reopen a task of which there is a newer one that stands."""
    standing = work.standing_id(draft.task.key)
    if standing is not None:
        raise RefusedError(
            f"{draft.task.number} can't be reopened: {number_of(standing)} stands for the same"
            " problem; comment on that, or close it as a duplicate first"
        )


def _checked(text: str) -> str:
    text = text.strip()
    if len(text) > _LONGEST:
        raise UnfitError(f"the text has {len(text)} characters; {_LONGEST} is the most")
    return text


def _when(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M} UTC"
