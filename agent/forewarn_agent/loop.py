"""One selector loop on the main thread: descriptors, timers, and calls from other threads."""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import selectors
import signal
import threading
import time
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)

Callback = Callable[[], None]


class Timer:
    """One call that is due at a monotonic time."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callback) -> None:
        self.callback: Callback | None = callback

    def cancel(self) -> None:
        """Forget the call."""
        self.callback = None


class SelectorLoop:
    """Runs callbacks one after the other; one that raises is logged and the loop goes on."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._calls: deque[Callback] = deque()
        # Reentrant, since a signal may come while its handler's own thread holds it.
        self._lock = threading.RLock()
        self._stopping = False
        self._takes_signals = False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self.watch(self._wake_read, self._drain)

    def wake_on_signals(self) -> None:
        """Let any signal end the wait, until `close`; both from the main thread."""
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self._takes_signals = True

    def watch(self, fd: int, ready: Callback) -> None:
        """Call `ready` whenever the descriptor is readable."""
        self._selector.register(fd, selectors.EVENT_READ, ready)

    def unwatch(self, fd: int) -> None:
        """Stop watching; unknown descriptors are ignored."""
        try:
            self._selector.unregister(fd)
        except (KeyError, ValueError):
            return

    def call_later(self, seconds: float, callback: Callback) -> Timer:
        """Call once after a while, by the monotonic clock."""
        timer = Timer(callback)
        due = time.monotonic() + max(0.0, seconds)
        heapq.heappush(self._timers, (due, next(self._order), timer))
        return timer

    def call_soon_threadsafe(self, callback: Callback) -> None:
        """Call on the loop's thread as soon as possible; from any thread, also after `close`."""
        with self._lock:
            self._calls.append(callback)
            if self._wake_write >= 0:
                try:
                    os.write(self._wake_write, b"\0")
                except BlockingIOError:
                    return  # full: the loop is going to wake anyway

    def run(self) -> None:
        """Turn until `stop`."""
        while not self._stopping:
            self._turn()

    def stop(self) -> None:
        """End `run` after the callbacks that are due."""
        self._stopping = True

    def close(self) -> None:
        """Give the descriptors back."""
        if self._takes_signals:
            # First: a signal that comes after this must not be written to a closed descriptor.
            signal.set_wakeup_fd(-1)
            self._takes_signals = False
        with self._lock:
            wake_write, self._wake_write = self._wake_write, -1
            os.close(self._wake_read)
            os.close(wake_write)
        self._selector.close()

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._wait()):
            if key.fd in self._selector.get_map():  # not unwatched by a callback before it
                self._call(key.data)
        while self._timers and self._timers[0][0] <= time.monotonic():
            timer = heapq.heappop(self._timers)[2]
            if timer.callback is not None:
                self._call(timer.callback)

    def _wait(self) -> float | None:
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None

    def _drain(self) -> None:
        try:
            os.read(self._wake_read, 4096)
        except BlockingIOError:
            return
        # Only what is there now, so that callbacks which call again cannot starve the rest.
        for _ in range(len(self._calls)):
            self._call(self._calls.popleft())
        if self._calls:
            self.call_soon_threadsafe(_nothing)

    def _call(self, callback: Callback) -> None:
        try:
            callback()
        except Exception:  # one fault must not end the agent
            log.exception("a callback failed: %r", callback)


def _nothing() -> None:
    """Wakes the loop."""
