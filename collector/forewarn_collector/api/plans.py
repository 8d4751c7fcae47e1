"""`/api/rules/plans`: how each rule is evaluated, and what its last evaluation took."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from forewarn_collector.api.envelope import json_response
from forewarn_collector.rules import Scheduler, rule_plans
from forewarn_collector.store import SeriesSource


class PlansApi:
    """What `forewarn rules explain` shows."""

    def __init__(self, scheduler: Scheduler, source: SeriesSource) -> None:
        self._scheduler = scheduler
        self._source = source

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [web.get("/api/rules/plans", self._plans)]

    async def _plans(self, request: web.Request) -> web.Response:
        return json_response({"rules": await asyncio.to_thread(self._found)})

    def _found(self) -> list[dict[str, Any]]:
        statuses = [rule for group in self._scheduler.groups() for rule in group.rules]
        return [plan.to_json() for plan in rule_plans(statuses, self._source)]
