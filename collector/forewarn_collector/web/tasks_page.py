"""The page at `/`: the tasks, the worst first, to be found and to be handled where they stand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web

from forewarn_collector.api.narrowing import customer_of, is_of
from forewarn_collector.ingest.agents import AgentWatch
from forewarn_collector.tasks import CursorError, Standing, TaskPage, TaskQueries, TaskState
from forewarn_collector.tasks.identity import severity_rank
from forewarn_collector.web.actions import SPANS
from forewarn_collector.web.layout import Site
from forewarn_collector.web.task_facts import TaskFacts
from forewarn_collector.web.task_filter import (
    ANY_STATE,
    NOBODY,
    ORDERS,
    PAGE_SIZES,
    AskedTasks,
    asked_in,
)

_STATES = (
    ("", "To do"),
    (TaskState.OPEN.value, "Open"),
    (TaskState.ACKNOWLEDGED.value, "Acknowledged"),
    (TaskState.IN_PROGRESS.value, "In progress"),
    (TaskState.WAITING.value, "Waiting"),
    (TaskState.RESOLVED.value, "Resolved"),
    (TaskState.CLOSED.value, "Closed"),
    (ANY_STATE, "All"),
)
_CHOICES = ("customer", "service", "kind", "queue")


class TasksPage:
    """The list."""

    def __init__(self, site: Site, queries: TaskQueries, agents: AgentWatch) -> None:
        self._site = site
        self._queries = queries
        self._agents = agents

    def routes(self) -> Sequence[web.RouteDef]:
        """The routes."""
        return (web.get("/", self._show),)

    async def _show(self, request: web.Request) -> web.StreamResponse:
        asked = asked_in(request.query)
        customer, now = customer_of(request), self._site.clock()
        cursor = request.query.get("cursor", "")
        try:
            page, standing, overdue = await asyncio.to_thread(
                self._read, asked, customer, now, cursor
            )
        except CursorError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        hosts = sum(is_of(customer, agent.labels) for agent in self._agents.agents())
        return await self._site.long_page(
            request,
            "tasks.html",
            asked=asked,
            total=page.total,
            rows=[TaskFacts(task, now) for task in page.tasks],
            is_first=not cursor,
            following=f"{asked.address()}{'&' if '?' in asked.address() else '?'}cursor={page.next}"
            if page.next
            else "",
            standing=standing,
            severities=[
                (name, standing.counts["severity"][name], severity_rank(name))
                for name in standing.values("severity")
            ],
            severity_names=standing.values("severity"),
            people=standing.values("assignee"),
            overdue=overdue,
            unassigned=standing.counts["assignee"].get("", 0),
            nobody=NOBODY,
            states=_STATES,
            orders=[(order.value, name) for order, name in ORDERS.items()],
            sizes=[(str(size), f"{size:,}") for size in PAGE_SIZES],
            choices=[(name, _options(standing, asked, name)) for name in _CHOICES],
            assignees=[(NOBODY, "nobody"), *_options(standing, asked, "assignee")],
            hosts=hosts,
            home=self._site.home(request),
            spans=[(name, text) for name, (text, _) in SPANS.items()],
        )

    def _read(
        self, asked: AskedTasks, customer: str, now: int, cursor: str
    ) -> tuple[TaskPage, Standing, int]:
        queries = self._queries.of(customer)
        found = queries.list(asked.filter(now), limit=asked.limit, order=asked.order, cursor=cursor)
        late = queries.list(AskedTasks(due="overdue").filter(now), limit=0)
        return found, queries.standing(), late.total


def _options(standing: Standing, asked: AskedTasks, field: str) -> list[tuple[str, str]]:
    """The values of a field that there are to choose from, and the one that is chosen."""
    counts = standing.counts[field]
    chosen = getattr(asked, field)
    values = set(standing.values(field)) | ({chosen} if chosen not in {"", NOBODY} else set())
    return [(value, f"{value} ({counts.get(value, 0)})") for value in sorted(values)]
