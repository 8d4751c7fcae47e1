"""The page of all hosts: a tile each, coloured by the worst of what is to do there."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from urllib.parse import urlencode

from aiohttp import web

from forewarn_collector.api.narrowing import customer_of, is_of
from forewarn_collector.ingest.agents import AgentWatch
from forewarn_collector.tasks import Ledger
from forewarn_collector.tasks.host_tasks import tasks_by_host
from forewarn_collector.web.fleet import RANKS, Tile, matching, tiles
from forewarn_collector.web.layout import Site

_ONLY = (("", "All"), ("troubled", "With something to do"), ("silent", "Silent"))
_NAMED = 120
"""So many tiles bear their names; more are small, and tell them where the pointer is."""


class HostsPage:
    """The fleet at a glance."""

    def __init__(self, site: Site, ledger: Ledger, agents: AgentWatch) -> None:
        self._site = site
        self._ledger = ledger
        self._agents = agents

    def routes(self) -> Sequence[web.RouteDef]:
        """The routes."""
        return (web.get("/hosts", self._show),)

    async def _show(self, request: web.Request) -> web.StreamResponse:
        customer = customer_of(request)
        found = await asyncio.to_thread(self._read, customer)
        asked = {name: request.query.get(name, "").strip() for name in ("q", "customer", "only")}
        shown = matching(found, asked["q"], asked["customer"], asked["only"])
        counts = Counter(tile.kind for tile in found)
        return await self._site.long_page(
            request,
            "hosts.html",
            asked=asked,
            narrows=any(asked.values()),
            total=len(found),
            shown=len(shown),
            groups=_groups(shown),
            is_named=len(shown) <= _NAMED,
            counts=[(kind, counts[kind]) for kind in RANKS if counts[kind]],
            silent=sum(not tile.up for tile in found),
            silent_address=f"/hosts?{urlencode({'only': 'silent'})}",
            only=_ONLY,
            customers=[(name, name) for name in sorted({tile.customer for tile in found} - {""})],
            home=self._site.home(request),
        )

    def _read(self, customer: str) -> list[Tile]:
        agents = (agent for agent in self._agents.agents() if is_of(customer, agent.labels))
        return tiles(agents, tasks_by_host(self._ledger, customer))


def _groups(shown: Sequence[Tile]) -> list[tuple[str, list[Tile]]]:
    """By customer, those with the worst first, where there is more than one."""
    found: dict[str, list[Tile]] = {}
    for tile in shown:
        found.setdefault(tile.customer, []).append(tile)
    return list(found.items())
