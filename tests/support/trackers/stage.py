"""What the contract suite needs of every tracker: a queue, a way to look in, people, and faults."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from forewarn_collector.queues import TRACKERS, TicketQueue, Tracker
from forewarn_collector.queues.ticket_queue import ticket_queue
from forewarn_collector.queues.tracker import Outcome, TicketState
from forewarn_wire import Problem
from forewarn_wire.document import read_document
from support.trackers.faults import Faults


@dataclass(frozen=True, kw_only=True)
class SeenTicket:
    """A ticket as somebody sees it who does not use our code: `comments` are texts, in order."""

    ref: str
    title: str
    body: str
    state: TicketState
    priority: str = ""
    assignee: str = ""
    labels: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


class World(Protocol):
    """The tracker behind the faults, by other means than the code under test.

    A fake answers from its memory; a real one is asked by its own API or database.
    """

    async def tickets(self) -> Sequence[SeenTicket]:
        """Every ticket there is, the oldest first."""

    async def comment(self, ref: str, who: str, text: str) -> None:
        """A person says something."""

    async def close(self, ref: str, who: str, outcome: Outcome) -> None:
        """A person closes it."""

    async def reopen(self, ref: str, who: str) -> None:
        """A person opens it again."""

    async def assign(self, ref: str, who: str) -> None:
        """A person gives it to `who` (a name of `Stage.people`)."""

    async def start(self, ref: str, who: str) -> None:
        """A person begins to work on it. Only where `Stage.knows_in_progress`."""

    async def delete(self, ref: str) -> None:
        """It is gone."""


@dataclass
class Stage:
    """A tracker to try: `queue` goes through `faults` to it, `world` does not.

    `hasty` is the same queue with a short time-out, where that of `queue` is long, as a real
    tracker on a busy machine takes its time. `people` are two names that the tracker knows.
    `secret` is the token, which no error may show.
    `error_inside` is an answer 200 that is an error, where the tracker has such.
    `missing_field` has the tracker demand a field of new tickets that nobody set;
    `no_way_to_close` takes the transition away; each None where the tracker knows no such thing.
    """

    queue: TicketQueue
    faults: Faults
    world: World
    secret: str
    people: tuple[str, str] = ("ann", "bob")
    knows_in_progress: bool = False
    knows_outcomes: frozenset[Outcome] = frozenset({Outcome.FIXED})
    deletes: bool = True
    error_inside: bytes | None = None
    missing_field: Callable[[], None] | None = None
    no_way_to_close: Callable[[], None] | None = None
    hasty: TicketQueue | None = None
    real: bool = False

    @property
    def tracker(self) -> Tracker:
        return self.queue.tracker


MakeStage = Callable[[], AbstractAsyncContextManager[Stage]]


def queue_from(text: str, environ: Mapping[str, str]) -> TicketQueue:
    """The ticket queue that a section of collector.yml describes (`kind` and all)."""
    problems: list[Problem] = []
    section = read_document(text, "collector.yml", problems)
    assert section is not None, problems
    kinds = {kind.kind: kind for kind in TRACKERS}
    kind = section.require("kind", str, "")
    queue = ticket_queue(kinds[kind], "support", section, environ)
    section.refuse_unknown()
    assert not problems, problems
    assert queue is not None
    return queue
