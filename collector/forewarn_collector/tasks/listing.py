"""Which tasks to list, in which order, and where the next page goes on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, and_, case, cast, exists, func, or_

from forewarn_collector.tasks.identity import severity_order
from forewarn_collector.tasks.model import Task, id_of
from forewarn_collector.tasks.schema import task_alerts, tasks
from forewarn_collector.tasks.words import STANDING, TaskState

MOST = 1_000
"""The most tasks that one page of a list holds."""

_NEVER = 1 << 62
_LATEST = (1 << 42) - 1
_CURSOR = re.compile(r"(-?[0-9]{1,19})\.([0-9]{1,18})", re.ASCII)


class TaskOrder(StrEnum):
    """Orders of a list; the tasks of one rank come by their numbers in the same direction."""

    STANDING = "standing"
    """Those that stand first, of each the newest first."""
    OLDEST = "opened_at"
    NEWEST = "-opened_at"
    ONSET = "onset_at"
    LAST_ONSET = "-onset_at"
    DUE = "due_at"
    """The next to be due first; what is never due comes last."""
    WORST = "severity"
    """The worst first, of each the newest first."""
    URGENT = "urgency"
    """Those that stand first, of these the worst, of these the longest overdue."""


class CursorError(ValueError):
    """A cursor that no page has given."""

    def __init__(self) -> None:
        super().__init__("this is no cursor; give the `next` of the page before")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """Which tasks to list; an empty field admits all.

    `rule` is a rule's key or its name, `text` a part of the title, description or key in any
    case, or a task's number. `instance` finds tasks with an alert of that host, now or before.
    `since` and `until` (ms, the latter not included) are when it opened, `due_before` (ms) is when
    at the latest it was due, and `unassigned` admits only what nobody has been given.
    """

    states: tuple[TaskState, ...] = ()
    severity: str = ""
    customer: str = ""
    service: str = ""
    instance: str = ""
    kind: str = ""
    rule: str = ""
    queue: str = ""
    assignee: str = ""
    text: str = ""
    since: int | None = None
    until: int | None = None
    due_before: int | None = None
    unassigned: bool = False


@dataclass(frozen=True, slots=True)
class TaskPage:
    """A part of a list, how many tasks match in all, and where the next part goes on."""

    tasks: tuple[Task, ...]
    total: int
    next: str = ""


def conditions(wanted: TaskFilter) -> list[ColumnElement[bool]]:
    """What a task must meet."""
    found: list[ColumnElement[bool]] = [tasks.c.id > 0]
    if wanted.states:
        found.append(tasks.c.state.in_([state.value for state in wanted.states]))
    for name in ("severity", "customer", "service", "kind", "queue", "assignee"):
        value = getattr(wanted, name)
        if value:
            found.append(tasks.c[name] == value)
    if wanted.rule:
        found.append(or_(tasks.c.rule == wanted.rule, tasks.c.rule_name == wanted.rule))
    if wanted.since is not None:
        found.append(tasks.c.opened_at >= wanted.since)
    if wanted.until is not None:
        found.append(tasks.c.opened_at < wanted.until)
    if wanted.due_before is not None:
        found.append(tasks.c.due_at < wanted.due_before)
    if wanted.unassigned:
        found.append(tasks.c.assignee == "")
    if wanted.instance:
        found.append(
            exists().where(
                task_alerts.c.task_id == tasks.c.id, task_alerts.c.instance == wanted.instance
            )
        )
    if wanted.text:
        needle = wanted.text.lower()
        parts = [
            func.lower(column).contains(needle, autoescape=True)
            for column in (tasks.c.title, tasks.c.description, tasks.c.key)
        ]
        task_id = id_of(wanted.text)
        if task_id is not None:
            parts.append(tasks.c.id == task_id)
        found.append(or_(*parts))
    return found


@dataclass(frozen=True, slots=True)
class Ordering:
    """A list by `rank` and then by number, each one way or the other."""

    rank: ColumnElement[Any]
    rank_falls: bool
    number_falls: bool

    @property
    def columns(self) -> Sequence[ColumnElement[Any]]:
        """What to order by."""
        rank = self.rank.desc() if self.rank_falls else self.rank
        return rank, tasks.c.id.desc() if self.number_falls else tasks.c.id

    def after(self, cursor: str) -> ColumnElement[bool]:
        """What comes behind a task. Raises CursorError."""
        match = _CURSOR.fullmatch(cursor)
        if match is None or abs(int(match[1])) > _NEVER:
            raise CursorError
        rank, number = int(match[1]), int(match[2])
        later = self.rank < rank if self.rank_falls else self.rank > rank
        beyond = tasks.c.id < number if self.number_falls else tasks.c.id > number
        return or_(later, and_(self.rank == rank, beyond))


def ordering(order: TaskOrder) -> Ordering:
    """How to list in an order."""
    match order:
        case TaskOrder.STANDING:
            return Ordering(_standing_rank(), rank_falls=False, number_falls=True)
        case TaskOrder.URGENT:
            # One number of three: times take 42 bits up to the year 2109, ranks a few above them.
            by_then = case((tasks.c.due_at < _LATEST, tasks.c.due_at), else_=_LATEST)
            worst = cast(_standing_rank() * 16 + _severity_rank(), BigInteger)
            rank = worst * (_LATEST + 1) + by_then
            return Ordering(rank, rank_falls=False, number_falls=True)
        case TaskOrder.WORST:
            return Ordering(_severity_rank(), rank_falls=False, number_falls=True)
        case TaskOrder.DUE:
            due = func.coalesce(tasks.c.due_at, _NEVER)
            return Ordering(due, rank_falls=False, number_falls=False)
    falls = order.value.startswith("-")
    return Ordering(tasks.c[order.value.removeprefix("-")], falls, falls)


def cursor_of(rank: int, task_id: int) -> str:
    """Where a page goes on behind a task."""
    return f"{rank}.{task_id}"


def _standing_rank() -> ColumnElement[int]:
    return case((tasks.c.state.in_([state.value for state in STANDING]), 0), else_=1)


def _severity_rank() -> ColumnElement[int]:
    lower = func.lower(tasks.c.severity)
    ranks = [(lower.in_(names), rank) for rank, names in enumerate(severity_order())]
    return case(*ranks, else_=len(ranks))
