"""A real selector loop for sources, which keeps what they send instead of spooling it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from forewarn_agent.loop import SelectorLoop
from forewarn_agent.sources import Reading
from forewarn_wire import Event


class RecordingLoop(SelectorLoop):
    """Runs on the test's own thread, for as long as the test waits for something."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Reading] = []
        self.events: list[Event] = []
        self.threads: set[int] = set()

    def clock(self) -> int:
        return time.time_ns() // 1_000_000

    def send_now(self, readings: Sequence[Reading]) -> None:
        self.threads.add(threading.get_ident())
        self.sent += readings

    def emit(self, events: Sequence[Event], marks: Mapping[str, str] | None = None) -> None:
        self.threads.add(threading.get_ident())
        self.events += events

    def marks(self, prefix: str) -> dict[str, str]:
        return {}

    def run_until(self, condition: Callable[[], object], seconds: float = 10) -> None:
        """Turn until the condition holds; fail when the time is up."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            self.call_later(0.02, lambda: None)
            self._turn()

    def values(self, metric: str) -> list[float]:
        """What was sent of a metric, in order."""
        return [value for series, value in self.sent if dict(series.labels)["__name__"] == metric]

    def types(self) -> list[str]:
        """The types of the events so far."""
        return [event.type for event in self.events]


@pytest.fixture
def loop() -> Iterator[RecordingLoop]:
    recording = RecordingLoop()
    yield recording
    recording.close()
