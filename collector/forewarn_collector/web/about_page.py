"""The page about the monitor itself: how soon it finds faults, what comes in, what it keeps."""

from __future__ import annotations

import asyncio
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

from aiohttp import web
from markupsafe import Markup

from forewarn_collector.api.threads import AnswerThreads
from forewarn_collector.config import CollectorConfig
from forewarn_collector.ingest.agents import AgentWatch
from forewarn_collector.promql import compile_query
from forewarn_collector.store import Store
from forewarn_collector.store.stats import StoreStats
from forewarn_collector.tasks import TaskQueries
from forewarn_collector.web import shown
from forewarn_collector.web.layout import Site
from forewarn_collector.web.signal_plots import (
    RANGE,
    RANGES,
    REFUSED,
    SMALL,
    Span,
    deadline,
    drawn,
    evaluated,
    plot_of,
    span_of,
    told,
)
from forewarn_wire import Labels

_PANELS = (
    (
        "Samples accepted, per second",
        "sum(rate(forewarn_ingest_samples_total[%w]))",
    ),
    (
        "From a sample to the disk, seconds (99 of 100)",
        "histogram_quantile(0.99, sum by (le) (rate(forewarn_ingest_commit_seconds_bucket[%w])))",
    ),
    (
        "From onset to task, seconds (99 of 100)",
        "histogram_quantile(0.99, sum by (le) "
        "(increase(forewarn_onset_to_task_seconds_bucket[%w])))",
    ),
    (
        "Rules, late by at most, seconds",
        "max(forewarn_rule_group_last_lag_seconds)",
    ),
    (
        "Memory, bytes",
        'label_replace(max(process_resident_memory_bytes{job="forewarn"}), "of", "process", "", "")'
        ' or label_replace(max(forewarn_store_memory_bytes), "of", "samples", "", "")',
    ),
    (
        "Disk, bytes",
        'label_replace(max(forewarn_store_disk_bytes), "of", "signals", "", "")'
        ' or label_replace(max(forewarn_events_bytes), "of", "events", "", "")',
    ),
)


@dataclass(frozen=True, slots=True)
class Objective:
    """How many of the window's tasks there were, how many in time, and what was aimed at."""

    total: int
    in_time: int
    within: str
    target: float
    window: str

    @property
    def share(self) -> float:
        """Of those in time, in per cent."""
        return 100 * self.in_time / self.total if self.total else 100.0

    @property
    def is_met(self) -> bool:
        """Whether that is enough."""
        return self.share >= 100 * self.target


class AboutPage:
    """The page."""

    def __init__(
        self,
        site: Site,
        queries: TaskQueries,
        store: Store,
        agents: AgentWatch,
        threads: AnswerThreads,
        config: CollectorConfig,
    ) -> None:
        self._site = site
        self._queries = queries
        self._store = store
        self._agents = agents
        self._threads = threads
        self._config = config
        self._started = site.clock()

    def routes(self) -> Sequence[web.RouteDef]:
        """The routes."""
        return (web.get("/about", self._show),)

    async def _show(self, request: web.Request) -> web.StreamResponse:
        now, asked = self._site.clock(), request.query.get("range", RANGE)
        plots = await self._threads.run(self._plots, span_of(asked, now))
        stats, free, objective = await asyncio.to_thread(self._read, now)
        agents = self._agents.agents()
        return self._site.page(
            request,
            "about.html",
            version=version("forewarn"),
            python=platform.python_version(),
            started=self._started,
            objective=objective,
            stats=stats,
            free=free,
            retention=shown.span(self._config.retention),
            up=sum(agent.up for agent in agents),
            silent=sum(not agent.up for agent in agents),
            versions=await self._threads.run(self._versions, now),
            plots=plots,
            ranges=[(name, text) for name, (text, _) in RANGES.items()],
            asked=asked if asked in RANGES else RANGE,
        )

    def _read(self, now: int) -> tuple[StoreStats, int, Objective]:
        aim = self._config.objective
        total, in_time = self._queries.in_time(now - aim.window, aim.within)
        objective = Objective(
            total, in_time, shown.span(aim.within), aim.target, shown.span(aim.window)
        )
        return self._store.stats(), shutil.disk_usage(self._config.data).free, objective

    def _plots(self, span: Span) -> list[tuple[str, Markup]]:
        found, until = [], deadline()
        for number, (title, text) in enumerate(_PANELS):
            try:
                query = compile_query(text.replace("%w", span.window))
                result = evaluated(query, self._store, span, until)
            except REFUSED:
                continue
            plot = plot_of(result, title, span, name_of=_name, width=SMALL, from_zero=True)
            if plot is not None:
                found.append((title, drawn(plot, f"about-{number}")))
        return found

    def _versions(self, now: int) -> list[tuple[str, int]]:
        try:
            query = compile_query("count by (version) (forewarn_agent_info)")
            found = query.instant(self._store, now, deadline=deadline()).vector()
        except REFUSED:
            return []
        return sorted((dict(labels).get("version", ""), int(count)) for labels, count in found)


def _name(labels: Labels) -> str:
    return dict(labels).get("of") or told(labels)
