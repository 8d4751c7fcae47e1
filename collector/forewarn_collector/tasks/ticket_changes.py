"""What people did to a ticket, done to its task: decisions without a database.

A reading is compared with the ticket as it was read last, or as our last delivery left it. Only
what differs was done by people; a ticket that merely stays as it is changes nothing, whatever its
task has become meanwhile.

| the ticket | the task |
| --- | --- |
| was closed as fixed | is resolved |
| was closed as won't fix, or with nothing done | is closed for that reason |
| was closed as a duplicate of another ticket | is closed, no action |
| was opened again | is reopened, unless a newer task stands for the same problem |
| is worked on | is started |
| waits | waits for a week, or until it is due if that is earlier |
| waits no more | is open |
| was given to somebody, or nobody | too, while it stands |
| has a remark by a person | has it in its timeline |

All this is told to the task's other queues. The ticket's own queue hears two things, once each:
that a problem goes on whose ticket was closed, and that a ticket which was opened again brings no
task back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from forewarn_collector.tasks import handling
from forewarn_collector.tasks.commands import MUTE_FOR
from forewarn_collector.tasks.identity import describe
from forewarn_collector.tasks.lifecycle import Draft
from forewarn_collector.tasks.model import number_of
from forewarn_collector.tasks.record import Message
from forewarn_collector.tasks.words import (
    CloseReason,
    DeliveryAction,
    TaskState,
    TicketState,
    TimelineKind,
)

STILL_HOLDS = "still_holds"
NOT_REOPENED = "not_reopened"

_LONGEST_WAIT = 7 * 86_400_000
_LONGEST_TEXT = 10_000
_NAMED = 3
_AFTERWARDS = {
    TaskState.RESOLVED: "Forewarn opens it again only after it has ended and come back",
    TaskState.CLOSED: "Forewarn opens another only after it has ended and come back",
}
_MUTED = "Forewarn is silent about it until 30 days after its end, unless it gets worse"


@dataclass(frozen=True, slots=True)
class Remark:
    """A remark by a person: the tracker's id of it, who made it (a name of ours), when (ms)."""

    id: str
    who: str
    text: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A ticket as it was seen. `assignee` is the tracker's name, `person` who that is here.

    `who` changed it last, a name of ours; empty where the tracker does not say that. `outcome` is
    of closed ones.
    """

    ref: str
    url: str = ""
    state: TicketState
    outcome: CloseReason = CloseReason.FIXED
    assignee: str = ""
    person: str = ""
    who: str = ""
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """A ticket as it was known before. `assignee` is the tracker's name."""

    queue: str
    ref: str
    state: TicketState
    assignee: str


def is_opened_again(known: Known, seen: Seen) -> bool:
    """Whether somebody opened a closed ticket."""
    return known.state is TicketState.CLOSED and seen.state is not TicketState.CLOSED


def follow(
    draft: Draft, known: Known, seen: Seen, remarks: Sequence[Remark], newer: int | None
) -> None:
    """Do to the task what people did to its ticket.

    `remarks` are those that the task does not have yet. `newer` is the id of another task that
    stands for the same problem.
    """
    stood = draft.task.state.stands
    told_before = len(draft.messages)
    who = _named(seen.who, known.queue)
    for remark in remarks:
        text = remark.text.strip()[:_LONGEST_TEXT]
        if text:
            at = min(remark.at, draft.now)
            handling.comment(draft, _named(remark.who, known.queue), text, at)
    if seen.ref != known.ref:
        text = f"Its ticket {known.ref} in {known.queue} is {seen.ref} now."
        draft.note(TimelineKind.TICKET, text)
    opened_again = is_opened_again(known, seen)
    if opened_again and not draft.task.state.stands and newer is None:
        handling.reopen(draft, who, "")
    given = seen.assignee != known.assignee and draft.task.assignee != seen.person
    if given and draft.task.state.stands:
        handling.assign(draft, who, seen.person, "")
    if seen.state is not known.state:
        _move(draft, known, seen, who)
    draft.messages[told_before:] = [
        replace(message, but=known.queue) for message in draft.messages[told_before:]
    ]
    if stood and not draft.task.state.stands and draft.members:
        _answer(draft, known.queue, STILL_HOLDS, _still_holds(draft))
    if opened_again and not draft.task.state.stands and newer is not None:
        text = (
            f"{draft.task.number} stays {draft.task.state.value}: {number_of(newer)} stands for the"
            " same problem."
        )
        draft.note(TimelineKind.TICKET, text, NOT_REOPENED)
        _answer(draft, known.queue, NOT_REOPENED, text)


def lose(draft: Draft, known: Known) -> None:
    """Its ticket is gone."""
    text = f"Its ticket {known.ref} is gone from {known.queue}; none is made in its place."
    draft.note(TimelineKind.TICKET, text, "gone")


def _move(draft: Draft, known: Known, seen: Seen, who: str) -> None:
    state = draft.task.state
    if seen.state is TicketState.CLOSED:
        _close(draft, seen.outcome, who)
    elif not state.stands:
        return
    elif seen.state is TicketState.IN_PROGRESS:
        if state is not TaskState.IN_PROGRESS:
            handling.start(draft, who, "", takes=False)
    elif seen.state is TicketState.WAITING:
        if state is not TaskState.WAITING:
            until = _until(draft)
            when = f"{datetime.fromtimestamp(until / 1000, UTC):%Y-%m-%d %H:%M} UTC"
            handling.wait(draft, who, until, when, "")
    elif known.state is TicketState.WAITING and state is TaskState.WAITING:
        handling.wake(draft, who)


def _close(draft: Draft, outcome: CloseReason, who: str) -> None:
    if outcome is CloseReason.FIXED:
        if draft.task.state.stands:
            handling.resolve(draft, who, "")
        return
    if draft.task.state is TaskState.CLOSED:
        return
    text = ""
    if outcome is CloseReason.DUPLICATE:
        # Of which task, if of any, the tracker does not say.
        outcome, text = CloseReason.NO_ACTION, "its ticket is a duplicate of another"
    handling.close(draft, who, outcome, text, None, MUTE_FOR)


def _until(draft: Draft) -> int:
    week, due = draft.now + _LONGEST_WAIT, draft.task.due_at
    return min(week, due) if due is not None and due > draft.now else week


def _still_holds(draft: Draft) -> str:
    task, members = draft.task, list(draft.members.values())
    names = "; ".join(describe(member.labels) for member in members[:_NAMED])
    more = f" and {len(members) - _NAMED} more" if len(members) > _NAMED else ""
    muted = task.close_reason == CloseReason.WONT_FIX.value
    then = _MUTED if muted else _AFTERWARDS[task.state]
    return f"The problem still holds: {names}{more}. {then}."


def _answer(draft: Draft, queue: str, reason: str, text: str) -> None:
    """Owe a remark to the ticket itself, and to no other queue."""
    draft.task = replace(draft.task, revision=draft.task.revision + 1)
    message = Message(DeliveryAction.UPDATE, reason, text, draft.task, queue=queue)
    draft.messages.append(message)


def _named(person: str, queue: str) -> str:
    return f"{person or 'somebody'} ({queue})"
