"""A fleet of agents, each with 500 series every 15 seconds, as it arrives at one collector."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass, field

import cramjam
import numpy as np
from numpy.typing import NDArray

from bench.ingest_bodies import KINDS, Shape, bodies
from bench.ingest_load import Answers, Sender
from bench.process_cost import cost

SERIES, INTERVAL = 500, 15.0
_CONNECTIONS = 16
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


@dataclass
class _Run:
    """What the connections share: the next agent to send, and how far behind they are."""

    agents: int
    began: float
    ends: float
    turns: itertools.count[int] = field(default_factory=itertools.count)
    sent: int = 0
    lag: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, lag: float) -> None:
        """Count a body and how late it was answered (s)."""
        with self.lock:
            self.sent += 1
            self.lag = lag


def fleet(port: int, token: str, pid: int, agents: int, seconds: float) -> None:
    """Replay it for a while and print what the collector took and needed."""
    template = _Template()
    noted = Answers()
    began = time.monotonic()
    run = _Run(agents, began, began + seconds)
    threads = [
        threading.Thread(target=_send, args=(Sender(port, token, 1, noted), template, run))
        for _ in range(_CONNECTIONS)
    ]
    print(f"{agents:,} agents x {SERIES} series every {INTERVAL:.0f} s:", end=" ")
    print(f"{agents * SERIES / INTERVAL:,.0f} samples/s wanted", flush=True)
    for thread in threads:
        thread.start()
    before, sent, since = cost(pid).cpu, 0, began
    while any(thread.is_alive() for thread in threads):
        time.sleep(min(INTERVAL, seconds))
        now, spent = time.monotonic(), cost(pid)
        samples = (run.sent - sent) * SERIES
        print(
            f"{now - began:6.0f} s: {samples / (now - since):9,.0f} samples/s,"
            f" {(spent.cpu - before) / (now - since):5.2f} cores,"
            f" {(spent.cpu - before) / max(samples, 1) * 1e6:5.2f} CPU s per million,"
            f" {run.lag:6.1f} s behind, {spent.rss / 2**20:6,.0f} MiB, answers {noted.counts}",
            flush=True,
        )
        before, sent, since = spent.cpu, run.sent, now
    if noted.refusal:
        print(f"the first refusal: {noted.refusal[:200]}")


def _send(sender: Sender, template: _Template, run: _Run) -> None:
    rng = np.random.default_rng()
    values = np.round(rng.random(SERIES) * 1000, 2)
    while True:
        turn = next(run.turns)
        due = run.began + turn * INTERVAL / run.agents
        if due >= run.ends or time.monotonic() >= run.ends:
            break
        time.sleep(max(0.0, due - time.monotonic()))
        values = values + 0.01
        sender.send(template.body(turn % run.agents, values, int(time.time() * 1000)))
        run.note(time.monotonic() - due)
    sender.close()


def _places(message: bytes, wanted: bytes) -> list[int]:
    found = []
    place = message.find(wanted)
    while place >= 0:
        found.append(place)
        place = message.find(wanted, place + 1)
    return found
