"""The HTTP requests of trackers: bounded, to where the configuration says, and errors told apart.

What a status means, where a tracker does not say otherwise:

| status | means |
| --- | --- |
| 2xx | taken |
| 3xx | the whole queue is wrong: redirects, to a page for signing in mostly, are not followed |
| 401, 403, 407 | the whole queue is wrong: a token that is revoked or lacks a right |
| 404, 410 | gone (`GoneError`): its caller knows whether that is a ticket or a project |
| 408, 425, 5xx, no answer | tried again; the request may have been taken |
| 429, and 503 with `Retry-After` | the whole queue waits as long as was asked for |
| any other | this request is refused for good |
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from forewarn_collector.queues.base import DeliveryError
from forewarn_collector.queues.retry_after import parse_retry_after

_ANSWER_BYTES = 8 << 20
_EXCERPT = 300
SETTLE = 15_000
"""How long (ms) a request without an answer may take effect yet, before it is looked for."""
_TRY_AGAIN = frozenset({408, 425})
_NO_RIGHT = frozenset({401, 403, 407})
_GONE = frozenset({404, 410})


class GoneError(DeliveryError):
    """There is no such thing, or none that this token may see."""


class ForbiddenError(DeliveryError):
    """The token is known and may not do this."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A tracker's answer that was taken. `document` is its JSON; None where it has no body."""

    status: int
    headers: Mapping[str, str]
    document: Any

    def obj(self, *path: str) -> Mapping[str, Any]:
        """The JSON object at a path of names. Raises DeliveryError where there is none."""
        found: Mapping[str, Any] = self._at(path, dict, "an object")
        return found

    def items(self, *path: str) -> Sequence[Mapping[str, Any]]:
        """The array of JSON objects at a path. Raises DeliveryError where there is none."""
        found: Sequence[Any] = self._at(path, list, "an array")
        if not all(isinstance(item, dict) for item in found):
            raise strange(f"the answer's {_name(path)} is no array of objects")
        return found

    def _at(self, path: Sequence[str], kind: type, what: str) -> Any:
        found = _at(self.document, path)
        if not isinstance(found, kind):
            raise strange(f"the answer's {_name(path)} is not {what}")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerAccess:
    """Where a tracker is and how to speak to it. `timeout` in ms.

    `secrets` are never shown: they are taken out of every error.
    """

    base: str
    headers: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    timeout: int = 20_000
    tls: ssl.SSLContext | None = None


Verdict = Callable[[int, Mapping[str, str], Any], DeliveryError | None]
"""What a tracker itself knows of an answer (status, headers, JSON or text): an error or None."""


class TrackerClient:
    """One kept session to one tracker."""

    def __init__(self, access: TrackerAccess, verdict: Verdict = lambda *_: None) -> None:
        """`verdict` is asked first, for every answer, 2xx too (some say errors in those)."""
        self._access = access
        self._verdict = verdict
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Answer:
        """A read. Raises DeliveryError, of which GoneError is one."""
        return await self.request("GET", path, params=params)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        content: bytes | None = None,
        form: aiohttp.FormData | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A request with JSON (`body`), bytes (`content`) or a form; `path` is under the base."""
        access = self._access
        given = {"User-Agent": "forewarn", "Accept": "application/json", **access.headers}
        given |= headers or {}
        data: Any = form if form is not None else content
        if body is not None:
            data = json.dumps(body, allow_nan=False).encode("utf-8", "replace")
            given["Content-Type"] = "application/json"
        if self._session is None:
            # No cookies: nothing that one answer says may change what the next request is.
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=access.timeout / 1000),
                cookie_jar=aiohttp.DummyCookieJar(),
                middlewares=(_once,),
            )
        url = path if path.startswith(access.base) else access.base + path
        uncertain = SETTLE if method != "GET" else None
        try:
            async with self._session.request(
                method,
                url,
                params=params,
                data=data,
                headers=given,
                allow_redirects=False,
                ssl=access.tls or True,
            ) as answer:
                content_ = await _read(answer)
                return self._taken(method, answer, content_)
        except TimeoutError as error:
            said = f"no answer within {access.timeout / 1000:g} s"
            raise DeliveryError(said, permanent=False, retry_after=uncertain) from error
        except aiohttp.ClientConnectorError as error:
            # Nothing was sent.
            said = self._safe(f"no connection: {error}")
            raise DeliveryError(said, permanent=False, whole_queue=True) from error
        except aiohttp.ClientError as error:
            said = self._safe(f"no answer: {error or type(error).__name__}")
            raise DeliveryError(said, permanent=False, retry_after=uncertain) from error

    async def close(self) -> None:
        """Close the connections; a later request makes new ones."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _taken(self, method: str, answer: aiohttp.ClientResponse, content: bytes) -> Answer:
        document, is_json = _parsed(content)
        wrong = self._verdict(answer.status, answer.headers, document)
        if wrong is not None:
            raise self._safe_error(wrong)
        if 200 <= answer.status < 300:
            if not is_json:
                hint = "is the address that of its API?"
                raise strange(f"HTTP {answer.status} without JSON; {hint}")
            return Answer(answer.status, answer.headers, document)
        raise self._refused(method, answer, document)

    def _refused(self, method: str, answer: aiohttp.ClientResponse, document: Any) -> DeliveryError:
        status = answer.status
        said = f"{method} {answer.url.path}: HTTP {status} {answer.reason or ''}".rstrip()
        excerpt = " ".join(_text(document).split())[:_EXCERPT]
        said = self._safe(f"{said}: {excerpt}" if excerpt else said)
        wait = asked_wait(answer.headers)
        if 300 <= status < 400:
            to = answer.headers.get("Location", "")[:_EXCERPT]
            hint = "redirects are not followed: mend the address, or the token"
            said = self._safe(f"{said} to {to}; {hint}")
            return DeliveryError(said, permanent=False, whole_queue=True)
        if status in _GONE:
            return GoneError(said, permanent=True)
        if status in _NO_RIGHT:
            hint = "give the queue a token that is valid and has the rights"
            kind = ForbiddenError if status == 403 else DeliveryError
            return kind(f"{said}; {hint}", permanent=False, whole_queue=True)
        if status == 429 or (status == 503 and wait is not None):
            return DeliveryError(said, permanent=False, whole_queue=True, retry_after=wait)
        if status in _TRY_AGAIN or status >= 500:
            settle = None if method == "GET" else max(wait or 0, SETTLE)
            return DeliveryError(said, permanent=False, retry_after=settle)
        return DeliveryError(said, permanent=True)

    def _safe(self, said: str) -> str:
        for secret in self._access.secrets:
            said = said.replace(secret, "***") if secret else said
        return said

    def _safe_error(self, error: DeliveryError) -> DeliveryError:
        error.args = (self._safe(str(error)),)
        return error


def asked_wait(headers: Mapping[str, str]) -> int | None:
    """How long (ms) an answer asks to be left alone; its own `Date` is the present."""
    now = answered_at(headers)
    return parse_retry_after(headers.get("Retry-After", ""), now or 0)


def answered_at(headers: Mapping[str, str]) -> int | None:
    """When (ms) an answer was given, by the tracker's clock; None where it does not say so."""
    try:
        return int(parsedate_to_datetime(headers.get("Date", "")).timestamp() * 1000)
    except (ValueError, OverflowError, TypeError):
        return None


def told(thing: Any, *path: str) -> str:
    """The text or number at a path of names in a JSON value; empty where there is none."""
    found = _at(thing, path)
    if isinstance(found, bool) or not isinstance(found, (str, int, float)):
        return ""
    return str(found)


def told_number(thing: Any, *path: str) -> int:
    """The whole number at a path; 0 where there is none."""
    found = _at(thing, path)
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def told_list(thing: Any, *path: str) -> list[Any]:
    """The array at a path; empty where there is none."""
    found = _at(thing, path)
    return found if isinstance(found, list) else []


def listed(thing: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The JSON objects of an array that an object may have under a name."""
    found = thing.get(name)
    each = found if isinstance(found, list) else []
    return [item for item in each if isinstance(item, dict)]


def told_at(thing: Any, *path: str) -> int:
    """The time (ms) at a path, written by ISO 8601 with its zone; 0 where there is none."""
    try:
        at = datetime.fromisoformat(told(thing, *path))
        return round(at.timestamp() * 1000) if at.tzinfo is not None else 0
    except (ValueError, OverflowError):
        return 0


def sure_at(thing: Any, *path: str) -> int:
    """As `told_at`, where a list is read by its times. Raises DeliveryError where there is none."""
    at = told_at(thing, *path)
    if not at:
        raise strange(f"the answer's {_name(path)} is not a time")
    return at


def _at(thing: Any, path: Sequence[str]) -> Any:
    for name in path:
        thing = thing.get(name) if isinstance(thing, dict) else None
    return thing


def utc_stamp(at: int) -> str:
    """A time (ms) as trackers are asked with it: in UTC, whole seconds, never later than it is."""
    return f"{datetime.fromtimestamp(max(0, at) // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


async def _once(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Send a request once: aiohttp would send a PUT whose answer is lost again by itself.

    For it, any PUT may be repeated. One that adds a remark may not.
    """
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
        raise aiohttp.ClientConnectionError(str(error)) from error


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > _ANSWER_BYTES:
            answer.close()
            raise strange(f"an answer of more than {_ANSWER_BYTES >> 20} MiB")
    return bytes(body)


def _parsed(content: bytes) -> tuple[Any, bool]:
    """The JSON of a body, and whether it is any; else its text."""
    if not content.strip():
        return None, True
    # Request Tracker, say, has answers that are not in UTF-8, whatever their header says.
    text = content.decode("utf-8-sig", "replace")
    try:
        return json.loads(text), True
    except (ValueError, RecursionError):
        return text, False


def _text(document: Any) -> str:
    if document is None:
        return ""
    return document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)


def _name(path: Sequence[str]) -> str:
    return ".".join(path) or "body"


def strange(said: str) -> DeliveryError:
    """An answer that is none of this tracker's: something else sits at its address."""
    return DeliveryError(said, permanent=False, whole_queue=True)
