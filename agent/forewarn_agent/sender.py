"""From the spool to the collector: one thread, one kept connection, fresh data first.

Samples go as Prometheus remote write 1.0, events as OTLP logs. What is acknowledged is forgotten,
what the collector calls invalid is dropped and named, all else is kept and tried again after an
exponential back-off with full jitter, or when the answer's Retry-After says.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from forewarn_agent import __version__
from forewarn_agent.answers import rejected_logs, retry_after, server_time, split_write_request
from forewarn_agent.spool import EVENTS, Entry, Spool
from forewarn_agent.transport import Address, Answer, Connection
from forewarn_wire import otlp, remote_write
from forewarn_wire.clock import Clock

log = logging.getLogger(__name__)

EVENTS_AT_ONCE = 500
BACKOFF_BASE = 1.0
# Below three of the default intervals, so that a pause does not look like a lost host.
BACKOFF_CAP = 10.0
"""Seconds."""

_WRITE_HEADERS = {
    "Content-Type": remote_write.CONTENT_TYPE,
    "Content-Encoding": remote_write.CONTENT_ENCODING,
    "X-Prometheus-Remote-Write-Version": remote_write.VERSION,
}
_LOGS_HEADERS = {"Content-Type": otlp.CONTENT_TYPE}


class TokenError(ValueError):
    """There is no token to be had; the text says why, and never what the token is."""


class Target(NamedTuple):
    """Where to send, and as whom. `timeout` in seconds for one request."""

    address: Address
    token: str = ""
    token_file: str = ""
    ca_file: str = ""
    timeout: float = 10.0

    def read_token(self) -> str:
        """The token, read anew from its file if it has one. Raises TokenError."""
        token = self.token
        if self.token_file:
            try:
                with open(self.token_file, encoding="utf-8") as file:
                    token = file.read().strip()
            except OSError as error:
                why = f"{error.strerror}; check the path and who may read it"
                raise TokenError(f"cannot read the token file {self.token_file}: {why}") from error
            except UnicodeDecodeError as error:
                # Not its own text: that has the bytes.
                why = "it is not text"
                raise TokenError(f"cannot read the token file {self.token_file}: {why}") from error
        if not token.isascii() or not token.isprintable() or " " in token:
            where = f"token file {self.token_file}" if self.token_file else "setting token"
            raise TokenError(f"the {where} holds no token; a token is one word of ASCII")
        return token

    def __repr__(self) -> str:
        return f"Target({self.address})"


class SenderStats(NamedTuple):
    """What became of the requests so far. `clock_offset`: our clock less the collector's, s."""

    requests: int
    failures: int
    bytes: int
    clock_offset: float | None


class Sender:
    """Empties the spool. `wake` says that there is something new."""

    def __init__(self, spool: Spool, target: Target, clock: Clock) -> None:
        self._spool = spool
        self._target = target
        self._clock = clock
        self._connection = self._connect(target)
        self._condition = threading.Condition()
        self._work = True
        self._retry_at = 0.0
        self._failures_in_row = 0
        self._stop_at: float | None = None
        self._one_by_one = 0
        self._trouble = ""
        self._token: str | None = None
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self.stats = SenderStats(0, 0, 0, None)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Something was appended; it is sent at once unless a back-off is running."""
        with self._condition:
            self._work = True
            self._condition.notify()

    def retarget(self, target: Target) -> None:
        """Send to another place, or as someone else, from the next request on."""
        with self._condition:
            self._target = target
            self._token = None
            self._retry_at = 0.0
            self._work = True
            self._condition.notify()

    def stop(self, seconds: float) -> None:
        """Send what is there while the time lasts, then end."""
        with self._condition:
            self._stop_at = time.monotonic() + seconds
            self._retry_at = 0.0
            self._work = True
            self._condition.notify()
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._connection.abort()
            self._thread.join(1.0)

    def _run(self) -> None:
        target = self._target
        while self._wait():
            if target is not self._target:
                target = self._target
                self._connection.close()
                self._connection = self._connect(target)
            try:
                self._send_next(target)
            except Exception:  # the thread must live; what was not acknowledged stays
                log.exception("sending failed")
                self._back_off("an internal error", None)
        self._connection.close()

    def _wait(self) -> bool:
        """Until there is work and no back-off; whether to go on."""
        with self._condition:
            while True:
                if self._stop_at is not None:
                    # The last attempt: as long as there is time and the collector takes it.
                    failed = self._retry_at > 0
                    return self._work and not failed and time.monotonic() < self._stop_at
                left = self._retry_at - time.monotonic()
                if self._work and left <= 0:
                    return True
                self._condition.wait(left if self._work else None)

    def _send_next(self, target: Target) -> None:
        """Send one request, if there is something to send."""
        limit = 1 if self._one_by_one > 0 else EVENTS_AT_ONCE
        with self._condition:
            self._work = False  # before looking, so that what comes meanwhile is not missed
        entries = self._spool.next(limit)
        if not entries:
            return
        with self._condition:
            self._work = True  # there may be more
        is_events = entries[0].kind == EVENTS
        path, headers = (
            ("/v1/logs", _LOGS_HEADERS) if is_events else ("/api/v1/write", _WRITE_HEADERS)
        )
        body = b"".join(entry.body for entry in entries)
        try:
            if self._token is None:
                self._token = target.read_token()
            identity = {"Authorization": f"Bearer {self._token}"} if self._token else {}
            agent = {"User-Agent": f"forewarn-agent/{__version__}"}
            before = self._clock()
            answer = self._connection.post(path, {**headers, **agent, **identity}, body)
        except TokenError as error:
            self._back_off(str(error), None)
            return
        except (OSError, ValueError) as error:
            self._back_off(f"{type(error).__name__}: {error}", None)
            return
        self._note(answer, len(body), before)
        self._take(answer, entries)

    def _take(self, answer: Answer, entries: Sequence[Entry]) -> None:
        status = answer.status
        if 200 <= status < 300:
            self._accepted(answer, entries)
        elif status == 400 and len(entries) == 1:
            self._invalid(entries[0], _text(answer))
        elif status == 413 and len(entries) == 1:
            self._too_large(entries[0], _text(answer))
        elif status in {400, 413}:
            # One of several joined bodies is to blame: find it by sending them singly.
            self._one_by_one = len(entries)
        else:
            if status in {401, 403}:
                self._token = None  # its file may have been renewed
            self._back_off(_explain(status, _text(answer)), answer)

    def _accepted(self, answer: Answer, entries: Sequence[Entry]) -> None:
        self._spool.acknowledge(entries)
        self._one_by_one -= 1
        self._failures_in_row = 0
        self._retry_at = 0.0
        if self._trouble:
            log.info("the collector %s takes data again", self._target.address)
            self._trouble = ""
        if entries[0].kind == EVENTS:
            count, why = rejected_logs(answer.body)
            if count:
                self._spool.count_rejected(EVENTS, count)
                log.error("the collector rejected %d events as invalid: %s", count, why)

    def _invalid(self, entry: Entry, why: str) -> None:
        self._spool.reject([entry])
        self._one_by_one -= 1
        what = "events" if entry.kind == EVENTS else "samples"
        log.error(
            "the collector calls this invalid; dropped %d %s of time %d: %s",
            entry.signals, what, entry.time, why,
        )  # fmt: skip

    def _too_large(self, entry: Entry, why: str) -> None:
        parts = [] if entry.kind == EVENTS else split_write_request(entry.body)
        if len(parts) == 2:
            self._spool.replace(entry, parts)
        else:
            self._invalid(entry, why)

    def _back_off(self, why: str, answer: Answer | None) -> None:
        if why != self._trouble:
            self._trouble = why
            log.warning("cannot send to %s: %s; keeping the data", self._target.address, why)
        ceiling = min(BACKOFF_CAP, BACKOFF_BASE * 2.0 ** min(self._failures_in_row, 10))
        self._failures_in_row += 1
        delay = _uniform(0, ceiling)
        if answer is not None:
            delay = max(delay, retry_after(answer.headers, self._clock()))
        with self._condition:
            self._retry_at = time.monotonic() + delay
        self.stats = self.stats._replace(failures=self.stats.failures + 1)

    def _note(self, answer: Answer, size: int, before: int) -> None:
        offset = self.stats.clock_offset
        theirs = server_time(answer.headers)
        if theirs is not None:
            # The header has whole seconds, cut off: half a second is the best guess for the rest.
            offset = ((before + self._clock()) / 2 - (theirs + 500)) / 1000
        self.stats = self.stats._replace(
            requests=self.stats.requests + 1, bytes=self.stats.bytes + size, clock_offset=offset
        )

    @staticmethod
    def _connect(target: Target) -> Connection:
        return Connection(target.address, timeout=target.timeout, ca_file=target.ca_file)


def _text(answer: Answer) -> str:
    return " ".join(answer.body[:1000].decode("utf-8", "replace").split())[:500]


def _explain(status: int, text: str) -> str:
    hints = {
        401: "the token is missing or wrong; check token_file",
        403: "the token does not allow this; check token_file",
        404: "there is no collector at this address; check collector",
    }
    if 300 <= status < 400:
        hint = "redirects are not followed; configure the final address"
    else:
        hint = hints.get(status, text)
    return f"HTTP {status}: {hint}" if hint else f"HTTP {status}"


def _uniform(low: float, high: float) -> float:
    """A random number between two, without the memory that the module random takes."""
    return low + (high - low) * int.from_bytes(os.urandom(4), "big") / 2**32
