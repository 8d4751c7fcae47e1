"""The page of one task: what is wrong, why one thinks so, what to do, and what was done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web
from markupsafe import Markup

from forewarn_collector.api.narrowing import customer_of, silence_is_of
from forewarn_collector.plots import render_inline
from forewarn_collector.rules import AlertingRule
from forewarn_collector.tasks import (
    CloseReason,
    DeliveryState,
    DeliveryStatus,
    NoSuchTaskError,
    Standing,
    Task,
    TaskQueries,
)
from forewarn_collector.tasks.delivery_log import DeliveryLog
from forewarn_collector.tasks.evidence_plot import evidence_plot
from forewarn_collector.tasks.silences import Silences
from forewarn_collector.web.actions import SPANS
from forewarn_collector.web.evidence_view import evidence_views
from forewarn_collector.web.layout import Site
from forewarn_collector.web.task_facts import TaskFacts

RuleOf = Callable[[str], AlertingRule | None]

_REASONS = {
    CloseReason.FIXED: "It is fixed",
    CloseReason.NO_ACTION: "Nothing had to be done",
    CloseReason.DUPLICATE: "It is a duplicate of another task",
    CloseReason.WONT_FIX: "It won't be fixed; mute it",
}


@dataclass(frozen=True, slots=True)
class _Known:
    """All that the page shows of a task."""

    task: Task
    plot: Markup
    deliveries: Sequence[DeliveryStatus]
    standing: Standing


class TaskPage:
    """One task with all that is known of it."""

    def __init__(
        self,
        site: Site,
        queries: TaskQueries,
        deliveries: DeliveryLog,
        silences: Silences,
        rule_of: RuleOf,
    ) -> None:
        self._site = site
        self._queries = queries
        self._deliveries = deliveries
        self._silences = silences
        self._rule_of = rule_of

    def routes(self) -> Sequence[web.RouteDef]:
        """The routes."""
        return (web.get("/tasks/{number}", self._show),)

    async def _show(self, request: web.Request) -> web.StreamResponse:
        try:
            queries = self._queries.of(customer_of(request))
            known = await asyncio.to_thread(self._read, queries, request.match_info["number"])
        except NoSuchTaskError as error:
            raise web.HTTPNotFound(text=f"{error}\n") from error
        task, now = known.task, self._site.clock()
        silences = {
            silence.id: silence
            for member in task.members
            for silence in self._silences.silencing(member.labels, now)
            if member.left_at is None and silence_is_of(customer_of(request), silence)
        }
        return self._site.page(
            request,
            "task.html",
            facts=TaskFacts(task, now),
            task=task,
            plot=known.plot,
            evidence=evidence_views(task.evidence),
            deliveries=known.deliveries,
            failing=[each for each in known.deliveries if _fails(each)],
            silences=list(silences.values()),
            rule=self._rule_of(task.rule),
            spans=[(name, text) for name, (text, _) in SPANS.items()],
            reasons=[(reason.value, text) for reason, text in _REASONS.items()],
            people=known.standing.values("assignee"),
        )

    def _read(self, queries: TaskQueries, number: str) -> _Known:
        task = queries.one(number)
        plot = evidence_plot(task.title, task.evidence)
        drawn = Markup(render_inline(plot, "evidence")) if plot else Markup()  # noqa: S704
        return _Known(task, drawn, self._deliveries.of_task(task.id), queries.standing())


def _fails(delivery: DeliveryStatus) -> bool:
    return delivery.state is not DeliveryState.DELIVERED and bool(delivery.error)
