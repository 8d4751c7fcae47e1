"""`/api/tasks`: list, look at and handle tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from aiohttp import web

from forewarn_collector.api.envelope import json_response
from forewarn_collector.api.fields import TIME, Field, FieldError, Many, Text, Values, Whole, one_of
from forewarn_collector.api.narrowing import actor_of, customer_of
from forewarn_collector.api.operations import (
    KEY,
    SVG,
    WHO,
    MissingError,
    Operation,
    once_of,
)
from forewarn_collector.plots import render
from forewarn_collector.tasks import (
    CloseReason,
    CursorError,
    Task,
    TaskCommands,
    TaskFilter,
    TaskOrder,
    TaskQueries,
    TaskState,
    Terms,
)
from forewarn_collector.tasks.commands import MUTE_FOR
from forewarn_collector.tasks.evidence_plot import evidence_plot
from forewarn_wire.clock import Clock

_NUMBER = Field(
    "number", "The task's number, such as FW-17.", Text(30, pattern="(FW-|fw-)?[1-9][0-9]{0,17}")
)
_TEXT = Field("text", "Why, for the timeline and the queue.", Text(10_000), "")
_IF_MATCH = Field(
    "If-Match", "Only if the task is still as it was under one of these ETags.", Text(1_000)
)
_IF_NONE_MATCH = Field("If-None-Match", "Answer 304 if it is so still.", Text(1_000))
_PLOT_HEADERS = {
    # Opened by itself it is a document: nothing in it may run or be fetched.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_LONGEST_MUTE = 10 * 366 * 86_400_000

LIMIT = Field("limit", "The most entries of one page.", Whole(1, 1_000), 100)
CURSOR = Field("cursor", "The `next` of the page before.", Text(50), "")

_FILTERS = (
    Field("state", "In one of these states.", Many(one_of(TaskState))),
    Field("severity", "Of this severity.", Text(), ""),
    Field("customer", "Of this customer.", Text(), ""),
    Field("service", "Of this service.", Text(), ""),
    Field("instance", "With an alert of this host, now or before.", Text(), ""),
    Field("kind", "Of this kind: corrective, preventive, upgrade, plan.", Text(), ""),
    Field("rule", "Of this rule, by its name or as group/name.", Text(), ""),
    Field("queue", "For this queue.", Text(), ""),
    Field("assignee", "Given to this person.", Text(), ""),
    Field("text", "With this in title, description or labels; or with this number.", Text(), ""),
    Field("since", "Opened at this time (ms) or later.", TIME),
    Field("until", "Opened before this time (ms).", TIME),
)

Act = Callable[[TaskCommands, str, str, int, Values], Task]


class TasksApi:
    """Tasks as JSON; times are ms since epoch."""

    def __init__(self, queries: TaskQueries, commands: TaskCommands, clock: Clock) -> None:
        self._queries = queries
        self._commands = commands
        self._clock = clock

    def operations(self) -> Sequence[Operation]:
        """What it serves."""
        return (
            Operation(
                method="GET",
                path="/api/tasks",
                name="listTasks",
                about="List tasks, without timeline and evidence.",
                handle=self._list,
                answer="TaskPage",
                query=(
                    *_FILTERS,
                    Field("sort", "The order.", one_of(TaskOrder), TaskOrder.STANDING.value),
                    LIMIT,
                    CURSOR,
                ),
            ),
            Operation(
                method="GET",
                path="/api/tasks/{number}",
                name="getTask",
                about="A task with timeline, members and evidence.",
                handle=self._one,
                answer="Task",
                in_path=(_NUMBER,),
                headers=(_IF_NONE_MATCH,),
                errors=(304, 404),
                answer_headers=("ETag",),
            ),
            Operation(
                method="GET",
                path="/api/tasks/{number}/plot.svg",
                name="plotTask",
                about="Plot what the task's evidence measures, around the onset.",
                handle=self._plot,
                answer="An SVG document.",
                in_path=(_NUMBER,),
                errors=(404,),
                media=SVG,
            ),
            self._command("acknowledge", "Say that somebody has seen it.", _acknowledge, _TEXT),
            self._command("start", "Say that somebody works on it.", _start, _TEXT),
            self._command(
                "wait",
                "Have it wait; it is open again then.",
                _wait,
                Field("until", "Until when (ms).", TIME, required=True),
                _TEXT,
            ),
            self._command(
                "assign",
                "Give it to somebody, or to nobody.",
                _assign,
                Field("assignee", "To whom; empty for nobody.", Text(200), required=True),
                _TEXT,
            ),
            self._command(
                "comment",
                "Add a remark to the timeline and to the queue's ticket.",
                _comment,
                Field("text", "What to say.", Text(10_000), required=True),
            ),
            self._command(
                "resolve",
                "Say that it is mended. While its alert fires it stays resolved until that ends.",
                _resolve,
                _TEXT,
            ),
            self._command(
                "close",
                "Say that it is over for good: what fires after that is another task.",
                _close,
                Field("reason", "What became of it.", one_of(CloseReason), required=True),
                Field("duplicate_of", "The number of the other task, if it is one.", Text(30), ""),
                Field(
                    "mute_for",
                    "How long (ms) after its end a problem that won't be fixed stays muted.",
                    Whole(0, _LONGEST_MUTE),
                    MUTE_FOR,
                ),
                _TEXT,
            ),
            self._command("reopen", "Say that it is not over.", _reopen, _TEXT),
        )

    def _command(self, verb: str, about: str, act: Act, *body: Field) -> Operation:
        async def handle(request: web.Request, values: Values) -> web.StreamResponse:
            actor = actor_of(request, values["who"].strip())
            terms = Terms(
                customer_of(request),
                actor.role,
                actor.token,
                _versions(values["If-Match"]),
                await once_of(request, values),
            )
            commands, number = self._commands.on(terms), values["number"]
            task = await asyncio.to_thread(act, commands, number, actor.name, self._clock(), values)
            return json_response(task.to_json())

        return Operation(
            method="POST",
            path=f"/api/tasks/{{number}}/{verb}",
            name=f"{verb}Task",
            about=about,
            handle=handle,
            answer="Task",
            in_path=(_NUMBER,),
            headers=(_IF_MATCH, KEY),
            body=(WHO, *body),
            errors=(404, 409, 412, 422),
        )

    async def _list(self, request: web.Request, values: Values) -> web.StreamResponse:
        named = {field.name: values[field.name] for field in _FILTERS if field.name != "state"}
        wanted = TaskFilter(states=tuple(map(TaskState, values["state"])), **named)
        try:
            page = await asyncio.to_thread(
                self._queries.of(customer_of(request)).list,
                wanted,
                limit=values["limit"],
                order=TaskOrder(values["sort"]),
                cursor=values["cursor"],
            )
        except CursorError as error:
            raise FieldError(f"cursor: {error}") from error
        tasks = [task.to_json() for task in page.tasks]
        return json_response({"tasks": tasks, "total": page.total, "next": page.next or None})

    async def _one(self, request: web.Request, values: Values) -> web.StreamResponse:
        queries = self._queries.of(customer_of(request))
        task = await asyncio.to_thread(queries.one, values["number"])
        tag = f'"{task.version}"'
        known = values["If-None-Match"]
        if known is not None and (known.strip() == "*" or task.version in _versions(known)):
            return web.Response(status=304, headers={"ETag": tag})
        response = json_response(task.to_json())
        # Compressed it is the same to whoever compares it, byte by byte or not.
        response.headers["ETag"] = tag
        response.headers["Cache-Control"] = "no-cache"
        return response

    async def _plot(self, request: web.Request, values: Values) -> web.StreamResponse:
        queries = self._queries.of(customer_of(request))
        task = await asyncio.to_thread(queries.one, values["number"])
        plot = evidence_plot(f"{task.number}: {task.title}", task.evidence)
        if plot is None:
            raise MissingError(f"{task.number} has no evidence to plot")
        text = await asyncio.to_thread(render, plot)
        return web.Response(text=text, content_type=SVG, headers=_PLOT_HEADERS)


def _versions(header: str | None) -> frozenset[str]:
    """The versions in If-Match or If-None-Match; `*` is any, and asks for nothing."""
    if header is None or header.strip() == "*":
        return frozenset()
    tags = (each.strip().removeprefix("W/") for each in header.split(","))
    return frozenset(tag.strip('"') for tag in tags)


def _acknowledge(commands: TaskCommands, number: str, who: str, at: int, values: Values) -> Task:
    return commands.acknowledge(number, who, at, values["text"])


def _start(commands: TaskCommands, number: str, who: str, at: int, values: Values) -> Task:
    return commands.start(number, who, at, values["text"])


def _wait(commands: TaskCommands, number: str, who: str, at: int, values: Values) -> Task:
    return commands.wait(number, who, values["until"], at, values["text"])


def _assign(commands: TaskCommands, number: str, who: str, at: int, values: Values) -> Task:
    return commands.assign(number, who, values["assignee"], at, values["text"])


def _comment(commands: TaskCommands, number: str, who: str, at: int, values: Values) -> Task:
    return commands.comment(number, who, values["text"], at)


def _resolve(commands: TaskCommands, number: str, who: str, at: int, values: Values) -> Task:
    return commands.resolve(number, who, at, values["text"])


def _close(commands: TaskCommands, number: str, who: str, at: int, values: Values) -> Task:
    return commands.close(
        number,
        who,
        CloseReason(values["reason"]),
        at,
        values["text"],
        duplicate_of=values["duplicate_of"],
        mute_for=values["mute_for"],
    )


def _reopen(commands: TaskCommands, number: str, who: str, at: int, values: Values) -> Task:
    return commands.reopen(number, who, at, values["text"])
