"""A fleet of agents, each with 500 series every 15 seconds, as it arrives at one collector.

Each has a connection of its own, sends its newest samples first, waits as it is told, gives up
after ten seconds, and comes again later with what it has kept meanwhile: as our agent does.
"""

from __future__ import annotations

import heapq
import random
import selectors
import socket
import time
from collections import Counter, deque

import cramjam
import numpy as np
from numpy.typing import NDArray

from bench.ingest_bodies import KINDS, Shape, bodies
from bench.ingest_load import HEADERS
from bench.process_cost import cost

SERIES, INTERVAL = 500, 15.0
_TIMEOUT, _LONGEST_PAUSE = 10.0, 10.0
_HOST = b"host-00000"
_VALUE_TO_TIME = 9


class _Template:
    """The body of one agent, into which another's name, values and time are written."""

    def __init__(self) -> None:
        body = next(bodies(KINDS[0], Shape(SERIES, 1), 0, 1_700_000_000_000, 1))
        self._message = bytes(cramjam.snappy.decompress_raw(body))
        names = [place + 5 for place in _places(self._message, _HOST)]
        self._names = np.array(names)[:, np.newaxis] + np.arange(5)
        values = [place + 3 for place in _places(self._message, b"\x12\x10\x09")]
        assert len(names) == len(values) == SERIES
        self._values = np.array(values)[:, np.newaxis] + np.arange(8)
        self._times = np.array(values)[:, np.newaxis] + _VALUE_TO_TIME + np.arange(6)

    def body(self, host: int, values: NDArray[np.float64], at: int) -> bytes:
        """Agent `host` with `values: float64[SERIES]` at a time (ms)."""
        message = np.frombuffer(bytearray(self._message), dtype=np.uint8)
        message[self._names] = np.frombuffer(f"{host:05}".encode(), dtype=np.uint8)
        message[self._values] = values.astype("<f8").view(np.uint8).reshape(SERIES, 8)
        digits = [at >> 7 * place & 0x7F | (0x80 if place < 5 else 0) for place in range(6)]
        message[self._times] = np.array(digits, dtype=np.uint8)
        return bytes(cramjam.snappy.compress_raw(message.tobytes()))


class _Agent:
    """One agent: what it has not sent yet, and the request that it waits for."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.pending: deque[int] = deque()
        self.newest_sent = 0
        self.failures = 0
        self.socket: socket.socket | None = None
        self.sending: int | None = None
        self.began = 0.0
        self.unsent = b""
        self.received = b""
        self.paused = False


class _Fleet:
    """All agents, by one selector and one heap of what is due when."""

    def __init__(self, port: int, token: str, count: int, began: float) -> None:
        self._address = ("127.0.0.1", port)
        self._head = (
            f"POST /api/v1/write HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: bench\r\n"
            f"Authorization: Bearer {token}\r\nContent-Encoding: snappy\r\n{HEADERS[1]}"
        )
        self._template = _Template()
        self._values = np.round(np.random.default_rng(0).random(SERIES) * 1000, 2)
        self._selector = selectors.DefaultSelector()
        self.agents = [_Agent(number) for number in range(count)]
        # When, what, of which agent, and of which of its requests.
        self._due: list[tuple[float, str, int, float]] = [
            (began + number * INTERVAL / count, "tick", number, 0.0) for number in range(count)
        ]
        self.answers: Counter[str] = Counter()
        self.waits: list[float] = []

    def run(self, until: float) -> None:
        """Go on until a time of `time.monotonic`."""
        while (now := time.monotonic()) < until:
            while self._due and self._due[0][0] <= now:
                at, what, number, mark = heapq.heappop(self._due)
                self._happen(at, what, self.agents[number], mark)
            wait = min(self._due[0][0], until) - time.monotonic()
            for key, _ in self._selector.select(max(wait, 0.0)):
                self._ready(key.data)

    def behind(self) -> tuple[int, int]:
        """How many agents have older samples than their last, and how many bodies these are."""
        late = [len(agent.pending) for agent in self.agents if len(agent.pending) > 1]
        return len(late), sum(late)

    def close(self) -> None:
        """Close all connections."""
        for agent in self.agents:
            self._hang_up(agent)

    def _happen(self, at: float, what: str, agent: _Agent, mark: float) -> None:
        if what == "tick":
            agent.pending.append(int(time.time() * 1000))
            heapq.heappush(self._due, (at + INTERVAL, "tick", agent.number, 0.0))
        elif what == "timeout":
            if agent.sending is not None and agent.began == mark:
                self._failed(agent, "no answer", 0.0)
            return
        else:
            agent.paused = False
        self._next(agent)

    def _next(self, agent: _Agent) -> None:
        if agent.sending is not None or agent.paused or not agent.pending:
            return
        newest = agent.pending[-1]
        agent.sending = newest if newest > agent.newest_sent else agent.pending[0]
        agent.began = time.monotonic()
        heapq.heappush(self._due, (agent.began + _TIMEOUT, "timeout", agent.number, agent.began))
        self._values += 0.01
        body = self._template.body(agent.number, self._values, agent.sending)
        agent.unsent = f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        agent.received = b""
        if agent.socket is None:
            agent.socket = socket.socket()
            agent.socket.setblocking(False)
            agent.socket.connect_ex(self._address)
            self._selector.register(agent.socket, selectors.EVENT_WRITE, agent)
        else:
            self._selector.modify(agent.socket, selectors.EVENT_WRITE, agent)

    def _ready(self, agent: _Agent) -> None:
        connection = agent.socket
        if connection is None:
            return
        try:
            if agent.unsent:
                agent.unsent = agent.unsent[connection.send(agent.unsent) :]
                if not agent.unsent:
                    self._selector.modify(connection, selectors.EVENT_READ, agent)
                return
            data = connection.recv(65_536)
        except OSError:
            data = b""
        if not data:
            if agent.sending is None:
                self._hang_up(agent)
            else:
                self._failed(agent, "disconnected", 0.0)
            return
        agent.received += data
        head, end, text = agent.received.partition(b"\r\n\r\n")
        fields = dict(
            line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:] if end
        )
        if end and len(text) >= int(fields.get("content-length", "0")):
            status = head.split(b" ", 2)[1].decode()
            if status[0] == "2":
                self._acknowledged(agent, status)
            else:
                self._failed(agent, status, float(fields.get("retry-after", "0")))

    def _acknowledged(self, agent: _Agent, status: str) -> None:
        assert agent.sending is not None
        self.answers[status] += 1
        self.waits.append(time.monotonic() - agent.began)
        agent.pending.remove(agent.sending)
        agent.newest_sent = max(agent.newest_sent, agent.sending)
        agent.failures = 0
        agent.sending = None
        self._next(agent)

    def _failed(self, agent: _Agent, why: str, told: float) -> None:
        self.answers[why] += 1
        if not told:
            self._hang_up(agent)
        agent.sending = None
        agent.paused = True
        pause = max(told, random.uniform(0, min(_LONGEST_PAUSE, 2.0**agent.failures)))
        agent.failures = min(agent.failures + 1, 10)
        heapq.heappush(self._due, (time.monotonic() + pause, "resume", agent.number, 0.0))

    def _hang_up(self, agent: _Agent) -> None:
        if agent.socket is not None:
            self._selector.unregister(agent.socket)
            agent.socket.close()
            agent.socket = None


def fleet(port: int, token: str, pid: int, agents: int, seconds: float) -> None:
    """Replay it for a while and print what the collector took and needed, interval by interval."""
    began = time.monotonic()
    run = _Fleet(port, token, agents, began)
    print(f"{agents:,} agents x {SERIES} series every {INTERVAL:.0f} s:", end=" ")
    print(f"{agents * SERIES / INTERVAL:,.0f} samples/s wanted", flush=True)
    before, since = cost(pid).cpu, began
    while since < began + seconds:
        run.answers.clear()
        run.waits.clear()
        run.run(since + min(INTERVAL, seconds))
        now, spent = time.monotonic(), cost(pid)
        taken = sum(count for status, count in run.answers.items() if status[0] == "2")
        late, bodies_late = run.behind()
        p50, p99 = np.percentile(run.waits, (50, 99)) if run.waits else (0.0, 0.0)
        print(
            f"{now - began:6.0f} s: {taken * SERIES / (now - since):9,.0f} samples/s,"
            f" {(spent.cpu - before) / (now - since):5.2f} cores,"
            f" {(spent.cpu - before) / max(taken * SERIES, 1) * 1e6:5.2f} CPU s per million,"
            f" answered in {p50 * 1000:,.0f} ms (p99 {p99 * 1000:,.0f}),"
            f" {late:,} agents behind by {bodies_late:,} bodies,"
            f" {spent.rss / 2**20:6,.0f} MiB, answers {dict(run.answers)}",
            flush=True,
        )
        before, since = spent.cpu, now
    run.close()


def _places(message: bytes, wanted: bytes) -> list[int]:
    found = []
    place = message.find(wanted)
    while place >= 0:
        found.append(place)
        place = message.find(wanted, place + 1)
    return found
