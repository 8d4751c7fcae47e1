"""The page of one host: its main signals with tasks and events laid over, its software, itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from forewarn_collector.api.narrowing import customer_of, is_of, source_for
from forewarn_collector.api.threads import AnswerThreads
from forewarn_collector.ingest.agents import Agent, AgentWatch
from forewarn_collector.plots import Mark
from forewarn_collector.store import EventQuery, Matcher, MatchOp, Store, StoreError
from forewarn_collector.tasks import Task, TaskFilter, TaskOrder, TaskQueries
from forewarn_collector.tasks.evidence_changes import EVENT_TYPES
from forewarn_collector.web.host_signals import (
    Service,
    Shown,
    facts,
    host_matchers,
    panels,
    services,
)
from forewarn_collector.web.layout import Site
from forewarn_collector.web.shown import counted
from forewarn_collector.web.signal_plots import RANGE, RANGES, Span, deadline, span_of
from forewarn_collector.web.task_facts import TaskFacts
from forewarn_wire import Event

_MOST_TASKS = 20
_MOST_EVENTS = 50
_MOST_MARKS = 20
_SEARCH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Known:
    """All that the page shows of a host."""

    panels: Sequence[Shown]
    facts: Sequence[tuple[str, str]]
    services: Sequence[Service]
    tasks: Sequence[Task]
    total: int
    events: Sequence[Event]
    problem: str


class HostPage:
    """One host with all that is known of it now."""

    def __init__(
        self,
        site: Site,
        queries: TaskQueries,
        store: Store,
        agents: AgentWatch,
        threads: AnswerThreads,
    ) -> None:
        self._site = site
        self._queries = queries
        self._store = store
        self._agents = agents
        self._threads = threads

    def routes(self) -> Sequence[web.RouteDef]:
        """The routes. A host may have slashes in its name."""
        return (web.get("/hosts/{instance:.+}", self._show),)

    async def _show(self, request: web.Request) -> web.StreamResponse:
        instance, own = request.match_info["instance"], customer_of(request)
        customer = own or request.query.get("customer", "")
        agents = [agent for agent in self._agents.agents() if _is(agent, instance, customer)]
        now = self._site.clock()
        asked = request.query.get("range", RANGE)
        span = span_of(asked, now)
        known = await self._threads.run(self._read, instance, customer, own, span, now)
        if not agents and not known.total and not known.panels:
            raise web.HTTPNotFound(text=f"no host {instance} has reported\n")
        return self._site.page(
            request,
            "host.html",
            instance=instance,
            customer=customer,
            agents=sorted(agents, key=lambda agent: -agent.last_report),
            known=known,
            tasks=[TaskFacts(task, now) for task in known.tasks],
            ranges=[(name, text) for name, (text, _) in RANGES.items()],
            asked=asked if asked in RANGES else RANGE,
            more=counted(known.total - len(known.tasks), "more task")
            if known.total > len(known.tasks)
            else "",
        )

    def _read(self, instance: str, customer: str, own: str, span: Span, now: int) -> _Known:
        queries = self._queries.of(own)
        wanted = TaskFilter(instance=instance, customer=customer)
        page = queries.list(wanted, limit=_MOST_TASKS, order=TaskOrder.URGENT)
        events, problem = self._events(instance, customer, span)
        marks = [*_task_marks(page.tasks, span), *_event_marks(events)]
        source, until = source_for(own, self._store), deadline()
        host = host_matchers(instance, customer)
        return _Known(
            panels=panels(source, host, span, marks, until),
            facts=facts(source, host, now, until),
            services=services(source, host, now, until),
            tasks=page.tasks,
            total=page.total,
            events=events,
            problem=problem,
        )

    def _events(self, instance: str, customer: str, span: Span) -> tuple[Sequence[Event], str]:
        matchers = [Matcher("instance", MatchOp.EQUAL, instance)]
        matchers.append(Matcher("customer", MatchOp.EQUAL, customer))
        query = EventQuery(span.start, span.end + span.step, _MOST_EVENTS, (matchers,))
        try:
            return self._store.event_store.search(query, _SEARCH_SECONDS).events, ""
        except StoreError as error:
            return (), str(error)


def _is(agent: Agent, instance: str, customer: str) -> bool:
    return dict(agent.labels).get("instance") == instance and (
        is_of(customer, agent.labels) if customer else "customer" not in dict(agent.labels)
    )


def _task_marks(tasks: Sequence[Task], span: Span) -> list[Mark]:
    inside = [task for task in tasks if span.start <= task.onset_at <= span.end]
    return [Mark(task.onset_at, task.number) for task in inside[:_MOST_MARKS]]


def _event_marks(events: Sequence[Event]) -> list[Mark]:
    """Changes among the events, as they may be the cause of what is seen beside them."""
    changes = [event for event in events if re.match(EVENT_TYPES, event.type)]
    return [
        Mark(event.time, f"{event.type}: {event.body}", suspect=True)
        for event in changes[:_MOST_MARKS]
    ]
