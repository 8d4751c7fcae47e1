"""`/-/reload`: read the files of rules and routes anew, as with Prometheus and Alertmanager."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web


class ReloadApi:
    """`reload` returns what was refused, the empty string where all was taken."""

    def __init__(self, reload: Callable[[], str]) -> None:
        self._reload = reload

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [web.post("/-/reload", self._answer), web.put("/-/reload", self._answer)]

    async def _answer(self, request: web.Request) -> web.Response:
        refused = self._reload()
        if refused:
            return web.Response(status=500, text=f"failed to reload config: {refused}\n")
        return web.Response(text="")
