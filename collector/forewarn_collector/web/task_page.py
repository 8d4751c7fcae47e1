"""The page of one task."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web

from forewarn_collector.api.narrowing import customer_of
from forewarn_collector.tasks import NoSuchTaskError, TaskQueries
from forewarn_collector.tasks.evidence_html import evidence_html
from forewarn_collector.tasks.evidence_plot import evidence_plot
from forewarn_collector.web.layout import Site


class TaskPage:
    """One task with all that is known of it."""

    def __init__(self, site: Site, queries: TaskQueries) -> None:
        self._site = site
        self._queries = queries

    def routes(self) -> Sequence[web.RouteDef]:
        """The routes."""
        return (web.get("/tasks/{number}", self._show),)

    async def _show(self, request: web.Request) -> web.StreamResponse:
        try:
            queries = self._queries.of(customer_of(request))
            task = await asyncio.to_thread(queries.one, request.match_info["number"])
        except NoSuchTaskError as error:
            raise web.HTTPNotFound(text=f"{error}\n") from error
        return self._site.page(
            request,
            "task.html",
            task=task,
            evidence=evidence_html(task.evidence, "/tasks/"),
            has_plot=evidence_plot(task.title, task.evidence) is not None,
        )
