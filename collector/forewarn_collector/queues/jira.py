"""Jira issues: in Atlassian's cloud, on Data Center and on servers.

kind: jira
url: https://acme.atlassian.net     as in the browser
project: OPS                        a project's key; a template
user: forewarn@acme.example         cloud: whose API token it is; without: a personal access token
token_file: PATH
issue_type: Task
transitions, resolutions, close_fields: see jira_transitions.py

By the REST API of version 2, which both have, and which takes wiki markup in both (version 3, of
the cloud alone, wants its own document format): https://developer.atlassian.com/cloud/jira/platform/rest/v2
and https://docs.atlassian.com/software/jira/docs/api/REST.

| of ours | at Jira |
| --- | --- |
| marker | the last line of a description or a comment: `Reference: forewarn-...` |
| labels | spaces become hyphens, as Jira's labels have none |
| priority, due time | `priority` by name, `duedate`, a day of UTC |
| assignee | an `accountId` in the cloud, a user's `name` on servers |
| closed, open | the first transition to a status of the category done; to another |
| outcome | `resolution`, where the transition's screen has it; read back from it or the status |
| custom fields | fields of the request that creates an issue, by their numbers |
| plot | an attachment |

Where Jira refuses labels, a priority, an assignee or a due day (they are on no screen of the
project), the issue is made without. How an issue is found exactly: jira_search.py.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import aiohttp

from forewarn_collector.queues.base import DeliveryError
from forewarn_collector.queues.jira_answers import (
    FIELDS,
    MARKER_LENGTH,
    REFERENCE,
    RefusedFieldsError,
    comment,
    person,
    same_name,
    state_of,
    ticket,
    verdict,
    with_marker,
)
from forewarn_collector.queues.jira_search import API, JiraSearch
from forewarn_collector.queues.jira_transitions import Workflow, read_workflow
from forewarn_collector.queues.pages import Page
from forewarn_collector.queues.pages import jira as wiki
from forewarn_collector.queues.recent_tickets import RecentTickets
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
    Answer,
    ForbiddenError,
    GoneError,
    TrackerAccess,
    TrackerClient,
    strange,
    told,
    told_list,
    told_number,
    utc_stamp,
)
from forewarn_collector.queues.tracker_place import read_place
from forewarn_wire.document import Section
from forewarn_wire.readers import text

log = logging.getLogger(__name__)

_PER_PAGE = 100
_MOST_COMMENTS = 1_000
_MOST_CHANGED = 1_000
_LONGEST_LABEL = 255
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SPARE = frozenset({"labels", "priority", "assignee", "duedate"})
"""An issue is made without these rather than not at all."""
_SPARE_NAMES = {"priority": "priority", "assignee": "assignee", "due_at": "duedate"}
_ALWAYS_SENT = frozenset({"project", "issuetype", "summary", "description"})
_RIGHTS = ("BROWSE_PROJECTS", "CREATE_ISSUES", "EDIT_ISSUES", "ADD_COMMENTS", "TRANSITION_ISSUES")


class JiraTracker:
    """Issues of the projects of one Jira."""

    kind: ClassVar[str] = "jira"
    longest_title: ClassVar[int] = 255
    longest_body: ClassVar[int] = 32_767 - MARKER_LENGTH
    takes_files: ClassVar[bool] = True
    project_setting: ClassVar[str] = "project"

    def __init__(self, access: TrackerAccess, issue_type: str, workflow: Workflow) -> None:
        """`access.base` is where people see Jira."""
        self._url = access.base
        self._issue_type = issue_type
        self._workflow = workflow
        self._client = TrackerClient(access, verdict)
        self._recent = RecentTickets()
        self._search = JiraSearch(self._client)

    @classmethod
    def from_section(cls, section: Section, environ: Mapping[str, str]) -> JiraTracker | None:
        """Read `url`, `user`, `token_file`, `ca_file`, `timeout`, `issue_type`, the workflow."""
        place = read_place(section, environ)
        user = section.take("user", text, "")
        issue_type = section.take("issue_type", text, "Task")
        workflow = read_workflow(section)
        if place is None:
            return None
        pair = base64.b64encode(f"{user}:{place.token}".encode()).decode()
        headers = {"Authorization": f"Basic {pair}" if user else f"Bearer {place.token}"}
        return cls(place.access(place.url, headers, (pair,)), issue_type, workflow)

    def render(self, page: Page) -> str:
        """As wiki markup."""
        return wiki(page)

    def link(self, ref: str) -> str:
        """The issue's page."""
        return f"{self._url}/browse/{ref}"

    async def find(self, marker: str, project: str, since: int) -> Ticket | None:
        """See jira_search.py."""
        key = _key(project)
        listed = partial(self._search.listed, key)
        return await self._recent.find(marker, key, since, listed, self.read)

    async def create(self, fields: TicketFields, body: str, marker: str) -> Ticket:
        """Without what Jira refuses of its spare fields: the issue matters more."""
        wanted = {
            "project": {"key": _key(fields.project)},
            "issuetype": {"name": self._issue_type},
            "summary": fields.title,
            "description": with_marker(body, marker),
            "labels": _labels(fields),
            **await self._spare(fields),
            **fields.custom,
        }
        answer = await self._set("POST", f"{API}/issue", wanted)
        ref = told(answer.obj(), "key")
        if not REFERENCE.fullmatch(ref):
            raise strange("the answer to a new issue has no key")
        return Ticket(ref=ref, state=TicketState.NEW, title=fields.title)

    async def change(self, ref: str, fields: TicketFields, names: Sequence[str]) -> None:
        """Labels that people gave stay."""
        spare = await self._spare(fields)
        called = [_SPARE_NAMES[name] for name in names if name in _SPARE_NAMES]
        wanted: dict[str, Any] = {name: spare[name] for name in called if name in spare}
        if "title" in names:
            wanted["summary"] = fields.title
        if "labels" in names:
            issue = (await self._client.get(f"{API}/issue/{ref}", {"fields": "labels"})).obj()
            present = _label_names(issue)
            ours = _labels(fields)
            gone = outdated(present, ours)
            kept = [label for label in present if label not in gone]
            wanted["labels"] = list(dict.fromkeys([*kept, *ours]))
        if wanted:
            await self._set("PUT", f"{API}/issue/{ref}", wanted)

    async def comment(self, ref: str, body: str, marker: str) -> None:
        """A comment; closed issues take it too, unless their workflow says otherwise."""
        said = {"body": with_marker(body, marker)}
        await self._client.request("POST", f"{API}/issue/{ref}/comment", body=said)

    async def attach(self, ref: str, file: Attachment) -> None:
        """Attach it. Where attachments are turned off or forbidden, only that is refused."""
        issue = (await self._client.get(f"{API}/issue/{ref}", {"fields": "attachment"})).obj()
        present = told_list(issue, "fields", "attachment")
        if any(told(each, "filename") == file.name for each in present):
            return
        form = aiohttp.FormData()
        form.add_field("file", file.content, filename=file.name, content_type=file.content_type)
        path, headers = f"{API}/issue/{ref}/attachments", {"X-Atlassian-Token": "no-check"}
        try:
            await self._client.request("POST", path, form=form, headers=headers)
        except (GoneError, ForbiddenError) as error:
            raise DeliveryError(str(error), permanent=True) from error

    async def resolve(self, ref: str, outcome: Outcome) -> None:
        """Take it to a status that is done."""
        if await self._is_closed(ref):
            return
        body = self._workflow.closing(ref, await self._transitions(ref), outcome)
        await self._client.request("POST", f"{API}/issue/{ref}/transitions", body=body)

    async def reopen(self, ref: str) -> None:
        """Take it to a status that is not done."""
        if not await self._is_closed(ref):
            return
        body = self._workflow.reopening(ref, await self._transitions(ref))
        await self._client.request("POST", f"{API}/issue/{ref}/transitions", body=body)

    async def read(self, ref: str) -> Ticket | None:
        """One that was moved to another project comes with its new key."""
        asked = {"fields": ",".join(FIELDS), "expand": "changelog"}
        try:
            issue = (await self._client.get(f"{API}/issue/{ref}", asked)).obj()
        except GoneError:
            return None
        return ticket(issue, cloud=await self._search.is_cloud())

    async def comments(self, ref: str) -> list[Comment]:
        """Its comments: Jira keeps what it notes itself elsewhere."""
        cloud = await self._search.is_cloud()
        found: list[Comment] = []
        while len(found) < _MOST_COMMENTS:
            asked = {
                "orderBy": "-created",
                "maxResults": str(_PER_PAGE),
                "startAt": str(len(found)),
            }
            answer = await self._client.get(f"{API}/issue/{ref}/comment", asked)
            page = answer.items("comments")
            found += [comment(each, cloud=cloud) for each in page]
            if not page or len(found) >= told_number(answer.document, "total"):
                break
        return found[::-1]

    async def changed(self, since: int, refs: Collection[str]) -> list[str]:
        """Those of `refs`, by their own times; one that is gone or was moved is among them."""
        updated = await self._search.updated(refs)
        changed = [(updated.get(ref, since), ref) for ref in dict.fromkeys(refs)]
        return [ref for at, ref in sorted(changed) if at >= since][:_MOST_CHANGED]

    async def check(self, project: str) -> str:
        """The token, the project, the rights, the issue type and what it demands."""
        key = _key(project)
        me = (await self._client.get(f"{API}/myself")).obj()
        who = person(me, cloud=await self._search.is_cloud())
        try:
            await self._client.get(f"{API}/project/{key}")
        except GoneError as error:
            said = f"there is no project {key}, or the token may not see it: {error}"
            raise DeliveryError(said, permanent=True) from error
        asked = {"projectKey": key, "permissions": ",".join(_RIGHTS)}
        rights = (await self._client.get(f"{API}/mypermissions", asked)).obj("permissions")
        missing = [name for name in _RIGHTS if not _has(rights.get(name))]
        if missing:
            said = f"the token's user {who} lacks permissions in {key}: {', '.join(missing)}"
            raise DeliveryError(f"{said}; have a role with them given", permanent=True)
        demanded = await self._demanded(key)
        more = f"; its {self._issue_type} demands {demanded}: set them under `fields:`"
        return f"{who}, at {self._url}/browse/{key}{more if demanded else ''}"

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    async def _set(self, method: str, path: str, fields: Mapping[str, Any]) -> Answer:
        """Send fields; once more without those it refuses, where all of them can be spared."""
        try:
            return await self._client.request(method, path, body={"fields": fields})
        except RefusedFieldsError as error:
            if not set(error.fields) <= _SPARE & set(fields):
                raise
            log.warning("Jira is asked again without what it refuses: %s", error)
            left = {name: value for name, value in fields.items() if name not in error.fields}
            return await self._client.request(method, path, body={"fields": left})

    async def _spare(self, fields: TicketFields) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if fields.priority:
            found["priority"] = {"name": fields.priority}
        if fields.assignee:
            name = "accountId" if await self._search.is_cloud() else "name"
            found["assignee"] = {name: fields.assignee}
        if fields.due_at is not None:
            found["duedate"] = utc_stamp(fields.due_at).partition("T")[0]
        return found

    async def _is_closed(self, ref: str) -> bool:
        issue = (await self._client.get(f"{API}/issue/{ref}", {"fields": "status"})).obj()
        return state_of(issue) is TicketState.CLOSED

    async def _transitions(self, ref: str) -> Sequence[Mapping[str, Any]]:
        asked = {"expand": "transitions.fields"}
        answer = await self._client.get(f"{API}/issue/{ref}/transitions", asked)
        return answer.items("transitions")

    async def _demanded(self, project: str) -> str:
        """The fields without a default that the issue type demands and we do not send, in words."""
        cloud = await self._search.is_cloud()
        path, asked = f"{API}/issue/createmeta/{project}/issuetypes", {"maxResults": "200"}
        types = (await self._client.get(path, asked)).items("issueTypes" if cloud else "values")
        ours = [each for each in types if same_name(told(each, "name"), self._issue_type)]
        if not ours:
            names = ", ".join(told(each, "name") for each in types)
            said = f"{project} has no issue type {self._issue_type}, it has {names}"
            raise DeliveryError(f"{said}; name one as `issue_type:`", permanent=True)
        answer = await self._client.get(f"{path}/{told(ours[0], 'id')}", asked)
        return ", ".join(
            f"{told(each, 'name')} ({told(each, 'fieldId')})"
            for each in answer.items("fields" if cloud else "values")
            if each.get("required") is True and each.get("hasDefaultValue") is not True
            if told(each, "fieldId") not in _ALWAYS_SENT | {"reporter"}
        )


def _key(project: str) -> str:
    if not _KEY.fullmatch(project):
        said = f"{project!r} is no project: it is the key that its issues begin with, as OPS"
        raise DeliveryError(said, permanent=True)
    return project.upper()


def _labels(fields: TicketFields) -> list[str]:
    joined = ("-".join(label.split())[:_LONGEST_LABEL] for label in fields.labels)
    return list(dict.fromkeys(label for label in joined if label))


def _label_names(issue: Mapping[str, Any]) -> list[str]:
    return [label for label in told_list(issue, "fields", "labels") if isinstance(label, str)]


def _has(right: Any) -> bool:
    return isinstance(right, dict) and right.get("havePermission") is True
