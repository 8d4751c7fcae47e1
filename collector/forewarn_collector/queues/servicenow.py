"""ServiceNow: incidents of one instance.

kind: servicenow
url: https://acme.service-now.com
assignment_group: Service Desk  a template: a group's name, or its sys_id
username: forewarn              with `password_file: PATH`, or `password: env:VARIABLE`;
token_file: PATH                or, without a name, an OAuth access token
caller: monitoring              `caller_id`: who reports, by user name; none where it is left out
public: false                   true: comments that the caller sees; false: work notes
close_code: {fixed: Solution provided, wont_fix: ..., duplicate: ..., no_action: ...}

By the Table API, https://www.servicenow.com/docs/r/api-reference/rest-apis/c_TableAPI.html.

| of ours | at ServiceNow |
| --- | --- |
| marker | `correlation_id`, with the `correlation_display` Forewarn; of a remark, its last line |
| priority | `2/1` is urgency 2 and impact 1, `2` both; the instance makes the priority of them |
| labels | nowhere: an incident has no field for them, its text tells the same |
| assignee | the user name (`user_name`) |
| due time | `due_date` |
| custom fields | by the names of their columns: `category`, `u_site` |
| states | 1 new; 2 in progress; 3 to 5 waiting; 6 resolved, 7 closed, 8 canceled (closed) |
| outcome | `close_code`; its choices differ by release, so that `close_code` is a setting |

An incident is found by a query of the table itself, so at once. A query on a column that its user
may not read is answered with all rows: then nothing is made, as every attempt would make another.
A column that he may not write is left out silently: what the answer lacks is in the log.

A resolved incident is opened again. A closed or canceled one stays so in ServiceNow: a reopening
finds or makes another that continues it, and goes on there.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

from forewarn_collector.queues.base import DeliveryError
from forewarn_collector.queues.pages import Page, plain
from forewarn_collector.queues.servicenow_answers import (
    COLUMNS,
    FINAL_STATES,
    close_codes,
    comment_of,
    is_sys_id,
    no_code,
    ref_of,
    ticket_of,
    time_of,
    utc,
    verdict,
)
from forewarn_collector.queues.text_markers import MARKER_LENGTH
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
    told,
)
from forewarn_collector.queues.tracker_place import read_place
from forewarn_wire.document import Section
from forewarn_wire.readers import boolean, text

log = logging.getLogger(__name__)

_INCIDENT = "/api/now/table/incident"
_LONGEST_DESCRIPTION = 4_000
_OURS = "Forewarn"
_PLAIN = {"sysparm_exclude_reference_link": "true"}
_RESOLVED, _IN_PROGRESS = "6", "2"
_MOST = 1_000
_TIME_ZONES = 14 * 3_600_000
"""How far (ms) a time in a query may be from UTC: it is read in the time zone of the user."""
_CONTINUED = (
    *("short_description", "description", "assignment_group", "caller_id", "category"),
    *("urgency", "impact"),
)


class ServiceNowTracker:
    """See the module's text. A reference is number and sys_id: `INC0010001/9d385017c6112287...`."""

    kind: ClassVar[str] = "servicenow"
    longest_title: ClassVar[int] = 160
    longest_body: ClassVar[int] = _LONGEST_DESCRIPTION - MARKER_LENGTH
    takes_files: ClassVar[bool] = True
    project_setting: ClassVar[str] = "assignment_group"

    def __init__(
        self,
        access: TrackerAccess,
        codes: Mapping[Outcome, str],
        who: str = "",
        caller: str = "",
        public: bool = False,
    ) -> None:
        """`who` is the user's name, where it is known."""
        self._client = TrackerClient(access, verdict)
        self._base = access.base
        self._codes = codes
        self._who = who
        self._caller = caller
        self._remark = "comments" if public else "work_notes"
        self._ids: dict[tuple[str, str], str] = {}

    @classmethod
    def from_section(cls, section: Section, environ: Mapping[str, str]) -> ServiceNowTracker | None:
        """Read `url`, `username` and `password_file` or `token_file`, `caller`, `public`,
        `close_code`, `ca_file` and `timeout`."""
        who = section.take("username", text, "")
        caller = section.take("caller", text, "")
        public = section.take("public", boolean, False)
        codes = section.take("close_code", close_codes, close_codes({}))
        place = read_place(section, environ, called="password" if who else "token")
        if place is None:
            return None
        basic = base64.b64encode(f"{who}:{place.token}".encode()).decode()
        authorization = f"Basic {basic}" if who else f"Bearer {place.token}"
        access = place.access(place.url, {"Authorization": authorization}, (basic,) if who else ())
        return cls(access, codes, who, caller, public)

    def render(self, page: Page) -> str:
        """As plain text; nothing in it is taken for HTML."""
        return no_code(plain(page))

    def link(self, ref: str) -> str:
        """The incident's form."""
        return f"{self._base}/nav_to.do?uri={quote(f'incident.do?sys_id={_sys_id(ref)}', safe='')}"

    async def find(self, marker: str, project: str, since: int) -> Ticket | None:
        """By its `correlation_id`; `project` and `since` are of no use here."""
        found = await self._rows(
            "incident", f"correlation_id={marker}^ORDERBYsys_created_on", COLUMNS, 2
        )
        if not found:
            return None
        if told(found[0], "correlation_id") != marker:
            said = "a search for a correlation_id finds others: its column may not be read"
            hint = "give the queue's user the right to read incident.correlation_id"
            raise DeliveryError(f"{said}; {hint}", permanent=False, whole_queue=True)
        return ticket_of(found[0], self._codes)

    async def create(self, fields: TicketFields, body: str, marker: str) -> Ticket:
        """In its group; what ServiceNow left out of it is in the log."""
        wanted: dict[str, Any] = {
            **fields.custom,
            "short_description": fields.title,
            "description": body,
            "correlation_id": marker,
            "correlation_display": _OURS,
            "assignment_group": await self._group(fields.project),
            **_urgency(fields.priority),
            **await self._person("assigned_to", fields.assignee),
            **await self._person("caller_id", self._caller),
        }
        if fields.due_at is not None:
            wanted["due_date"] = utc(fields.due_at)
        return await self._make(wanted)

    async def change(self, ref: str, fields: TicketFields, names: Sequence[str]) -> None:
        """Labels have no place to change."""
        wanted: dict[str, Any] = {}
        if "title" in names:
            wanted["short_description"] = fields.title
        if "priority" in names:
            wanted |= _urgency(fields.priority)
        if "due_at" in names and fields.due_at is not None:
            wanted["due_date"] = utc(fields.due_at)
        if "assignee" in names:
            wanted |= await self._person("assigned_to", fields.assignee)
        if wanted:
            self._report(wanted, await self._patch(ref, wanted))

    async def comment(self, ref: str, body: str, marker: str) -> None:
        """A work note, or a comment where they are `public`."""
        await self._patch(ref, {self._remark: f"{body.rstrip()}\n\n{marker}"})

    async def attach(self, ref: str, file: Attachment) -> None:
        """On the incident."""
        query = f"table_sys_id={_sys_id(ref)}^file_name={file.name}"
        known = await self._client.get("/api/now/attachment", {"sysparm_query": query})
        if any(told(each, "file_name") == file.name for each in known.items("result")):
            return
        place = {"table_name": "incident", "table_sys_id": _sys_id(ref), "file_name": file.name}
        await self._client.request(
            "POST",
            "/api/now/attachment/file",
            params=place,
            content=file.content,
            headers={"Content-Type": file.content_type},
        )

    async def resolve(self, ref: str, outcome: Outcome) -> None:
        """Resolve it, with a code and notes, without which ServiceNow refuses that."""
        if (await self._get(ref)).state is TicketState.CLOSED:
            return
        notes = f"Ended in Forewarn: {outcome.value.replace('_', ' ')}."
        wanted = {"state": _RESOLVED, "close_code": self._codes[outcome], "close_notes": notes}
        now = await self._patch(ref, wanted)
        if told(now, "state") != _RESOLVED:
            said = f"{ref} stays in the state {told(now, 'state')}: a rule of the instance, or the"
            hint = "rights of the queue's user, did not take the status resolved (6)"
            raise DeliveryError(f"{said} {hint}", permanent=True)

    async def reopen(self, ref: str) -> str | None:
        """Put it in progress; where it is closed, the incident that continues it."""
        row = await self._row(ref)
        if told(row, "state") == _RESOLVED:
            await self._patch(ref, {"state": _IN_PROGRESS})
        if told(row, "state") not in FINAL_STATES:
            return None
        marker = f"forewarn-after-{_sys_id(ref)}"
        after = await self.find(marker, "", 0)
        if after is None:
            wanted = {name: row[name] for name in _CONTINUED if row.get(name)}
            said = f"The problem of {told(row, 'number')} is back; that one is closed."
            wanted |= {"correlation_id": marker, "correlation_display": _OURS, "work_notes": said}
            after = await self._make(wanted)
        return await self.reopen(after.ref) or after.ref

    async def read(self, ref: str) -> Ticket | None:
        """With the user name of whom it is assigned to."""
        try:
            return await self._get(ref)
        except GoneError:
            return None

    async def comments(self, ref: str) -> list[Comment]:
        """Comments and work notes."""
        query = f"element_id={_sys_id(ref)}^elementINcomments,work_notes^ORDERBYDESCsys_created_on"
        columns = "sys_id,element_id,value,sys_created_by,sys_created_on"
        found = await self._rows("sys_journal_field", query, columns, _MOST)
        ours = [row for row in found if told(row, "element_id") == _sys_id(ref)]
        return [comment_of(row) for row in reversed(ours)]

    async def changed(self, since: int, refs: Collection[str]) -> list[str]:
        """Of those that we made."""
        after = utc(max(0, since - _TIME_ZONES))
        query = f"correlation_display={_OURS}^sys_updated_on>={after}^ORDERBYsys_updated_on"
        found: list[str] = []
        start = 0
        while len(found) < _MOST:
            rows = await self._rows("incident", query, COLUMNS, _MOST, start)
            # ServiceNow's times are whole seconds.
            new = (row for row in rows if time_of(row, "sys_updated_on") >= since // 1000 * 1000)
            found += [ref_of(row) for row in new]
            if len(rows) < _MOST:
                break
            start += len(rows)
        return found[:_MOST]

    async def check(self, project: str) -> str:
        """Whether incidents and journals can be read, and the group and the codes are there."""
        await self._rows("incident", "ORDERBYDESCsys_created_on", "sys_id", 1)
        await self._rows("sys_journal_field", "ORDERBYDESCsys_created_on", "sys_id", 1)
        await self._group(project)
        if self._caller and not await self._person("caller_id", self._caller):
            said = f"the caller {self._caller} is no active user of the instance"
            raise DeliveryError(f"{said}; give a user name that is", permanent=True)
        query = "name=incident^element=close_code^inactive=false^language=en"
        choices = await self._rows("sys_choice", query, "value", 100)
        known = {told(row, "value") for row in choices}
        strangers = sorted(set(self._codes.values()) - known)
        if known and strangers:
            said = f"this instance has no close_code {', '.join(strangers)}"
            hint = f"set close_code to what it has: {', '.join(sorted(known))}"
            raise DeliveryError(f"{said}; {hint}", permanent=True)
        return f"{self._who or 'the owner of the token'}, for the group {project}"

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    async def _rows(
        self, table: str, query: str, columns: str, most: int, start: int = 0
    ) -> Sequence[Mapping[str, Any]]:
        params = {
            "sysparm_query": query,
            "sysparm_fields": columns,
            "sysparm_limit": str(most),
            "sysparm_offset": str(start),
            **_PLAIN,
        }
        return (await self._client.get(f"/api/now/table/{table}", params)).items("result")

    async def _group(self, name: str) -> str:
        found = await self._id_of("sys_user_group", "name", name)
        if found is None:
            raise GoneError(f"no active group is called {name}", permanent=True)
        return found

    async def _person(self, column: str, name: str) -> dict[str, str]:
        """A column with somebody's id; none where nobody has that name: the rest matters more."""
        if not name:
            return {}
        found = await self._id_of("sys_user", "user_name", name)
        if found is None:
            log.warning("ServiceNow has no active user %s: %s is left empty", name, column)
            return {}
        return {column: found}

    async def _id_of(self, table: str, column: str, name: str) -> str | None:
        """The sys_id of a row by its name, or as it was given; None where there is none."""
        if is_sys_id(name):
            return name
        if (table, name) not in self._ids:
            if "^" in name:
                # It would end the condition.
                return None
            rows = await self._rows(table, f"{column}={name}^active=true", f"sys_id,{column}", 2)
            same = [told(r, "sys_id") for r in rows if told(r, column).lower() == name.lower()]
            if not same:
                return None
            self._ids[table, name] = same[0]
        return self._ids[table, name]

    async def _row(self, ref: str) -> Mapping[str, Any]:
        params = {"sysparm_fields": f"{COLUMNS},{','.join(_CONTINUED)}", **_PLAIN}
        return (await self._client.get(f"{_INCIDENT}/{_sys_id(ref)}", params)).obj("result")

    async def _get(self, ref: str) -> Ticket:
        return ticket_of(await self._row(ref), self._codes)

    async def _patch(self, ref: str, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        path = f"{_INCIDENT}/{_sys_id(ref)}"
        try:
            answer = await self._client.request("PATCH", path, params=_PLAIN, body=wanted)
        except DeliveryError as error:
            # To write to a closed one is a right that nobody has: no trouble of the whole queue.
            if error.whole_queue and told(await self._row(ref), "state") in FINAL_STATES:
                said = f"{ref} is closed and takes nothing more; a reopening makes another"
                raise DeliveryError(f"{said}: {error}", permanent=True) from error
            raise
        return answer.obj("result")

    async def _make(self, wanted: Mapping[str, Any]) -> Ticket:
        answer = await self._client.request("POST", _INCIDENT, params=_PLAIN, body=wanted)
        made = answer.obj("result")
        ticket = ticket_of(made, self._codes)
        self._report(wanted, made)
        return ticket

    def _report(self, wanted: Mapping[str, Any], row: Mapping[str, Any]) -> None:
        """Say which columns were left out, as ServiceNow does not."""
        written = {name for name, value in wanted.items() if value} - {"comments", "work_notes"}
        lost = sorted(name for name in written if not row.get(name))
        if lost:
            said = "ServiceNow left out of %s: %s; may the queue's user write these columns?"
            log.warning(said, told(row, "number"), ", ".join(lost))
        if "correlation_id" in lost:
            said = "%s can't be found again without its correlation_id: a lost answer makes another"
            log.error(said, told(row, "number"))


def _sys_id(ref: str) -> str:
    sys_id = ref.rpartition("/")[2]
    if not is_sys_id(sys_id):
        raise strange(f"{ref} is no reference of an incident")
    return sys_id


def _urgency(priority: str) -> dict[str, str]:
    """The urgency and the impact that a queue's `priority` names; neither where it is empty."""
    if not priority:
        return {}
    urgency, _, impact = priority.partition("/")
    if not (urgency.isdigit() and (impact or urgency).isdigit()):
        said = f"the priority {priority!r} is no urgency with an impact, such as 2/1"
        raise DeliveryError(said, permanent=True)
    return {"urgency": urgency, "impact": impact or urgency}
