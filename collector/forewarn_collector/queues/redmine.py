"""Redmine, by its REST API, which an administrator enables (Administration, Settings, API).

kind: redmine
project: support                   a template; the identifier, as in the project's address
url: https://redmine.example.org
token_file: PATH                   an API access key (My account)
tracker: Support                   the project's first one, where none is given
markup: textile                    or `markdown`: as Administration, Settings, General has it
close_as, reopen_as, states        the names of its statuses, see ticket_words.py

| of ours | at Redmine |
| --- | --- |
| marker | a comment of HTML at the end of the issue's description or the remark's text |
| priority | the name of a priority |
| assignee | a member's full name, or a group's: that is all that others than administrators see |
| labels | nothing: it has none |
| custom fields | by number; any other name is an attribute of the API's issue: `category_id`, ... |
| due time | a day; the start date is left empty, as none may be after it |

An issue is found by the filter on descriptions: exact, and at once, as it is a query of its
database. What the owner of the key has no right to set is left out of a change without a word: so
each change is read back.

Sources: https://www.redmine.org/projects/redmine/wiki/Rest_api, and Redmine 5.0.4, whose server the
tests run.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import quote

from forewarn_collector.queues.base import DeliveryError
from forewarn_collector.queues.markdown_markers import marker_in, with_marker
from forewarn_collector.queues.pages import Page, markdown
from forewarn_collector.queues.redmine_names import (
    closed_statuses,
    member_named,
    priority_named,
    project_path,
    status_named,
    tracker_named,
)
from forewarn_collector.queues.textile import textile
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
    listed,
    strange,
    told,
    told_at,
    utc_stamp,
)
from forewarn_collector.queues.tracker_place import read_place
from forewarn_wire.document import Section
from forewarn_wire.readers import one_of, text

log = logging.getLogger(__name__)

_WORDS = TicketWords(
    {
        Outcome.FIXED: "Closed",
        Outcome.NO_ACTION: "Closed",
        Outcome.WONT_FIX: "Rejected",
        Outcome.DUPLICATE: "Rejected",
    },
    "In Progress",
    {
        "new": TicketState.NEW,
        "in progress": TicketState.IN_PROGRESS,
        "feedback": TicketState.WAITING,
    },
)
_MARKUPS = {"textile": textile, "markdown": markdown}
_ATTRIBUTES = ("title", "priority", "due_at", "assignee", "custom")
_PER_PAGE = 100
_MOST_LISTED = 1_000
_RIGHTS = ("view_issues", "add_issues", "edit_issues", "add_issue_notes")


class RedmineTracker:
    """Issues of the projects of one Redmine."""

    kind: ClassVar[str] = "redmine"
    longest_title: ClassVar[int] = 255
    longest_body: ClassVar[int] = 60_000
    takes_files: ClassVar[bool] = True
    project_setting: ClassVar[str] = "project"

    def __init__(
        self, url: str, access: TrackerAccess, words: TicketWords, tracker: str, markup: str
    ) -> None:
        """`tracker` is the name of a Redmine's tracker, or empty; `markup` one of `_MARKUPS`."""
        self._url = url
        self._words = words
        self._tracker = tracker
        self._markup = _MARKUPS[markup]
        self._client = TrackerClient(access, _verdict)

    @classmethod
    def from_section(cls, section: Section, environ: Mapping[str, str]) -> RedmineTracker | None:
        """Read its place, its words, `tracker` and `markup`."""
        place = read_place(section, environ)
        words = read_ticket_words(section, _WORDS)
        tracker = section.take("tracker", text, "")
        markup = section.take("markup", one_of(*_MARKUPS), "textile")
        if place is None:
            return None
        access = place.access(place.url, {"X-Redmine-API-Key": place.token})
        return cls(place.url, access, words, tracker, markup)

    def render(self, page: Page) -> str:
        """In the markup that this Redmine reads."""
        return self._markup(page)

    def link(self, ref: str) -> str:
        """The issue's page."""
        return f"{self._url}/issues/{ref}"

    async def find(self, marker: str, project: str, since: int) -> Ticket | None:
        """In all projects, as people move issues; the first, as people copy them too."""
        found = await self._issues({"description": f"~{marker}", "sort": "id"})
        for issue in found:
            if marker_in(told(issue, "description")) == marker:
                return await self._ticket(issue)
        if found:
            said = "a search by description finds issues that have not what was searched for"
            raise strange(f"{said}; Redmine 3.3 or later is needed")
        return None

    async def create(self, fields: TicketFields, body: str, marker: str) -> Ticket:
        """Without a priority or an assignee that it does not know: the issue matters more."""
        wanted = {
            "project_id": fields.project,
            "description": with_marker(body, marker),
            **await self._attributes(fields, _ATTRIBUTES, fields.project),
        }
        if self._tracker:
            wanted["tracker_id"] = await tracker_named(self._client, fields.project, self._tracker)
        try:
            answer = await self._client.request("POST", "/issues.json", body={"issue": wanted})
        except ForbiddenError as error:
            # Other projects may be open to it: a template names them.
            said = f"the key's owner may not add issues in {fields.project}"
            raise DeliveryError(f"{said}: {error}", permanent=False) from error
        except DeliveryError as error:
            if error.permanent:
                # A project that is not there is told as fields that are empty.
                await self._client.get(project_path(fields.project))
            raise
        return await self._ticket(answer.obj("issue"))

    async def change(self, ref: str, fields: TicketFields, names: Sequence[str]) -> None:
        """All in one request, then read back."""
        issue = await self._known(ref)
        wanted = await self._attributes(fields, names, told(issue, "project", "id"))
        if not wanted:
            return
        await self._update(ref, wanted)
        now = await self._known(ref)
        pairs = (("priority", "priority_id"), ("assigned_to", "assigned_to_id"))
        left = [
            has for has, name in pairs if name in wanted and told(now, has, "id") != wanted[name]
        ]
        if left:
            hint = "the key's owner needs the permission to edit issues"
            raise DeliveryError(f"did not take {' and '.join(left)}; {hint}", permanent=True)

    async def comment(self, ref: str, body: str, marker: str) -> None:
        """A note, read back."""
        await self._update(ref, {"notes": with_marker(body, marker)})
        if not any(comment.marker == marker for comment in await self.comments(ref)):
            hint = "the key's owner needs the permission to add notes"
            raise DeliveryError(f"a note was not taken; {hint}", permanent=False)

    async def attach(self, ref: str, file: Attachment) -> None:
        """An upload, which is then made part of the issue; read back."""
        if await self._has_file(ref, file.name):
            return
        answer = await self._client.request(
            "POST",
            f"/uploads.json?filename={quote(file.name, safe='')}",
            content=file.content,
            headers={"Content-Type": "application/octet-stream"},
        )
        upload = {
            "token": told(answer.obj("upload"), "token"),
            "filename": file.name,
            "content_type": file.content_type,
        }
        await self._update(ref, {"uploads": [upload]})
        if not await self._has_file(ref, file.name):
            hint = "the key's owner needs the permission to edit issues"
            raise DeliveryError(f"did not take the file {file.name}; {hint}", permanent=True)

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
        """An issue keeps its number in another project."""
        try:
            return await self._ticket(await self._known(ref, "journals"))
        except GoneError:
            return None

    async def comments(self, ref: str) -> list[Comment]:
        """Its notes, but for private ones."""
        journals = listed(await self._known(ref, "journals"), "journals")
        found = [_comment(each) for each in journals if _is_remark(each)]
        return found[-_MOST_LISTED:]

    async def changed(self, since: int, refs: Collection[str]) -> list[str]:
        """Of all projects."""
        found: list[str] = []
        for offset in range(0, _MOST_LISTED, _PER_PAGE):
            params = {
                "updated_on": f">={utc_stamp(since)}",
                "sort": "updated_on",
                "offset": str(offset),
            }
            issues = await self._issues(params)
            found += [told(each, "id") for each in issues]
            if len(issues) < _PER_PAGE:
                break
        return found

    async def check(self, project: str) -> str:
        """By the roles that the key's owner has in the project."""
        answer = await self._client.get("/users/current.json", {"include": "memberships"})
        user = answer.obj("user")
        who = told(user, "login")
        try:
            known = (await self._client.get(project_path(project))).obj("project")
        except (ForbiddenError, GoneError) as error:
            said = f"there is no project {project}, or {who} may not see it: make it a member"
            raise GoneError(said, permanent=True) from error
        if self._tracker:
            await tracker_named(self._client, project, self._tracker)
        if user.get("admin") is not True:
            await self._check_rights(user, known)
        return f"{who}, in the project {told(known, 'name')} of {self._url}"

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    async def _check_rights(self, user: Mapping[str, Any], project: Mapping[str, Any]) -> None:
        """Raises DeliveryError where the user's roles in a project lack what is needed."""
        rights: set[str] = set()
        for membership in listed(user, "memberships"):
            if told(membership, "project", "id") != told(project, "id"):
                continue
            for role in listed(membership, "roles"):
                answer = await self._client.get(f"/roles/{told(role, 'id')}.json")
                permissions = answer.obj("role").get("permissions")
                rights |= set(permissions if isinstance(permissions, list) else ())
        missing = [right for right in _RIGHTS if right not in rights]
        if missing:
            said = f"{told(user, 'login')} may not {', '.join(missing)} in {told(project, 'name')}"
            raise DeliveryError(f"{said}; give it a role that may", permanent=True)

    async def _issues(self, params: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
        """Issues, open and closed, of all projects."""
        given = {"status_id": "*", "limit": str(_PER_PAGE), **params}
        return (await self._client.get("/issues.json", given)).items("issues")

    async def _known(self, ref: str, include: str = "") -> Mapping[str, Any]:
        """An issue. Raises GoneError."""
        params = {"include": include} if include else None
        try:
            return (await self._client.get(f"/issues/{ref}.json", params)).obj("issue")
        except ForbiddenError as error:
            # Somebody moved it: of the queue's other issues that says nothing.
            hint = "move it back, or make the key's owner a member there"
            raise DeliveryError(f"{error}; {hint}", permanent=False) from error

    async def _has_file(self, ref: str, name: str) -> bool:
        files = listed(await self._known(ref, "attachments"), "attachments")
        return any(told(each, "filename") == name for each in files)

    async def _update(self, ref: str, wanted: Mapping[str, Any]) -> None:
        answer = await self._client.request("PUT", f"/issues/{ref}.json", body={"issue": wanted})
        if answer.document is not None:
            raise strange("the answer to a change has a body")

    async def _set_status(self, ref: str, name: str) -> None:
        status = await status_named(self._client, name)
        if status is None:
            hint = "give close_as and reopen_as names that it has"
            raise DeliveryError(f"there is no status {name}; {hint}", permanent=True)
        await self._update(ref, {"status_id": status})
        now = await self._known(ref)
        if told(now, "status", "id") != status:
            said = f"issue {ref} stays {told(now, 'status', 'name')}: its workflow does not let"
            hint = f"the key's owner set the status {name}; allow it there, or name another status"
            raise DeliveryError(f"{said} {hint}", permanent=True)

    async def _ticket(self, issue: Mapping[str, Any]) -> Ticket:
        ref, status = told(issue, "id"), told(issue, "status", "name")
        if not ref.isdigit() or not status:
            raise strange("the answer is no issue")
        journals = listed(issue, "journals")
        last = told(journals[-1], "user", "name") if journals else told(issue, "author", "name")
        return Ticket(
            ref=ref,
            state=await self._state(issue),
            outcome=self._words.outcome(status),
            assignee=told(issue, "assigned_to", "name"),
            changed_by=last,
            changed_at=told_at(issue, "updated_on"),
            title=told(issue, "subject"),
        )

    async def _state(self, issue: Mapping[str, Any]) -> TicketState:
        """Redmine's own word on what is closed counts first; issues have it since 5.0."""
        closed = issue["status"].get("is_closed")
        if not isinstance(closed, bool):
            closed = told(issue, "status", "id") in await closed_statuses(self._client)
        named = self._words.state(told(issue, "status", "name"))
        if closed or named is TicketState.CLOSED:
            return TicketState.CLOSED
        return named or TicketState.IN_PROGRESS

    async def _attributes(
        self, fields: TicketFields, names: Sequence[str], project: str
    ) -> dict[str, Any]:
        """The fields named, as the API calls them."""
        wanted: dict[str, Any] = {}
        if "title" in names:
            wanted["subject"] = fields.title
        if "priority" in names and fields.priority:
            wanted["priority_id"] = await priority_named(self._client, fields.priority)
        if "assignee" in names and fields.assignee:
            wanted["assigned_to_id"] = await member_named(self._client, project, fields.assignee)
        for name, what in (("priority_id", "priority"), ("assigned_to_id", "assignee")):
            if name in wanted and wanted[name] is None:
                del wanted[name]
                given = getattr(fields, what)
                log.warning("Redmine's project %s has no %s %s: left out", project, what, given)
        if "due_at" in names and fields.due_at is not None:
            wanted["due_date"] = f"{datetime.fromtimestamp(fields.due_at // 1000, UTC):%Y-%m-%d}"
            wanted["start_date"] = ""
        if "custom" in names:
            given = {name: value for name, value in fields.custom.items() if value}
            numbered = [{"id": int(n), "value": v} for n, v in given.items() if n.isdecimal()]
            wanted |= {name: value for name, value in given.items() if not name.isdecimal()}
            if numbered:
                wanted["custom_fields"] = numbered
        return wanted


def _verdict(status: int, headers: Mapping[str, str], document: Any) -> DeliveryError | None:
    """What Redmine says of a request that it can't take."""
    if status != 422:
        return None
    errors = document.get("errors") if isinstance(document, dict) else None
    said = "; ".join(str(each) for each in errors) if isinstance(errors, list) else str(document)
    hint = "what it demands can be set under `fields`, and by defaults in Redmine"
    return DeliveryError(f"HTTP 422: {said[:500]}; {hint}", permanent=True)


def _comment(journal: Mapping[str, Any]) -> Comment:
    notes = told(journal, "notes")
    return Comment(
        id=told(journal, "id"),
        who=told(journal, "user", "name"),
        text=notes.replace("\r\n", "\n").strip(),
        at=told_at(journal, "created_on"),
        marker=marker_in(notes),
    )


def _is_remark(journal: Mapping[str, Any]) -> bool:
    return bool(told(journal, "notes").strip()) and journal.get("private_notes") is not True
