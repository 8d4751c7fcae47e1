"""GitLab Issues: on gitlab.com, GitLab Dedicated and self-managed servers.

kind: gitlab
project: acme/ops               a template; groups and their subgroups with the project's name
url: https://gitlab.com         of another server: as in the browser
token_file: PATH                a personal, project or group token: scope `api`, role Reporter
confidential: false             whether only members of the project see the issues

By the REST API of version 4, https://docs.gitlab.com/api/issues.

| of ours | at GitLab |
| --- | --- |
| marker | a comment of HTML at the end of the description or the note |
| priority | a label more |
| labels | a changed one with a colon replaces those with the same before the colon |
| due time | `due_date`, a day of UTC |
| assignee | a user's name, looked up; one that GitLab does not know is left out |
| outcome | closed: GitLab knows no reason; our remark has it |
| custom fields | more attributes of the request that creates an issue: `milestone_id`, `weight` |
| plot | an upload to the project, shown in the description |

An issue is found by listing the project's issues from where the task began (`created_after`): the
list comes from the database that the creation was written to, no index lags behind.

A renamed project is found by its number, which GitLab's redirect tells; a moved issue by
`moved_to_id`, whose reference GraphQL tells, as the REST API tells that to administrators only.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

import aiohttp

from forewarn_collector.queues.base import DeliveryError
from forewarn_collector.queues.markdown_markers import (
    MARKER_LENGTH,
    before_marker,
    marker_in,
    with_marker,
)
from forewarn_collector.queues.numbered_refs import changed_in_projects, parts
from forewarn_collector.queues.pages import Page, markdown
from forewarn_collector.queues.recent_tickets import Listed, RecentTickets
from forewarn_collector.queues.ticket_labels import labels_of, outdated
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
    strange,
    sure_at,
    told,
    told_at,
    told_list,
    told_number,
    utc_stamp,
)
from forewarn_collector.queues.tracker_place import read_place
from forewarn_wire.document import Section
from forewarn_wire.readers import boolean

log = logging.getLogger(__name__)

_API = "/api/v4"
_PER_PAGE = 50
_MOST_PAGES = 200
_MOST_COMMENTS = 1_000
_MOST_MOVES = 10
_LONGEST_LABEL = 255
_PLANNER = 15
"""The least of GitLab's roles that may label and assign issues; Reporter is 20."""
_PROJECT = re.compile(r"[^\s#?%]+(/[^\s#?%]+)+")
_REFERENCE = re.compile(rf"{_PROJECT.pattern}#[0-9]+")
_NUMBERED = re.compile(rf"{_API}/projects/(\d+)$")
# A line of a text that GitLab would carry out: `/close`.
_QUICK_ACTION = re.compile(r"^/(?=[A-Za-z_]+\s|[A-Za-z_]+$)", re.MULTILINE)
_WHERE_NOW = "query($id: IssueID!) { issue(id: $id) { reference(full: true) } }"


class _MovedError(DeliveryError):
    """The project is to be asked for by this number."""

    def __init__(self, number: str) -> None:
        super().__init__(f"moved to project {number}", permanent=True)
        self.number = number


class GitlabTracker:
    """Issues of the projects of one GitLab."""

    kind: ClassVar[str] = "gitlab"
    longest_title: ClassVar[int] = 255
    longest_body: ClassVar[int] = 100_000 - MARKER_LENGTH
    """GitLab takes ten times that; nobody reads it, and lists of issues repeat it."""
    takes_files: ClassVar[bool] = True
    project_setting: ClassVar[str] = "project"

    def __init__(self, access: TrackerAccess, *, confidential: bool = False) -> None:
        """`access.base` is where people see GitLab."""
        self._url = access.base
        self._confidential = confidential
        self._recent = RecentTickets()
        self._client = TrackerClient(access, _verdict)
        self._numbers: dict[str, str] = {}
        self._people: dict[str, int] = {}

    @classmethod
    def from_section(cls, section: Section, environ: Mapping[str, str]) -> GitlabTracker | None:
        """Read `url`, `token_file`, `ca_file`, `timeout` and `confidential`."""
        place = read_place(section, environ, "https://gitlab.com")
        confidential = section.take("confidential", boolean, False)
        if place is None:
            return None
        headers = {"Authorization": f"Bearer {place.token}"}
        return cls(place.access(place.url, headers), confidential=confidential)

    def render(self, page: Page) -> str:
        """As Markdown in which no line is a quick action: an alert's text closes no issue."""
        return _QUICK_ACTION.sub("\u2060/", markdown(page))

    def link(self, ref: str) -> str:
        """The issue's page."""
        project, number = parts(ref)
        return f"{self._url}/{project}/-/issues/{number}"

    async def find(self, marker: str, project: str, since: int) -> Ticket | None:
        """By listing those made since."""

        async def listed(start: int) -> Listed:
            asked = {"created_after": utc_stamp(start), "order_by": "created_at", "sort": "desc"}
            async for issue in self._issues(project, asked):
                marked = marker_in(told(issue, "description"))
                yield sure_at(issue, "created_at"), marked, _ticket(issue).ref

        return await self._recent.find(marker, project, since, listed, self.read)

    async def create(self, fields: TicketFields, body: str, marker: str) -> Ticket:
        """Without its assignee where GitLab knows no such user: the issue matters more."""
        wanted: dict[str, Any] = {
            **fields.custom,
            "title": fields.title,
            "description": with_marker(body, marker),
            "labels": ",".join(_labels(fields)),
            "confidential": self._confidential,
            **await self._assigned(fields),
        }
        if fields.due_at is not None:
            wanted["due_date"] = _day(fields.due_at)
        path = f"{await self._project(fields.project)}/issues"
        return _ticket((await self._client.request("POST", path, body=wanted)).obj())

    async def change(self, ref: str, fields: TicketFields, names: Sequence[str]) -> None:
        """Labels that people gave stay."""
        path, issue = await self._issue(ref)
        wanted: dict[str, Any] = {}
        if "title" in names:
            wanted["title"] = fields.title
        if "assignee" in names:
            wanted |= await self._assigned(fields)
        if "due_at" in names and fields.due_at is not None:
            wanted["due_date"] = _day(fields.due_at)
        if "labels" in names or "priority" in names:
            ours = _labels(fields)
            wanted["add_labels"] = ",".join(ours)
            gone = outdated(_label_names(issue), ours)
            if gone:
                wanted["remove_labels"] = ",".join(gone)
        if wanted:
            await self._client.request("PUT", path, body=wanted)

    async def comment(self, ref: str, body: str, marker: str) -> None:
        """A note; a closed issue takes it too."""
        path, _ = await self._issue(ref)
        note = {"body": with_marker(body, marker)}
        await self._client.request("POST", f"{path}/notes", body=note)

    async def attach(self, ref: str, file: Attachment) -> None:
        """Upload it to the project and show it in the description."""
        path, issue = await self._issue(ref)
        description = told(issue, "description")
        if file.name in description:
            return
        form = aiohttp.FormData()
        form.add_field("file", file.content, filename=file.name, content_type=file.content_type)
        project = path.rpartition("/issues/")[0]
        uploaded = (await self._client.request("POST", f"{project}/uploads", form=form)).obj()
        shown = told(uploaded, "markdown")
        if not shown:
            raise strange("the answer to an upload has no markdown")
        wanted = {"description": before_marker(description, shown)}
        await self._client.request("PUT", path, body=wanted)

    async def resolve(self, ref: str, outcome: Outcome) -> None:
        """Close it."""
        path, _ = await self._issue(ref)
        await self._client.request("PUT", path, body={"state_event": "close"})

    async def reopen(self, ref: str) -> None:
        """Open it again."""
        path, _ = await self._issue(ref)
        await self._client.request("PUT", path, body={"state_event": "reopen"})

    async def read(self, ref: str) -> Ticket | None:
        """One that was moved comes with its new reference."""
        try:
            return _ticket((await self._issue(ref))[1])
        except GoneError:
            return None

    async def comments(self, ref: str) -> list[Comment]:
        """Its notes, without those of GitLab itself."""
        path, _ = await self._issue(ref)
        found: list[Comment] = []
        asked = {"order_by": "created_at", "sort": "desc"}
        async for note in self._pages(f"{path}/notes", asked):
            if note.get("system") is not True:
                found.append(_comment(note))
            if len(found) == _MOST_COMMENTS:
                break
        return found[::-1]

    async def changed(self, since: int, refs: Collection[str]) -> list[str]:
        """By listing each of their projects."""
        # The newest first: one that changes meanwhile moves others to later pages, not past them.
        asked = {"updated_after": utc_stamp(since), "order_by": "updated_at", "sort": "desc"}

        async def listed(project: str) -> AsyncIterator[tuple[int, str]]:
            async for issue in self._issues(project, asked):
                yield told_at(issue, "updated_at"), told(issue, "iid")

        return await changed_in_projects(refs, listed, gone_at=since)

    async def check(self, project: str) -> str:
        """The token, its scope and its end; the project, and the role in it."""
        who = told((await self._client.get(f"{_API}/user")).obj(), "username")
        until = await self._until(who)
        try:
            number = await self._project(project)
            found = (await self._client.get(number)).obj()
        except GoneError as error:
            said = f"there is no project {project}, or the token may not see it: {error}"
            raise DeliveryError(said, permanent=True) from error
        if found.get("archived") is True:
            raise DeliveryError(f"the project {project} is archived", permanent=True)
        if told(found, "issues_access_level") == "disabled":
            hint = "turn them on in its settings"
            raise DeliveryError(f"the issues of {project} are turned off; {hint}", permanent=True)
        role = max(
            told_number(found, "permissions", kind, "access_level")
            for kind in ("project_access", "group_access")
        )
        if role < _PLANNER:
            said = f"the token's user {who} may not label, assign and close issues of {project}"
            raise DeliveryError(f"{said}; give it the role Reporter", permanent=True)
        await self._client.get(f"{number}/issues", {"per_page": "1"})
        return f"{who}, at {self._url}/{project}{until}"

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    async def _until(self, who: str) -> str:
        """Until when the token is valid, in words, once its scope was seen."""
        try:
            token = (await self._client.get(f"{_API}/personal_access_tokens/self")).obj()
        except DeliveryError as error:
            if not error.permanent and "HTTP 40" not in str(error):
                raise
            # Only tokens of these kinds tell of themselves; one of OAuth does not.
            return ""
        scopes = token.get("scopes")
        if isinstance(scopes, list) and "api" not in scopes:
            raise DeliveryError(f"the token of {who} has not the scope api", permanent=True)
        end = told(token, "expires_at")
        return f", until {end}" if end else ""

    async def _project(self, project: str) -> str:
        """The path of a project's requests, by its number: that stays when it is renamed."""
        if project not in self._numbers:
            if not _PROJECT.fullmatch(project):
                said = f"{project!r} is no project: it is written group/name"
                raise DeliveryError(said, permanent=True)
            try:
                answer = await self._client.get(f"{_API}/projects/{quote(project, safe='')}")
                number = told(answer.obj(), "id")
            except _MovedError as moved:
                number = moved.number
            if not number.isdigit():
                raise strange("the answer is no project")
            self._numbers[project] = number
        return f"{_API}/projects/{self._numbers[project]}"

    async def _issue(self, ref: str) -> tuple[str, Mapping[str, Any]]:
        """The path of an issue's requests, and the issue, where it is now."""
        for _ in range(_MOST_MOVES):
            project, number = parts(ref)
            path = f"{await self._project(project)}/issues/{number}"
            issue = (await self._client.get(path)).obj()
            moved_to = told(issue, "moved_to_id")
            if not moved_to:
                return path, issue
            asked = {"query": _WHERE_NOW, "variables": {"id": f"gid://gitlab/Issue/{moved_to}"}}
            answer = await self._client.request("POST", "/api/graphql", body=asked)
            if "errors" in answer.obj():
                raise strange(f"{ref} was moved, and GitLab does not tell where to")
            now = told(answer.document, "data", "issue", "reference")
            if not _REFERENCE.fullmatch(now):
                said = f"HTTP 404: {ref} was moved where the token may not see it"
                raise GoneError(said, permanent=True)
            ref = now
        raise strange(f"{ref} was moved again and again")

    async def _issues(
        self, project: str, asked: Mapping[str, str]
    ) -> AsyncIterator[Mapping[str, Any]]:
        path = f"{await self._project(project)}/issues"
        async for issue in self._pages(path, {"scope": "all", **asked}):
            yield issue

    async def _pages(self, path: str, asked: Mapping[str, str]) -> AsyncIterator[Mapping[str, Any]]:
        for page in range(1, _MOST_PAGES + 1):
            paged = {**asked, "per_page": str(_PER_PAGE), "page": str(page)}
            answer = await self._client.get(path, paged)
            for item in answer.items():
                yield item
            if 'rel="next"' not in answer.headers.get("Link", ""):
                return
        said = f"{path} lists more than {_MOST_PAGES * _PER_PAGE}: too many to look through"
        raise DeliveryError(said, permanent=True)

    async def _assigned(self, fields: TicketFields) -> dict[str, Any]:
        """The attribute that assigns; nothing where there is nobody to."""
        name = fields.assignee
        if name and name not in self._people:
            for user in (await self._client.get(f"{_API}/users", {"username": name})).items():
                self._people[name] = told_number(user, "id")
        if self._people.get(name):
            return {"assignee_ids": [self._people[name]]}
        if name:
            log.warning("GitLab knows no user %s; the issue is assigned to nobody", name)
        return {}


def _verdict(status: int, headers: Mapping[str, str], document: Any) -> DeliveryError | None:
    """What GitLab says that a status alone does not."""
    if 300 <= status < 400:
        found = _NUMBERED.search(headers.get("Location", ""))
        return _MovedError(found.group(1)) if found else None
    if status == 403:
        said = told(document, "error_description") or told(document, "message")
        hint = "give the token the scope api and the role Reporter in the project"
        hint += ", which must not be archived or have its issues turned off"
        return DeliveryError(f"HTTP 403: {said}; {hint}", permanent=False, whole_queue=True)
    return None


def _day(at: int) -> str:
    return utc_stamp(at).partition("T")[0]


def _labels(fields: TicketFields) -> list[str]:
    """Labels are sent with commas between."""
    return [label.replace(",", " ") for label in labels_of(fields, _LONGEST_LABEL)]


def _label_names(issue: Mapping[str, Any]) -> list[str]:
    return [label for label in told_list(issue, "labels") if isinstance(label, str)]


def _ticket(issue: Mapping[str, Any]) -> Ticket:
    ref, state = told(issue, "references", "full"), told(issue, "state")
    if not _REFERENCE.fullmatch(ref) or not state:
        raise strange("the answer is no issue")
    closed = state == "closed"
    assignees = told_list(issue, "assignees")
    return Ticket(
        ref=ref,
        state=TicketState.CLOSED if closed else TicketState.NEW,
        assignee=told(assignees[0], "username") if assignees else "",
        changed_by=told(issue, "closed_by", "username") if closed else "",
        changed_at=told_at(issue, "updated_at"),
        title=told(issue, "title"),
    )


def _comment(note: Mapping[str, Any]) -> Comment:
    text = told(note, "body")
    return Comment(
        id=told(note, "id"),
        who=told(note, "author", "username"),
        text=text,
        at=told_at(note, "created_at"),
        marker=marker_in(text),
    )
