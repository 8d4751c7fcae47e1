"""Brings what is due to the senders, on a thread of its own, so that it costs the rules nothing."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Sequence

from forewarn_collector.alertmanagers.notices import Notices
from forewarn_collector.alertmanagers.sender import Sender
from forewarn_collector.config_alertmanagers import AlertmanagerConfig
from forewarn_collector.metrics import Metrics
from forewarn_collector.rules import AlertChange, ChangeSink, GroupStatus
from forewarn_wire.clock import Clock

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
"""How often to look what is to be sent again. What changed is sent without waiting for it."""
_GRACE_SECONDS = 5.0


class Alertmanagers:
    """All Alertmanagers that are configured, each with all alerts.

    `start` and `stop` on the event loop, `changed` from the rules' thread.
    """

    def __init__(
        self,
        configs: Sequence[AlertmanagerConfig],
        notices: Notices,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._senders = [Sender(config, metrics) for config in configs]
        self._notices = notices
        self._clock = clock
        self._changes: queue.SimpleQueue[Sequence[AlertChange]] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._running: list[asyncio.Task[None]] = []

    def sink(self, inner: ChangeSink) -> ChangeSink:
        """A sink that has `inner` keep the changes, and the Alertmanagers told of what is kept."""
        return _Telling(inner, self.changed) if self._senders else inner

    def changed(self, changes: Sequence[AlertChange]) -> None:
        """Say that alerts changed. Returns at once."""
        self._changes.put(changes)

    def waiting(self) -> dict[str, int]:
        """How many notices wait, by the address of the Alertmanager."""
        return {sender.endpoint: len(sender) for sender in self._senders}

    async def start(self, groups: Callable[[], Sequence[GroupStatus]]) -> None:
        """Begin to send; `groups` gives how the rules fare, from any thread."""
        if not self._senders:
            return
        self._running = [
            asyncio.create_task(sender.run(), name=f"alertmanager {sender.endpoint}")
            for sender in self._senders
        ]
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(
            target=self._run, args=(groups, loop), name="alertmanagers", daemon=True
        )
        self._thread.start()

    async def stop(self) -> None:
        """Send what is still to be sent, for a few seconds."""
        self._ended.set()
        self.changed(())
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
        for sender in self._senders:
            sender.end()
        if self._running:
            await asyncio.wait(self._running, timeout=_GRACE_SECONDS)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        for sender in self._senders:
            await sender.close()

    # The thread.

    def _run(
        self, groups: Callable[[], Sequence[GroupStatus]], loop: asyncio.AbstractEventLoop
    ) -> None:
        while True:
            changes = self._take()
            try:
                known = groups()
                found = self._notices.changed(changes, known) if changes else []
                found += self._notices.due(known, self._clock())
                if found:
                    # Encoded once, however many are sent it.
                    loop.call_soon_threadsafe(self._add, [notice.encoded() for notice in found])
            except Exception:
                # Whatever it is, the alerts to come must be sent.
                log.exception("what is to be told to Alertmanagers could not be made")
            if self._ended.is_set():
                return

    def _take(self) -> list[AlertChange]:
        """What changed; waits for it until it is time to look what is to be sent again."""
        try:
            changes = list(self._changes.get(timeout=_LOOK_SECONDS))
        except queue.Empty:
            return []
        while True:
            try:
                changes += self._changes.get_nowait()
            except queue.Empty:
                return changes

    def _add(self, notices: Sequence[bytes]) -> None:
        for sender in self._senders:
            sender.add(notices)


class _Telling:
    def __init__(self, inner: ChangeSink, tell: Callable[[Sequence[AlertChange]], None]) -> None:
        self._inner = inner
        self._tell = tell

    def apply(self, changes: Sequence[AlertChange], at: int) -> None:
        self._inner.apply(changes, at)
        self._tell(changes)
