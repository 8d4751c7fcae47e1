"""Request Tracker 5 (Best Practical), by its REST API 2.0.

kind: request_tracker
queue: Support                     a template
url: https://rt.example.org        where people have it, without /REST/2.0
token_file: PATH                   an authentication token (Settings, Auth Tokens)
close_as, reopen_as, states        the statuses of its lifecycles, see ticket_words.py

| of ours | at Request Tracker |
| --- | --- |
| marker of a ticket | a link `Refers to` to `forewarn:MARKER`, made in one transaction with it |
| marker of a remark | a comment of HTML at the beginning of its text |
| priority | a number, or a word that `_PRIORITIES` has |
| labels | nothing: it has none; a custom field can have their text |
| custom fields | custom fields of the ticket, by name |
| plot | a comment with an attachment |

A ticket is found by TicketSQL on that link: exact, and at once, as it is a query of its database.
What the API takes it answers with 200 and messages in its user's language, and it answers the same
where it refused: so each change is read back.

Sources: RT::REST2 and RT::Tickets of 5.0.3, whose server the tests run.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import quote

from forewarn_collector.queues.base import DeliveryError
from forewarn_collector.queues.pages import Page, html
from forewarn_collector.queues.request_tracker_remarks import (
    MOST_LISTED,
    NEWEST_FIRST,
    pages,
    remarks,
    with_marker,
)
from forewarn_collector.queues.ticket_words import TicketWords, read_ticket_words
from forewarn_collector.queues.tracker import (
    Attachment,
    Comment,
    Outcome,
    Ticket,
    TicketFields,
    TicketState,
)
from forewarn_collector.queues.tracker_http import (
    ForbiddenError,
    GoneError,
    TrackerAccess,
    TrackerClient,
    answered_at,
    listed,
    strange,
    told,
    told_at,
)
from forewarn_collector.queues.tracker_place import read_place
from forewarn_wire.document import Section

log = logging.getLogger(__name__)

_WORDS = TicketWords(
    {
        Outcome.FIXED: "resolved",
        Outcome.NO_ACTION: "resolved",
        Outcome.WONT_FIX: "rejected",
        Outcome.DUPLICATE: "rejected",
    },
    "open",
    {
        "new": TicketState.NEW,
        "open": TicketState.IN_PROGRESS,
        "stalled": TicketState.WAITING,
        "resolved": TicketState.CLOSED,
        "rejected": TicketState.CLOSED,
    },
)
_DELETED = "deleted"
_NOBODY = "Nobody"
_PRIORITIES = {"low": 0, "medium": 50, "high": 100}
"""As `%PriorityAsString` is where nobody changed it. The API takes numbers alone."""
_ATTRIBUTES = ("title", "priority", "due_at", "assignee", "custom")
_GONE = (
    "((Type = 'AddLink' AND Field = 'MergedInto') OR (Type = 'Status' AND NewValue = 'deleted'))"
)
_USER_ID = re.compile(r"\d+-(\d+)-")


class RequestTracker:
    """Tickets of the queues of one Request Tracker."""

    kind: ClassVar[str] = "request_tracker"
    longest_title: ClassVar[int] = 200
    longest_body: ClassVar[int] = 200_000
    takes_files: ClassVar[bool] = True
    project_setting: ClassVar[str] = "queue"

    def __init__(self, url: str, access: TrackerAccess, words: TicketWords) -> None:
        """`url` is where people see tickets, `access` how to reach the API."""
        self._url = url
        self._words = words
        self._user = _USER_ID.match(access.secrets[0])
        self._client = TrackerClient(access)

    @classmethod
    def from_section(cls, section: Section, environ: Mapping[str, str]) -> RequestTracker | None:
        """Read its place and the words of its lifecycles."""
        place = read_place(section, environ)
        words = read_ticket_words(section, _WORDS)
        if place is None:
            return None
        headers = {"Authorization": f"token {place.token}"}
        return cls(place.url, place.access(f"{place.url}/REST/2.0", headers), words)

    def render(self, page: Page) -> str:
        """As HTML."""
        return html(page)

    def link(self, ref: str) -> str:
        """The ticket's page."""
        return f"{self._url}/Ticket/Display.html?id={ref}"

    async def find(self, marker: str, project: str, since: int) -> Ticket | None:
        """In all queues, as people move tickets; where two were merged, the one that is left."""
        query = f"RefersTo = '{_link(marker)}'"
        found = await self._search(query, {"per_page": "1", "orderby": "id"})
        return await self.read(told(found[0], "id")) if found else None

    async def create(self, fields: TicketFields, body: str, marker: str) -> Ticket:
        """With all it has at once. Fields that it leaves out are named in the log."""
        wanted = {
            **_attributes(fields, _ATTRIBUTES),
            "Queue": fields.project,
            "Content": body,
            "ContentType": "text/html",
            "RefersTo": _link(marker),
        }
        try:
            answer = await self._client.request("POST", "/ticket", body=wanted)
        except ForbiddenError as error:
            # It says the same of a queue that is not there. Others may be: a template names it.
            said = f"there is no queue {fields.project}, or the token's owner may not make tickets"
            raise DeliveryError(f"{said} in it: {error}", permanent=False) from error
        ref = told(answer.obj(), "id")
        if not ref.isdigit():
            raise strange("the answer to a new ticket has no id")
        made = await self._document(ref)
        if made is None:
            raise strange(f"ticket {ref} was made, and is not there")
        left_out = _differing(made, wanted)
        if left_out:
            log.warning("ticket %s is made without its %s", ref, ", ".join(left_out))
        return await self._ticket(made)

    async def change(self, ref: str, fields: TicketFields, names: Sequence[str]) -> None:
        """All in one request, then read back."""
        wanted = _attributes(fields, names)
        if not wanted:
            return
        said = await self._put(ref, wanted)
        left = _differing(await self._known(ref), wanted)
        if left:
            raise DeliveryError(f"did not take the {', '.join(left)}: {said}", permanent=True)

    async def comment(self, ref: str, body: str, marker: str) -> None:
        """A comment, which the requestors of the ticket are not sent."""
        await self._known(ref)
        wanted = {"Content": with_marker(body, marker), "ContentType": "text/html"}
        await self._say(ref, wanted)

    async def attach(self, ref: str, file: Attachment) -> None:
        """A comment that is only the file."""
        await self._known(ref)
        files = await pages(
            self._client, f"/ticket/{ref}/attachments", {"fields": "Filename", **NEWEST_FIRST}
        )
        if any(told(each, "Filename") == file.name for each in files):
            return
        attached = {
            "FileName": file.name,
            "FileType": file.content_type,
            "FileContent": base64.b64encode(file.content).decode(),
        }
        await self._say(ref, {"Attachments": [attached]})

    async def resolve(self, ref: str, outcome: Outcome) -> None:
        """By the status that the configuration names for this outcome."""
        ticket = await self._ticket(await self._known(ref))
        if ticket.state is not TicketState.CLOSED:
            await self._set_status(ref, self._words.close_as[outcome])

    async def reopen(self, ref: str) -> None:
        """By the status that the configuration names."""
        ticket = await self._ticket(await self._known(ref))
        if ticket.state is TicketState.CLOSED:
            await self._set_status(ref, self._words.reopen_as)

    async def read(self, ref: str) -> Ticket | None:
        """One that was merged into another is that other."""
        document = await self._document(ref)
        return None if document is None else await self._ticket(document)

    async def comments(self, ref: str) -> list[Comment]:
        """What was commented and replied, by the web, the API or mail."""
        return await remarks(self._client, ref)

    async def changed(self, since: int, refs: Collection[str]) -> list[str]:
        """Of all queues; those that were merged or deleted are in no search but that of what was
        done."""
        now = answered_at((await self._client.get("/rt")).headers)
        if now is None:
            raise strange("an answer without a date")
        # A time in a query is by the clock of the token's owner: seconds back from now are not.
        ago = f"'-{max(0, now - since) // 1000 + 1} seconds'"
        changed = await pages(
            self._client,
            "/tickets",
            {
                "query": f"LastUpdated >= {ago}",
                "fields": "LastUpdated",
                "orderby": "LastUpdated",
            },
        )
        gone = await pages(
            self._client,
            "/transactions",
            {
                "query": f"ObjectType = 'RT::Ticket' AND Created >= {ago} AND {_GONE}",
                "fields": "ObjectId,Created",
                "orderby": "Created",
            },
        )
        at = [(told_at(each, "LastUpdated"), told(each, "id")) for each in changed]
        at += [(told_at(each, "Created"), told(each, "ObjectId")) for each in gone]
        found = (ref for when, ref in sorted(at) if when >= since // 1000 * 1000)
        return list(dict.fromkeys(found))[:MOST_LISTED]

    async def check(self, project: str) -> str:
        """Which rights a token has, is told by a queue and by any ticket in it."""
        who = await self._owner()
        try:
            queue = (await self._client.get(f"/queue/{quote(project, safe='')}")).obj()
        except (ForbiddenError, GoneError) as error:
            said = f"there is no queue {project}, or {who} may not see it: give it the right"
            raise GoneError(f"{said} SeeQueue", permanent=True) from error
        missing = [] if "create" in _offered(queue) else ["CreateTicket"]
        newest = await self._search(
            f"Queue = '{_quoted(told(queue, 'Name'))}'",
            {"per_page": "1", **NEWEST_FIRST},
        )
        if newest:
            ticket = await self._document(told(newest[0], "id"))
            if ticket is not None and "comment" not in _offered(ticket):
                missing.append("CommentOnTicket")
        if missing:
            said = f"{who} may not {' and '.join(missing)} in the queue {project}"
            raise DeliveryError(f"{said}; give it these rights", permanent=True)
        return f"{who}, in the queue {told(queue, 'Name')} of {self._url}"

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    async def _owner(self) -> str:
        """Whose token it is; a token has the number of its owner in it."""
        version = told((await self._client.get("/rt")).obj(), "Version")
        if not version:
            raise strange("the answer has no version of Request Tracker")
        if self._user is None:
            return "the token's owner"
        return told((await self._client.get(f"/user/{self._user.group(1)}")).obj(), "Name")

    async def _document(self, ref: str) -> Mapping[str, Any] | None:
        """A ticket as the API has it; None where it is gone, or was deleted."""
        try:
            found = (await self._client.get(f"/ticket/{ref}")).obj()
        except GoneError:
            return None
        except ForbiddenError as error:
            # Somebody moved it: of the queue's other tickets that says nothing.
            hint = "move it back, or give the token's owner the right ShowTicket there"
            raise DeliveryError(f"{error}; {hint}", permanent=False) from error
        return None if told(found, "Status") == _DELETED else found

    async def _known(self, ref: str) -> Mapping[str, Any]:
        found = await self._document(ref)
        if found is None:
            raise GoneError(f"ticket {ref} was deleted", permanent=True)
        return found

    async def _ticket(self, found: Mapping[str, Any]) -> Ticket:
        ref, status = told(found, "id"), told(found, "Status")
        if not ref.isdigit() or not status:
            raise strange("the answer is no ticket")
        owner = told(found, "Owner", "id")
        return Ticket(
            ref=ref,
            state=self._words.state(status) or await self._state(ref),
            outcome=self._words.outcome(status),
            assignee="" if owner == _NOBODY else owner,
            changed_by=told(found, "LastUpdatedBy", "id"),
            changed_at=told_at(found, "LastUpdated"),
            title=told(found, "Subject"),
        )

    async def _state(self, ref: str) -> TicketState:
        """Of a status that nobody named: whether its lifecycle has it among the inactive ones."""
        ended = await self._search(f"id = {ref} AND Status = '__Inactive__'", {"per_page": "1"})
        return TicketState.CLOSED if ended else TicketState.IN_PROGRESS

    async def _set_status(self, ref: str, status: str) -> None:
        said = await self._put(ref, {"Status": status})
        now = told(await self._known(ref), "Status")
        if now.casefold() != status.casefold():
            hint = "name another for close_as or reopen_as, or allow it in the lifecycle"
            raise DeliveryError(
                f"ticket {ref} stays {now}: it did not take the status {status}: {said}; {hint}",
                permanent=True,
            )

    async def _say(self, ref: str, wanted: Mapping[str, Any]) -> None:
        answer = await self._client.request("POST", f"/ticket/{ref}/comment", body=wanted)
        if answer.status != HTTPStatus.CREATED:
            raise strange(f"HTTP {answer.status} is no answer to a comment")

    async def _put(self, ref: str, wanted: Mapping[str, Any]) -> str:
        """Change a ticket; what the answer says of it."""
        answer = await self._client.request("PUT", f"/ticket/{ref}", body=wanted)
        messages = answer.document
        if not isinstance(messages, list):
            raise strange("the answer to a change is no list of messages")
        return "; ".join(str(each) for each in messages) or "no reason given"

    async def _search(self, query: str, params: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
        """Tickets by TicketSQL; those that were deleted are not among them."""
        return (await self._client.get("/tickets", {"query": query, **params})).items("items")


def _link(marker: str) -> str:
    return f"forewarn:{marker}"


def _attributes(fields: TicketFields, names: Sequence[str]) -> dict[str, Any]:
    """The fields named, as the API calls them."""
    wanted: dict[str, Any] = {}
    if "title" in names:
        wanted["Subject"] = fields.title
    priority = _priority(fields.priority) if "priority" in names else None
    if priority is not None:
        wanted["Priority"] = priority
    elif "priority" in names and fields.priority:
        known = ", ".join(_PRIORITIES)
        log.warning("%r is no priority: give a number, or one of %s", fields.priority, known)
    if "due_at" in names and fields.due_at is not None:
        # In UTC, whatever the clock of the token's owner; with a zone it would be refused.
        wanted["Due"] = f"{datetime.fromtimestamp(fields.due_at // 1000, UTC):%Y-%m-%d %H:%M:%S}"
    if "assignee" in names and fields.assignee:
        wanted["Owner"] = fields.assignee
    if "custom" in names:
        wanted["CustomFields"] = {name: value for name, value in fields.custom.items() if value}
    return wanted


def _differing(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Which of its attributes a ticket does not have as they were wanted."""
    differing = []
    owner = wanted.get("Owner", "")
    if owner and told(found, "Owner", "id").casefold() != owner.casefold():
        differing.append(f"owner {owner}")
    if "Priority" in wanted and told(found, "Priority") != str(wanted["Priority"]):
        differing.append(f"priority {wanted['Priority']}")
    has = {told(each, "name") for each in listed(found, "CustomFields") if each.get("values")}
    missing = [name for name in wanted.get("CustomFields", ()) if name not in has]
    return [*differing, *(f"custom field {name}" for name in missing)]


def _priority(word: str) -> int | None:
    """A priority as a number; None where it is neither that nor one of Request Tracker's words."""
    if word.isascii() and word.isdigit():
        return int(word[:9])
    return _PRIORITIES.get(word.casefold())


def _offered(found: Mapping[str, Any]) -> set[str]:
    """What the token's owner may do with a thing, by the links that it comes with."""
    return {told(each, "ref") for each in listed(found, "_hyperlinks")}


def _quoted(name: str) -> str:
    """A text inside of quotes in TicketSQL."""
    return name.replace("\\", "\\\\").replace("'", "\\'")
