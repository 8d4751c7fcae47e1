"""The built-in page: every page of it, in the order of the navigation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Middleware

from forewarn_collector.api.auth import Gate
from forewarn_collector.config_oidc import OidcConfig
from forewarn_collector.ingest.agents import AgentWatch
from forewarn_collector.metrics import Metrics
from forewarn_collector.tasks import Ledger, Notify, TaskCommands, TaskQueries
from forewarn_collector.tasks.delivery_log import DeliveryLog
from forewarn_collector.tasks.silences import Silences
from forewarn_collector.web.actions import Actions
from forewarn_collector.web.layout import NavEntry, Site
from forewarn_collector.web.oidc import Provider
from forewarn_collector.web.sign_in import SignInPage
from forewarn_collector.web.task_page import RuleOf, TaskPage
from forewarn_collector.web.tasks_page import TasksPage
from forewarn_wire.clock import Clock

_NAV = (NavEntry("Tasks", "/", "/tasks/"),)
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
    external_url: str


class Page(Protocol):
    """One page, or a few that belong together."""

    def routes(self) -> Sequence[web.RouteDef]:
        """Its routes, each of which stands in the table of rights."""


class WebPages:
    """Server-rendered pages; nothing on them comes from elsewhere, and none needs a script."""

    def __init__(self, gate: Gate, parts: Parts, clock: Clock) -> None:
        site = self._site = Site(gate, clock, _NAV, parts.external_url)
        self._provider = Provider(*parts.oidc, clock) if parts.oidc else None
        queries = TaskQueries(parts.ledger)
        commands = TaskCommands(parts.ledger, parts.changed)
        self._pages: tuple[Page, ...] = (
            SignInPage(site, gate, parts.metrics, self._provider),
            TasksPage(site, queries, parts.agents),
            Actions(site, queries, commands, parts.silences),
            TaskPage(site, queries, DeliveryLog(parts.ledger), parts.rule_of),
        )

    @property
    def errors(self) -> Middleware:
        """The middleware that shows what goes wrong as a page."""
        return self._site.errors

    async def end(self, _: web.Application) -> None:
        """End the connections that it has."""
        if self._provider is not None:
            await self._provider.close()

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            *self._site.assets.routes(),
            self._site.form("/theme", self._site.set_theme),
            *(route for page in self._pages for route in page.routes()),
        ]
