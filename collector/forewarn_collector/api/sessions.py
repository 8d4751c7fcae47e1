"""Who is signed in on the built-in page: sessions in memory, each known by a cookie.

They end with the process: a token that was withdrawn signs nobody in after a restart. Of a
session's id only a digest is kept, so that nobody who reads this memory can become somebody else.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from aiohttp import web

from forewarn_collector.api.callers import Caller
from forewarn_wire.clock import Clock

LIFETIME = 12 * 3_600_000
"""How long (ms) a session lasts: a day's work."""
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Session:
    """Who is signed in, and until when (ms)."""

    caller: Caller
    ends_at: int


class Sessions:
    """All sessions. Used on the event loop only."""

    def __init__(self, clock: Clock, *, secure: bool) -> None:
        """`secure` is whether people reach the collector by https."""
        self._clock = clock
        self._secure = secure
        # What `__Host-` begins, no neighbour under the same domain can set.
        self.cookie = "__Host-forewarn" if secure else "forewarn"
        self._key = secrets.token_bytes(32)
        self._known: dict[bytes, Session] = {}

    def __len__(self) -> int:
        return len(self._known)

    def begin(self, response: web.StreamResponse, caller: Caller) -> None:
        """Sign somebody in: the answer carries the cookie."""
        now = self._clock()
        self._known = {key: each for key, each in self._known.items() if each.ends_at > now}
        while len(self._known) >= _MOST:
            del self._known[next(iter(self._known))]
        name = secrets.token_urlsafe(32)
        self._known[_digest(name)] = Session(caller, now + LIFETIME)
        self.set_cookie(response, self.cookie, name, LIFETIME // 1000)

    def end(self, request: web.Request, response: web.StreamResponse) -> None:
        """Sign out whoever sends the request."""
        self._known.pop(_digest(request.cookies.get(self.cookie, "")), None)
        self.drop_cookie(response, self.cookie)

    def of(self, request: web.BaseRequest) -> Session | None:
        """The session that a request belongs to, while it lasts."""
        session = self._known.get(_digest(request.cookies.get(self.cookie, "")))
        return session if session is not None and session.ends_at > self._clock() else None

    def form_token(self, request: web.BaseRequest) -> str:
        """What a form of this session must bear; one constant for all without a session."""
        name = request.cookies.get(self.cookie, "") if self.of(request) is not None else ""
        return hmac.new(self._key, name.encode(), hashlib.sha256).hexdigest()

    def has_form_token(self, request: web.BaseRequest, given: str) -> bool:
        """Whether a form came from a page that this session was shown."""
        return hmac.compare_digest(
            self.form_token(request), given.encode("ascii", "replace").decode()
        )

    def set_cookie(
        self, response: web.StreamResponse, name: str, value: str, seconds: int | None
    ) -> None:
        """A cookie that no script reads and no other site's form sends."""
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="Lax",
        )

    def drop_cookie(self, response: web.StreamResponse, name: str) -> None:
        """Have the browser forget a cookie."""
        response.del_cookie(name, path="/", secure=self._secure, httponly=True, samesite="Lax")


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
