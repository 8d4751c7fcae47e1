"""The states of a task and every way from one to another, in one table.

| move | from | to | by |
| --- | --- | --- | --- |
| acknowledge | open | acknowledged | a person |
| start | open, acknowledged, waiting | in progress | a person |
| wait | open, acknowledged, in progress | waiting | a person, until a time |
| wake | waiting | open | the clock, when that time is over |
| resolve | all that stand | resolved | a person, or its last alert ends |
| close | all but closed | closed | a person, with a reason |
| reopen | resolved, closed | open | a person; if resolved, also an alert that is back |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from forewarn_collector.tasks.errors import RefusedError
from forewarn_collector.tasks.model import Task
from forewarn_collector.tasks.words import STANDING, TaskState


class Move(StrEnum):
    """What takes a task from one state to another."""

    ACKNOWLEDGE = "acknowledge"
    START = "start"
    WAIT = "wait"
    WAKE = "wake"
    RESOLVE = "resolve"
    CLOSE = "close"
    REOPEN = "reopen"


@dataclass(frozen=True, slots=True)
class _Way:
    before: tuple[TaskState, ...]
    after: TaskState
    by_person: bool = True


_OPEN, _ACKNOWLEDGED = TaskState.OPEN, TaskState.ACKNOWLEDGED
_IN_PROGRESS, _WAITING = TaskState.IN_PROGRESS, TaskState.WAITING

WAYS: Mapping[Move, _Way] = {
    Move.ACKNOWLEDGE: _Way((_OPEN,), _ACKNOWLEDGED),
    Move.START: _Way((_OPEN, _ACKNOWLEDGED, _WAITING), _IN_PROGRESS),
    Move.WAIT: _Way((_OPEN, _ACKNOWLEDGED, _IN_PROGRESS), _WAITING),
    Move.WAKE: _Way((_WAITING,), _OPEN, by_person=False),
    Move.RESOLVE: _Way(STANDING, TaskState.RESOLVED),
    Move.CLOSE: _Way((*STANDING, TaskState.RESOLVED), TaskState.CLOSED),
    Move.REOPEN: _Way((TaskState.RESOLVED, TaskState.CLOSED), _OPEN),
}


def possible(state: TaskState) -> list[Move]:
    """What a person can do to a task in this state, in the order of the table."""
    return [move for move, way in WAYS.items() if way.by_person and state in way.before]


def moved(task: Task, move: Move) -> TaskState:
    """The state that a move leads to. Raises RefusedError, which names what is possible."""
    way = WAYS[move]
    if task.state not in way.before:
        known = ", ".join(possible(task.state))
        state = task.state.value.replace("_", " ")
        raise RefusedError(f"{task.number} is {state}, {move} does not fit; possible are: {known}")
    return way.after
