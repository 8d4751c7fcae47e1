"""What all pages share: the layout and who looks at it, forms and where they lead, headers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from aiohttp import web
from aiohttp.typedefs import Handler
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from multidict import MultiDict

from forewarn_collector.api.auth import Gate
from forewarn_collector.api.callers import CALLER, Caller
from forewarn_collector.api.rights import right_for
from forewarn_collector.config_tokens import Role
from forewarn_collector.plots import page_style
from forewarn_collector.tasks import LedgerError, TimelineKind
from forewarn_collector.web import shown
from forewarn_collector.web.assets import Assets
from forewarn_wire.clock import Clock

log = logging.getLogger(__name__)

_HERE = Path(__file__).parent
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: with that, browsers send forms with an Origin of `null`.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
THEMES = ("auto", "light", "dark")
_THEME = "forewarn_theme"
_NOTICE = "forewarn_notice"
_LONGEST_NOTICE = 500

FormHandler = Callable[[web.Request, "MultiDict[str]"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at a page, as its layout shows it."""

    name: str
    role: Role
    customer: str
    signed_in: bool
    may_sign_in: bool
    may_handle: bool


@dataclass(frozen=True, slots=True)
class NavEntry:
    """A page that the navigation leads to; what is `below` belongs to it, too."""

    name: str
    path: str
    below: str

    def holds(self, path: str) -> bool:
        """Whether the page at a path belongs here."""
        return path == self.path or path.startswith(self.below)


class Site:
    """Renders pages and takes their forms. `nav` lists what the navigation may lead to."""

    def __init__(
        self, gate: Gate, clock: Clock, nav: Sequence[NavEntry], external_url: str
    ) -> None:
        self.sessions = gate.sessions
        self.clock = clock
        self._gate = gate
        self._nav = nav
        self._external_url = external_url
        self.assets = Assets(_HERE / "static", {"plot.css": page_style()})
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        for function in (
            shown.when,
            shown.ago,
            shown.since,
            shown.span,
            shown.short_span,
            shown.counted,
        ):
            self._templates.filters[function.__name__] = function
        self._templates.filters["dict"] = dict
        self._templates.tests["web_address"] = shown.is_web_address
        self._templates.globals["asset"] = self.assets.url
        self._templates.globals["themes"] = THEMES
        self._templates.globals["kinds"] = " ".join(TimelineKind)

    def page(
        self, request: web.Request, template: str, *, status: int = 200, **values: object
    ) -> web.Response:
        """A page of HTML. The template has what `base.html` reads, too."""
        text = self._templates.get_template(template).render(self._shared(request), **values)
        return self._answer(request, text, status)

    async def long_page(
        self, request: web.Request, template: str, **values: object
    ) -> web.Response:
        """A page that may be long: it is made on a thread, and holds up nothing that arrives."""
        shared = self._shared(request)
        render = self._templates.get_template(template).render
        return self._answer(request, await asyncio.to_thread(render, shared, **values), 200)

    def _shared(self, request: web.Request) -> dict[str, object]:
        notice, problem = _notice(request)
        theme = request.cookies.get(_THEME, "")
        return {
            "now": self.clock(),
            "visitor": self.visitor(request),
            "nav": [entry for entry in self._nav if self.may(request, "GET", entry.path)],
            "form_token": self.sessions.form_token(request),
            "here": request.path_qs,
            "path": request.path,
            "theme": theme if theme in THEMES else THEMES[0],
            "notice": notice,
            "notice_is_problem": problem,
        }

    def _answer(self, request: web.Request, text: str, status: int) -> web.Response:
        response = web.Response(
            text=text, status=status, content_type="text/html", headers=_HEADERS
        )
        if _NOTICE in request.cookies:
            self.sessions.drop_cookie(response, _NOTICE)
        response.enable_compression()
        return response

    def form(self, path: str, handler: FormHandler) -> web.RouteDef:
        """The route of a form of ours; one that no page of ours has sent is refused."""

        async def take(request: web.Request) -> web.StreamResponse:
            if request.content_type != "application/x-www-form-urlencoded":
                raise web.HTTPUnsupportedMediaType(text="this takes a form of the page\n")
            given = MultiDict((name, str(value)) for name, value in (await request.post()).items())
            if not self.sessions.has_form_token(request, given.get("form_token", "")):
                raise web.HTTPForbidden(
                    text="this form is out of date: the page was shown before you signed in or out,"
                    " or before the collector started; go back, load the page again and repeat\n"
                )
            return await handler(request, given)

        return web.post(path, take)

    def lead(self, to: str, notice: str = "", *, problem: bool = False) -> web.Response:
        """Leads on to a page of ours, which shows the notice once."""
        response = web.Response(
            status=303, headers={"Location": own_address(to), "Cache-Control": "no-store"}
        )
        if notice:
            value = quote(f"{'!' if problem else '.'}{notice[:_LONGEST_NOTICE]}")
            self.sessions.set_cookie(response, _NOTICE, value, 60)
        return response

    async def set_theme(self, request: web.Request, given: MultiDict[str]) -> web.StreamResponse:
        """Remembers light or dark."""
        response = self.lead(given.get("back", "/"))
        theme = given.get("theme", "")
        if theme in THEMES:
            self.sessions.set_cookie(response, _THEME, theme, 366 * 86_400)
        return response

    def home(self, request: web.Request) -> str:
        """Where the collector is reached: what the configuration says, else as it was here."""
        return self._external_url or f"{request.scheme}://{request.host}"

    def visitor(self, request: web.Request) -> Visitor:
        """Who looks at the page."""
        caller = request.get(CALLER) or Caller("", role=Role.AGENT)
        signed_in = self.sessions.of(request) is not None
        return Visitor(
            name=caller.person or caller.name,
            role=caller.role,
            customer=caller.customer,
            signed_in=signed_in,
            may_sign_in=self._gate.auth and not signed_in,
            may_handle=self.may(request, "POST", "/tasks/actions"),
        )

    def may(self, request: web.Request, method: str, path: str) -> bool:
        """Whether whoever sends the request may use a route."""
        caller = request.get(CALLER)
        return caller is not None and right_for(method, path).admits(caller.role, caller.customer)

    @web.middleware
    async def errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """What goes wrong, as a page for whoever reads pages; who must sign in is led there."""
        if not _reads_pages(request):
            return await handler(request)
        try:
            return await handler(request)
        except web.HTTPUnauthorized:
            to = request.path_qs if request.method == "GET" else "/"
            return self.lead(f"/sign-in?next={quote(to, safe='')}")
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return self._error(request, error.status, error.text or error.reason)
        except LedgerError as error:
            log.warning("%s %s: %s", request.method, request.path, error)
            return self._error(request, 503, f"the ledger can't be read or written now: {error}")

    def _error(self, request: web.Request, status: int, text: str) -> web.Response:
        return self.page(request, "error.html", status=status, code=status, text=text.strip())


def own_address(to: str) -> str:
    """An address within this site; the first page in the place of any other."""
    is_own = to.startswith("/") and not to.startswith(("//", "/\\"))
    return to if is_own and to.isprintable() else "/"


def _reads_pages(request: web.Request) -> bool:
    return "text/html" in request.headers.get("Accept", "") and not request.path.startswith(
        ("/api/", "/v1/", "/-/", "/metrics", "/static/")
    )


def _notice(request: web.Request) -> tuple[str, bool]:
    text = unquote(request.cookies.get(_NOTICE, ""))[: _LONGEST_NOTICE + 1]
    return text[1:], text.startswith("!")
