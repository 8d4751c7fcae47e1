"""POST over one kept HTTP/1.1 connection, with a deadline for every request.

The standard library's http.client loads the TLS and e-mail packages (7 MB), which is why this
small client exists; TLS is loaded when an https address is configured. Redirects are answers like
any other: a token must not follow one. Source: RFC 9110, RFC 9112.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import ssl

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-fA-F:.%]+\]|[^\s/:?#@\[\]]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[^\s?#]*)?"
)
_MAX_HEAD = 64 * 2**10
_MAX_BODY = 2**20


class TransportError(OSError):
    """No answer that can be understood came; trying again may help."""


class Address(NamedTuple):
    """Where the collector is. `path` has no slash at its end."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port as in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether what is sent there stays on this machine."""
        return self.host in {"localhost", "::1"} or self.host.startswith("127.")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def parse_address(url: str) -> Address:
    """Read a collector's address. Raises ValueError that shows the notation."""
    match = _URL.fullmatch(url)
    port = int(match["port"] or (443 if match["scheme"] == "https" else 80)) if match else 0
    if match is None or not 0 < port < 65_536:
        raise ValueError(f"not an address: {url!r}; write it as http://host:9815 or https://host")
    return Address(
        match["scheme"], match["host"].strip("[]"), port, (match["path"] or "").rstrip("/")
    )


class Answer(NamedTuple):
    """An HTTP answer; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """One connection, made when it is needed and kept as long as the peer keeps it."""

    def __init__(self, address: Address, *, timeout: float, ca_file: str = "") -> None:
        """`timeout` in seconds is for a whole request; `ca_file` empty: the system's."""
        self._address = address
        self._timeout = timeout
        self._ca_file = ca_file
        self._socket: socket.socket | None = None
        self._tls: ssl.SSLContext | None = None
        self._buffer = b""

    def post(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a request and read its answer. Raises OSError (TransportError is one)."""
        lines = [f"POST {self._address.path}{path} HTTP/1.1", f"Host: {self._address.authority}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines.append(f"Content-Length: {len(body)}\r\n\r\n")
        request = "\r\n".join(lines).encode("latin-1") + body
        deadline = time.monotonic() + self._timeout
        kept = self._socket is not None
        try:
            return self._exchange(request, deadline)
        except (ConnectionError, _ClosedError):
            self.close()
            if not kept:
                raise
            # A kept connection may have been closed by the peer meanwhile. What we send is
            # idempotent, so one more attempt is safe.
            return self._exchange_or_close(request, deadline)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next request makes a new one."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
            self._socket = None
        self._buffer = b""

    def abort(self) -> None:
        """From another thread: end a request that is under way."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _exchange_or_close(self, request: bytes, deadline: float) -> Answer:
        try:
            return self._exchange(request, deadline)
        except BaseException:
            self.close()
            raise

    def _exchange(self, request: bytes, deadline: float) -> Answer:
        if self._socket is None:
            self._socket = self._connect(deadline)
        self._socket.settimeout(_left(deadline))
        self._socket.sendall(request)
        answer = self._read_answer(deadline)
        while 100 <= answer.status < 200:
            answer = self._read_answer(deadline)
        return answer

    def _connect(self, deadline: float) -> socket.socket:
        # ASCII as bytes: for text the socket module loads the codec of international names.
        name = self._address.host
        host: Any = name.encode() if name.isascii() else name  # typeshed knows of text only
        plain = socket.create_connection((host, self._address.port), timeout=_left(deadline))
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._address.scheme == "http":
                return plain
            import ssl

            if self._tls is None:
                self._tls = ssl.create_default_context(cafile=self._ca_file or None)
            return self._tls.wrap_socket(plain, server_hostname=self._address.host)
        except BaseException:
            plain.close()
            raise

    def _read_answer(self, deadline: float) -> Answer:
        head = self._read_until(b"\r\n\r\n", deadline)
        status_line, *lines = head.decode("latin-1").split("\r\n")
        parts = status_line.split(" ", 2)
        if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not parts[1].isdigit():
            raise TransportError(f"not an HTTP answer: {status_line[:80]!r}")
        status = int(parts[1])
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        keep = headers.get("connection", "").lower() != "close" and parts[0] != "HTTP/1.0"
        if 100 <= status < 200 or status in {204, 304}:
            body = b""
        elif "chunked" in headers.get("transfer-encoding", "").lower():
            body = self._read_chunks(deadline)
        elif "content-length" in headers:
            body = self._read_exactly(_size(headers["content-length"], 10), deadline)
        else:
            body, keep = self._read_to_end(deadline), False
        if not keep:
            self.close()
        return Answer(status, headers, body)

    def _read_chunks(self, deadline: float) -> bytes:
        chunks: list[bytes] = []
        total = 0
        while True:
            line = self._read_until(b"\r\n", deadline).split(b";")[0].decode("latin-1")
            size = _size(line.strip(), 16)
            total += size
            if total > _MAX_BODY:
                raise TransportError("the answer is too long")
            if size == 0:
                while self._read_until(b"\r\n", deadline):
                    pass
                return b"".join(chunks)
            chunks.append(self._read_exactly(size, deadline))
            self._read_exactly(2, deadline)

    def _read_until(self, end: bytes, deadline: float) -> bytes:
        while end not in self._buffer:
            if len(self._buffer) > _MAX_HEAD:
                raise TransportError("the answer's head is too long")
            self._receive(deadline)
        found, _, self._buffer = self._buffer.partition(end)
        return found

    def _read_exactly(self, size: int, deadline: float) -> bytes:
        while len(self._buffer) < size:
            self._receive(deadline)
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _read_to_end(self, deadline: float) -> bytes:
        with suppress(_ClosedError):
            while len(self._buffer) <= _MAX_BODY:
                self._receive(deadline)
            raise TransportError("the answer is too long")
        found, self._buffer = self._buffer, b""
        return found

    def _receive(self, deadline: float) -> None:
        assert self._socket is not None  # noqa: S101 - tells the type checker who calls this
        self._socket.settimeout(_left(deadline))
        data = self._socket.recv(65_536)
        if not data:
            raise _ClosedError
        self._buffer += data


class _ClosedError(TransportError):
    """The peer closed the connection."""

    def __init__(self) -> None:
        super().__init__("the peer closed the connection before its answer was complete")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TransportError("no answer in time")
    return left


def _size(text: str, base: int) -> int:
    try:
        size = int(text, base)
    except ValueError:
        size = -1
    if not 0 <= size <= _MAX_BODY:
        raise TransportError(f"the answer's length {text[:20]!r} is out of range")
    return size
