"""`/api/v1/targets`: the agents, as Prometheus answers of the targets that it scrapes."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from forewarn_collector.api.envelope import enveloped, success
from forewarn_collector.api.formats import rfc3339
from forewarn_collector.api.narrowing import customer_of, is_of
from forewarn_collector.ingest.agents import MISSED_INTERVALS, Agent, AgentWatch
from forewarn_wire.durations import format_duration


class TargetsApi:
    """Agents report by themselves: their pool is their job, and they have no address to scrape."""

    def __init__(self, agents: AgentWatch) -> None:
        self._agents = agents

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/api/v1/targets", enveloped(self._targets)),
            web.get("/api/v1/scrape_pools", enveloped(self._pools)),
        ]

    async def _targets(self, request: web.Request) -> web.StreamResponse:
        pool = request.query.get("scrapePool", "")
        active = request.query.get("state", "").lower() in {"", "any", "active"}
        agents = self._sorted(request) if active else []
        targets = [_target(agent) for agent in agents if not pool or _pool(agent) == pool]
        return success({"activeTargets": targets, "droppedTargets": [], "droppedTargetCounts": {}})

    async def _pools(self, request: web.Request) -> web.StreamResponse:
        return success({"scrapePools": sorted({_pool(agent) for agent in self._sorted(request)})})

    def _sorted(self, request: web.Request) -> list[Agent]:
        customer = customer_of(request)
        found = [agent for agent in self._agents.agents() if is_of(customer, agent.labels)]
        return sorted(found, key=lambda agent: (_pool(agent), agent.labels))


def _pool(agent: Agent) -> str:
    return dict(agent.labels).get("job", "")


def _target(agent: Agent) -> dict[str, Any]:
    silence = f"no report for {MISSED_INTERVALS} intervals"
    return {
        "discoveredLabels": {},
        "labels": dict(agent.labels),
        "scrapePool": _pool(agent),
        "scrapeUrl": "",
        "globalUrl": "",
        "lastError": "" if agent.up else silence,
        "lastScrape": rfc3339(agent.last_report),
        "lastScrapeDuration": 0,
        "health": "up" if agent.up else "down",
        "scrapeInterval": format_duration(agent.interval),
        "scrapeTimeout": format_duration(MISSED_INTERVALS * agent.interval),
    }
