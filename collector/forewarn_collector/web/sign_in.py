"""Signing in and out: a token, or what a provider says, becomes a session."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, urlsplit

from aiohttp import web
from multidict import MultiDict

from forewarn_collector.api.auth import Gate
from forewarn_collector.api.callers import Caller
from forewarn_collector.config_tokens import Role
from forewarn_collector.metrics import Metrics
from forewarn_collector.web.layout import Site, own_address
from forewarn_collector.web.oidc import OidcError, Provider, SignIn
from forewarn_collector.web.oidc_people import caller_for

log = logging.getLogger(__name__)

_LONGEST_NAME = 200
_BEGUN = "forewarn_sign_in"
_TIME = 600
"""Seconds within which a sign-in at a provider must end."""
_MOST = 10_000
_NO_TOKEN = "No such token. The collector's own is in the file “token” of its data directory."  # noqa: S105
_AGENTS = "This is an agent's token: it sends signals, and opens no page."


@dataclass(frozen=True, slots=True)
class _Begun:
    """A sign-in at the provider, where it leads to, and until when (ms) its answer is taken."""

    sign_in: SignIn
    to: str
    ends_at: int


class SignInPage:
    """The form that takes a token, the way to the provider and back, and what ends a session."""

    def __init__(self, site: Site, gate: Gate, metrics: Metrics, provider: Provider | None) -> None:
        self._site = site
        self._gate = gate
        self._metrics = metrics
        self._provider = provider
        self._begun: dict[str, _Begun] = {}

    def routes(self) -> Sequence[web.RouteDef]:
        """The routes."""
        return (
            web.get("/sign-in", self._show),
            web.get("/sign-in/oidc", self._go),
            web.get("/sign-in/oidc/back", self._come_back),
            self._site.form("/sign-in", self._sign_in),
            self._site.form("/sign-out", self._sign_out),
        )

    async def _show(self, request: web.Request) -> web.StreamResponse:
        to = own_address(request.query.get("next", "/"))
        visitor = self._site.visitor(request)
        if visitor.signed_in or not visitor.may_sign_in:
            return self._site.lead(to)
        provider = urlsplit(self._provider.config.issuer).hostname if self._provider else ""
        return self._site.page(request, "sign_in.html", to=to, provider=provider)

    async def _sign_in(self, request: web.Request, given: MultiDict[str]) -> web.StreamResponse:
        to = own_address(given.get("next", "/"))
        caller = self._gate.bearer(given.get("token", "").strip())
        if caller is None:
            said = (
                "No such token. The collector's own is in the file “token” of its data directory."
            )
            return self._refuse(request, "token", said, to)
        if caller.role is Role.AGENT:
            return self._refuse(request, "token", _AGENTS, to)
        person = " ".join(given.get("name", "").split())[:_LONGEST_NAME]
        return self._admit(request, "token", replace(caller, person=person), to)

    async def _go(self, request: web.Request) -> web.StreamResponse:
        """Lead to the provider. A link, not a form: `form-action` admits no other site."""
        if self._provider is None or not self._gate.auth:
            raise web.HTTPNotFound(text="no provider is set up here (oidc: in collector.yml)\n")
        to = own_address(request.query.get("next", "/"))
        try:
            sign_in, address = await self._provider.begin(self._back(request))
        except OidcError as error:
            return self._refuse(request, "oidc", str(error), to)
        now = self._site.clock()
        self._begun = {key: each for key, each in self._begun.items() if each.ends_at > now}
        while len(self._begun) >= _MOST:
            del self._begun[next(iter(self._begun))]
        name = secrets.token_urlsafe(32)
        self._begun[name] = _Begun(sign_in, to, now + 1000 * _TIME)
        response = web.Response(
            status=303, headers={"Location": address, "Cache-Control": "no-store"}
        )
        self._site.sessions.set_cookie(response, _BEGUN, name, _TIME)
        return response

    async def _come_back(self, request: web.Request) -> web.StreamResponse:
        """Take the provider's answer, once, from the browser that began."""
        begun = self._begun.pop(request.cookies.get(_BEGUN, ""), None)
        if self._provider is None or begun is None or begun.ends_at <= self._site.clock():
            said = "This sign-in was not begun here, or took too long; begin again."
            return self._refuse(request, "oidc", said, "/")
        try:
            claims = await self._provider.finish(begun.sign_in, request.query, self._back(request))
            caller = caller_for(self._provider.config, claims)
        except OidcError as error:
            return self._refuse(request, "oidc", str(error), begun.to)
        response = self._admit(request, "oidc", caller, begun.to)
        self._site.sessions.drop_cookie(response, _BEGUN)
        return response

    def _back(self, request: web.Request) -> str:
        return f"{self._site.home(request)}/sign-in/oidc/back"

    def _admit(self, request: web.Request, by: str, caller: Caller, to: str) -> web.StreamResponse:
        """Begin a session, in the place of the one that the browser had."""
        response = self._site.lead(to)
        self._site.sessions.end(request, response)
        self._site.sessions.begin(response, caller)
        self._metrics.sign_ins.labels(by, "admitted").inc()
        named = f" as {caller.person}" if caller.person else ""
        log.info("%s signed in%s, in the role %s", caller.name, named, caller.role)
        return response

    def _refuse(self, request: web.Request, by: str, said: str, to: str) -> web.StreamResponse:
        self._metrics.sign_ins.labels(by, "refused").inc()
        log.warning("a sign-in by %s from %s was refused: %s", by, request.remote, said)
        return self._site.lead(f"/sign-in?next={quote(to, safe='')}", said, problem=True)

    async def _sign_out(self, request: web.Request, given: MultiDict[str]) -> web.StreamResponse:
        response = self._site.lead("/")
        self._site.sessions.end(request, response)
        return response
