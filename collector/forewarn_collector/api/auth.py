"""Who may do what: tokens for writes everywhere, and for reads beyond loopback."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from forewarn_collector.api.callers import ANYONE, CALLER, Caller
from forewarn_collector.api.rights import Right, right_of
from forewarn_collector.api.sessions import Sessions
from forewarn_collector.config import Address
from forewarn_collector.config_tokens import Role, Token
from forewarn_collector.metrics import Metrics

TOKEN_FILE = "token"  # noqa: S105 - a file's name
OWN = "own"


class TokenError(Exception):
    """A token's file can't be used; the text says which and why."""


def own_token(directory: Path) -> str:
    """The data directory's own token, made (readable by its owner only) where there is none."""
    path = directory / TOKEN_FILE
    if not path.exists():
        # Written whole under another name first: a crash or a full disk leaves no half a token.
        draft = directory / f".{TOKEN_FILE}.new"
        try:
            draft.unlink(missing_ok=True)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(f"fw_{secrets.token_urlsafe(32)}\n")
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            raise TokenError(
                f"cannot write the token to {path}: {error.strerror}; make room there, or let "
                "this user write to it"
            ) from error
    return read_token(path)


def read_token(path: Path) -> str:
    """The token in a file. Raises TokenError."""
    try:
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TokenError(f"cannot read the token file {path}: {error}") from error
    if len(token) < 16:
        raise TokenError(f"the token in {path} is shorter than 16 characters; make a longer one")
    return token


class Gate:
    """Finds the caller of a request, or refuses it.

    `auth` off lets everybody do everything; the caller of this class sees to it that this happens
    on a loopback address only. With it on, writes need a token, reads need one unless
    `open_reads`; whoever gives a token is held to it. Who is signed in on the page needs none to
    read and to send the page's own forms; the API takes no write on the word of a cookie.
    """

    def __init__(
        self, callers: Mapping[str, Caller], sessions: Sessions, *, auth: bool, open_reads: bool
    ) -> None:
        # By digest: a look-up by the token itself could leak it through its timing.
        self._callers = {_digest(token): caller for token, caller in callers.items()}
        self._open_reads = open_reads
        self.sessions = sessions
        self.auth = auth

    def caller(self, request: web.BaseRequest, right: Right) -> Caller | None:
        """The caller; None where the request must be refused for want of a right token."""
        if not self.auth:
            return Caller(ANYONE)
        if right.signed:
            return Caller(ANYONE, role=Role.VIEWER)
        token = _token(request.headers.get("Authorization", ""))
        if token:
            return self.bearer(token)
        session = self.sessions.of(request)
        if session is not None and (right.form or request.method in {"GET", "HEAD"}):
            return session.caller
        if right.public or (right.reads and self._open_reads):
            return Caller(ANYONE, role=Role.VIEWER)
        return None

    def bearer(self, token: str) -> Caller | None:
        """Whose token it is; None where it is nobody's."""
        return self._callers.get(_digest(token))


def callers_from(own: str, tokens: tuple[Token, ...]) -> dict[str, Caller]:
    """The callers by token: the data directory's own, and those of the configuration.

    Raises TokenError, also where two have the same one: nobody could tell which role counts.
    """
    callers = {own: Caller(OWN)}
    for token in tokens:
        secret = read_token(token.file)
        if secret in callers:
            raise TokenError(
                f"the tokens {callers[secret].name} and {token.name} are the same; "
                f"write another one to {token.file}"
            )
        callers[secret] = Caller(token.name, token.customer, token.role)
    return callers


def middleware(gate: Gate, metrics: Metrics, *, hosts: frozenset[str] | None) -> Middleware:
    """The middleware that lets a request through, with its caller, or answers 401 or 403.

    `hosts` are the names, besides those of this machine itself, under which a collector on a
    loopback address may be asked; None where it listens beyond and any name may be right.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        # A page of another site may reach a loopback port by a name of its own (DNS rebinding).
        if hosts is not None and not _is_here(request.host.lower(), hosts):
            text = f"unknown host name {request.host!r}; use 127.0.0.1, or set external_url\n"
            raise web.HTTPForbidden(text=text)
        if request.method not in {"GET", "HEAD"} and _is_cross_site(request):
            raise web.HTTPForbidden(text="a write from another site's page is refused\n")
        right = right_of(request)
        caller = gate.caller(request, right)
        if caller is None:
            metrics.unauthorized.inc()
            given = "no" if "Authorization" not in request.headers else "a wrong"
            raise web.HTTPUnauthorized(
                text=f"{given} token; send 'Authorization: Bearer TOKEN' "
                "(the collector's own is in the file 'token' of its data directory)\n",
                headers={"WWW-Authenticate": 'Basic realm="forewarn", charset="UTF-8"'},
            )
        request[CALLER] = caller
        refused = _refusal(caller, right, request)
        if refused:
            metrics.forbidden.inc()
            raise web.HTTPForbidden(text=f"{refused}\n")
        return await handler(request)

    return check


def _refusal(caller: Caller, right: Right, request: web.Request) -> str:
    """Why the caller may not do that; empty if they may."""
    if right.admits(caller.role, caller.customer):
        return ""
    if caller.role in right.roles:
        return f"{request.path} tells of all customers; {caller.told} is of one, {caller.customer}"
    needed = " or ".join(role for role in Role if role in right.roles)
    return (
        f"{caller.told} has the role {caller.role}; "
        f"{request.method} {request.path} needs the role {needed}"
    )


_HOST = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9_.-]+))(?::[0-9]*)?")


def _is_here(header: str, hosts: frozenset[str]) -> bool:
    match = _HOST.fullmatch(header)
    if match is None:
        return False
    host = match["v6"] or match["name"]
    return host in hosts or Address(host, 0).is_loopback


def _is_cross_site(request: web.BaseRequest) -> bool:
    # Where a browser says it itself, that counts; a program that is none has no cookies to lend.
    if request.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}:
        return True
    origin = request.headers.get("Origin", "")
    return bool(origin) and origin.partition("://")[2] != request.host


def _token(header: str) -> str:
    """The token of a Bearer header, or the password of a Basic one."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except ValueError:
            return value
    return value


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
