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
from forewarn_collector.config_oidc import OidcConfig
from forewarn_collector.ingest.agents import AgentWatch
from forewarn_collector.metrics import Metrics
from forewarn_collector.queues import Pause
from forewarn_collector.rules import GroupStatus, LastReload
from forewarn_collector.store import Store
from forewarn_collector.tasks import Ledger, Notify, Outbox, TaskCommands, TaskQueries
from forewarn_collector.tasks.delivery_log import DeliveryLog
from forewarn_collector.tasks.silences import Silences
from forewarn_collector.web.about_page import AboutPage
from forewarn_collector.web.actions import Actions
from forewarn_collector.web.backtests import Backtests
from forewarn_collector.web.host_page import HostPage
from forewarn_collector.web.hosts_page import HostsPage
from forewarn_collector.web.layout import NavEntry, Site
from forewarn_collector.web.oidc import Provider
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
    """The parts of a collector that pages show and act on.

    `changed` hears of what is done to tasks, `rule_of` finds a running rule by its key; `oidc` is
    the provider by which people sign in, with our secret there.
    """

    ledger: Ledger
    changed: Notify
    silences: Silences
    agents: AgentWatch
    rule_of: RuleOf
    metrics: Metrics
    oidc: tuple[OidcConfig, str] | None
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

    def __init__(self, gate: Gate, parts: Parts, clock: Clock) -> None:
        site = self._site = Site(gate, clock, _NAV, parts.config.external_url)
        self._provider = Provider(*parts.oidc, clock) if parts.oidc else None
        self._backtests = Backtests(parts.config.data)
        queries = TaskQueries(parts.ledger)
        commands = TaskCommands(parts.ledger, parts.changed)
        deliveries = DeliveryLog(parts.ledger)
        self._pages: tuple[Page, ...] = (
            SignInPage(site, gate, parts.metrics, self._provider),
            TasksPage(site, queries, parts.agents),
            Actions(site, queries, commands, parts.silences),
            TaskPage(site, queries, deliveries, parts.silences, parts.rule_of),
            HostsPage(site, parts.ledger, parts.agents),
            HostPage(site, queries, parts.store, parts.agents, parts.threads),
            RulesPages(
                site,
                parts.groups,
                parts.last_reload,
                queries,
                parts.store,
                parts.threads,
                self._backtests,
            ),
            QueuesPages(
                site, parts.outbox, deliveries, parts.queue_names, parts.pauses, parts.owed
            ),
            AboutPage(site, queries, parts.store, parts.agents, parts.threads, parts.config),
        )

    @property
    def errors(self) -> Middleware:
        """The middleware that shows what goes wrong as a page."""
        return self._site.errors

    async def end(self, _: web.Application) -> None:
        """End what pages have asked for and is not done, and the connections that they have."""
        await self._backtests.stop()
        if self._provider is not None:
            await self._provider.close()

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            *self._site.assets.routes(),
            self._site.form("/theme", self._site.set_theme),
            *(route for page in self._pages for route in page.routes()),
        ]
