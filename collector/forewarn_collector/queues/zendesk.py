"""Zendesk Support: tickets of one account.

kind: zendesk
url: https://acme.zendesk.com
group: Support                  a template: a group's name, or its id
token_file: PATH                of the API; or an OAuth access token (scopes: read, write)
email: bot@example.org          the agent whom an API token speaks for; none with an OAuth token
public: false                   true: comments that the requester sees; false: internal notes

By the Ticketing API, https://developer.zendesk.com/api-reference/ticketing/introduction/.

| of ours | at Zendesk |
| --- | --- |
| marker | the ticket's `external_id`; of a remark, the last line of its text |
| priority | `low`, `normal`, `high`, `urgent` |
| labels | tags, which have no spaces; a changed `severity:` replaces the old one |
| assignee | the e-mail address of an agent |
| due time | `due_at` of a ticket of type `task`, as ours are unless `fields` has another `type` |
| custom fields | by their ids; other names are the ticket's properties: `type`, `requester_id` |
| attachment | on an internal note of its own, as Zendesk knows no other place for a file |
| states | new; open (in progress); pending and hold (waiting); solved and closed (closed) |

Exactly one ticket: `GET /api/v2/tickets?external_id=` is a list of the account's tickets and no
search (whose index lags behind). That it shows a ticket as soon as it exists is Zendesk's practice,
not promised; so a creation also bears an `Idempotency-Key`, which for two hours has a second one
answered with the first one's ticket. Tickets that are archived, 120 days after they were closed,
are in no list.

A solved ticket is opened again. A closed one can't be changed any more: a reopening finds its
follow-up ticket or makes one, and goes on there.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from forewarn_collector.queues.base import DeliveryError
from forewarn_collector.queues.pages import Page, html_within
from forewarn_collector.queues.text_markers import MARKER_LENGTH
from forewarn_collector.queues.ticket_labels import outdated
from forewarn_collector.queues.tracker import (
    Attachment,
    Comment,
    Outcome,
    Ticket,
    TicketFields,
    TicketState,
)
from forewarn_collector.queues.tracker_http import (
    GoneError,
    TrackerAccess,
    TrackerClient,
    told,
    told_at,
    told_list,
    told_number,
    utc_stamp,
)
from forewarn_collector.queues.tracker_place import read_place
from forewarn_collector.queues.zendesk_answers import (
    FILE,
    carries_a_file,
    comment_of,
    file_names,
    has_more,
    name_of,
    names_of,
    state_of,
    ticket_of,
    verdict,
)
from forewarn_wire.document import Section
from forewarn_wire.readers import boolean, text

log = logging.getLogger(__name__)

_LONGEST_TEXT = 65_535
"""Bytes of a comment."""
_PER_PAGE = "100"
_MOST_PAGES = 10
_MOST_PAGES_OF_CHANGES = 3
_MOST_CHANGED = 1_000
_LONGEST_CHAIN = 20
_NO_TAG = re.compile(r"[^\w:/.-]+")
_INHERITED = ("subject", "group_id", "priority", "type", "tags", "requester_id", "custom_fields")


class ZendeskTracker:
    """See the module's text."""

    kind: ClassVar[str] = "zendesk"
    longest_title: ClassVar[int] = 150
    longest_body: ClassVar[int] = _LONGEST_TEXT
    takes_files: ClassVar[bool] = True
    project_setting: ClassVar[str] = "group"

    def __init__(self, access: TrackerAccess, public: bool = False) -> None:
        self._client = TrackerClient(access, verdict)
        self._base = access.base
        self._public = public
        self._groups: dict[str, int] = {}

    @classmethod
    def from_section(cls, section: Section, environ: Mapping[str, str]) -> ZendeskTracker | None:
        """Read `url`, `token_file`, `email`, `public`, `ca_file` and `timeout`."""
        email = section.take("email", text, "")
        public = section.take("public", boolean, False)
        place = read_place(section, environ)
        if place is None:
            return None
        basic = base64.b64encode(f"{email}/token:{place.token}".encode()).decode()
        authorization = f"Basic {basic}" if email else f"Bearer {place.token}"
        headers = {"Authorization": authorization}
        return cls(place.access(place.url, headers, (basic,) if email else ()), public)

    def render(self, page: Page) -> str:
        """As HTML."""
        return html_within(page, _LONGEST_TEXT - MARKER_LENGTH)

    def link(self, ref: str) -> str:
        """The ticket as agents see it."""
        return f"{self._base}/agent/tickets/{ref}"

    async def find(self, marker: str, project: str, since: int) -> Ticket | None:
        """By its `external_id`; `project` and `since` are of no use here."""
        params = {"external_id": marker, "sort_by": "created_at", "sort_order": "asc"}
        answer = await self._client.get("/api/v2/tickets", params)
        ours = [each for each in answer.items("tickets") if each.get("external_id") == marker]
        return ticket_of(ours[0], ()) if ours else None

    async def create(self, fields: TicketFields, body: str, marker: str) -> Ticket:
        """In its group, its text an internal note unless `public`."""
        custom = {name: value for name, value in fields.custom.items() if name.isdigit()}
        wanted: dict[str, Any] = {
            **{name: value for name, value in fields.custom.items() if name not in custom},
            "subject": fields.title,
            "comment": {"html_body": body, "public": self._public},
            "external_id": marker,
            "group_id": await self._group(fields.project),
            "tags": _tags(fields),
        }
        if fields.due_at is not None and wanted.setdefault("type", "task") == "task":
            wanted["due_at"] = utc_stamp(fields.due_at)
        if fields.priority:
            wanted["priority"] = fields.priority
        if custom:
            wanted["custom_fields"] = [
                {"id": int(name), "value": value} for name, value in custom.items()
            ]
        if not fields.assignee:
            return ticket_of(await self._make(wanted, marker), ())
        try:
            assigned = {**wanted, "assignee_email": fields.assignee}
            return ticket_of(await self._make(assigned, marker), ())
        except DeliveryError as error:
            if not error.permanent or "Assignee" not in str(error):
                raise
            # The ticket matters more.
            log.warning("%s is given to nobody: %s", fields.title, error)
            return ticket_of(await self._make(wanted, f"{marker}-nobodys"), ())

    async def change(self, ref: str, fields: TicketFields, names: Sequence[str]) -> None:
        """Tags that people gave stay."""
        wanted: dict[str, Any] = {}
        if "title" in names:
            wanted["subject"] = fields.title
        if "priority" in names and fields.priority:
            wanted["priority"] = fields.priority
        if "assignee" in names and fields.assignee:
            wanted["assignee_email"] = fields.assignee
        if "labels" in names or "due_at" in names:
            ticket = await self._get(ref)
            if "labels" in names:
                ours = _tags(fields)
                present = [tag for tag in told_list(ticket, "tags") if isinstance(tag, str)]
                gone = outdated(present, ours)
                kept = (tag for tag in present if tag not in gone)
                wanted["tags"] = list(dict.fromkeys([*kept, *ours]))
            if "due_at" in names and fields.due_at is not None and told(ticket, "type") == "task":
                wanted["due_at"] = utc_stamp(fields.due_at)
        if wanted:
            await self._put(ref, wanted)

    async def comment(self, ref: str, body: str, marker: str) -> None:
        """An internal note, unless `public`."""
        said = f"{body}\n<p>{marker}</p>"
        await self._put(ref, {"comment": {"html_body": said, "public": self._public}})

    async def attach(self, ref: str, file: Attachment) -> None:
        """On an internal note of its own."""
        known = await self._comments(ref)
        if any(file.name in file_names(each) for each in known):
            return
        answer = await self._client.request(
            "POST",
            "/api/v2/uploads",
            params={"filename": file.name},
            content=file.content,
            headers={"Content-Type": file.content_type},
        )
        token = told(answer.obj("upload"), "token")
        note = {"body": f"{FILE}{file.name}", "public": self._public, "uploads": [token]}
        await self._put(ref, {"comment": note})

    async def resolve(self, ref: str, outcome: Outcome) -> None:
        """Solve it. Only a ticket that is somebody's can be; others become the token's owner's."""
        ticket = await self._get(ref)
        if state_of(ticket) is TicketState.CLOSED:
            return
        wanted: dict[str, Any] = {"status": "solved"}
        if not told(ticket, "assignee_id"):
            wanted["assignee_id"] = told_number(await self._me(), "id")
        await self._put(ref, wanted)

    async def reopen(self, ref: str) -> str | None:
        """Open it; where it is closed for good, its follow-up, made where there is none."""
        ticket = await self._get(ref)
        for _ in range(_LONGEST_CHAIN):
            if told(ticket, "status") != "closed":
                break
            ticket = await self._follow_up(ticket)
        now = ticket_of(ticket, ()).ref
        if told(ticket, "status") == "solved":
            await self._put(now, {"status": "open"})
        return now if now != ref else None

    async def read(self, ref: str) -> Ticket | None:
        """With the e-mail address of its assignee."""
        try:
            answer = await self._client.get(f"/api/v2/tickets/{ref}", {"include": "users"})
        except GoneError:
            return None
        return ticket_of(answer.obj("ticket"), answer.document.get("users"))

    async def comments(self, ref: str) -> list[Comment]:
        """Without the first, which is the ticket's text, and those that only carry our files."""
        return [comment_of(each) for each in await self._comments(ref) if not carries_a_file(each)]

    async def changed(self, since: int, refs: Collection[str]) -> list[str]:
        """From the list of tickets, the changed last first, down to `since`.

        Where more changed than a few pages hold, as a large account has them, each of `refs` is
        asked for, a hundred at once.
        """
        # Zendesk's times are whole seconds.
        since = since // 1000 * 1000
        found: list[Mapping[str, Any]] = []
        for page in range(1, _MOST_PAGES_OF_CHANGES + 1):
            params = {"sort_by": "updated_at", "sort_order": "desc", "per_page": _PER_PAGE}
            answer = await self._client.get("/api/v2/tickets", {**params, "page": str(page)})
            tickets = answer.items("tickets")
            found += tickets
            if not told(answer.document, "next_page"):
                break
            if tickets and told_at(tickets[-1], "updated_at") < since:
                break
        else:
            found = await self._those(refs)
        times = {told(each, "id"): told_at(each, "updated_at") for each in found}
        changed = sorted((at, ref) for ref, at in times.items() if at >= since)
        return [ref for _, ref in changed[:_MOST_CHANGED]]

    async def check(self, project: str) -> str:
        """Whether the token is an agent's, and the group is there."""
        who = await self._me()
        # Without a valid token Zendesk may answer as to somebody anonymous.
        if told(who, "role") not in {"agent", "admin"}:
            said = f"the token is that of {name_of(who)}, who is no agent"
            hint = (
                "give the queue an API token and the email of an agent, or an agent's OAuth token"
            )
            raise DeliveryError(f"{said}; {hint}", permanent=True)
        group = await self._group(project)
        await self._client.get("/api/v2/tickets", {"per_page": "1"})
        return f"{name_of(who)} ({told(who, 'role')}), for the group {project} ({group})"

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    async def _me(self) -> Mapping[str, Any]:
        return (await self._client.get("/api/v2/users/me")).obj("user")

    async def _group(self, project: str) -> int:
        """A group's id by its name, or as it was given."""
        if project.isascii() and project.isdigit():
            return int(project)
        wanted = project.casefold()
        if wanted not in self._groups:
            params = {"page[size]": _PER_PAGE}
            for _ in range(_MOST_PAGES):
                answer = await self._client.get("/api/v2/groups", params)
                for group in answer.items("groups"):
                    self._groups[told(group, "name").casefold()] = told_number(group, "id")
                if not has_more(answer.document):
                    break
                params["page[after]"] = told(answer.document, "meta", "after_cursor")
        if wanted not in self._groups:
            raise GoneError(f"no group of the account is called {project}", permanent=True)
        return self._groups[wanted]

    async def _those(self, refs: Collection[str]) -> list[Mapping[str, Any]]:
        """The tickets of references, without those that are gone."""
        ids = list(refs)
        found: list[Mapping[str, Any]] = []
        for start in range(0, len(ids), int(_PER_PAGE)):
            params = {"ids": ",".join(ids[start : start + int(_PER_PAGE)])}
            answer = await self._client.get("/api/v2/tickets/show_many", params)
            found += answer.items("tickets")
        return found

    async def _get(self, ref: str) -> Mapping[str, Any]:
        return (await self._client.get(f"/api/v2/tickets/{ref}")).obj("ticket")

    async def _put(self, ref: str, ticket: Mapping[str, Any]) -> None:
        await self._client.request("PUT", f"/api/v2/tickets/{ref}", body={"ticket": ticket})

    async def _make(self, ticket: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        headers = {"Idempotency-Key": key}
        answer = await self._client.request(
            "POST", "/api/v2/tickets", body={"ticket": ticket}, headers=headers
        )
        return answer.obj("ticket")

    async def _follow_up(self, closed: Mapping[str, Any]) -> Mapping[str, Any]:
        """The follow-up of a closed ticket: the newest that is there, else a new one."""
        for follower in reversed(told_list(closed, "followup_ids")):
            try:
                return await self._get(str(follower))
            except GoneError:
                continue
        number = told(closed, "id")
        said = f"The problem of ticket {number} is back; that one is closed for good."
        wanted = {
            **{name: closed[name] for name in _INHERITED if closed.get(name)},
            "via_followup_source_id": told_number(closed, "id"),
            "comment": {"body": said, "public": self._public},
        }
        return await self._make(wanted, f"forewarn-followup-{number}")

    async def _comments(self, ref: str) -> list[Mapping[str, Any]]:
        """The oldest first, each with its author's name as `who`; not the ticket's own text."""
        found: list[Mapping[str, Any]] = []
        params = {"include": "users", "sort": "-created_at", "page[size]": _PER_PAGE}
        for _ in range(_MOST_PAGES):
            answer = await self._client.get(f"/api/v2/tickets/{ref}/comments", params)
            comments = answer.items("comments")
            names = names_of(answer.document.get("users"))
            found += [{**each, "who": names.get(told(each, "author_id"), "")} for each in comments]
            if not has_more(answer.document):
                return found[:-1][::-1]
            params["page[after]"] = told(answer.document, "meta", "after_cursor")
        return found[::-1]


def _tags(fields: TicketFields) -> list[str]:
    tags = (_NO_TAG.sub("_", label.lower()).strip("_") for label in fields.labels)
    return list(dict.fromkeys(tag for tag in tags if tag))
