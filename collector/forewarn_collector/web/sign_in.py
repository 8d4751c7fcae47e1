"""Signing in and out: a token becomes a session, which a cookie stands for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

from aiohttp import web
from multidict import MultiDict

from forewarn_collector.api.auth import Gate
from forewarn_collector.api.callers import Caller
from forewarn_collector.config_tokens import Role
from forewarn_collector.web.layout import Site, own_address

log = logging.getLogger(__name__)

_LONGEST_NAME = 200


class SignInPage:
    """The form that takes a token, and what ends a session."""

    def __init__(self, site: Site, gate: Gate) -> None:
        self._site = site
        self._gate = gate

    def routes(self) -> Sequence[web.RouteDef]:
        """The routes."""
        return (
            web.get("/sign-in", self._show),
            self._site.form("/sign-in", self._sign_in),
            self._site.form("/sign-out", self._sign_out),
        )

    async def _show(self, request: web.Request) -> web.StreamResponse:
        to = own_address(request.query.get("next", "/"))
        visitor = self._site.visitor(request)
        if visitor.signed_in or not visitor.may_sign_in:
            return self._site.lead(to)
        return self._site.page(request, "sign_in.html", to=to)

    async def _sign_in(self, request: web.Request, given: MultiDict[str]) -> web.StreamResponse:
        to = own_address(given.get("next", "/"))
        caller = self._gate.bearer(given.get("token", "").strip())
        refused = _refusal(caller)
        if caller is None or refused:
            log.warning("a sign-in from %s was refused: %s", request.remote, refused)
            return self._site.lead(f"/sign-in?next={quote(to, safe='')}", refused, problem=True)
        person = " ".join(given.get("name", "").split())[:_LONGEST_NAME]
        return self.begin(request, replace(caller, person=person), to)

    def begin(self, request: web.Request, caller: Caller, to: str) -> web.StreamResponse:
        """Begin a session, in the place of the one that the browser had."""
        response = self._site.lead(to)
        self._site.sessions.end(request, response)
        self._site.sessions.begin(response, caller)
        named = f" as {caller.person}" if caller.person else ""
        log.info("%s signed in%s, in the role %s", caller.name, named, caller.role)
        return response

    async def _sign_out(self, request: web.Request, given: MultiDict[str]) -> web.StreamResponse:
        response = self._site.lead("/")
        self._site.sessions.end(request, response)
        return response


def _refusal(caller: Caller | None) -> str:
    if caller is None:
        return "No such token. The collector's own is in the file “token” of its data directory."
    if caller.role is Role.AGENT:
        return "This is an agent's token: it sends signals, and opens no page."
    return ""
