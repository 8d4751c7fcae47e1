"""The built-in page: every page of it, in the order of the navigation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Middleware

from forewarn_collector.api.auth import Gate
from forewarn_collector.api.threads import AnswerThreads
from forewarn_collector.config import CollectorConfig
from forewarn_collector.ingest.agents import AgentWatch
from forewarn_collector.queues import Pause
from forewarn_collector.rules import GroupStatus, LastReload
from forewarn_collector.store import Store
from forewarn_collector.tasks import Ledger, Outbox, TaskCommands, TaskQueries
from forewarn_collector.tasks.delivery_log import DeliveryLog
from forewarn_collector.tasks.silences import Silences
from forewarn_collector.web.about_page import AboutPage
from forewarn_collector.web.actions import Actions
from forewarn_collector.web.backtests import Backtests
from forewarn_collector.web.host_page import HostPage
from forewarn_collector.web.hosts_page import HostsPage
from forewarn_collector.web.layout import NavEntry, Site
from forewarn_collector.web.queues_page import QueuesPages
from forewarn_collector.web.rules_page import RulesPages
from forewarn_collector.web.sign_in import SignInPage
from forewarn_collector.web.task_page import RuleOf, TaskPage
from forewarn_collector.web.tasks_page import TasksPage
from forewarn_wire.clock import Clock

_NAV = (
    NavEntry("Tasks", "/", "/tasks/"),
    NavEntry("Hosts", "/hosts", "/hosts/"),
    NavEntry("Rules", "/rules", "/rules/"),
    NavEntry("Queues", "/queues", "/queues/"),
    NavEntry("About", "/about", "/about/"),
)
"""What the navigation leads to; whoever may not see a page is not led there."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a collector that pages show and act on."""

    queries: TaskQueries
    commands: TaskCommands
    silences: Silences
    agents: AgentWatch
    deliveries: DeliveryLog
    rule_of: RuleOf
    ledger: Ledger
    store: Store
    threads: AnswerThreads
    groups: Callable[[], Sequence[GroupStatus]]
    last_reload: Callable[[], LastReload]
    outbox: Outbox
    queue_names: Callable[[], Collection[str]]
    pauses: Callable[[], Mapping[str, Pause]]
    owed: Callable[[], None]
    config: CollectorConfig


class Page(Protocol):
    """One page, or a few that belong together."""

    def routes(self) -> Sequence[web.RouteDef]:
        """Its routes, each of which stands in the table of rights."""


class WebPages:
    """Server-rendered pages; nothing on them comes from elsewhere, and none needs a script."""

    def __init__(self, gate: Gate, parts: Parts, external_url: str, clock: Clock) -> None:
        self._site = Site(gate, clock, _NAV, external_url)
        self._backtests = Backtests(parts.config.data)
        self._pages: tuple[Page, ...] = (
            SignInPage(self._site, gate),
            TasksPage(self._site, parts.queries, parts.agents),
            Actions(self._site, parts.queries, parts.commands, parts.silences),
            TaskPage(self._site, parts.queries, parts.deliveries, parts.rule_of),
            HostsPage(self._site, parts.ledger, parts.agents),
            HostPage(self._site, parts.queries, parts.store, parts.agents, parts.threads),
            RulesPages(
                self._site,
                parts.groups,
                parts.last_reload,
                parts.queries,
                parts.store,
                parts.threads,
                self._backtests,
            ),
            QueuesPages(
                self._site,
                parts.outbox,
                parts.deliveries,
                parts.queue_names,
                parts.pauses,
                parts.owed,
            ),
            AboutPage(
                self._site, parts.queries, parts.store, parts.agents, parts.threads, parts.config
            ),
        )

    @property
    def errors(self) -> Middleware:
        """The middleware that shows what goes wrong as a page."""
        return self._site.errors

    async def stop(self, _: web.Application) -> None:
        """End what pages have asked for and is not done."""
        await self._backtests.stop()

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            *self._site.assets.routes(),
            self._site.form("/theme", self._site.set_theme),
            *(route for page in self._pages for route in page.routes()),
        ]
