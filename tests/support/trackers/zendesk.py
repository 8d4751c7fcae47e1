"""A Zendesk account that answers as Zendesk documents its Ticketing API, and refuses the rest.

Source: https://developer.zendesk.com/api-reference/ticketing/introduction/ and the pages on
tickets, ticket comments, attachments, groups and users.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from forewarn_collector.queues.tracker import Outcome, TicketState
from support.alerts import T0
from support.trackers.fakes import queue_before
from support.trackers.stage import SeenTicket, Stage

TOKEN = "zendesk-s3cret-token"
EMAIL = "bot@acme.example"
BOT, ANN, BOB, CUSTOMER = 100, 101, 102, 103
GROUP = 360001
USERS: Mapping[int, dict[str, Any]] = {
    BOT: {"id": BOT, "name": "Forewarn", "email": EMAIL, "role": "agent"},
    ANN: {"id": ANN, "name": "Ann", "email": "ann@acme.example", "role": "agent"},
    BOB: {"id": BOB, "name": "Bob", "email": "bob@acme.example", "role": "admin"},
    CUSTOMER: {"id": CUSTOMER, "name": "Cam", "email": "cam@client.example", "role": "end-user"},
}
STATES = {
    "new": TicketState.NEW,
    "open": TicketState.IN_PROGRESS,
    "pending": TicketState.WAITING,
    "hold": TicketState.WAITING,
    "solved": TicketState.CLOSED,
    "closed": TicketState.CLOSED,
}
_WRITABLE: Mapping[str, type | tuple[type, ...]] = {
    "subject": str,
    "comment": dict,
    "external_id": str,
    "group_id": int,
    "tags": list,
    "type": str,
    "priority": str,
    "status": str,
    "due_at": str,
    "assignee_email": str,
    "assignee_id": int,
    "requester_id": int,
    "custom_fields": list,
    "via_followup_source_id": int,
}
_COMMENT: Mapping[str, type] = {"body": str, "html_body": str, "public": bool, "uploads": list}
_ENUMS = {
    "type": {"problem", "incident", "question", "task"},
    "priority": {"urgent", "high", "normal", "low"},
    "status": set(STATES),
}
_TAG = re.compile(r"[\w:/.-]+")
_LONGEST = 65_535


class _RefusedError(Exception):
    def __init__(self, status: int, document: Any) -> None:
        super().__init__(status)
        self.status = status
        self.document = document


def _invalid(said: str, name: str = "base") -> _RefusedError:
    details = {name: [{"description": said}]}
    document = {"error": "RecordInvalid", "description": "Record validation errors"}
    return _RefusedError(422, {**document, "details": details})


@dataclass
class FakeZendesk:
    """An account: `tickets` and `comments` by a ticket's id; `required` to solve: names of fields.

    `seconds` is its clock since T0, which goes on by one with every change.
    """

    tickets: dict[int, dict[str, Any]] = field(default_factory=dict)
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    uploads: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, tuple[str, int]] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    me: int = BOT
    _ids: int = 1000
    seconds: int = 0

    def application(self) -> web.Application:
        application = web.Application(client_max_size=64 << 20, middlewares=[self._guard])
        add = application.router.add_route
        add("GET", "/api/v2/users/me", self._users_me)
        add("GET", "/api/v2/groups", self._list_groups)
        add("GET", "/api/v2/tickets", self._list_tickets)
        add("POST", "/api/v2/tickets", self._create)
        add("GET", "/api/v2/tickets/show_many", self._show_many)
        add("GET", r"/api/v2/tickets/{id:\d+}", self._show)
        add("PUT", r"/api/v2/tickets/{id:\d+}", self._update)
        add("GET", r"/api/v2/tickets/{id:\d+}/comments", self._list_comments)
        add("POST", "/api/v2/uploads", self._upload)
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        wanted = base64.b64encode(f"{EMAIL}/token:{TOKEN}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {wanted}":
            return web.json_response({"error": "Couldn't authenticate you"}, status=401)
        if request.headers.get("Accept") != "application/json":
            return web.Response(status=406)
        try:
            answer: web.StreamResponse = await handler(request)
        except _RefusedError as error:
            return web.json_response(error.document, status=error.status)
        except web.HTTPNotFound:
            return web.json_response({"error": "InvalidEndpoint"}, status=404)
        return answer

    # What people and the account itself do, past the API.

    def write(self, number: int, who: int, said: str, *, public: bool = True) -> None:
        """A comment; `said` is HTML."""
        plain = re.sub(r"<(?:p|br|tr|h3|li|pre|table)\b[^>]*>", "\n", said)
        plain = html.unescape(re.sub(r"<[^>]*>", "", plain)).strip()
        comment = {
            "id": self._next(),
            "type": "Comment",
            "author_id": who,
            "body": plain,
            "html_body": said,
            "plain_body": plain,
            "public": public,
            "attachments": [],
            "created_at": self._touch(number),
        }
        self.comments.setdefault(number, []).append(comment)

    def set(self, number: int, **values: Any) -> None:
        """Change a ticket without any of the API's rules."""
        self.tickets[number].update(values)
        self._touch(number)

    # The API.

    async def _users_me(self, _: web.Request) -> web.Response:
        return web.json_response({"user": USERS[self.me]})

    async def _list_groups(self, request: web.Request) -> web.Response:
        _only(request, "page[size]", "page[after]")
        groups = [{"id": 360000, "name": "Sales"}, {"id": GROUP, "name": "Support"}]
        # Two pages, however large they may be.
        second = request.query.get("page[after]") == "g2"
        meta = {"has_more": not second, "after_cursor": None if second else "g2"}
        return web.json_response({"groups": groups[1:] if second else groups[:1], "meta": meta})

    async def _list_tickets(self, request: web.Request) -> web.Response:
        _only(request, "external_id", "sort_by", "sort_order", "per_page", "page")
        wanted = request.query.get("external_id")
        by = request.query.get("sort_by", "id")
        assert by in {"id", "created_at", "updated_at", "status"}, by
        found = [
            ticket
            for ticket in self.tickets.values()
            if wanted is None or ticket["external_id"] == wanted
        ]
        found.sort(key=lambda ticket: (ticket[by], ticket["id"]))
        if request.query.get("sort_order") == "desc":
            found.reverse()
        size, page = int(request.query.get("per_page", 100)), int(request.query.get("page", 1))
        assert size <= 100
        pages = -(-len(found) // size)
        more = f"{request.url.origin()}/api/v2/tickets?page={page + 1}" if page < pages else None
        document = {"tickets": found[(page - 1) * size : page * size], "count": len(found)}
        return web.json_response({**document, "next_page": more, "previous_page": None})

    async def _create(self, request: web.Request) -> web.Response:
        given = await _ticket_in(request)
        raw = json.dumps(given, sort_keys=True)
        key = request.headers.get("Idempotency-Key", "")
        assert len(key) <= 255
        if key in self.keys:
            known, number = self.keys[key]
            if known != raw:
                said = "Request parameters don't match the given idempotency key"
                raise _RefusedError(400, {"error": "IdempotentRequestError", "description": said})
            headers = {"x-idempotency-lookup": "hit"}
            return web.json_response({"ticket": self.tickets[number]}, status=201, headers=headers)
        if "comment" not in given:
            raise _invalid("Description: cannot be blank")
        self._check(given, {})
        number = self._next()
        source = given.pop("via_followup_source_id", None)
        if source is not None:
            if self.tickets[source]["status"] != "closed":
                raise _invalid("Via followup source: is not closed")
            self.tickets[source]["followup_ids"].append(number)
        comment = given.pop("comment")
        self.tickets[number] = {
            "id": number,
            "external_id": None,
            "subject": None,
            "description": "",
            "status": "new",
            "type": None,
            "priority": None,
            "tags": [],
            "custom_fields": [],
            "group_id": None,
            "assignee_id": None,
            "requester_id": self.me,
            "due_at": None,
            "followup_ids": [],
            "created_at": "",
            "updated_at": "",
        }
        self._apply(number, given)
        self._add_comment(number, comment)
        self.tickets[number]["created_at"] = self.tickets[number]["updated_at"]
        self.tickets[number]["description"] = self.comments[number][0]["body"]
        if key:
            self.keys[key] = (raw, number)
        headers = {"x-idempotency-lookup": "miss"}
        return web.json_response({"ticket": self.tickets[number]}, status=201, headers=headers)

    async def _show(self, request: web.Request) -> web.Response:
        _only(request, "include")
        document: dict[str, Any] = {"ticket": self._known(request)}
        if request.query.get("include") == "users":
            document["users"] = list(USERS.values())
        return web.json_response(document)

    async def _update(self, request: web.Request) -> web.Response:
        ticket = self._known(request)
        given = await _ticket_in(request)
        if ticket["status"] == "closed":
            raise _invalid("Status: closed prevents ticket update", "status")
        self._check(given, ticket)
        comment = given.pop("comment", None)
        self._apply(ticket["id"], given)
        if comment is not None:
            self._add_comment(ticket["id"], comment)
        return web.json_response({"ticket": ticket, "audit": {"id": self._next()}})

    async def _list_comments(self, request: web.Request) -> web.Response:
        _only(request, "include", "sort", "page[size]", "page[after]")
        found = list(self.comments[self._known(request)["id"]])
        if request.query.get("sort") == "-created_at":
            found.reverse()
        # Pages of three: a client that asks for no second page misses most.
        start = int(request.query.get("page[after]", 0))
        more = start + 3 < len(found)
        document: dict[str, Any] = {
            "comments": found[start : start + 3],
            "meta": {"has_more": more, "after_cursor": str(start + 3) if more else None},
        }
        if request.query.get("include") == "users":
            document["users"] = list(USERS.values())
        return web.json_response(document)

    async def _upload(self, request: web.Request) -> web.Response:
        _only(request, "filename")
        token = f"upload{self._next()}"
        attachment = {
            "id": self._next(),
            "file_name": request.query["filename"],
            "content_type": request.headers["Content-Type"],
            "size": len(await request.read()),
        }
        self.uploads[token] = attachment
        upload = {"token": token, "attachment": attachment, "attachments": [attachment]}
        return web.json_response({"upload": upload}, status=201)

    async def _show_many(self, request: web.Request) -> web.Response:
        _only(request, "ids")
        ids = [int(each) for each in request.query["ids"].split(",")]
        assert len(ids) <= 100
        found = [self.tickets[each] for each in ids if each in self.tickets]
        return web.json_response({"tickets": found, "count": len(found)})

    def _known(self, request: web.Request) -> dict[str, Any]:
        ticket = self.tickets.get(int(request.match_info["id"]))
        if ticket is None:
            raise _RefusedError(404, {"error": "RecordNotFound", "description": "Not found"})
        return ticket

    def _check(self, given: Mapping[str, Any], ticket: Mapping[str, Any]) -> None:
        for name, value in given.items():
            if name not in _WRITABLE or not isinstance(value, _WRITABLE[name]):
                raise _RefusedError(
                    400, {"error": "Unprocessable", "message": f"{name} is unknown"}
                )
            if name in _ENUMS and value not in _ENUMS[name]:
                raise _invalid(f"{name.title()}: {value} is not a valid value", name)
        if len(given.get("subject", "")) > 150:
            raise _invalid("Subject: is too long (maximum is 150 characters)", "subject")
        if given.get("group_id", GROUP) != GROUP:
            raise _invalid("Group: is invalid", "group")
        if not all(_TAG.fullmatch(tag) for tag in given.get("tags", ())):
            raise _invalid("Tags: contain invalid characters", "tags")
        kind = given.get("type", ticket.get("type"))
        if "due_at" in given and kind != "task":
            raise _invalid("Due date: is for tasks only", "due_at")
        if "assignee_email" in given and self._agent(given["assignee_email"]) is None:
            raise _invalid("Assignee: is invalid", "assignee")
        comment = given.get("comment")
        if comment is not None:
            if not set(comment) <= set(_COMMENT) or len({"body", "html_body"} & set(comment)) != 1:
                raise _invalid("Comment: has unknown properties", "comment")
            said = comment.get("body") or comment.get("html_body")
            if not said or len(said.encode()) > _LONGEST:
                raise _invalid("Comment: is too long or empty", "comment")
        if given.get("status") == "solved":
            assignee = given.get("assignee_id", ticket.get("assignee_id"))
            missing = [*([] if assignee else ["Assignee"]), *self.required]
            if missing:
                raise _invalid(
                    ", ".join(f"{m}: is required when solving a ticket" for m in missing)
                )

    def _apply(self, number: int, given: Mapping[str, Any]) -> None:
        values = dict(given)
        email = values.pop("assignee_email", None)
        if email is not None:
            values["assignee_id"] = self._agent(email)
        ticket = self.tickets[number]
        # A new ticket that is given to somebody is open.
        if values.get("assignee_id") and ticket["status"] == "new":
            values.setdefault("status", "open")
        self.set(number, **values)

    def _add_comment(self, number: int, comment: Mapping[str, Any]) -> None:
        said = comment.get("html_body") or html.escape(comment["body"])
        self.write(number, self.me, said, public=comment.get("public", True))
        files = [self.uploads.pop(token) for token in comment.get("uploads", ())]
        self.comments[number][-1]["attachments"] = files

    def _agent(self, email: str) -> int | None:
        agents = (each for each in USERS.values() if each["role"] != "end-user")
        return {each["email"]: each["id"] for each in agents}.get(email)

    def _next(self) -> int:
        self._ids += 1
        return self._ids

    def _touch(self, number: int) -> str:
        self.seconds += 1
        stamp = datetime.fromtimestamp(T0 // 1000 + self.seconds, UTC)
        self.tickets[number]["updated_at"] = f"{stamp:%Y-%m-%dT%H:%M:%SZ}"
        return str(self.tickets[number]["updated_at"])


def _only(request: web.Request, *names: str) -> None:
    strange = set(request.query) - set(names)
    if strange:
        raise _RefusedError(400, {"error": "InvalidParameters", "description": f"{strange}"})


async def _ticket_in(request: web.Request) -> dict[str, Any]:
    if request.content_type != "application/json":
        raise _RefusedError(415, {"error": "UnsupportedMediaType"})
    document = await request.json()
    given = document.get("ticket") if isinstance(document, dict) else None
    if not isinstance(given, dict):
        said = "Parameter ticket is required"
        raise _RefusedError(400, {"error": {"title": "Invalid attribute", "message": said}})
    json.dumps(given, ensure_ascii=False).encode()  # half characters are refused
    return given


class ZendeskWorld:
    """What agents do in the account."""

    def __init__(self, fake: FakeZendesk) -> None:
        self.fake = fake

    async def tickets(self) -> list[SeenTicket]:
        return [self._seen(ticket) for ticket in self.fake.tickets.values()]

    async def comment(self, ref: str, who: str, text: str) -> None:
        self.fake.write(int(ref), _id(who), f"<p>{html.escape(text)}</p>", public=False)

    async def close(self, ref: str, who: str, outcome: Outcome) -> None:
        self.fake.set(int(ref), status="solved", assignee_id=_id(who))

    async def reopen(self, ref: str, who: str) -> None:
        self.fake.set(int(ref), status="open")

    async def assign(self, ref: str, who: str) -> None:
        self.fake.set(int(ref), status="open", assignee_id=_id(who))

    async def start(self, ref: str, who: str) -> None:
        self.fake.set(int(ref), status="open")

    async def delete(self, ref: str) -> None:
        del self.fake.tickets[int(ref)]

    def _seen(self, ticket: Mapping[str, Any]) -> SeenTicket:
        first, *later = self.fake.comments[ticket["id"]]
        return SeenTicket(
            ref=str(ticket["id"]),
            title=ticket["subject"],
            body=first["html_body"],
            state=STATES[ticket["status"]],
            priority=ticket["priority"] or "",
            assignee=USERS[ticket["assignee_id"]]["email"] if ticket["assignee_id"] else "",
            labels=tuple(ticket["tags"]),
            # A note that is there for a file only says the file's name: it is no remark.
            comments=tuple(each["body"] for each in later if not each["attachments"]),
            files=tuple(file["file_name"] for each in later for file in each["attachments"]),
        )


def _id(email: str) -> int:
    return next(number for number, user in USERS.items() if user["email"] == email)


@asynccontextmanager
async def zendesk_stage() -> AsyncIterator[Stage]:
    """A stage; its `world` is a `ZendeskWorld`."""
    fake = FakeZendesk()

    def section(url: str) -> str:
        return f"""
kind: zendesk
url: {url}
email: {EMAIL}
token: env:TOKEN
group: Support
priority: {{high: high}}
"""

    async with queue_before(fake.application(), section, TOKEN) as (queue, hasty, faults):
        yield Stage(
            queue=queue,
            hasty=hasty,
            faults=faults,
            world=ZendeskWorld(fake),
            secret=TOKEN,
            people=("ann@acme.example", "bob@acme.example"),
            knows_in_progress=True,
            no_way_to_close=lambda: fake.required.append("Root cause"),
        )
