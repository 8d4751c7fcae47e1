"""A ticket system that is as small as one can be, for tests of what is the same for all of them.

`Model` is the tracker's side: tickets in memory, on a clock of its own, with people who do things.
`ModelTracker` is ours: it asks a model in this process, or over HTTP (`model_application`,
`over_http`) where the one of both that dies must not take the other along.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from aiohttp import web

from forewarn_collector.queues.base import DeliveryError
from forewarn_collector.queues.pages import Page, plain
from forewarn_collector.queues.ticket_queue import TicketQueue
from forewarn_collector.queues.ticket_settings import read_ticket_settings
from forewarn_collector.queues.tracker import (
    Attachment,
    Comment,
    Outcome,
    Ticket,
    TicketFields,
    TicketState,
)
from forewarn_collector.queues.tracker_http import GoneError, TrackerAccess, TrackerClient
from forewarn_wire.document import Section, read_document

US = "forewarn"
START = 1_700_000_000_000
WRITES = frozenset({"create", "change", "comment", "attach", "resolve", "reopen"})


@dataclass
class ModelTicket:
    """A ticket of a model. `changed_at` in ms of the model's clock."""

    ref: str
    project: str
    title: str
    body: str
    marker: str
    assignee: str
    state: str = "new"
    outcome: str = "fixed"
    changed_by: str = US
    changed_at: int = 0
    comments: list[dict[str, Any]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


class RefusedError(Exception):
    """The model refuses a request; "gone" where there is no such ticket."""


class Model:
    """The tracker. `writes` are all that were carried out, by us and by people, in order."""

    def __init__(self, clock: Callable[[], int] | None = None) -> None:
        self.tickets: dict[str, ModelTicket] = {}
        self.writes: list[tuple[str, str]] = []
        self.calls: list[str] = []
        self.moved: dict[str, str] = {}
        ticks = itertools.count(START)
        self._clock = clock or (lambda: next(ticks))
        self._refs = itertools.count(1)
        self._ids = itertools.count(1)

    # What our side asks.

    def find(self, marker: str) -> Mapping[str, Any] | None:
        for ticket in self.tickets.values():
            if ticket.marker == marker:
                return asdict(ticket)
        return None

    def create(
        self, project: str, title: str, body: str, marker: str, assignee: str
    ) -> Mapping[str, Any]:
        ticket = ModelTicket(str(next(self._refs)), project, title, body, marker, assignee)
        self.tickets[ticket.ref] = ticket
        self._wrote("create", ticket, US)
        return asdict(ticket)

    def change(self, ref: str, changes: Mapping[str, Any]) -> None:
        ticket = self._known(ref)
        if "assignee" in changes:
            ticket.assignee = changes["assignee"]
        self._wrote("change", ticket, US)

    def comment(self, ref: str, body: str, marker: str = "", who: str = US) -> None:
        ticket = self._known(ref)
        at = self._wrote("comment", ticket, who)
        ticket.comments.append(
            {"id": str(next(self._ids)), "who": who, "text": body, "at": at, "marker": marker}
        )

    def attach(self, ref: str, name: str) -> None:
        ticket = self._known(ref)
        if name not in ticket.files:
            ticket.files.append(name)
            self._wrote("attach", ticket, US)

    def resolve(self, ref: str, outcome: str, who: str = US) -> None:
        ticket = self._known(ref)
        if ticket.state != "closed":
            ticket.state, ticket.outcome = "closed", outcome
            self._wrote("resolve", ticket, who)

    def reopen(self, ref: str, who: str = US) -> None:
        ticket = self._known(ref)
        if ticket.state == "closed":
            ticket.state = "new"
            self._wrote("reopen", ticket, who)

    def read(self, ref: str) -> Mapping[str, Any]:
        return asdict(self._known(ref))

    def comments(self, ref: str) -> list[dict[str, Any]]:
        return list(self._known(ref).comments)

    def changed(self, since: int) -> list[str]:
        found = [each for each in self.tickets.values() if each.changed_at >= since]
        return [each.ref for each in sorted(found, key=lambda each: each.changed_at)]

    # What people do beside commenting, closing and opening again.

    def assign(self, ref: str, assignee: str, who: str) -> None:
        ticket = self._known(ref)
        ticket.assignee = assignee
        self._wrote("assign", ticket, who)

    def set_state(self, ref: str, state: TicketState, who: str) -> None:
        ticket = self._known(ref)
        ticket.state = state.value
        self._wrote("state", ticket, who)

    def delete(self, ref: str) -> None:
        del self.tickets[ref]

    def move(self, ref: str, to: str) -> None:
        """It has another reference now; the old one leads to it still."""
        ticket = self.tickets.pop(ref)
        ticket.ref, self.moved[ref] = to, to
        self.tickets[to] = ticket
        self._wrote("move", ticket, "ann")

    def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Carry out what our side asks."""
        self.calls.append(name)
        return getattr(self, name)(**arguments)

    def by_us(self) -> list[tuple[str, str]]:
        """What we have written: (what, reference)."""
        return [(what, ref) for what, ref, who in self._log if who == US]

    @property
    def _log(self) -> list[tuple[str, str, str]]:
        return [(what, *about.split(" ", 1)) for what, about in self.writes]  # type: ignore[misc]

    def _known(self, ref: str) -> ModelTicket:
        found = self.tickets.get(self.moved.get(ref, ref))
        if found is None:
            raise RefusedError("gone")
        return found

    def _wrote(self, what: str, ticket: ModelTicket, who: str) -> int:
        ticket.changed_at, ticket.changed_by = self._clock(), who
        self.writes.append((what, f"{ticket.ref} {who}"))
        return ticket.changed_at


Call = Callable[[str, Mapping[str, Any]], Awaitable[Any]]


class ModelTracker:
    """A `Tracker` that asks a model by `call`."""

    kind: ClassVar[str] = "model"
    longest_title: ClassVar[int] = 200
    longest_body: ClassVar[int] = 60_000
    takes_files: ClassVar[bool] = True
    project_setting: ClassVar[str] = "project"

    def __init__(self, call: Call, close: Callable[[], Awaitable[None]] | None = None) -> None:
        self.call = call
        self._close = close

    @classmethod
    def from_section(cls, section: Section, environ: Mapping[str, str]) -> ModelTracker:
        return cls(*over_http(section.require("url", str, "")))

    def render(self, page: Page) -> str:
        return plain(page)

    def link(self, ref: str) -> str:
        return f"http://model.example/{ref}"

    async def find(self, marker: str, project: str, since: int) -> Ticket | None:
        found = await self.call("find", {"marker": marker})
        return None if found is None else _ticket(found)

    async def create(self, fields: TicketFields, body: str, marker: str) -> Ticket:
        made = {"project": fields.project, "title": fields.title, "assignee": fields.assignee}
        return _ticket(await self.call("create", {**made, "body": body, "marker": marker}))

    async def change(self, ref: str, fields: TicketFields, names: Sequence[str]) -> None:
        changes = {name: getattr(fields, name) for name in names if name == "assignee"}
        await self.call("change", {"ref": ref, "changes": changes})

    async def comment(self, ref: str, body: str, marker: str) -> None:
        await self.call("comment", {"ref": ref, "body": body, "marker": marker})

    async def attach(self, ref: str, file: Attachment) -> None:
        await self.call("attach", {"ref": ref, "name": file.name})

    async def resolve(self, ref: str, outcome: Outcome) -> None:
        await self.call("resolve", {"ref": ref, "outcome": outcome.value})

    async def reopen(self, ref: str) -> None:
        await self.call("reopen", {"ref": ref})

    async def read(self, ref: str) -> Ticket | None:
        try:
            return _ticket(await self.call("read", {"ref": ref}))
        except GoneError:
            return None

    async def comments(self, ref: str) -> list[Comment]:
        return [Comment(**each) for each in await self.call("comments", {"ref": ref})]

    async def changed(self, since: int, refs: Collection[str]) -> list[str]:
        found: list[str] = await self.call("changed", {"since": since})
        return found

    async def check(self, project: str) -> str:
        return US

    async def close(self) -> None:
        if self._close is not None:
            await self._close()


def _ticket(found: Mapping[str, Any]) -> Ticket:
    return Ticket(
        ref=found["ref"],
        state=TicketState(found["state"]),
        outcome=Outcome(found["outcome"]),
        assignee=found["assignee"],
        changed_by=found["changed_by"],
        changed_at=found["changed_at"],
        title=found["title"],
    )


def in_process(model: Model) -> Call:
    """Ask a model that is here."""

    async def call(name: str, arguments: Mapping[str, Any]) -> Any:
        await asyncio.sleep(0)
        try:
            return model.call(name, arguments)
        except RefusedError as error:
            raise GoneError(str(error), permanent=True) from error

    return call


def over_http(url: str) -> tuple[Call, Callable[[], Awaitable[None]]]:
    """Ask a model over HTTP; also what closes the connections."""
    client = TrackerClient(TrackerAccess(base=url, timeout=5_000))

    async def call(name: str, arguments: Mapping[str, Any]) -> Any:
        answer = await client.request("POST", f"/{name}", body=dict(arguments))
        return answer.document["answer"]

    return call, client.close


def model_application(
    model: Model, after: Callable[[str], bool] = lambda _: False
) -> web.Application:
    """The model over HTTP. `after` hears of each request when it was carried out; where it says
    so, the answer is lost."""

    async def handle(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        try:
            answer = model.call(name, await request.json())
        except RefusedError:
            return web.json_response({"error": "gone"}, status=404)
        if after(name):
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"answer": answer})

    application = web.Application(client_max_size=64 << 20)
    application.router.add_post("/{name}", handle)
    return application


def model_queue(call: Call, text: str = "", name: str = "support") -> TicketQueue:
    """A ticket queue on a model, with more of the settings that all of them share."""
    section = read_document(f"project: ops\n{text}", "collector.yml", problems := [])
    assert section is not None, problems
    settings = read_ticket_settings(section, "project", {})
    section.refuse_unknown()
    assert settings is not None, problems
    assert not problems
    return TicketQueue(name, ModelTracker(call), settings)


__all__ = [
    "DeliveryError",
    "Model",
    "ModelTracker",
    "in_process",
    "model_application",
    "model_queue",
    "over_http",
]
