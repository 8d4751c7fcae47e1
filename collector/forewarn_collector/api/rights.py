"""Who may use which route, and what a customer's token is shown there: one table for all of them.

A route that is missing here is for admins only, and a test fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from aiohttp import web

from forewarn_collector.config_tokens import Role

_SENDERS = frozenset({Role.AGENT, Role.ADMIN})
_READERS = frozenset({Role.VIEWER, Role.OPERATOR, Role.ADMIN})
_HANDLERS = frozenset({Role.OPERATOR, Role.ADMIN})
_ADMINS = frozenset({Role.ADMIN})


class Customers(StrEnum):
    """What the token of a customer gets from a route."""

    OPEN = "open"
    """What everybody gets: it tells of no customer."""
    NARROWED = "narrowed"
    """Only what is of its own customer."""
    REFUSED = "refused"
    """Nothing: what it tells of can't be told apart by customer."""


@dataclass(frozen=True, slots=True)
class Right:
    """The roles that may use a route; `public` ones need no token anywhere.

    A `form` of the page writes, and is taken from whoever is signed in there. A `signed` one proves
    its caller by a signature of its own, and looks at no token of ours.
    """

    roles: frozenset[Role]
    customers: Customers
    public: bool = False
    form: bool = False
    signed: bool = False

    @property
    def reads(self) -> bool:
        """Whether it only reads, which on a loopback address needs no token."""
        return Role.VIEWER in self.roles and not self.form and not self.signed

    def admits(self, role: Role, customer: str) -> bool:
        """Whether somebody may use it: in this role, and of this customer ("" for all)."""
        return role in self.roles and not (customer and self.customers is Customers.REFUSED)


_PUBLIC = Right(frozenset(Role), Customers.OPEN, public=True)
_SIGNED = Right(frozenset(Role), Customers.OPEN, public=True, signed=True)
_SEND = Right(_SENDERS, Customers.NARROWED)
_READ = Right(_READERS, Customers.NARROWED)
_READ_OPEN = Right(_READERS, Customers.OPEN)
_READ_ALL = Right(_READERS, Customers.REFUSED)
_HANDLE = Right(_HANDLERS, Customers.NARROWED)
_HANDLE_ALL = Right(_HANDLERS, Customers.REFUSED)
_ADMIN = Right(_ADMINS, Customers.REFUSED)
_PUBLIC_FORM = Right(frozenset(Role), Customers.OPEN, public=True, form=True)
_FORM = Right(_HANDLERS, Customers.NARROWED, form=True)
_FORM_ALL = Right(_HANDLERS, Customers.REFUSED, form=True)
_FORM_ADMIN = Right(_ADMINS, Customers.REFUSED, form=True)

_BY_RIGHT: tuple[tuple[Right, str, tuple[str, ...]], ...] = (
    (_PUBLIC, "GET", ("/-/healthy", "/-/ready", "/static/{name}")),
    (_PUBLIC, "GET", ("/sign-in", "/sign-in/oidc", "/sign-in/oidc/back")),
    (_PUBLIC_FORM, "POST", ("/sign-in", "/sign-out", "/theme")),
    (_SIGNED, "POST", ("/api/queues/{queue}/hook",)),
    (_SEND, "POST", ("/api/v1/write", "/v1/logs", "/v1/metrics", "/api/v2/alerts")),
    # What these are given is all that they answer.
    (_READ_OPEN, "GET POST", ("/api/v1/format_query", "/api/v1/parse_query")),
    # No exemplars are kept.
    (_READ_OPEN, "GET POST", ("/api/v1/query_exemplars",)),
    (_READ_OPEN, "GET", ("/api/openapi.json", "/api/v1/status/buildinfo")),
    (_READ_OPEN, "*", ("/api/v2/{path}",)),
    (
        _READ,
        "GET POST",
        ("/api/v1/query", "/api/v1/query_range", "/api/v1/series", "/api/v1/labels"),
    ),
    (
        _READ,
        "GET",
        (
            "/",
            "/tasks/{number}",
            "/hosts",
            "/hosts/{instance}",
            "/rules",
            "/rules/{key}",
            "/try",
            "/api/events",
            "/api/events/{uid}",
            "/api/silences",
            "/api/silences/{id}",
            "/api/tasks",
            "/api/tasks/stream",
            "/api/tasks/{number}",
            "/api/tasks/{number}/plot.svg",
            "/api/v1/alerts",
            "/api/v1/label/{name}/values",
            "/api/v1/metadata",
            "/api/v1/rules",
            "/api/v1/scrape_pools",
            "/api/v1/targets",
            "/api/v2/alerts",
            "/api/v2/alerts/groups",
            "/api/v2/receivers",
            "/api/v2/silence/{id}",
            "/api/v2/silences",
            "/api/v2/status",
        ),
    ),
    (
        _READ_ALL,
        "GET",
        (
            "/about",
            "/queues",
            "/queues/{queue}",
            "/api/rules/plans",
            "/api/v1/alertmanagers",
            "/api/v1/status/config",
            "/api/v1/status/flags",
            "/api/v1/status/runtimeinfo",
            "/api/v1/status/tsdb",
            "/metrics",
        ),
    ),
    (_HANDLE, "POST", ("/api/silences", "/api/silences/{id}/expire", "/api/v2/silences")),
    (_HANDLE, "DELETE", ("/api/v2/silence/{id}",)),
    (
        _HANDLE,
        "POST",
        (
            "/api/tasks/{number}/acknowledge",
            "/api/tasks/{number}/assign",
            "/api/tasks/{number}/close",
            "/api/tasks/{number}/comment",
            "/api/tasks/{number}/reopen",
            "/api/tasks/{number}/resolve",
            "/api/tasks/{number}/start",
            "/api/tasks/{number}/wait",
        ),
    ),
    (_FORM, "POST", ("/tasks/actions",)),
    (_ADMIN, "GET", ("/api/audit", "/api/queues", "/api/queues/{queue}/deliveries")),
    (_ADMIN, "POST PUT", ("/-/reload",)),
    (_ADMIN, "POST", ("/api/queues/{queue}/deliveries/{id}/revive",)),
    (_FORM_ADMIN, "POST", ("/queues/{queue}/revive",)),
    # A replay is of the signals of all, and takes a processor for a while.
    (_FORM_ALL, "POST", ("/rules/{key}/backtest",)),
    # Whose task a mail is about is only known once it is read.
    (_HANDLE_ALL, "POST", ("/api/queues/{queue}/replies",)),
)

RIGHTS: Mapping[tuple[str, str], Right] = {
    (method, path): right
    for right, methods, paths in _BY_RIGHT
    for method in methods.split()
    for path in paths
}
"""By method (`*` for any) and path as the router writes it."""

_UNLISTED = _ADMIN
# There is nothing: that may be said to whoever may read.
_NOTHING = _READ_OPEN


def route_key(route: web.AbstractRoute) -> tuple[str, str]:
    """What a route is called in `RIGHTS`; a path of "" is none of the application."""
    path = route.resource.canonical if route.resource is not None else ""
    return ("GET" if route.method == "HEAD" else route.method), path


def right_of(request: web.Request) -> Right:
    """The right that a request needs."""
    method, path = route_key(request.match_info.route)
    if not path:
        return _NOTHING if request.method in {"GET", "HEAD"} else _UNLISTED
    return right_for(method, path)


def right_for(method: str, path: str) -> Right:
    """The right that a route needs, which the router calls so."""
    return RIGHTS.get((method, path), _UNLISTED)
