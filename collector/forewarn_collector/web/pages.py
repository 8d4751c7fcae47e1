"""The page at `/`: the tasks, the newest first, and one task with its evidence."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from forewarn_collector.api.narrowing import customer_of
from forewarn_collector.tasks import STANDING, NoSuchTaskError, TaskFilter, TaskQueries
from forewarn_collector.tasks.evidence_html import evidence_html
from forewarn_collector.tasks.evidence_plot import evidence_plot
from forewarn_wire.clock import Clock

_HERE = Path(__file__).parent
_MOST = 500
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class WebPages:
    """Server-rendered pages; nothing on them comes from elsewhere, and none needs a script."""

    def __init__(self, queries: TaskQueries, clock: Clock) -> None:
        self._queries = queries
        self._clock = clock
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["when"] = _when
        self._templates.filters["span"] = format_span
        self._templates.filters["dict"] = dict
        self._templates.tests["web_address"] = _is_web_address

    def routes(self) -> list[web.AbstractRouteDef]:
        """The routes."""
        return [
            web.get("/", self._tasks),
            web.get("/tasks/{number}", self._task),
            web.static("/static", _HERE / "static"),
        ]

    async def _tasks(self, request: web.Request) -> web.Response:
        everything = "all" in request.query
        states = () if everything else STANDING
        wanted = TaskFilter(states=states, text=request.query.get("q", ""))
        queries = self._queries.of(customer_of(request))
        page = await asyncio.to_thread(queries.list, wanted, limit=_MOST)
        return self._page("tasks.html", page=page, everything=everything, text=wanted.text)

    async def _task(self, request: web.Request) -> web.Response:
        try:
            queries = self._queries.of(customer_of(request))
            task = await asyncio.to_thread(queries.one, request.match_info["number"])
        except NoSuchTaskError as error:
            raise web.HTTPNotFound(text=f"{error}\n") from error
        return self._page(
            "task.html",
            task=task,
            evidence=evidence_html(task.evidence, "/tasks/"),
            has_plot=evidence_plot(task.title, task.evidence) is not None,
        )

    def _page(self, template: str, **values: object) -> web.Response:
        text = self._templates.get_template(template).render(now=self._clock(), **values)
        return web.Response(text=text, content_type="text/html", headers=_HEADERS)


def _is_web_address(text: str) -> bool:
    """Whether a link may lead there: an annotation could also be a script."""
    return text.startswith(("https://", "http://"))


def _when(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    stamp = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{stamp:%Y-%m-%d %H:%M:%S} UTC"


def format_span(milliseconds: int) -> str:
    """A length of time in at most two units, for a person: `340 ms`, `12 s`, `3 h 5 min`."""
    if milliseconds < 1000:
        return f"{max(milliseconds, 0)} ms"
    seconds = milliseconds // 1000
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
