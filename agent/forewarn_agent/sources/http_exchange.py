"""One HTTP/1.1 request and its answer, phase by phase, before one deadline.

The standard library's http.client loads the TLS and e-mail packages (7 MB), and gives each read
a time-out of its own, so that a server which drips holds it for ever; hence this small client.
Source: RFC 9110, RFC 9112. It blocks; call it in a thread.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

_MAX_HEAD = 64 * 2**10
_MAX_BODY = 2**20
_CHUNK = 64 * 2**10
PHASES = ("resolve", "connect", "tls", "processing", "transfer")


class Failure(StrEnum):
    """Why a check failed."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    REDIRECTS = "redirects"
    STATUS = "status"
    TEXT = "text"


class ExchangeError(Exception):
    """No whole answer came."""

    def __init__(self, failure: Failure, message: str) -> None:
        super().__init__(message)
        self.failure = failure


@dataclass(slots=True)
class Answer:
    """What came back. `length` is that of Content-Length, or -1; `body` at most 1 MiB of it.

    `expiry` is the end of the server's certificate, seconds since epoch, or None without TLS.
    """

    status: int = 0
    version: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    length: int = -1
    body: bytes = b""
    expiry: float | None = None


@dataclass(slots=True)
class Timings:
    """Seconds by phase, summed over the requests of one check."""

    deadline: float
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, 0.0))
    ip_protocol: int = 0
    _since: float = field(default_factory=time.monotonic)

    def lap(self, phase: str) -> None:
        """Count the time since the last lap to a phase."""
        now = time.monotonic()
        self.seconds[phase] += now - self._since
        self._since = now

    def remaining(self) -> float:
        """Seconds to the deadline (monotonic). Raises ExchangeError when it has passed."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise ExchangeError(Failure.TIMEOUT, "no whole answer in time")
        return left


def exchange(
    host: str,
    port: int,
    tls: ssl.SSLContext | None,
    request: bytes,
    timings: Timings,
    answer: Answer,
) -> None:
    """Send a request on a new connection and fill in the answer as it comes.

    Raises ExchangeError; what had come by then stands in `answer`.
    """
    connection = _connect(host, port, timings)
    try:
        if tls is not None:
            connection = _secure(connection, host, tls, answer, timings)
        try:
            connection.settimeout(timings.remaining())
            connection.sendall(request)
            _Reader(connection, timings).read_answer(answer, is_head=request.startswith(b"HEAD "))
        except TimeoutError as error:
            raise ExchangeError(Failure.TIMEOUT, "no whole answer in time") from error
        except OSError as error:
            raise ExchangeError(Failure.PROTOCOL, f"the connection broke: {error}") from error
        finally:
            timings.lap("transfer" if answer.status else "processing")
    finally:
        connection.close()


def _connect(host: str, port: int, timings: Timings) -> socket.socket:
    try:
        # As bytes: for text, Python loads its tables of international names first.
        name = host.encode("ascii") if host.isascii() else host
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ExchangeError(Failure.RESOLVE, f"{host} is not found: {error}") from error
    finally:
        timings.lap("resolve")
    last: OSError | None = None
    for family, kind, protocol, _, address in found:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(timings.remaining())
            connection.connect(address)
        except OSError as error:
            connection.close()
            last = error
        except ExchangeError:
            connection.close()
            raise
        else:
            timings.ip_protocol = 6 if family == socket.AF_INET6 else 4
            return connection
        finally:
            timings.lap("connect")
    if isinstance(last, TimeoutError):
        raise ExchangeError(Failure.TIMEOUT, f"{host}:{port} does not answer") from last
    raise ExchangeError(Failure.CONNECT, f"{host}:{port} refuses: {last}") from last


def _secure(
    connection: socket.socket, host: str, tls: ssl.SSLContext, answer: Answer, timings: Timings
) -> socket.socket:
    import ssl  # loaded by whoever made the context

    try:
        connection.settimeout(timings.remaining())
        secured = tls.wrap_socket(connection, server_hostname=host)
    except TimeoutError as error:
        raise ExchangeError(Failure.TIMEOUT, "the TLS handshake took too long") from error
    except OSError as error:
        raise ExchangeError(Failure.TLS, f"no trusted TLS connection: {error}") from error
    finally:
        timings.lap("tls")
    certificate = secured.getpeercert() or {}
    until = certificate.get("notAfter")
    # Of the server's own certificate: Python 3.11 does not show the rest of the chain.
    answer.expiry = ssl.cert_time_to_seconds(until) if isinstance(until, str) else None
    return secured


class _Reader:
    def __init__(self, connection: socket.socket, timings: Timings) -> None:
        self._connection = connection
        self._timings = timings
        self._data = b""

    def read_answer(self, answer: Answer, *, is_head: bool) -> None:
        while True:
            status = self._read_head(answer)
            # Interim answers, such as 103 Early Hints, come before the real one.
            if not 100 <= status < 200:
                break
        answer.status = status
        self._timings.lap("processing")
        headers = answer.headers
        length = headers.get("content-length", "")
        answer.length = int(length) if length.isascii() and length.isdigit() else -1
        if is_head or status in {204, 304}:
            return
        if "chunked" in headers.get("transfer-encoding", "").lower():
            answer.length = -1
            answer.body = b"".join(self._chunks())[:_MAX_BODY]
        elif answer.length >= 0:
            answer.body = self._take(min(answer.length, _MAX_BODY))
        else:
            answer.body = self._rest()

    def _read_head(self, answer: Answer) -> int:
        head, found, self._data = self._until(b"\r\n\r\n").partition(b"\r\n\r\n")
        if not found:
            raise ExchangeError(Failure.PROTOCOL, "the connection closed before an answer came")
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(None, 2)
        is_http = len(words) >= 2 and words[0] in {"HTTP/1.0", "HTTP/1.1"}
        if not is_http or not (words[1].isascii() and words[1].isdigit()):
            raise ExchangeError(Failure.PROTOCOL, f"not an HTTP answer: {lines[0][:60]!r}")
        answer.version = float(words[0][5:])
        pairs = (line.partition(":") for line in lines[1:])
        answer.headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        return int(words[1])

    def _until(self, end: bytes) -> bytes:
        while end not in self._data:
            if len(self._data) > _MAX_HEAD:
                raise ExchangeError(Failure.PROTOCOL, "the head of the answer is over 64 KiB")
            more = self._receive()
            if not more:
                break
            self._data += more
        return self._data

    def _take(self, size: int) -> bytes:
        parts = [self._data]
        held = len(self._data)
        while held < size:
            more = self._receive()
            if not more:
                raise ExchangeError(Failure.PROTOCOL, "the answer ended in its middle")
            parts.append(more)
            held += len(more)
        data = b"".join(parts)
        self._data = data[size:]
        return data[:size]

    def _rest(self) -> bytes:
        parts = [self._data]
        held = len(self._data)
        while held < _MAX_BODY and (more := self._receive()):
            parts.append(more)
            held += len(more)
        return b"".join(parts)[:_MAX_BODY]

    def _chunks(self) -> Iterable[bytes]:
        held = 0
        while held < _MAX_BODY:
            line, found, self._data = self._until(b"\r\n").partition(b"\r\n")
            try:
                size = int(line.partition(b";")[0], 16)
            except ValueError:
                size = -1
            if not found or size < 0:
                raise ExchangeError(Failure.PROTOCOL, "the answer's chunks are broken")
            if size == 0:
                return
            chunk = self._take(min(size, _MAX_BODY))
            yield chunk
            held += len(chunk)
            if self._take(2) != b"\r\n" and held < _MAX_BODY:
                raise ExchangeError(Failure.PROTOCOL, "the answer's chunks are broken")

    def _receive(self) -> bytes:
        self._connection.settimeout(self._timings.remaining())
        return self._connection.recv(_CHUNK)
