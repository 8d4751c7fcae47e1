"""Make one HTTP check: follow redirects, then judge the answer. It blocks; call it in a thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from forewarn_agent import __version__
from forewarn_agent.settings import HttpCheck
from forewarn_agent.sources.http_exchange import (
    PHASES,
    Answer,
    ExchangeError,
    Failure,
    Timings,
    exchange,
)

if TYPE_CHECKING:
    import ssl

_MAX_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}
_UNRESERVED = "!$%&'()*+,;=:@/?~"

TlsContexts = Callable[[str], "ssl.SSLContext"]
"""Gives the TLS context for a file of certificates; "" means the system's."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check found. Times in seconds; `failure` None means success."""

    failure: Failure | None
    message: str
    duration: float
    phases: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, 0.0))
    status: int = 0
    version: float = 0.0
    length: int = 0
    body_length: int = 0
    redirects: int = 0
    is_tls: bool = False
    ip_protocol: int = 0
    expiry: float | None = None


def probe(check: HttpCheck, tls_contexts: TlsContexts) -> Outcome:
    """Make the check's request, within its time-out. Raises nothing that a server can cause."""
    begun = time.monotonic()
    timings = Timings(begun + check.timeout / 1000)
    walk = _Walk(check, tls_contexts, timings)
    try:
        walk.follow()
        failure, message = _judge(check, walk.answer)
    except ExchangeError as error:
        failure, message = error.failure, str(error)
    answer = walk.answer
    return Outcome(
        failure=failure,
        message=message,
        duration=time.monotonic() - begun,
        phases=timings.seconds,
        status=answer.status,
        version=answer.version,
        length=answer.length if answer.status else 0,
        body_length=len(answer.body),
        redirects=walk.redirects,
        is_tls=answer.expiry is not None,
        ip_protocol=timings.ip_protocol,
        expiry=answer.expiry,
    )


def _judge(check: HttpCheck, answer: Answer) -> tuple[Failure | None, str]:
    expected = check.expect_status
    if answer.status not in expected if expected else not 200 <= answer.status < 300:
        wanted = " or ".join(map(str, expected)) or "2xx"
        return Failure.STATUS, f"the answer's status is {answer.status}, not {wanted}"
    if check.expect_text and check.expect_text.encode() not in answer.body:
        return Failure.TEXT, f"the answer does not contain {check.expect_text!r}"
    return None, f"status {answer.status}"


class _Walk:
    """The way from the first address through its redirects."""

    def __init__(self, check: HttpCheck, tls_contexts: TlsContexts, timings: Timings) -> None:
        self._check = check
        self._tls_contexts = tls_contexts
        self._timings = timings
        self._method = check.method
        self.answer = Answer()
        self.redirects = 0

    def follow(self) -> None:
        """Ask until an answer is no redirect."""
        first = urlsplit(self._check.url)
        url = first
        while True:
            headers = self._check.headers if _origin(url) == _origin(first) else ()
            self.answer = Answer()
            self._ask(url, headers)
            target = self.answer.headers.get("location", "")
            is_redirect = self.answer.status in _REDIRECTS and target
            if not (is_redirect and self._check.follow_redirects):
                return
            if self.redirects == _MAX_REDIRECTS:
                raise ExchangeError(Failure.REDIRECTS, f"more than {_MAX_REDIRECTS} redirects")
            self.redirects += 1
            if self.answer.status in {301, 302, 303} and self._method != "HEAD":
                self._method = "GET"
            try:
                url = urlsplit(urljoin(url.geturl(), target))
                _origin(url)
            except (ValueError, KeyError) as error:
                message = f"a redirect to what is no address: {target[:200]!r}"
                raise ExchangeError(Failure.REDIRECTS, message) from error

    def _ask(self, url: SplitResult, headers: tuple[tuple[str, str], ...]) -> None:
        scheme, host, port = _origin(url)
        context = None
        if scheme == "https":
            try:
                context = self._tls_contexts(self._check.ca_file)
            except OSError as error:
                message = f"ca_file {self._check.ca_file} cannot be used: {error}"
                raise ExchangeError(Failure.TLS, message) from error
        path = quote(url.path or "/", _UNRESERVED)
        if url.query:
            path += "?" + quote(url.query, _UNRESERVED)
        lines = {
            "Host": f"[{host}]" if ":" in host else host,
            "User-Agent": f"forewarn-agent/{__version__}",
            "Accept": "*/*",
            **dict(headers),
            "Connection": "close",
        }
        if port != _PORTS[scheme] and "Host" not in dict(headers):
            lines["Host"] += f":{port}"
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        request = f"{self._method} {path} HTTP/1.1\r\n{text}\r\n".encode()
        exchange(host, port, context, request, self._timings, self.answer)


def _origin(url: SplitResult) -> tuple[str, str, int]:
    """Scheme, host and port. Raises KeyError or ValueError where a URL is of no HTTP server."""
    port = url.port or _PORTS[url.scheme]
    if not url.hostname:
        raise ValueError("no host")
    return url.scheme, url.hostname, port
