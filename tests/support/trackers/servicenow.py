"""A ServiceNow instance that answers as its Table and Attachment APIs are documented.

Source: https://www.servicenow.com/docs/r/api-reference/rest-apis/c_TableAPI.html and the pages on
the Attachment API and on encoded queries. As there, a condition on a column that is unknown or may
not be read is left out of a query, and a column that may not be written is left out of a row.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from forewarn_collector.queues.tracker import Outcome, TicketState
from support.alerts import T0
from support.trackers.fakes import queue_before
from support.trackers.stage import SeenTicket, Stage

PASSWORD = "servicenow-s3cret"
US = "forewarn.bot"
GROUP = "a" * 31 + "1"
USERS = {name: f"{number:032x}" for number, name in enumerate((US, "ann", "bob"), start=1)}
CODES = {
    Outcome.FIXED: "Solution provided",
    Outcome.WONT_FIX: "No resolution provided",
    Outcome.DUPLICATE: "Duplicate",
    Outcome.NO_ACTION: "Resolved by caller",
}
STATES = {
    "1": TicketState.NEW,
    "2": TicketState.IN_PROGRESS,
    "3": TicketState.WAITING,
    "6": TicketState.CLOSED,
    "7": TicketState.CLOSED,
    "8": TicketState.CLOSED,
}
_COLUMNS: Mapping[str, int] = {
    "short_description": 160,
    "description": 4_000,
    "state": 40,
    "close_code": 40,
    "close_notes": 4_000,
    "correlation_id": 100,
    "correlation_display": 100,
    "assignment_group": 32,
    "assigned_to": 32,
    "caller_id": 32,
    "urgency": 40,
    "impact": 40,
    "due_date": 19,
    "category": 40,
}
"""What may be written of an incident, and how long it may be."""
_JOURNALS = {"comments", "work_notes"}
_ERROR = '{"result":[],"error":{"message":"%s","detail":"%s"},"status":"failure"}'
CANCELLED = (_ERROR % (("Transaction cancelled: maximum execution time exceeded",) * 2)).encode()


class _RefusedError(Exception):
    def __init__(self, status: int, message: str, detail: str) -> None:
        super().__init__(status)
        self.status = status
        self.document = {
            "error": {"message": message, "detail": detail},
            "status": "failure",
        }


@dataclass
class FakeServiceNow:
    """An instance: `incidents`, `journal` and `files` are rows. Time goes on a second a change.

    `mandatory` are columns that a data policy demands of a new incident, `to_resolve` of a resolved
    one; `unreadable` and `unwritable` are columns that our user may not read or write; `stuck`
    incidents fall back to their state by a rule.
    """

    incidents: dict[str, dict[str, str]] = field(default_factory=dict)
    journal: list[dict[str, str]] = field(default_factory=list)
    files: list[dict[str, str]] = field(default_factory=list)
    mandatory: list[str] = field(default_factory=list)
    to_resolve: list[str] = field(default_factory=lambda: ["close_code", "close_notes"])
    unreadable: set[str] = field(default_factory=set)
    unwritable: set[str] = field(default_factory=set)
    codes: list[str] = field(default_factory=lambda: list(CODES.values()))
    stuck: bool = False
    _ids: int = 0
    _changes: int = 0

    def application(self) -> web.Application:
        application = web.Application(client_max_size=64 << 20, middlewares=[self._guard])
        add = application.router.add_route
        add("GET", "/api/now/table/{table}", self._list)
        add("POST", "/api/now/table/incident", self._insert)
        add("GET", "/api/now/table/incident/{id}", self._show)
        add("PATCH", "/api/now/table/incident/{id}", self._patch)
        add("GET", "/api/now/attachment", self._list_files)
        add("POST", "/api/now/attachment/file", self._attach)
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            wanted = base64.b64encode(f"{US}:{PASSWORD}".encode()).decode()
            if request.headers.get("Authorization") != f"Basic {wanted}":
                said = "Required to provide Auth information"
                raise _RefusedError(401, "User Not Authenticated", said)
            answer: web.StreamResponse = await handler(request)
        except _RefusedError as error:
            return web.json_response(error.document, status=error.status)
        return answer

    # What people and rules do, past the API.

    def write(self, sys_id: str, who: str, element: str, said: str) -> None:
        """An entry of an incident's journal."""
        self._stamp(self.incidents[sys_id], who)
        entry = {"sys_id": self._next(), "element_id": sys_id, "name": "incident"}
        created = self.incidents[sys_id]["sys_updated_on"]
        entry |= {"element": element, "value": said, "sys_created_by": who}
        self.journal.append({**entry, "sys_created_on": created})

    def set(self, sys_id: str, who: str, **values: str) -> None:
        """Change an incident without any of the API's rules."""
        row = self.incidents[sys_id]
        row.update(values)
        row["active"] = "false" if row["state"] in {"7", "8"} else "true"
        self._stamp(row, who)

    # The API.

    async def _list(self, request: web.Request) -> web.Response:
        _only(request, "query", "fields", "limit", "offset", "exclude_reference_link")
        groups = [{"sys_id": GROUP, "name": "Service Desk", "active": "true"}]
        users = [
            {"sys_id": sys_id, "user_name": name, "active": "true"}
            for name, sys_id in USERS.items()
        ]
        codes = [
            {"name": "incident", "element": "close_code", "value": code, "inactive": "false"}
            for code in self.codes
        ]
        tables = {
            "incident": list(self.incidents.values()),
            "sys_journal_field": self.journal,
            "sys_user_group": groups,
            "sys_user": users,
            "sys_choice": [{**code, "language": "en"} for code in codes],
        }
        table = request.match_info["table"]
        if table not in tables:
            raise _RefusedError(400, f"Invalid table {table}", "")
        found = self._asked(tables[table], request.query.get("sysparm_query", ""))
        start = int(request.query.get("sysparm_offset", 0))
        found = found[start : start + int(request.query.get("sysparm_limit", 10_000))]
        fields = request.query["sysparm_fields"].split(",")
        return web.json_response({"result": [self._shown(row, fields) for row in found]})

    async def _show(self, request: web.Request) -> web.Response:
        _only(request, "fields", "exclude_reference_link")
        fields = request.query["sysparm_fields"].split(",")
        return web.json_response({"result": self._shown(self._known(request), fields)})

    async def _insert(self, request: web.Request) -> web.Response:
        given = await _row_in(request)
        missing = [name for name in self.mandatory if not given.get(name)]
        if missing:
            said = "Data Policy Exception: The following fields are mandatory: "
            raise _RefusedError(403, "Operation Failed", said + ", ".join(missing))
        sys_id = self._next()
        row = dict.fromkeys(_COLUMNS, "") | {
            "sys_id": sys_id,
            "number": f"INC{self._ids:07}",
            "state": "1",
            "active": "true",
        }
        self._stamp(row, US)
        row["sys_created_on"] = row["sys_updated_on"]
        self.incidents[sys_id] = row
        self._write(row, given)
        return web.json_response({"result": self._shown(row, list(row))}, status=201)

    async def _patch(self, request: web.Request) -> web.Response:
        row = self._known(request)
        given = await _row_in(request)
        if row["state"] in {"7", "8"}:
            said = "ACL Exception Update Failed due to security constraints"
            raise _RefusedError(403, "Operation Failed", said)
        if given.get("state") == "6":
            missing = [name for name in self.to_resolve if not given.get(name)]
            if missing:
                said = "Data Policy Exception: The following fields are mandatory: "
                raise _RefusedError(403, "Operation Failed", said + ", ".join(missing))
            if self.stuck:
                del given["state"]
        self._write(row, given)
        return web.json_response({"result": self._shown(row, list(row))})

    async def _list_files(self, request: web.Request) -> web.Response:
        _only(request, "query")
        return web.json_response(
            {"result": self._asked(self.files, request.query["sysparm_query"])}
        )

    async def _attach(self, request: web.Request) -> web.Response:
        names = ("table_name", "table_sys_id", "file_name")
        assert set(request.query) == set(names)
        file = {name: request.query[name] for name in names}
        assert file["table_sys_id"] in self.incidents
        size = str(len(await request.read()))
        kind = request.headers["Content-Type"]
        self.files.append(
            {**file, "sys_id": self._next(), "size_bytes": size, "content_type": kind}
        )
        return web.json_response({"result": self.files[-1]}, status=201)

    def _known(self, request: web.Request) -> dict[str, str]:
        row = self.incidents.get(request.match_info["id"])
        if row is None:
            said = "Record doesn't exist or ACL restricts the record retrieval"
            raise _RefusedError(404, "No Record found", said)
        return row

    def _write(self, row: dict[str, str], given: Mapping[str, str]) -> None:
        for name, value in given.items():
            if name in _JOURNALS:
                self.write(row["sys_id"], US, name, value)
            elif name in _COLUMNS or name.startswith("u_"):
                assert len(value) <= _COLUMNS.get(name, 4_000), f"{name} would be cut"
                if name not in self.unwritable:
                    self.set(row["sys_id"], US, **{name: value})
            else:
                raise AssertionError(f"an incident has no column {name}")

    def _shown(self, row: Mapping[str, str], fields: list[str]) -> dict[str, str]:
        people = {sys_id: name for name, sys_id in USERS.items()}
        known = dict(row)
        if row.get("assigned_to"):
            known["assigned_to.user_name"] = people[row["assigned_to"]]
        shown = {name: known.get(name, "") for name in fields}
        return {name: value for name, value in shown.items() if name not in self.unreadable}

    def _asked(self, rows: list[dict[str, str]], query: str) -> list[dict[str, str]]:
        """The rows that an encoded query finds, in its order."""
        found = list(rows)
        for part in query.split("^"):
            if part.startswith("ORDERBY"):
                column = part.removeprefix("ORDERBY").removeprefix("DESC")
                known = {name for row in rows for name in row}
                assert not rows or column in known, column
                found.sort(key=lambda row: row[column], reverse="ORDERBYDESC" in part)
                continue
            condition = re.fullmatch(r"(\w+?)(>=|=|IN)(.*)", part, re.DOTALL)
            assert condition is not None, part
            column, operator, value = condition.groups()
            if column in self.unreadable or not any(column in row for row in rows):
                continue
            found = [row for row in found if _holds(row[column], operator, value)]
        return found

    def _next(self) -> str:
        self._ids += 1
        return f"{self._ids:032x}"

    def _stamp(self, row: dict[str, str], who: str) -> None:
        self._changes += 1
        at = datetime.fromtimestamp(T0 // 1000 + self._changes, UTC)
        row |= {"sys_updated_on": f"{at:%Y-%m-%d %H:%M:%S}", "sys_updated_by": who}


def _holds(value: str, operator: str, wanted: str) -> bool:
    if operator == "=":
        return value.lower() == wanted.lower()
    return value >= wanted if operator == ">=" else value in wanted.split(",")


def _only(request: web.Request, *names: str) -> None:
    strange = {name.removeprefix("sysparm_") for name in request.query} - set(names)
    assert not strange, strange


async def _row_in(request: web.Request) -> dict[str, str]:
    assert request.content_type == "application/json"
    _only(request, "exclude_reference_link")
    given = await request.json()
    assert isinstance(given, dict)
    assert all(isinstance(value, str) for value in given.values())
    json.dumps(given, ensure_ascii=False).encode()  # half characters are refused
    return given


class ServiceNowWorld:
    """What the people of the service desk do."""

    def __init__(self, fake: FakeServiceNow) -> None:
        self.fake = fake

    async def tickets(self) -> list[SeenTicket]:
        return [self._seen(row) for row in self.fake.incidents.values()]

    async def comment(self, ref: str, who: str, text: str) -> None:
        self.fake.write(_id(ref), who, "work_notes", text)

    async def close(self, ref: str, who: str, outcome: Outcome) -> None:
        self.fake.set(_id(ref), who, state="6", close_code=CODES[outcome], close_notes="Done.")

    async def reopen(self, ref: str, who: str) -> None:
        self.fake.set(_id(ref), who, state="2", close_code="", close_notes="")

    async def assign(self, ref: str, who: str) -> None:
        self.fake.set(_id(ref), who, assigned_to=USERS[who])

    async def start(self, ref: str, who: str) -> None:
        self.fake.set(_id(ref), who, state="2")

    async def delete(self, ref: str) -> None:
        del self.fake.incidents[_id(ref)]

    def _seen(self, row: Mapping[str, str]) -> SeenTicket:
        sys_id = row["sys_id"]
        people = {number: name for name, number in USERS.items()}
        return SeenTicket(
            ref=f"{row['number']}/{sys_id}",
            title=row["short_description"],
            body=row["description"],
            state=STATES[row["state"]],
            priority=row["urgency"],
            assignee=people.get(row["assigned_to"], ""),
            comments=tuple(e["value"] for e in self.fake.journal if e["element_id"] == sys_id),
            files=tuple(f["file_name"] for f in self.fake.files if f["table_sys_id"] == sys_id),
        )


def _id(ref: str) -> str:
    return ref.rpartition("/")[2]


@asynccontextmanager
async def servicenow_stage() -> AsyncIterator[Stage]:
    """A stage; its `world` is a `ServiceNowWorld`."""
    fake = FakeServiceNow()

    def section(url: str) -> str:
        return f"""
kind: servicenow
url: {url}
username: {US}
password: env:TOKEN
assignment_group: Service Desk
priority: {{high: 2/1}}
"""

    async with queue_before(fake.application(), section, PASSWORD) as (queue, hasty, faults):
        yield Stage(
            queue=queue,
            hasty=hasty,
            faults=faults,
            world=ServiceNowWorld(fake),
            secret=PASSWORD,
            people=("ann", "bob"),
            knows_in_progress=True,
            knows_outcomes=frozenset(Outcome),
            error_inside=CANCELLED,
            missing_field=lambda: fake.mandatory.append("category"),
            no_way_to_close=lambda: fake.to_resolve.append("u_cause"),
        )
