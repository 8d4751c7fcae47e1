"""A Jira in memory, by the published description of its REST API (version 2): cloud, or a server.

It refuses what that refuses: fields that are on no screen, values that are none, transitions that
the workflow lacks, uploads without the header against forgery. Its search does not know the issues
that were made last, and in the cloud nobody is asked for a password: a wrong token is nobody's.
"""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from aiohttp import web

from forewarn_collector.queues.tracker import Outcome, TicketState
from support.alerts import T0
from support.trackers.fakes import queue_before, sent_json
from support.trackers.stage import SeenTicket, Stage

TOKEN = "ATATT3xFfGF0123456789"
USER = "forewarn@acme.example"
PROJECT = "OPS"
_BOT = "forewarn-bot"
LAG = 2
"""So many of the newest issues the search does not know."""
CATEGORIES = {
    "To Do": "new",
    "In Progress": "indeterminate",
    "Waiting for customer": "indeterminate",
    "Done": "done",
}
_STATES = {
    "new": TicketState.NEW,
    "indeterminate": TicketState.IN_PROGRESS,
    "done": TicketState.CLOSED,
}
_RESOLUTIONS = ("Done", "Won't Do", "Duplicate", "Cannot Reproduce")
_RESOLVED_AS = {
    Outcome.FIXED: "Done",
    Outcome.WONT_FIX: "Won't Do",
    Outcome.DUPLICATE: "Duplicate",
    Outcome.NO_ACTION: "Cannot Reproduce",
}
_PROJECT_JQL = re.compile(r'project = "([A-Z0-9_]+)" ORDER BY created DESC')
_KEYS_JQL = re.compile(r"issuekey in \(([A-Z0-9_, -]+)\)")
_RIGHTS = ("BROWSE_PROJECTS", "CREATE_ISSUES", "EDIT_ISSUES", "ADD_COMMENTS", "TRANSITION_ISSUES")


@dataclass
class Issue:
    """An issue. Times in s since epoch."""

    key: str
    fields: dict[str, Any]
    created: int
    updated: int
    status: str = "To Do"
    comments: list[dict[str, Any]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    histories: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Transition:
    """A way of the workflow, from every status."""

    id: str
    name: str
    to: str
    screen: dict[str, Any] = field(default_factory=dict)


def resolution_screen() -> dict[str, Any]:
    """The screen of a transition that asks for the resolution."""
    return {
        "resolution": {
            "required": True,
            "hasDefaultValue": False,
            "name": "Resolution",
            "operations": ["set"],
            "allowedValues": [{"id": str(n), "name": name} for n, name in enumerate(_RESOLUTIONS)],
        }
    }


class RefusedError(Exception):
    """An error answer."""

    def __init__(self, status: int, said: str = "", errors: dict[str, str] | None = None):
        super().__init__(said)
        messages = [said] if said else []
        document = {"errorMessages": messages, "errors": errors or {}}
        self.answer = web.json_response(document, status=status)


class FakeJira:
    """The server; `cloud` or one that people run themselves."""

    def __init__(self, *, cloud: bool) -> None:
        self.cloud = cloud
        self.projects = {PROJECT: 0}
        """Each project's count of issues so far."""
        self.issues: dict[str, Issue] = {}
        self.moved: dict[str, str] = {}
        self.unindexed: set[str] = set()
        self.people = {"ann", "bob", _BOT}
        self.screen = {"labels", "priority", "assignee", "duedate", "customfield_10010"}
        self.required: dict[str, str] = {}
        self.rights = set(_RIGHTS)
        self.attachments = True
        self.transitions = [
            Transition("11", "Back", "To Do"),
            Transition("21", "Start", "In Progress"),
            Transition("31", "Finish", "Done", resolution_screen()),
        ]
        self.url = ""
        self.created_fields: dict[str, Any] = {}
        self._seconds = T0 // 1000
        self._ids = 1000

    def application(self) -> web.Application:
        application = web.Application(client_max_size=64 << 20)
        api, issue = "/rest/api/2", "/rest/api/2/issue/{key}"
        meta = "/rest/api/2/issue/createmeta/{project}/issuetypes"
        for method, path, handler in (
            ("GET", api + "/serverInfo", self._server_info),
            ("GET", api + "/myself", self._myself),
            ("GET", api + "/mypermissions", self._permissions),
            ("GET", api + "/project/{project}", self._project),
            ("POST", api + "/search", self._search),
            ("POST", api + "/search/jql", self._search_jql),
            ("POST", api + "/issue", self._create),
            ("POST", api + "/issue/bulkfetch", self._bulk),
            ("GET", meta, self._types),
            ("GET", meta + "/{type}", self._type_fields),
            ("GET", issue, self._get),
            ("PUT", issue, self._put),
            ("GET", issue + "/comment", self._comments),
            ("POST", issue + "/comment", self._comment),
            ("GET", issue + "/transitions", self._ways),
            ("POST", issue + "/transitions", self._transit),
        ):
            application.router.add_route(method, path, self._handled(handler))
        application.router.add_post(issue + "/attachments", self._attach)
        return application

    def now(self) -> int:
        """The next second: nothing happens twice in one."""
        self._seconds += 1
        return self._seconds

    def add(self, project: str, description: str, at: int = 0) -> Issue:
        """Make an issue, as people do; `at` in ms, else now."""
        self.projects[project] += 1
        seconds = at // 1000 or self.now()
        key = f"{project}-{self.projects[project]}"
        fields = {"summary": "t", "description": description, "labels": []}
        issue = self.issues[key] = Issue(key, fields, seconds, seconds)
        return issue

    def say(self, issue: Issue, who: str, text: str) -> dict[str, Any]:
        """Add a comment."""
        self._ids += 1
        now = issue.updated = self.now()
        comment = {
            "id": str(self._ids),
            "author": self._person(who),
            "body": text,
            "created": _stamp(now),
            "updated": _stamp(now),
        }
        issue.comments.append(comment)
        return comment

    def turn(self, issue: Issue, who: str, status: str, resolution: str | None) -> None:
        """Take it to a status."""
        now = issue.updated = self.now()
        item = {"field": "status", "fromString": issue.status, "toString": status}
        issue.histories.append(
            {"id": "1", "author": self._person(who), "created": _stamp(now), "items": [item]}
        )
        issue.status = status
        issue.fields["resolution"] = {"name": resolution} if resolution else None

    def _person(self, who: str) -> dict[str, Any]:
        shown = {"displayName": who, "active": True}
        return shown | ({"accountId": who} if self.cloud else {"name": who, "key": who})

    def _handled(self, handler: Callable[[web.Request, Any], web.Response]) -> Any:
        async def handle(request: web.Request) -> web.Response:
            if not self._knows(request):
                return self._nobody(request)
            try:
                return handler(request, await _json(request))
            except RefusedError as refused:
                return refused.answer

        return handle

    def _knows(self, request: web.Request) -> bool:
        pair = base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
        wanted = f"Basic {pair}" if self.cloud else f"Bearer {TOKEN}"
        return request.headers.get("Authorization") == wanted

    def _nobody(self, request: web.Request) -> web.Response:
        """In the cloud what everybody sees: nothing. On a server a refusal."""
        headers = {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"}
        if not self.cloud or request.path.endswith("/myself"):
            return web.json_response({"message": "no"}, status=401, headers=headers)
        if request.path.endswith("/jql"):
            return web.json_response({"issues": [], "isLast": True}, headers=headers)
        if request.path.endswith("/serverInfo"):
            return web.json_response({"deploymentType": "Cloud"}, headers=headers)
        return web.json_response({"errorMessages": ["no"]}, status=404, headers=headers)

    def _server_info(self, _request: web.Request, _given: Any) -> web.Response:
        kind = "Cloud" if self.cloud else "Server"
        return web.json_response({"baseUrl": self.url, "deploymentType": kind})

    def _myself(self, _request: web.Request, _given: Any) -> web.Response:
        return web.json_response(self._person(_BOT))

    def _permissions(self, request: web.Request, _given: Any) -> web.Response:
        self._known(request.query["projectKey"])
        asked = request.query["permissions"].split(",")
        rights = {name: {"key": name, "havePermission": name in self.rights} for name in asked}
        return web.json_response({"permissions": rights})

    def _known(self, project: str) -> str:
        if project not in self.projects:
            raise RefusedError(404, f"No project could be found with key '{project}'.")
        return project

    def _project(self, request: web.Request, _given: Any) -> web.Response:
        return web.json_response({"key": self._known(request.match_info["project"]), "id": "1"})

    def _types(self, request: web.Request, _given: Any) -> web.Response:
        self._known(request.match_info["project"])
        types = [{"id": "3", "name": "Task"}, {"id": "4", "name": "Bug"}]
        return web.json_response({"issueTypes" if self.cloud else "values": types, "total": 2})

    def _type_fields(self, _request: web.Request, _given: Any) -> web.Response:
        fields = [
            {"fieldId": name, "name": shown, "required": True, "hasDefaultValue": False}
            for name, shown in [("summary", "Summary"), *self.required.items()]
        ]
        return web.json_response({"fields" if self.cloud else "values": fields, "total": 1})

    def _found(self, jql: str) -> list[Issue]:
        by_project = _PROJECT_JQL.fullmatch(jql)
        if by_project is not None:
            project = by_project.group(1)
            if project not in self.projects:
                said = f"The value '{project}' does not exist for the field 'project'."
                raise RefusedError(400, said)
            known = [i for i in self.issues.values() if i.key.rpartition("-")[0] == project]
            known.sort(key=lambda i: (i.created, int(i.key.rpartition("-")[2])), reverse=True)
            return [each for each in known[LAG:] if each.key not in self.unindexed]
        by_key = _KEYS_JQL.fullmatch(jql)
        assert by_key is not None, jql
        return list(self._there(by_key.group(1).split(", ")))

    def _there(self, keys: Sequence[str]) -> Iterator[Issue]:
        for key in keys:
            issue = self.issues.get(self.moved.get(key, key))
            if issue is not None:
                yield issue

    def _search(self, _request: web.Request, given: Any) -> web.Response:
        if self.cloud:
            raise RefusedError(410, "The requested API has been removed.")
        assert set(given) <= {"jql", "startAt", "maxResults", "fields", "validateQuery"}, given
        found = self._found(given["jql"])
        start, most = given.get("startAt", 0), given.get("maxResults", 50)
        issues = [self._shown(each, given["fields"]) for each in found[start : start + most]]
        return web.json_response(
            {"startAt": start, "maxResults": most, "total": len(found), "issues": issues}
        )

    def _search_jql(self, _request: web.Request, given: Any) -> web.Response:
        if not self.cloud:
            raise RefusedError(404)
        assert set(given) <= {"jql", "maxResults", "fields", "nextPageToken"}, given
        found = self._found(given["jql"])
        start = int(given.get("nextPageToken", "0"))
        end = start + given.get("maxResults", 50)
        answer = {"issues": [self._shown(each, given["fields"]) for each in found[start:end]]}
        more = {"nextPageToken": str(end)} if end < len(found) else {}
        return web.json_response(answer | {"isLast": not more} | more)

    def _bulk(self, _request: web.Request, given: Any) -> web.Response:
        if not self.cloud:
            raise RefusedError(405)
        keys = given["issueIdsOrKeys"]
        if len(keys) > 100:
            raise RefusedError(400, "The number of issues exceeds the limit of 100.")
        found = [self._shown(each, given["fields"]) for each in self._there(keys)]
        return web.json_response({"issues": found, "issueErrors": []})

    def _create(self, _request: web.Request, given: Any) -> web.Response:
        fields = given["fields"]
        errors = {
            name: f"{shown} is required."
            for name, shown in self.required.items()
            if not fields.get(name)
        }
        if fields.get("project", {}).get("key") not in self.projects:
            errors["project"] = "valid project is required"
        if fields.get("issuetype", {}).get("name") not in {"Task", "Bug"}:
            errors["issuetype"] = "The issue type selected is invalid."
        if not fields.get("summary"):
            errors["summary"] = "You must specify a summary of the issue."
        self._check(fields, errors)
        self.created_fields = fields
        issue = self.add(fields["project"]["key"], "")
        self._set(issue, fields)
        return web.json_response(
            {"id": "10000", "key": issue.key, "self": f"{self.url}/rest/api/2/issue/10000"},
            status=201,
        )

    def _check(self, fields: dict[str, Any], errors: dict[str, str]) -> None:
        known = {"project", "issuetype", "summary", "description"} | self.screen
        for name in fields:
            if name not in known | set(self.required):
                said = f"Field '{name}' cannot be set. It is not on the appropriate screen"
                errors[name] = f"{said}, or unknown."
        summary = fields.get("summary", "x")
        if not isinstance(summary, str) or len(summary) > 255 or "\n" in summary:
            errors["summary"] = "Summary must be less than 255 characters, on one line."
        if len(fields.get("description", "")) > 32_767:
            errors["description"] = "The entered text is too long."
        if any(" " in label for label in fields.get("labels", ())):
            errors["labels"] = "The label contains spaces which is invalid."
        if fields.get("priority", {"name": "High"})["name"] not in {"High", "Highest"}:
            errors["priority"] = "The priority selected is invalid."
        if "assignee" in fields:
            who = fields["assignee"].get("accountId" if self.cloud else "name")
            if who not in self.people:
                errors["assignee"] = "User cannot be assigned issues."
        try:
            date.fromisoformat(fields.get("duedate", "2023-01-01"))
        except ValueError:
            errors["duedate"] = "Error parsing date string."
        if errors:
            raise RefusedError(400, errors=errors)

    def _set(self, issue: Issue, fields: dict[str, Any]) -> None:
        issue.fields |= fields
        if "assignee" in fields:
            [who] = fields["assignee"].values()
            issue.fields["assignee"] = self._person(who)
        issue.updated = self.now()

    def _at(self, request: web.Request) -> Issue:
        key = request.match_info["key"]
        issue = self.issues.get(self.moved.get(key, key))
        if issue is None:
            said = "Issue does not exist or you do not have permission to see it."
            raise RefusedError(404, said)
        return issue

    def _get(self, request: web.Request, _given: Any) -> web.Response:
        issue = self._at(request)
        shown = self._shown(issue, request.query["fields"].split(","))
        if "changelog" in request.query.get("expand", ""):
            shown["changelog"] = {"histories": issue.histories}
        return web.json_response(shown)

    def _put(self, request: web.Request, given: Any) -> web.Response:
        issue = self._at(request)
        self._check(given["fields"], {})
        self._set(issue, given["fields"])
        return web.Response(status=204)

    def _comments(self, request: web.Request, _given: Any) -> web.Response:
        found = self._at(request).comments
        if request.query.get("orderBy") == "-created":
            found = found[::-1]
        start, most = int(request.query["startAt"]), int(request.query["maxResults"])
        answer = {"startAt": start, "maxResults": most, "total": len(found)}
        return web.json_response(answer | {"comments": found[start : start + most]})

    def _comment(self, request: web.Request, given: Any) -> web.Response:
        issue = self._at(request)
        body = given.get("body")
        if not body:
            raise RefusedError(400, errors={"comment": "Comment body can not be empty!"})
        if len(body) > 32_767:
            raise RefusedError(400, errors={"comment": "The entered text is too long."})
        return web.json_response(self.say(issue, _BOT, body), status=201)

    def _ways(self, request: web.Request, _given: Any) -> web.Response:
        issue = self._at(request)
        expanded = request.query.get("expand") == "transitions.fields"
        ways = [
            {"id": way.id, "name": way.name, "to": _status(way.to)}
            | ({"fields": way.screen} if expanded else {})
            for way in self.transitions
            if way.to != issue.status
        ]
        return web.json_response({"transitions": ways})

    def _transit(self, request: web.Request, given: Any) -> web.Response:
        issue = self._at(request)
        wanted = [way for way in self.transitions if way.id == given["transition"]["id"]]
        if not wanted or wanted[0].to == issue.status:
            raise RefusedError(400, "It seems that you have tried to perform a workflow operation")
        fields, screen = given.get("fields", {}), wanted[0].screen
        errors = {
            name: f"{one['name']} is required."
            for name, one in screen.items()
            if one["required"] and name not in fields
        }
        for name in set(fields) - set(screen):
            errors[name] = f"Field '{name}' cannot be set. It is not on the appropriate screen."
        resolution = fields.get("resolution", {}).get("name")
        if resolution not in {None, *_RESOLUTIONS}:
            errors["resolution"] = f"Resolution name '{resolution}' is not valid"
        if errors:
            raise RefusedError(400, errors=errors)
        issue.fields |= {name: value for name, value in fields.items() if name != "resolution"}
        self.turn(issue, _BOT, wanted[0].to, resolution)
        return web.Response(status=204)

    async def _attach(self, request: web.Request) -> web.Response:
        if not self._knows(request):
            return self._nobody(request)
        if request.headers.get("X-Atlassian-Token") != "no-check":
            return web.Response(status=403, text="XSRF check failed")
        try:
            issue = self._at(request)
            if not self.attachments:
                raise RefusedError(403, "You do not have permission to create attachments.")
        except RefusedError as refused:
            return refused.answer
        part = await (await request.multipart()).next()
        assert part is not None
        assert getattr(part, "name", "") == "file"
        issue.files.append(part.filename)  # type: ignore[union-attr]
        await part.read()  # type: ignore[union-attr]
        issue.updated = self.now()
        return web.json_response([{"id": "1", "filename": issue.files[-1]}])

    def _shown(self, issue: Issue, names: Sequence[str]) -> dict[str, Any]:
        every = issue.fields | {
            "status": _status(issue.status),
            "created": _stamp(issue.created),
            "updated": _stamp(issue.updated),
            "attachment": [{"id": "1", "filename": name} for name in issue.files],
        }
        fields = {name: every.get(name) for name in names}
        return {"id": "10000", "key": issue.key, "self": self.url, "fields": fields}


class JiraWorld:
    """What people see and do there."""

    def __init__(self, fake: FakeJira) -> None:
        self._fake = fake

    async def tickets(self) -> Sequence[SeenTicket]:
        return [
            SeenTicket(
                ref=issue.key,
                title=issue.fields["summary"],
                body=issue.fields["description"],
                state=_STATES[CATEGORIES[issue.status]],
                priority=(issue.fields.get("priority") or {}).get("name", ""),
                assignee=(issue.fields.get("assignee") or {}).get("displayName", ""),
                labels=tuple(issue.fields["labels"]),
                comments=tuple(comment["body"] for comment in issue.comments),
                files=tuple(issue.files),
            )
            for issue in self._fake.issues.values()
        ]

    async def comment(self, ref: str, who: str, text: str) -> None:
        self._fake.say(self._fake.issues[ref], who, text)

    async def close(self, ref: str, who: str, outcome: Outcome) -> None:
        self._fake.turn(self._fake.issues[ref], who, "Done", _RESOLVED_AS[outcome])

    async def reopen(self, ref: str, who: str) -> None:
        self._fake.turn(self._fake.issues[ref], who, "To Do", None)

    async def assign(self, ref: str, who: str) -> None:
        issue = self._fake.issues[ref]
        issue.fields["assignee"] = self._fake._person(who)
        issue.updated = self._fake.now()

    async def start(self, ref: str, who: str) -> None:
        self._fake.turn(self._fake.issues[ref], who, "In Progress", None)

    async def delete(self, ref: str) -> None:
        del self._fake.issues[ref]


@asynccontextmanager
async def jira_with_fake(
    more: str = "", *, cloud: bool = True, token: str = TOKEN
) -> AsyncIterator[tuple[Stage, FakeJira]]:
    """The stage, and the fake behind it; `more` are further settings."""
    fake = FakeJira(cloud=cloud)

    def missing_field() -> None:
        fake.required["customfield_10010"] = "Team"

    def no_way_to_close() -> None:
        fake.transitions = [way for way in fake.transitions if CATEGORIES[way.to] != "done"]

    def section(url: str) -> str:
        fake.url = url
        place = f"url: {url}\ntoken: env:TOKEN\n"
        place += f"user: {USER}\n" if cloud else ""
        return f"kind: jira\nproject: {PROJECT}\n{place}{more}"

    async with queue_before(fake.application(), section, token) as (queue, hasty, faults):
        stage = Stage(
            queue=queue,
            hasty=hasty,
            faults=faults,
            world=JiraWorld(fake),
            secret=TOKEN,
            knows_in_progress=True,
            knows_outcomes=frozenset(Outcome),
            missing_field=missing_field,
            no_way_to_close=no_way_to_close,
        )
        yield stage, fake


@asynccontextmanager
async def jira_cloud_stage() -> AsyncIterator[Stage]:
    """A queue before a Jira of the cloud."""
    async with jira_with_fake() as (stage, _):
        yield stage


@asynccontextmanager
async def jira_server_stage() -> AsyncIterator[Stage]:
    """A queue before a Jira that people run themselves."""
    async with jira_with_fake(cloud=False) as (stage, _):
        yield stage


def _status(name: str) -> dict[str, Any]:
    return {"id": "1", "name": name, "statusCategory": {"id": 1, "key": CATEGORIES[name]}}


async def _json(request: web.Request) -> Any:
    try:
        return await sent_json(request)
    except ValueError as error:
        raise RefusedError(400, "Invalid request payload.") from error


def _stamp(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.000+0000"
