"""GitHub Issues: on github.com, on GitHub Enterprise Cloud (ghe.com) and on Enterprise Server.

kind: github
repository: acme/ops            a template
url: https://github.com         of an Enterprise Server: as in the browser
token_file: PATH                classic (`repo`), fine-grained or an app's (Issues: read and write)

By the REST API of version 2022-11-28, https://docs.github.com/rest/issues.

| of ours | at GitHub |
| --- | --- |
| marker | a comment of HTML at the end of the issue's or the remark's text |
| priority | a label more |
| labels | a changed one with a colon replaces those with the same before the colon |
| outcome | `state_reason`: completed, not_planned (also for no action), duplicate |
| custom fields | more properties of the request that creates an issue: `milestone`, `type` |
| due time | only in the text: GitHub has no such field |

An issue is found by listing the repository's issues, the newest first, down to where the task
began. The search API is not used, as its index lags. That the list shows an issue as soon as its
creation was answered is GitHub's practice, which its documentation does not promise; where an
answer was lost, the queue asks 15 seconds later.

A renamed repository and a transferred issue are answered with a redirect to the same API under
their number: that one is followed, no other.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar
from urllib.parse import urlsplit

from forewarn_collector.queues.base import DeliveryError
from forewarn_collector.queues.github_answers import (
    REPOSITORY,
    MovedError,
    NotAssignableError,
    archived,
    comment,
    disabled,
    label_names,
    ticket,
    verdict,
)
from forewarn_collector.queues.markdown_markers import MARKER_LENGTH, marker_in, with_marker
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
)
from forewarn_collector.queues.tracker_http import (
    Answer,
    GoneError,
    TrackerAccess,
    TrackerClient,
    sure_at,
    told,
    told_at,
    utc_stamp,
)
from forewarn_collector.queues.tracker_place import read_place
from forewarn_wire.document import Section

log = logging.getLogger(__name__)

_PER_PAGE = 50
"""Texts have up to 65,536 characters: a page of these stays far below the largest answer."""
_MOST_PAGES = 200
_MOST_COMMENT_PAGES = 20
_LONGEST_LABEL = 50
_REASONS = {
    Outcome.FIXED: "completed",
    Outcome.NO_ACTION: "not_planned",
    Outcome.WONT_FIX: "not_planned",
    Outcome.DUPLICATE: "duplicate",
}
_LAST = re.compile(r'[?&]page=(\d+)[^>]*>; rel="last"')


class GithubTracker:
    """Issues of the repositories of one GitHub."""

    kind: ClassVar[str] = "github"
    longest_title: ClassVar[int] = 256
    longest_body: ClassVar[int] = 65_536 - MARKER_LENGTH
    takes_files: ClassVar[bool] = False
    project_setting: ClassVar[str] = "repository"

    def __init__(self, url: str, access: TrackerAccess) -> None:
        """`url` is where people see issues, `access` how to reach the API."""
        self._url = url
        self._recent = RecentTickets()
        self._client = TrackerClient(access, partial(verdict, access.base))

    @classmethod
    def from_section(cls, section: Section, environ: Mapping[str, str]) -> GithubTracker | None:
        """Read `url`, `token_file`, `ca_file` and `timeout`."""
        place = read_place(section, environ, "https://github.com")
        if place is None:
            return None
        headers = {
            "Authorization": f"Bearer {place.token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        return cls(place.url, place.access(api_of(place.url), headers))

    def render(self, page: Page) -> str:
        """As Markdown."""
        return markdown(page)

    def link(self, ref: str) -> str:
        """The issue's page."""
        repository, number = parts(ref)
        return f"{self._url}/{repository}/issues/{number}"

    async def find(self, marker: str, project: str, since: int) -> Ticket | None:
        """By listing the newest."""

        async def listed(start: int) -> Listed:
            # GitHub's `since` is by the last change.
            asked = {"sort": "created", "direction": "desc", "since": utc_stamp(start)}
            async for issue in self._issues(project, asked):
                made_at = sure_at(issue, "created_at")
                if made_at < start:
                    return
                yield made_at, marker_in(told(issue, "body")), ticket(issue).ref

        return await self._recent.find(marker, project, since, listed, self.read)

    async def create(self, fields: TicketFields, body: str, marker: str) -> Ticket:
        """Without its assignee, where GitHub refuses only that: the issue matters more."""
        wanted: dict[str, Any] = {
            **fields.custom,
            "title": fields.title,
            "body": with_marker(body, marker),
            "labels": labels_of(fields, _LONGEST_LABEL),
        }
        path = f"/repos/{_repository(fields.project)}/issues"
        if not fields.assignee:
            return ticket((await self._request("POST", path, body=wanted)).obj())
        try:
            assigned = {**wanted, "assignees": [fields.assignee]}
            return ticket((await self._request("POST", path, body=assigned)).obj())
        except NotAssignableError as error:
            said = "%s can be assigned to nothing in %s; the issue is made without: %s"
            log.warning(said, fields.assignee, fields.project, error)
            return ticket((await self._request("POST", path, body=wanted)).obj())

    async def change(self, ref: str, fields: TicketFields, names: Sequence[str]) -> None:
        """Labels that people gave stay."""
        wanted: dict[str, Any] = {}
        if "title" in names:
            wanted["title"] = fields.title
        if "assignee" in names and fields.assignee:
            wanted["assignees"] = [fields.assignee]
        if "labels" in names or "priority" in names:
            ours = labels_of(fields, _LONGEST_LABEL)
            present = label_names((await self._request("GET", _path(ref))).obj())
            gone = outdated(present, ours)
            wanted["labels"] = list(dict.fromkeys([*(x for x in present if x not in gone), *ours]))
        if wanted:
            await self._request("PATCH", _path(ref), body=wanted)

    async def comment(self, ref: str, body: str, marker: str) -> None:
        """A remark; it may stand on a closed issue too."""
        body = with_marker(body, marker)
        await self._request("POST", f"{_path(ref)}/comments", body={"body": body})

    async def attach(self, ref: str, file: Attachment) -> None:
        """The API takes no files."""
        raise NotImplementedError

    async def resolve(self, ref: str, outcome: Outcome) -> None:
        """Close it; the reason of one that is closed already is left as it is."""
        wanted = {"state": "closed", "state_reason": _REASONS[outcome]}
        await self._request("PATCH", _path(ref), body=wanted)

    async def reopen(self, ref: str) -> None:
        """Open it again."""
        await self._request("PATCH", _path(ref), body={"state": "open"})

    async def read(self, ref: str) -> Ticket | None:
        """One that was transferred comes with its new reference."""
        try:
            return ticket((await self._request("GET", _path(ref))).obj())
        except GoneError:
            return None

    async def comments(self, ref: str) -> list[Comment]:
        """All of them, or the newest thousand."""
        path, page = f"{_path(ref)}/comments", 1
        first = await self._request("GET", path, params=_page(1))
        last = _last_page(first)
        found = list(first.items()) if last <= _MOST_COMMENT_PAGES else []
        for page in range(max(2, last - _MOST_COMMENT_PAGES + 1), last + 1):
            found += (await self._request("GET", path, params=_page(page))).items()
        return [comment(each) for each in found]

    async def changed(self, since: int, refs: Collection[str]) -> list[str]:
        """By listing each of their repositories."""
        # The newest first: one that changes meanwhile moves others to later pages, not past them.
        asked = {"sort": "updated", "direction": "desc", "since": utc_stamp(since)}

        async def listed(project: str) -> AsyncIterator[tuple[int, str]]:
            async for issue in self._issues(project, asked):
                yield told_at(issue, "updated_at"), told(issue, "number")

        return await changed_in_projects(refs, listed, gone_at=since)

    async def check(self, project: str) -> str:
        """Whether issues can be made is seen by making one: no request tells it of all tokens."""
        who, scopes = await self._who()
        try:
            answer = await self._request("GET", f"/repos/{_repository(project)}")
        except GoneError as error:
            said = f"there is no repository {project}, or the token may not see it: {error}"
            raise DeliveryError(said, permanent=True) from error
        repository = answer.obj()
        if repository.get("archived") is True:
            raise archived()
        if repository.get("has_issues") is False:
            raise disabled()
        needed = {"repo"} if repository.get("private") else {"repo", "public_repo"}
        if scopes is not None and not needed & scopes:
            said = f"the token of {who} has not the scope {' or '.join(sorted(needed))}"
            raise DeliveryError(f"{said}; make one that has", permanent=True)
        rights = repository.get("permissions")
        if isinstance(rights, dict) and not (rights.get("triage") or rights.get("push")):
            said = f"the token's owner {who} may not label, assign and close issues of {project}"
            raise DeliveryError(f"{said}; give it the role Triage or Write", permanent=True)
        await self._request(
            "GET", f"/repos/{_repository(project)}/issues", params={"per_page": "1"}
        )
        return f"{who}, at {self._url}/{project}"

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    async def _who(self) -> tuple[str, set[str] | None]:
        """Whose token it is, and its scopes; None where it is of a kind that has none."""
        try:
            answer = await self._request("GET", "/user")
        except DeliveryError as error:
            if "accessible by integration" not in str(error):
                raise
            return "an app's installation", None
        scopes = answer.headers.get("X-OAuth-Scopes")
        known = None if scopes is None else {each.strip() for each in scopes.split(",")}
        return told(answer.obj(), "login"), known

    async def _issues(
        self, project: str, params: Mapping[str, str]
    ) -> AsyncIterator[Mapping[str, Any]]:
        """A repository's issues in an order, without the pull requests that share its list."""
        path = f"/repos/{_repository(project)}/issues"
        for page in range(1, _MOST_PAGES + 1):
            asked = {"state": "all", **params, **_page(page)}
            answer = await self._request("GET", path, params=asked)
            for issue in answer.items():
                if "pull_request" not in issue:
                    yield issue
            if 'rel="next"' not in answer.headers.get("Link", ""):
                return
        said = f"{project} has more than {_MOST_PAGES * _PER_PAGE} issues since {params['since']}"
        raise DeliveryError(f"{said}: too many to look through", permanent=True)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Answer:
        try:
            return await self._client.request(method, path, params=params, body=body)
        except MovedError as moved:
            params = None if "?" in moved.to else params
            return await self._client.request(method, moved.to, params=params, body=body)


def api_of(url: str) -> str:
    """The API's address of a GitHub, by where people see it."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if host == "github.com" or host.endswith(".ghe.com"):
        return f"https://api.{host}"
    return f"{url}/api/v3"


def _repository(project: str) -> str:
    if not REPOSITORY.fullmatch(project):
        said = f"{project!r} is no repository: it is written owner/name"
        raise DeliveryError(said, permanent=True)
    return project


def _path(ref: str) -> str:
    repository, number = parts(ref)
    return f"/repos/{repository}/issues/{number}"


def _page(number: int) -> dict[str, str]:
    return {"per_page": str(_PER_PAGE), "page": str(number)}


def _last_page(answer: Answer) -> int:
    found = _LAST.search(answer.headers.get("Link", ""))
    return int(found.group(1)[:6]) if found else 1
