"""A GitLab in memory, by the published documentation of its REST API (version 4).

It refuses what that refuses: requests without a valid token, attributes that an endpoint does not
have, values of a wrong type or length. A text with a quick action on a line of its own is carried
out, as GitLab does.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from aiohttp import web

from forewarn_collector.queues.tracker import Outcome, TicketState
from support.alerts import T0
from support.trackers.fakes import queue_before, sent_json
from support.trackers.stage import SeenTicket, Stage

TOKEN = "glpat-0123456789abcdef"
PROJECT = "acme/backend/ops"
_BOT = "forewarn-bot"
_CREATED = {
    "title": str,
    "description": str,
    "confidential": bool,
    "assignee_ids": list,
    "milestone_id": int,
    "labels": str,
    "due_date": str,
    "weight": int,
}
_CHANGED = _CREATED | {"add_labels": str, "remove_labels": str, "state_event": str}
_UPLOADED = re.compile(r"!\[[^\]]*\]\(/uploads/")
_QUICK_CLOSE = re.compile(r"^/close\s*$", re.MULTILINE | re.IGNORECASE)


@dataclass
class Issue:
    """An issue of a project; `id` is the whole server's. Times in s since epoch."""

    id: int
    iid: int
    title: str
    description: str
    created_at: int
    labels: list[str] = field(default_factory=list)
    assignees: list[str] = field(default_factory=list)
    state: str = "opened"
    closed_by: str | None = None
    due_date: str | None = None
    confidential: bool = False
    notes: list[dict[str, Any]] = field(default_factory=list)
    updated_at: int = 0
    moved_to_id: int | None = None


@dataclass
class Project:
    """A project with its issues by number."""

    id: int
    path: str
    issues: dict[int, Issue] = field(default_factory=dict)
    archived: bool = False
    issues_access_level: str = "enabled"
    access_level: int = 20


class RefusedError(Exception):
    """An error answer."""

    def __init__(self, status: int, document: Any, **headers: str):
        super().__init__(document)
        self.answer = web.json_response(document, status=status, headers=headers)


class FakeGitlab:
    """The server. `scopes` None makes its token one that tells nothing of itself."""

    def __init__(self) -> None:
        self.projects = [Project(id=81, path=PROJECT)]
        self.renamed: dict[str, str] = {}
        self.people = {"ann": 11, "bob": 12, _BOT: 13}
        self.scopes: list[str] | None = ["api"]
        self.graphql_errors = False
        self.url = ""
        self.created_body: dict[str, Any] = {}
        self.uploads: list[tuple[str, bytes]] = []
        self._seconds = T0 // 1000
        self._ids = 1000

    @property
    def project(self) -> Project:
        return self.projects[0]

    def application(self) -> web.Application:
        application = web.Application(client_max_size=64 << 20)
        route = application.router.add_route
        project = "/api/v4/projects/{project}"
        issue = project + "/issues/{iid}"
        for method, path, handler in (
            ("GET", "/api/v4/user", self._user),
            ("GET", "/api/v4/users", self._users),
            ("GET", "/api/v4/personal_access_tokens/self", self._token),
            ("GET", project, self._project),
            ("GET", project + "/issues", self._list),
            ("POST", project + "/issues", self._create),
            ("GET", issue, self._get),
            ("PUT", issue, self._put),
            ("GET", issue + "/notes", self._notes),
            ("POST", issue + "/notes", self._note),
            ("POST", "/api/graphql", self._graphql),
        ):
            route(method, path, self._handled(handler))
        route("POST", project + "/uploads", self._upload)
        return application

    def next_id(self) -> int:
        """A number that nothing on the server has."""
        self._ids += 1
        return self._ids

    def now(self) -> int:
        """The next second: nothing happens twice in one."""
        self._seconds += 1
        return self._seconds

    def add(self, project: Project, description: str, at: int) -> Issue:
        """Put an issue there, as people do; `at` in ms."""
        iid = max(project.issues, default=0) + 1
        seconds = at // 1000
        issue = Issue(self.next_id(), iid, "t", description, seconds, updated_at=seconds)
        project.issues[iid] = issue
        return issue

    def say(self, issue: Issue, who: str, text: str, *, system: bool = False) -> dict[str, Any]:
        """Add a note."""
        now = issue.updated_at = self.now()
        note = {
            "id": self.next_id(),
            "body": text,
            "author": self._person(who),
            "created_at": _stamp(now),
            "updated_at": _stamp(now),
            "system": system,
            "noteable_id": issue.id,
            "noteable_type": "Issue",
            "noteable_iid": issue.iid,
            "resolvable": False,
            "confidential": False,
            "internal": False,
        }
        issue.notes.append(note)
        return note

    def turn(self, issue: Issue, who: str, state: str) -> None:
        """Close or open it, with a note of the system's."""
        if issue.state == state:
            return
        issue.state = state
        issue.closed_by = who if state == "closed" else None
        self.say(issue, who, state, system=True)

    def _person(self, who: str) -> dict[str, Any]:
        return {"id": self.people[who], "username": who, "name": who.title(), "state": "active"}

    def _handled(self, handler: Callable[[web.Request, Any], web.Response]) -> Any:
        async def handle(request: web.Request) -> web.Response:
            try:
                self._authenticate(request)
                return handler(request, await _json(request))
            except RefusedError as refused:
                return refused.answer

        return handle

    def _authenticate(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise RefusedError(401, {"message": "401 Unauthorized"})
        if request.method != "GET" and "api" not in (self.scopes or ["api"]):
            said = "The request requires higher privileges than provided by the access token."
            raise RefusedError(
                403, {"error": "insufficient_scope", "error_description": said, "scope": "api"}
            )

    def _user(self, _request: web.Request, _given: Any) -> web.Response:
        return web.json_response(self._person(_BOT))

    def _users(self, request: web.Request, _given: Any) -> web.Response:
        name = request.query["username"]
        found = [self._person(name)] if name in self.people else []
        return web.json_response(found)

    def _token(self, _request: web.Request, _given: Any) -> web.Response:
        if self.scopes is None:
            raise RefusedError(404, {"message": "404 Not Found"})
        return web.json_response(
            {
                "id": 4,
                "name": "forewarn",
                "revoked": False,
                "scopes": self.scopes,
                "user_id": self.people[_BOT],
                "active": True,
                "expires_at": "2027-01-31",
            }
        )

    def _found(self, request: web.Request) -> Project:
        asked = request.match_info["project"]
        to = self.renamed.get(asked)
        for project in self.projects:
            if to == project.path:
                if request.method != "GET":
                    said = "405 Non GET methods are not allowed for moved projects"
                    raise RefusedError(405, {"message": said})
                rest = request.raw_path.partition("/projects/")[2].partition("/")[2]
                to = f"{self.url}/api/v4/projects/{project.id}" + (f"/{rest}" if rest else "")
                raise RefusedError(301, f"moved permanently to {to}", Location=to)
            if asked in (project.path, str(project.id)):
                return project
        raise RefusedError(404, {"message": "404 Project Not Found"})

    def _project(self, request: web.Request, _given: Any) -> web.Response:
        project = self._found(request)
        level = project.access_level
        return web.json_response(
            {
                "id": project.id,
                "path_with_namespace": project.path,
                "archived": project.archived,
                "issues_access_level": project.issues_access_level,
                "permissions": {
                    "project_access": {"access_level": level} if level else None,
                    "group_access": None,
                },
            }
        )

    def _open_to(self, request: web.Request) -> Project:
        project = self._found(request)
        closed = project.issues_access_level == "disabled"
        if closed or (project.archived and request.method != "GET"):
            raise RefusedError(403, {"message": "403 Forbidden"})
        return project

    def _issue(self, request: web.Request) -> tuple[Project, Issue]:
        project = self._open_to(request)
        issue = project.issues.get(int(request.match_info["iid"]))
        if issue is None:
            raise RefusedError(404, {"message": "404 Not found"})
        return project, issue

    def _list(self, request: web.Request, _given: Any) -> web.Response:
        project = self._open_to(request)
        query = request.query
        allowed = {"scope", "order_by", "sort", "created_after", "updated_after", "page"}
        assert set(query) <= allowed | {"per_page", "state"}, query
        found = list(project.issues.values())
        for name, key in (("created_after", "created_at"), ("updated_after", "updated_at")):
            if name in query:
                since = datetime.fromisoformat(query[name]).timestamp()
                found = [i for i in found if getattr(i, key) >= since]
        key = query.get("order_by", "created_at")
        descending = query.get("sort", "desc") == "desc"
        found.sort(key=lambda i: (getattr(i, key), i.iid), reverse=descending)
        return self._paged(request, [self._shown(project, i) for i in found])

    def _create(self, request: web.Request, given: Any) -> web.Response:
        project = self._open_to(request)
        _check(given, _CREATED)
        if not given.get("title"):
            raise RefusedError(400, {"error": "title is missing"})
        now = self.now()
        issue = self.add(project, "", now * 1000)
        self.created_body = given
        self._set(issue, given)
        issue.updated_at = now
        return web.json_response(self._shown(project, issue), status=201)

    def _get(self, request: web.Request, _given: Any) -> web.Response:
        return web.json_response(self._shown(*self._issue(request)))

    def _put(self, request: web.Request, given: Any) -> web.Response:
        project, issue = self._issue(request)
        _check(given, _CHANGED)
        if not given:
            raise RefusedError(400, {"error": "assignee_ids, ... are missing, at least one"})
        issue.updated_at = self.now()
        self._set(issue, given)
        states = {"close": "closed", "reopen": "opened"}
        if "state_event" in given:
            if given["state_event"] not in states:
                raise RefusedError(400, {"error": "state_event does not have a valid value"})
            self.turn(issue, _BOT, states[given["state_event"]])
        return web.json_response(self._shown(project, issue))

    def _notes(self, request: web.Request, _given: Any) -> web.Response:
        _, issue = self._issue(request)
        descending = request.query.get("sort", "desc") == "desc"
        return self._paged(request, issue.notes[::-1] if descending else issue.notes)

    def _note(self, request: web.Request, given: Any) -> web.Response:
        _, issue = self._issue(request)
        _check(given, {"body": str})
        if not given.get("body"):
            raise RefusedError(400, {"error": "body is missing"})
        if len(given["body"]) > 1_000_000:
            raise RefusedError(400, {"message": {"note": ["is too long"]}})
        note = self.say(issue, _BOT, self._carried_out(issue, given["body"]))
        return web.json_response(note, status=201)

    async def _upload(self, request: web.Request) -> web.Response:
        try:
            self._authenticate(request)
            project = self._open_to(request)
            part = await (await request.multipart()).next()
            if part is None or getattr(part, "name", "") != "file":
                raise RefusedError(400, {"error": "file is missing"})
            name = part.filename  # type: ignore[union-attr]
            content = await part.read()  # type: ignore[union-attr]
        except RefusedError as refused:
            return refused.answer
        self.uploads.append((name, bytes(content)))
        url = f"/uploads/{len(self.uploads):032x}/{name}"
        return web.json_response(
            {
                "id": len(self.uploads),
                "alt": name,
                "url": url,
                "full_path": f"/-/project/{project.id}{url}",
                "markdown": f"![{name}]({url})",
            },
            status=201,
        )

    def _graphql(self, _request: web.Request, given: Any) -> web.Response:
        if self.graphql_errors:
            return web.json_response({"errors": [{"message": "Internal server error"}]})
        assert "reference(full: true)" in given["query"]
        wanted = int(given["variables"]["id"].removeprefix("gid://gitlab/Issue/"))
        for project in self.projects:
            for issue in project.issues.values():
                if issue.id == wanted:
                    found = {"reference": f"{project.path}#{issue.iid}"}
                    return web.json_response({"data": {"issue": found}})
        return web.json_response({"data": {"issue": None}})

    def _set(self, issue: Issue, given: dict[str, Any]) -> None:
        for name in ("title", "due_date", "confidential"):
            if name in given:
                setattr(issue, name, given[name])
        if "description" in given:
            issue.description = self._carried_out(issue, given["description"])
        if "labels" in given:
            issue.labels = _split(given["labels"])
        gone = _split(given.get("remove_labels", ""))
        more = [x for x in _split(given.get("add_labels", "")) if x not in issue.labels]
        issue.labels = [x for x in issue.labels + more if x not in gone]
        if "assignee_ids" in given:
            named = {number: name for name, number in self.people.items()}
            issue.assignees = [named[number] for number in given["assignee_ids"]]

    def _carried_out(self, issue: Issue, text: str) -> str:
        if _QUICK_CLOSE.search(text):
            self.turn(issue, _BOT, "closed")
        return _QUICK_CLOSE.sub("", text)

    def _paged(self, request: web.Request, found: list[Any]) -> web.Response:
        size = min(100, int(request.query.get("per_page", "20")))
        page = int(request.query.get("page", "1"))
        headers = {}
        if page * size < len(found):
            headers["Link"] = f'<{request.url.update_query(page=str(page + 1))}>; rel="next"'
        return web.json_response(found[(page - 1) * size : page * size], headers=headers)

    def _shown(self, project: Project, issue: Issue) -> dict[str, Any]:
        people = [self._person(who) for who in issue.assignees]
        reference = f"#{issue.iid}"
        return {
            "id": issue.id,
            "iid": issue.iid,
            "project_id": project.id,
            "title": issue.title,
            "description": issue.description,
            "state": issue.state,
            "created_at": _stamp(issue.created_at),
            "updated_at": _stamp(issue.updated_at),
            "closed_by": self._person(issue.closed_by) if issue.closed_by else None,
            "labels": issue.labels,
            "milestone": None,
            "author": self._person(_BOT),
            "assignees": people,
            "assignee": people[0] if people else None,
            "user_notes_count": len([n for n in issue.notes if not n["system"]]),
            "due_date": issue.due_date,
            "confidential": issue.confidential,
            "discussion_locked": None,
            "moved_to_id": issue.moved_to_id,
            "web_url": f"{self.url}/{project.path}/-/issues/{issue.iid}",
            "references": {
                "short": reference,
                "relative": reference,
                "full": f"{project.path}{reference}",
            },
        }


class GitlabWorld:
    """What people see and do there."""

    def __init__(self, fake: FakeGitlab) -> None:
        self._fake = fake

    async def tickets(self) -> Sequence[SeenTicket]:
        return [
            SeenTicket(
                ref=f"{project.path}#{issue.iid}",
                title=issue.title,
                body=issue.description,
                state=TicketState.CLOSED if issue.state == "closed" else TicketState.NEW,
                assignee=next(iter(issue.assignees), ""),
                labels=tuple(issue.labels),
                comments=tuple(note["body"] for note in issue.notes if not note["system"]),
                files=tuple(_UPLOADED.findall(issue.description)),
            )
            for project in self._fake.projects
            for issue in project.issues.values()
            if issue.moved_to_id is None
        ]

    async def comment(self, ref: str, who: str, text: str) -> None:
        self._fake.say(self.issue(ref), who, text)

    async def close(self, ref: str, who: str, outcome: Outcome) -> None:
        self._fake.turn(self.issue(ref), who, "closed")

    async def reopen(self, ref: str, who: str) -> None:
        self._fake.turn(self.issue(ref), who, "opened")

    async def assign(self, ref: str, who: str) -> None:
        self.issue(ref).assignees = [who]
        self._fake.say(self.issue(ref), who, f"assigned to @{who}", system=True)

    async def start(self, ref: str, who: str) -> None:
        raise NotImplementedError

    async def delete(self, ref: str) -> None:
        project, number = self._at(ref)
        del project.issues[number]

    def issue(self, ref: str) -> Issue:
        """The issue of a reference."""
        project, number = self._at(ref)
        return project.issues[number]

    def _at(self, ref: str) -> tuple[Project, int]:
        path, _, number = ref.partition("#")
        [project] = [each for each in self._fake.projects if each.path == path]
        return project, int(number)


@asynccontextmanager
async def gitlab_with_fake(more: str = "") -> AsyncIterator[tuple[Stage, FakeGitlab]]:
    """The stage, and the fake behind it; `more` are further settings."""
    fake = FakeGitlab()

    def section(url: str) -> str:
        fake.url = url
        place = f"url: {url}\ntoken: env:TOKEN\n"
        return f"kind: gitlab\nproject: {PROJECT}\n{place}{more}"

    async with queue_before(fake.application(), section, TOKEN) as (queue, hasty, faults):
        stage = Stage(
            queue=queue, hasty=hasty, faults=faults, world=GitlabWorld(fake), secret=TOKEN
        )
        yield stage, fake


@asynccontextmanager
async def gitlab_stage() -> AsyncIterator[Stage]:
    """A queue before a GitLab in memory."""
    async with gitlab_with_fake() as (stage, _):
        yield stage


async def _json(request: web.Request) -> Any:
    try:
        return await sent_json(request)
    except ValueError as error:
        raise RefusedError(400, {"error": "Bad Request"}) from error


def _check(given: Any, attributes: dict[str, type]) -> None:
    if not isinstance(given, dict):
        raise RefusedError(400, {"error": "Bad Request"})
    for name, value in given.items():
        if name not in attributes:
            raise RefusedError(400, {"error": f"{name} is unknown"})
        if not isinstance(value, attributes[name]):
            raise RefusedError(400, {"error": f"{name} is invalid"})
    if len(given.get("title", "")) > 255:
        said = {"title": ["is too long (maximum is 255 characters)"]}
        raise RefusedError(400, {"message": said})
    if len(given.get("description", "")) > 1_048_576:
        said = {"description": ["is too long (maximum is 1048576 characters)"]}
        raise RefusedError(400, {"message": said})
    if "due_date" in given:
        try:
            date.fromisoformat(given["due_date"])
        except ValueError as error:
            raise RefusedError(400, {"error": "due_date is invalid"}) from error


def _split(labels: str) -> list[str]:
    return [label.strip() for label in labels.split(",") if label.strip()]


def _stamp(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.000Z}"
