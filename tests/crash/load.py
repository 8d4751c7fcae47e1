"""Senders that send again until they are answered, faults that come and go, and who hears of it."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import loads
from typing import Self

import numpy as np

from crash.lives import Lives
from crash.truth import METRIC, SERIES, Sent, bits_of, floats
from forewarn_wire import Event, Severity, labels_from
from forewarn_wire.otlp import encode_logs
from forewarn_wire.remote_write import Series, encode_write_request
from support.writing import snappy

WRITE = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
LOGS = {"Content-Type": "application/x-protobuf"}
_RETRY_SECONDS = 0.01
_TICKS_OF_HOST = 100


def now() -> int:
    """The time in ms."""
    return time.time_ns() // 1_000_000


@dataclass
class Post:
    """One connection to whichever collector lives. `refused` counts answers that are no 2xx."""

    lives: Lives
    ended: threading.Event
    refused: Counter[int] = field(default_factory=Counter)
    reasons: list[str] = field(default_factory=list)
    connection: http.client.HTTPConnection | None = None
    port: int | None = None

    def until_taken(self, path: str, body: bytes, headers: dict[str, str]) -> bool:
        """Send until it is acknowledged; False when the test ends before."""
        while not self.ended.is_set():
            port = self.lives.port(0.05)
            if port is None:
                continue
            if self.once(port, path, body, headers):
                return True
            self.ended.wait(_RETRY_SECONDS)
        return False

    def once(self, port: int, path: str, body: bytes, headers: dict[str, str]) -> bool:
        """Send once; whether it is acknowledged."""
        if self.connection is None or self.port != port:
            self.close()
            self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            self.port = port
        try:
            self.connection.request("POST", path, body, headers)
            answer = self.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return False
        if 200 <= answer.status < 300:
            return True
        self.refused[answer.status] += 1
        self.reasons.append(text.decode("utf-8", "replace"))
        return False

    def close(self) -> None:
        """Give the connection up."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Sender(threading.Thread):
    """Sends ticks of all its series, some of them late, and events where it is not far behind."""

    def __init__(
        self,
        number: int,
        lives: Lives,
        ended: threading.Event,
        seed: int,
        pause: float,
        behind: int = 0,
        stride: int = 0,
    ) -> None:
        """Every `pause` seconds a tick, of a time that is `behind` (ms).

        With those that are behind, hosts come and go. With a `stride` (ms), the times are the
        multiples of that from then on.
        """
        super().__init__(name=f"sender-{number}")
        self.sent = Sent(number)
        self.events: set[str] = set()
        self.event_times: dict[str, int] = {}
        self.post = Post(lives, ended)
        self._number = number
        self._ended = ended
        self._random = random.Random(seed * 100 + number)
        self._pause = pause
        self._behind = behind
        self._stride = stride
        self._start = now() - behind
        self._instance = ""
        self._series: list[Series] = []
        self._labels = labels_from({"instance": f"host{number}", "job": "crash"})

    def run(self) -> None:
        """Send until the test ends."""
        late: list[tuple[int, bytes]] = []
        number, last = 0, 0
        while not self._ended.is_set():
            number += 1
            last = self._time(number, last)
            tick = number, self._body(number, last)
            self.sent.about_to_send(number, last)
            if self._random.random() < 0.1:
                late.append(tick)
            else:
                self._send(*tick)
            if late and self._random.random() < 0.2:
                self._send(*late.pop(self._random.randrange(len(late))))
            if number % 5 == 0 and not self._behind:
                self._send_event(number, last)
            self._ended.wait(self._pause)
        self.post.close()

    def _time(self, number: int, last: int) -> int:
        if self._stride:
            return (self._start // self._stride + number) * self._stride
        return max(now() - self._behind, last + 1)

    def _series_of(self, instance: str) -> list[Series]:
        if instance != self._instance:
            self._instance = instance
            names = {"__name__": METRIC, "instance": instance, "sender": str(self._number)}
            self._series = [
                Series(labels_from({**names, "series": str(row)})) for row in range(SERIES)
            ]
        return self._series

    def _body(self, number: int, at: int) -> bytes:
        part = number // _TICKS_OF_HOST if self._behind else 0
        series = self._series_of(f"host{self._number}-{part}")
        ticks = np.array([number], dtype=np.int64)
        values = [floats(bits_of(self._number, row, ticks))[0] for row in range(SERIES)]
        return snappy(encode_write_request(list(zip(series, values, strict=True)), at))

    def _send(self, number: int, body: bytes) -> None:
        if self.post.until_taken("/api/v1/write", body, WRITE):
            self.sent.answered(number)

    def _send_event(self, number: int, at: int) -> None:
        uid = f"{self._number}-{number}"
        event = Event(at, "crash", Severity.ERROR, self._labels, f"tick {number}", uid)
        self.event_times[uid] = at
        if self.post.until_taken("/v1/logs", encode_logs([event]), LOGS):
            self.events.add(uid)


@dataclass
class Desk:
    """A webhook's receiver: of each delivery's id what it was for, and how often it came."""

    url: str = ""
    deliveries: dict[str, tuple[str, str]] = field(default_factory=dict)
    came: Counter[str] = field(default_factory=Counter)
    change: threading.Condition = field(default_factory=threading.Condition)

    def take(self, body: bytes) -> None:
        """Note a delivery."""
        document = loads(body)
        instance = dict(document["task"]["labels"])["instance"]
        with self.change:
            self.deliveries[document["id"]] = instance, document["action"]
            self.came[document["id"]] += 1
            self.change.notify_all()

    def has(self, instance: str, action: str) -> bool:
        """Whether such a delivery came."""
        with self.change:
            return (instance, action) in self.deliveries.values()

    def ids(self) -> Counter[tuple[str, str]]:
        """How many deliveries there were of each kind for each fault, repetitions aside."""
        with self.change:
            return Counter(self.deliveries.values())


class DeskServer:
    """The receiver on a loopback port, from `start` to `stop`."""

    def __init__(self) -> None:
        self.desk = Desk()
        desk = self.desk

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                desk.take(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.desk.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Desk:
        self._thread.start()
        return self.desk

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Faults(threading.Thread):
    """One fault after the other, each of an instance of its own.

    A fault lasts until its task is delivered, then its end until that is; `finish` begins no more.
    """

    def __init__(self, lane: int, lives: Lives, desk: Desk, ended: threading.Event) -> None:
        super().__init__(name=f"faults-{lane}")
        self._lane = lane
        self._desk = desk
        self._ended = ended
        self._finish = threading.Event()
        self._post = Post(lives, ended)
        self.began: dict[str, int] = {}
        self.over: list[str] = []

    def finish(self) -> None:
        """Begin no more faults."""
        self._finish.set()

    def run(self) -> None:
        """Send until told to finish, or the test ends."""
        number = 0
        while not self._finish.is_set() and not self._ended.is_set():
            number += 1
            instance = f"fault{self._lane}-{number}"
            labels = {"__name__": "crash_fault", "instance": instance, "job": "crash"}
            series = Series(labels_from(labels))
            self._send_until(series, 1.0, instance, "open")
            self._send_until(series, 0.0, instance, "resolve")
            if self._desk.has(instance, "resolve"):
                self.over.append(instance)
        self._post.close()

    def _send_until(self, series: Series, value: float, instance: str, action: str) -> None:
        while not self._ended.is_set() and not self._desk.has(instance, action):
            body = snappy(encode_write_request([(series, value)], now()))
            if self._post.until_taken("/api/v1/write", body, WRITE):
                self.began.setdefault(instance, now())
            self._ended.wait(0.1)


class Load:
    """Senders, one for each of `behind` (and its stride, ms), and lanes of faults.

    All of it goes on as long as the block.
    """

    def __init__(
        self,
        lives: Lives,
        desk: Desk,
        behind: Sequence[tuple[int, int]] = ((0, 0), (0, 0)),
        *,
        lanes: int = 1,
        seed: int = 1,
        pause: float = 0.05,
    ) -> None:
        self._ended = threading.Event()
        self.senders = [
            Sender(number, lives, self._ended, seed, pause, *each)
            for number, each in enumerate(behind)
        ]
        self.lanes = [Faults(lane, lives, desk, self._ended) for lane in range(lanes)]

    @property
    def over(self) -> list[str]:
        """The faults that came to their end."""
        return [instance for lane in self.lanes for instance in lane.over]

    def finish(self, seconds: float) -> None:
        """Begin no more faults, and wait until those that are have come to their end."""
        for lane in self.lanes:
            lane.finish()
        for lane in self.lanes:
            lane.join(seconds)

    def __enter__(self) -> Self:
        for thread in (*self.senders, *self.lanes):
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in (*self.senders, *self.lanes):
            thread.join(10)
