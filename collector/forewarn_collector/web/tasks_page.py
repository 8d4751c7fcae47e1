"""The page at `/`: the tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web

from forewarn_collector.api.narrowing import customer_of
from forewarn_collector.tasks import STANDING, TaskFilter, TaskQueries
from forewarn_collector.web.layout import Site

_MOST = 500


class TasksPage:
    """The list."""

    def __init__(self, site: Site, queries: TaskQueries) -> None:
        self._site = site
        self._queries = queries

    def routes(self) -> Sequence[web.RouteDef]:
        """The routes."""
        return (web.get("/", self._show),)

    async def _show(self, request: web.Request) -> web.StreamResponse:
        everything = "all" in request.query
        states = () if everything else STANDING
        wanted = TaskFilter(states=states, text=request.query.get("q", ""))
        queries = self._queries.of(customer_of(request))
        page = await asyncio.to_thread(queries.list, wanted, limit=_MOST)
        return self._site.page(
            request, "tasks.html", page=page, everything=everything, text=wanted.text
        )
