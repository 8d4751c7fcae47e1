"""Calls to a server that signals are read from, over one kept connection. Redirects are refused,
since they would carry the credentials elsewhere."""

from __future__ import annotations

import http.client
import ssl
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from forewarn_collector.history.errors import AccessError, HistoryError

_TIMEOUT = 130.0
"""Seconds: a little more than Prometheus lets a query take."""
_LONGEST_ANSWER = 600.0
"""Seconds in which an answer that has begun must end."""
_LARGEST_ANSWER = 2**30
_PIECE = 2**20
_TOO_LARGE = 413
"""HTTP's status of a body that is too large: of the server's answer here, as of a request."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body."""

    status: int
    body: bytes

    @property
    def text(self) -> str:
        """The beginning of the body, for people."""
        return self.body[:500].decode("utf-8", "replace").strip()


class Server:
    """A server at `url`, which may have a path; `authorization` is that header, if any."""

    def __init__(self, url: str, authorization: str = "", ca_file: Path | None = None) -> None:
        try:
            parts = urllib.parse.urlsplit(url)
            port = parts.port
            (parts.hostname or "").encode("idna")
        except ValueError as error:
            raise HistoryError(f"{url} is no address: {error}") from error
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise HistoryError(f"{url} is no http:// or https:// address")
        if parts.username is not None:
            raise HistoryError("a password in the address is seen by others; use --password-file")
        self.url = url.rstrip("/")
        self._path = parts.path.rstrip("/")
        self._headers = {"Authorization": authorization} if authorization else {}
        try:
            context = ssl.create_default_context(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise HistoryError(f"cannot use the CA file {ca_file}: {error}") from error
        self._connection: http.client.HTTPConnection
        if parts.scheme == "https":
            self._connection = http.client.HTTPSConnection(
                parts.hostname, port, timeout=_TIMEOUT, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(parts.hostname, port, timeout=_TIMEOUT)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def get(self, path: str) -> Answer:
        """GET a path."""
        return self._call("GET", path, None, {})

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """POST a body to a path."""
        return self._call("POST", path, body, headers)

    def form(self, path: str, **fields: str) -> Answer:
        """POST a form to a path."""
        body = urllib.parse.urlencode(fields).encode()
        return self.post(path, body, {"Content-Type": "application/x-www-form-urlencoded"})

    def _call(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        for again in (True, False):
            try:
                self._connection.request(
                    method, self._path + path, body, {**self._headers, **headers}
                )
                response = self._connection.getresponse()
                answer = self._read(response)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
                # The server has closed a connection that was idle for too long.
                self._connection.close()
                if not again:
                    raise self._failure(error) from error
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                raise self._failure(error) from error
            else:
                self._check(answer, response)
                return answer
        raise AssertionError("the second attempt answers or raises")

    def _read(self, response: http.client.HTTPResponse) -> Answer:
        """The answer, or what stands for one that is too large to be taken in."""
        parts: list[bytes] = []
        room, began = _LARGEST_ANSWER, monotonic()
        while piece := response.read1(_PIECE):
            parts.append(piece)
            room -= len(piece)
            if room < 0:
                self._connection.close()
                text = f"the answer has more than {_LARGEST_ANSWER >> 20} MiB"
                return Answer(_TOO_LARGE, text.encode())
            if monotonic() - began > _LONGEST_ANSWER:
                self._connection.close()
                raise HistoryError(
                    f"an answer of {self.url} did not end within {_LONGEST_ANSWER:g} seconds"
                )
        # `read1` leaves it open, and an open one keeps the connection from the next request.
        response.close()
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        return Answer(response.status, b"".join(parts))

    def _check(self, answer: Answer, response: http.client.HTTPResponse) -> None:
        if answer.status in {401, 403}:
            raise AccessError(
                f"{self.url} refuses access ({answer.status}): {answer.text}\n"
                "give a token by --token-file, or --user and --password-file"
            )
        if 300 <= answer.status < 400:
            where = response.getheader("Location", "elsewhere")
            raise HistoryError(f"{self.url} points to {where}; name that address by --url")

    def _failure(self, error: Exception) -> HistoryError:
        if isinstance(error, ssl.SSLError):
            return HistoryError(
                f"{self.url} can't be trusted: {error}; --ca-file names its authority"
            )
        if isinstance(error, TimeoutError):
            return HistoryError(f"{self.url} did not answer within {_TIMEOUT:g} seconds")
        return HistoryError(f"nothing answers at {self.url}: {error}; does the server run?")
