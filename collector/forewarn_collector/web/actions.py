"""What people do to tasks on the page: the API's commands, for one task or for many at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web
from multidict import MultiDict

from forewarn_collector.api.narrowing import actor_of, customer_of, silence_for, silence_is_of
from forewarn_collector.silencing import (
    MatchKind,
    NoSuchSilenceError,
    Silence,
    SilenceError,
    make_matcher,
)
from forewarn_collector.tasks import (
    Actor,
    CloseReason,
    NoSuchTaskError,
    RefusedError,
    TaskCommands,
    TaskQueries,
    Terms,
)
from forewarn_collector.tasks.identity import SEVERITY
from forewarn_collector.tasks.silences import Silences
from forewarn_collector.web.layout import Site, own_address
from forewarn_collector.web.shown import counted

_MOST = 1_000
_MOST_REASONS = 3
_HOUR = 3_600_000
SPANS = {
    "1h": ("1 hour", _HOUR),
    "4h": ("4 hours", 4 * _HOUR),
    "1d": ("1 day", 24 * _HOUR),
    "7d": ("7 days", 7 * 24 * _HOUR),
    "30d": ("30 days", 30 * 24 * _HOUR),
}
"""For how long something may be silenced, or wait."""


@dataclass(frozen=True, slots=True)
class _Given:
    """What goes with an action: who acts on whose tasks, by what, with which fields, when (ms)."""

    queries: TaskQueries
    commands: TaskCommands
    silences: Silences
    actor: Actor
    customer: str
    fields: MultiDict[str]
    now: int

    @property
    def who(self) -> str:
        """Who acts."""
        return self.actor.name

    def text(self, name: str) -> str:
        """A field without white space around it; line ends are as everywhere but in forms."""
        return self.fields.get(name, "").replace("\r\n", "\n").strip()

    def until(self, name: str) -> int:
        """The time (ms) that a choice of `SPANS` leads to. Raises RefusedError."""
        chosen = SPANS.get(self.text(name))
        if chosen is None:
            raise RefusedError("choose for how long")
        return self.now + chosen[1]


def _acknowledge(number: str, given: _Given) -> None:
    given.commands.acknowledge(number, given.who, given.now)


def _start(number: str, given: _Given) -> None:
    given.commands.start(number, given.who, given.now)


def _take(number: str, given: _Given) -> None:
    given.commands.assign(number, given.who, given.who, given.now)


def _assign(number: str, given: _Given) -> None:
    given.commands.assign(number, given.who, given.text("assignee"), given.now)


def _wait(number: str, given: _Given) -> None:
    given.commands.wait(
        number, given.who, given.until("wait_for"), given.now, given.text("wait_text")
    )


def _comment(number: str, given: _Given) -> None:
    given.commands.comment(number, given.who, given.text("comment"), given.now)


def _resolve(number: str, given: _Given) -> None:
    given.commands.resolve(number, given.who, given.now, given.text("resolve_text"))


def _close(number: str, given: _Given) -> None:
    reason = next((each for each in CloseReason if each.value == given.text("reason")), None)
    if reason is None:
        raise RefusedError("choose what became of it")
    given.commands.close(
        number,
        given.who,
        reason,
        given.now,
        given.text("close_text"),
        duplicate_of=given.text("duplicate_of"),
    )


def _reopen(number: str, given: _Given) -> None:
    given.commands.reopen(number, given.who, given.now, given.text("reopen_text"))


def _silence(number: str, given: _Given) -> None:
    """Silence what all alerts of the task share, whatever its severity becomes."""
    task = given.queries.one(number)
    matchers = tuple(
        make_matcher(name, MatchKind.EQUAL, value)
        for name, value in task.labels
        if name != SEVERITY and value
    )
    if not matchers:
        raise RefusedError(f"{task.number}: its alerts share no label by which to silence them")
    silence = Silence(
        "",
        matchers,
        given.now,
        given.until("silence_for"),
        given.now,
        given.who,
        given.text("silence_text") or f"{task.number}: {task.title}",
    )
    given.silences.set(silence_for(given.customer, silence), given.actor, given.now)


def _unsilence(silence_id: str, given: _Given) -> None:
    """End a silence, which is named in the place of a task."""
    try:
        if silence_is_of(given.customer, given.silences.one(silence_id)):
            given.silences.expire(silence_id, given.actor, given.now)
            return
    except NoSuchSilenceError:
        pass
    raise RefusedError("there is no such silence, or it expired long ago")


ACTIONS: Mapping[str, tuple[str, Callable[[str, _Given], None]]] = {
    "acknowledge": ("acknowledged", _acknowledge),
    "start": ("started", _start),
    "take": ("given to you", _take),
    "assign": ("assigned", _assign),
    "wait": ("set to wait", _wait),
    "comment": ("commented on", _comment),
    "silence": ("silenced", _silence),
    "unsilence": ("no longer silenced", _unsilence),
    "resolve": ("resolved", _resolve),
    "close": ("closed", _close),
    "reopen": ("reopened", _reopen),
}
"""By the name that a button sends: what is said when it is done, and what does it."""


class Actions:
    """Takes the forms with actions, carries them out, and leads back with a word on them."""

    def __init__(
        self, site: Site, queries: TaskQueries, commands: TaskCommands, silences: Silences
    ) -> None:
        self._site = site
        self._queries = queries
        self._commands = commands
        self._silences = silences

    def routes(self) -> Sequence[web.RouteDef]:
        """The routes."""
        return (self._site.form("/tasks/actions", self._act),)

    async def _act(self, request: web.Request, fields: MultiDict[str]) -> web.StreamResponse:
        back = own_address(fields.get("back", "/"))
        # The button of a row says which task it is for; others are for all that are chosen.
        name, _, only = fields.get("do", "").partition(" ")
        numbers = [only] if only else list(dict.fromkeys(fields.getall("task", [])))
        if name not in ACTIONS:
            return self._site.lead(back, "Choose what to do.", problem=True)
        if not numbers:
            return self._site.lead(back, "Choose at least one task first.", problem=True)
        actor, customer = actor_of(request), customer_of(request)
        given = _Given(
            self._queries.of(customer),
            self._commands.on(Terms(customer, actor.role, actor.token)),
            self._silences,
            actor,
            customer,
            fields,
            self._site.clock(),
        )
        said, act = ACTIONS[name]
        refused = await asyncio.to_thread(_each, act, numbers[:_MOST], given)
        done = len(numbers[:_MOST]) - sum(refused.values())
        told = [f"{counted(done, 'task')} {said}."] if done else []
        told += [f"{reason[:1].upper()}{reason[1:]}." for reason in list(refused)[:_MOST_REASONS]]
        return self._site.lead(back, " ".join(told), problem=bool(refused))


def _each(
    act: Callable[[str, _Given], None], numbers: Sequence[str], given: _Given
) -> Mapping[str, int]:
    """Why it could not be done, and to how many of the tasks."""
    refused: Counter[str] = Counter()
    for number in numbers:
        try:
            act(number, given)
        except (RefusedError, NoSuchTaskError, SilenceError) as error:
            refused[str(error)] += 1
    return refused
