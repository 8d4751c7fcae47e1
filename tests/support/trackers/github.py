"""A GitHub in memory, by the published description of its REST API (2022-11-28).

It refuses what that refuses: requests without a user agent or a valid token, properties that an
endpoint does not have, values of a wrong type or length, people who can't be assigned.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from forewarn_collector.queues.tracker import Outcome, TicketState
from support.alerts import T0
from support.trackers.fakes import queue_before, sent_json
from support.trackers.stage import SeenTicket, Stage

TOKEN = "ghp_0123456789abcdef"
REPOSITORY = "acme/ops"
_BOT = "forewarn-bot"
_CREATED = frozenset(
    {"title", "body", "assignee", "milestone", "labels", "assignees", "type", "parent_issue_id"}
)
_CHANGED = _CREATED - {"parent_issue_id"} | {"state", "state_reason", "duplicate_issue_id"}
_STATE_REASONS = frozenset({"completed", "not_planned", "duplicate", "reopened", None})
_CLOSED_AS = {
    Outcome.FIXED: "completed",
    Outcome.WONT_FIX: "not_planned",
    Outcome.DUPLICATE: "duplicate",
}


@dataclass
class Issue:
    """An issue, or a pull request where `pulls`. Times in s since epoch."""

    number: int
    title: str
    body: str
    created_at: int
    labels: list[str] = field(default_factory=list)
    assignees: list[str] = field(default_factory=list)
    state: str = "open"
    state_reason: str | None = None
    closed_by: str | None = None
    comments: list[dict[str, Any]] = field(default_factory=list)
    updated_at: int = 0
    locked: bool = False
    pulls: bool = False
    moved_to: str = ""
    deleted: bool = False


@dataclass
class Repository:
    """A repository with its issues by number."""

    id: int
    issues: dict[int, Issue] = field(default_factory=dict)
    has_issues: bool = True
    archived: bool = False
    private: bool = False
    permissions: dict[str, bool] = field(default_factory=lambda: {"pull": True, "triage": True})


class RefusedError(Exception):
    """An error answer."""

    def __init__(self, status: int, message: str, errors: Sequence[Any] = (), **headers: str):
        super().__init__(message)
        self.answer = web.json_response(
            {"message": message, "documentation_url": "https://docs.github.com/rest"}
            | ({"errors": errors} if errors else {}),
            status=status,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )


class FakeGithub:
    """The server. `scopes` None makes its token a fine-grained one; `app` an installation's."""

    def __init__(self) -> None:
        self.repositories = {REPOSITORY: Repository(id=1296269)}
        self.renamed: dict[str, str] = {}
        self.people = {"ann", "bob", _BOT}
        self.scopes: str | None = "repo"
        self.app = False
        self.lacks: str = ""
        self.base = ""
        self.created_body: dict[str, Any] = {}
        self._seconds = T0 // 1000
        self._ids = 1000

    def application(self) -> web.Application:
        application = web.Application(client_max_size=64 << 20)
        repos = "/api/v3/repos/{owner}/{name}"
        numbered = "/api/v3/repositories/{id}"
        route = application.router.add_route
        route("GET", "/api/v3/user", self._handled(self._user))
        route("GET", repos, self._handled(self._repository))
        for prefix in (repos, numbered):
            route("GET", prefix + "/issues", self._handled(self._list))
            route("POST", prefix + "/issues", self._handled(self._create))
            route("GET", prefix + "/issues/{number}", self._handled(self._get))
            route("PATCH", prefix + "/issues/{number}", self._handled(self._patch))
            route("GET", prefix + "/issues/{number}/comments", self._handled(self._comments))
            route("POST", prefix + "/issues/{number}/comments", self._handled(self._comment))
        return application

    def now(self) -> int:
        """The next second: nothing happens twice in one."""
        self._seconds += 1
        return self._seconds

    def add(self, name: str, issue: Issue) -> None:
        """Put an issue there, as people do."""
        self.repositories[name].issues[issue.number] = issue

    def say(self, issue: Issue, who: str, text: str) -> dict[str, Any]:
        """Add a remark."""
        self._ids += 1
        now = issue.updated_at = self.now()
        comment = {
            "id": self._ids,
            "node_id": "IC_x",
            "url": "",
            "html_url": "",
            "issue_url": "",
            "author_association": "MEMBER",
            "body": text,
            "user": {"login": who},
            "created_at": _stamp(now),
            "updated_at": _stamp(now),
        }
        issue.comments.append(comment)
        return comment

    def _handled(self, handler: Callable[[web.Request, Any], web.Response]) -> Any:
        async def handle(request: web.Request) -> web.Response:
            try:
                self._authenticate(request)
                return handler(request, await _json(request))
            except RefusedError as refusal:
                return refusal.answer

        return handle

    def _authenticate(self, request: web.Request) -> None:
        if not request.headers.get("User-Agent"):
            raise RefusedError(403, "Request forbidden by administrative rules.")
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise RefusedError(401, "Bad credentials")
        if request.headers.get("X-GitHub-Api-Version") != "2022-11-28":
            raise RefusedError(400, "unsupported version")
        if request.method != "GET" and self.lacks:
            said = "Resource not accessible by personal access token"
            raise RefusedError(403, said, X_Accepted_GitHub_Permissions=self.lacks)

    def _user(self, _request: web.Request, _given: Any) -> web.Response:
        if self.app:
            raise RefusedError(403, "Resource not accessible by integration")
        headers = {} if self.scopes is None else {"X-OAuth-Scopes": self.scopes}
        return web.json_response({"login": _BOT, "id": 1, "type": "User"}, headers=headers)

    def _at(self, request: web.Request) -> tuple[str, Repository]:
        if "id" in request.match_info:
            for name, repository in self.repositories.items():
                if str(repository.id) == request.match_info["id"]:
                    return name, repository
            raise RefusedError(404, "Not Found")
        name = f"{request.match_info['owner']}/{request.match_info['name']}"
        if name in self.renamed:
            to = self.repositories[self.renamed[name]].id
            rest = request.raw_path.partition(name)[2]
            raise self._moved(f"{self.base}/repositories/{to}{rest}")
        if name not in self.repositories:
            raise RefusedError(404, "Not Found")
        return name, self.repositories[name]

    def _moved(self, to: str) -> RefusedError:
        return RefusedError(301, "Moved Permanently", Location=to)

    def _repository(self, request: web.Request, _given: Any) -> web.Response:
        name, repository = self._at(request)
        return web.json_response(
            {
                "id": repository.id,
                "full_name": name,
                "private": repository.private,
                "archived": repository.archived,
                "has_issues": repository.has_issues,
                "permissions": repository.permissions,
            }
        )

    def _with_issues(self, request: web.Request) -> tuple[str, Repository]:
        name, repository = self._at(request)
        if not repository.has_issues:
            raise RefusedError(410, "Issues are disabled for this repo")
        if repository.archived and request.method != "GET":
            raise RefusedError(403, "Repository was archived so is read-only.")
        return name, repository

    def _issue(self, request: web.Request) -> tuple[str, Issue]:
        name, repository = self._with_issues(request)
        issue = repository.issues.get(int(request.match_info["number"]))
        if issue is None:
            raise RefusedError(404, "Not Found")
        if issue.deleted:
            raise RefusedError(410, "This issue was deleted")
        if issue.moved_to:
            to, _, number = issue.moved_to.partition("#")
            rest = request.path.partition(f"/issues/{issue.number}")[2]
            numbered = self.repositories[to].id
            raise self._moved(f"{self.base}/repositories/{numbered}/issues/{number}{rest}")
        return name, issue

    def _list(self, request: web.Request, _given: Any) -> web.Response:
        name, repository = self._with_issues(request)
        query = request.query
        allowed = {"state", "sort", "direction", "since", "per_page", "page", "labels", "creator"}
        assert set(query) <= allowed, query
        found = [i for i in repository.issues.values() if not i.deleted and not i.moved_to]
        if query.get("state", "open") != "all":
            found = [i for i in found if i.state == query.get("state", "open")]
        if "since" in query:
            since = datetime.fromisoformat(query["since"]).timestamp()
            found = [i for i in found if i.updated_at >= since]
        key = {"created": "created_at", "updated": "updated_at"}[query.get("sort", "created")]
        descending = query.get("direction", "desc") == "desc"
        found.sort(key=lambda i: (getattr(i, key), i.number), reverse=descending)
        return self._paged(request, [self._shown(name, i) for i in found])

    def _create(self, request: web.Request, given: Any) -> web.Response:
        name, repository = self._with_issues(request)
        self._check(given, _CREATED)
        if "title" not in given:
            raise RefusedError(422, 'Invalid request.\n\n"title" wasn\'t supplied.')
        number = max(repository.issues, default=0) + 1
        now = self.now()
        issue = Issue(number, given["title"], given.get("body", ""), now, updated_at=now)
        self._set(issue, given)
        repository.issues[number] = issue
        self.created_body = given
        return web.json_response(self._shown(name, issue), status=201)

    def _get(self, request: web.Request, _given: Any) -> web.Response:
        name, issue = self._issue(request)
        return web.json_response(self._shown(name, issue))

    def _patch(self, request: web.Request, given: Any) -> web.Response:
        name, issue = self._issue(request)
        self._check(given, _CHANGED)
        issue.updated_at = self.now()
        self._set(issue, given)
        if given.get("state", issue.state) != issue.state:
            self.turn(issue, _BOT, given["state"], given.get("state_reason"))
        return web.json_response(self._shown(name, issue))

    def turn(self, issue: Issue, who: str, state: str, reason: str | None) -> None:
        """Close or open it."""
        closed = state == "closed"
        issue.updated_at = self.now()
        issue.state = state
        issue.state_reason = (reason or "completed") if closed else "reopened"
        issue.closed_by = who if closed else None

    def _comments(self, request: web.Request, _given: Any) -> web.Response:
        _, issue = self._issue(request)
        return self._paged(request, issue.comments)

    def _comment(self, request: web.Request, given: Any) -> web.Response:
        _, issue = self._issue(request)
        if issue.locked:
            raise RefusedError(403, "Unable to create comment because issue is locked.")
        if set(given) != {"body"} or not isinstance(given["body"], str) or not given["body"]:
            raise RefusedError(422, 'Invalid request.\n\n"body" wasn\'t supplied.')
        _limit(given["body"], "IssueComment", "body", 65_536)
        return web.json_response(self.say(issue, _BOT, given["body"]), status=201)

    def _check(self, given: Any, allowed: frozenset[str]) -> None:
        if not isinstance(given, dict):
            raise RefusedError(422, "Invalid request.")
        for name in given:
            if name not in allowed:
                raise RefusedError(422, f'Invalid request.\n\n"{name}" is not a permitted key.')
        for name in ("title", "body"):
            if not isinstance(given.get(name, ""), str):
                raise RefusedError(422, f'Invalid request.\n\nFor "{name}", no string.')
        _limit(given.get("title", "x"), "Issue", "title", 256)
        _limit(given.get("body", ""), "Issue", "body", 65_536)
        for label in given.get("labels", ()):
            _limit(label, "Label", "name", 50)
        for who in given.get("assignees", ()):
            if who not in self.people:
                wrong = {"value": who, "resource": "Issue", "field": "assignees", "code": "invalid"}
                raise RefusedError(422, "Validation Failed", [wrong])
        if given.get("state", "open") not in {"open", "closed"}:
            raise RefusedError(422, "Validation Failed", [{"field": "state", "code": "invalid"}])
        if given.get("state_reason") not in _STATE_REASONS:
            raise RefusedError(
                422, "Validation Failed", [{"field": "state_reason", "code": "invalid"}]
            )

    def _set(self, issue: Issue, given: dict[str, Any]) -> None:
        for name in ("title", "body", "labels", "assignees"):
            if name in given:
                setattr(issue, name, given[name])

    def _paged(self, request: web.Request, found: list[Any]) -> web.Response:
        size = min(100, int(request.query.get("per_page", "30")))
        page = int(request.query.get("page", "1"))
        last = max(1, -(-len(found) // size))
        url = request.url
        links = [
            f'<{url.update_query(page=str(to))}>; rel="{name}"'
            for name, to in (("next", page + 1), ("last", last))
            if page < last
        ]
        headers = {"Link": ", ".join(links)} if links else {}
        return web.json_response(found[(page - 1) * size : page * size], headers=headers)

    def _shown(self, name: str, issue: Issue) -> dict[str, Any]:
        url = f"{self.base}/repos/{name}"
        people = [{"login": who, "id": 1} for who in issue.assignees]
        shown: dict[str, Any] = {
            "id": 10_000 + issue.number,
            "node_id": "I_x",
            "url": f"{url}/issues/{issue.number}",
            "labels_url": f"{url}/issues/{issue.number}/labels{{/name}}",
            "comments_url": f"{url}/issues/{issue.number}/comments",
            "events_url": f"{url}/issues/{issue.number}/events",
            "closed_at": _stamp(issue.updated_at) if issue.closed_by else None,
            "repository_url": url,
            "html_url": f"https://github.example/{name}/issues/{issue.number}",
            "number": issue.number,
            "state": issue.state,
            "state_reason": issue.state_reason,
            "title": issue.title,
            "body": issue.body,
            "user": {"login": _BOT, "id": 1},
            "labels": [{"id": 1, "name": label} for label in issue.labels],
            "assignee": people[0] if people else None,
            "assignees": people,
            "milestone": None,
            "locked": issue.locked,
            "comments": len(issue.comments),
            "closed_by": {"login": issue.closed_by} if issue.closed_by else None,
            "created_at": _stamp(issue.created_at),
            "updated_at": _stamp(issue.updated_at),
        }
        if issue.pulls:
            shown["pull_request"] = {"url": f"{url}/pulls/{issue.number}"}
        return shown


class GithubWorld:
    """What people see and do there."""

    def __init__(self, fake: FakeGithub) -> None:
        self._fake = fake

    async def tickets(self) -> Sequence[SeenTicket]:
        return [
            SeenTicket(
                ref=f"{name}#{issue.number}",
                title=issue.title,
                body=issue.body,
                state=TicketState.CLOSED if issue.state == "closed" else TicketState.NEW,
                assignee=next(iter(issue.assignees), ""),
                labels=tuple(issue.labels),
                comments=tuple(comment["body"] for comment in issue.comments),
            )
            for name, repository in self._fake.repositories.items()
            for issue in repository.issues.values()
            if not issue.pulls and not issue.moved_to and not issue.deleted
        ]

    async def comment(self, ref: str, who: str, text: str) -> None:
        self._fake.say(self.issue(ref), who, text)

    async def close(self, ref: str, who: str, outcome: Outcome) -> None:
        self._fake.turn(self.issue(ref), who, "closed", _CLOSED_AS[outcome])

    async def reopen(self, ref: str, who: str) -> None:
        self._fake.turn(self.issue(ref), who, "open", None)

    async def assign(self, ref: str, who: str) -> None:
        self.issue(ref).assignees = [who]
        self.issue(ref).updated_at = self._fake.now()

    async def start(self, ref: str, who: str) -> None:
        raise NotImplementedError

    async def delete(self, ref: str) -> None:
        self.issue(ref).deleted = True

    def issue(self, ref: str) -> Issue:
        """The issue of a reference."""
        name, _, number = ref.partition("#")
        return self._fake.repositories[name].issues[int(number)]


@asynccontextmanager
async def github_with_fake(more: str = "") -> AsyncIterator[tuple[Stage, FakeGithub]]:
    """The stage, and the fake behind it; `more` are further settings."""
    fake = FakeGithub()

    def section(url: str) -> str:
        fake.base = f"{url}/api/v3"
        place = f"url: {url}\ntoken: env:TOKEN\n"
        return f"kind: github\nrepository: {REPOSITORY}\n{place}{more}"

    async with queue_before(fake.application(), section, TOKEN) as (queue, hasty, faults):
        stage = Stage(
            queue=queue,
            hasty=hasty,
            faults=faults,
            world=GithubWorld(fake),
            secret=TOKEN,
            knows_outcomes=frozenset({Outcome.FIXED, Outcome.WONT_FIX, Outcome.DUPLICATE}),
        )
        yield stage, fake


@asynccontextmanager
async def github_stage() -> AsyncIterator[Stage]:
    """A queue before a GitHub in memory."""
    async with github_with_fake() as (stage, _):
        yield stage


async def _json(request: web.Request) -> Any:
    try:
        return await sent_json(request)
    except ValueError as error:
        raise RefusedError(400, "Problems parsing JSON") from error


def _limit(value: Any, resource: str, name: str, most: int) -> None:
    if not isinstance(value, str) or len(value) > most:
        said = f"{name} is too long (maximum is {most} characters)"
        wrong = {"resource": resource, "field": name, "code": "custom", "message": said}
        raise RefusedError(422, "Validation Failed", [wrong])


def _stamp(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
