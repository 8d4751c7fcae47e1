"""The clock of tasks: a thread that has what is due done every second."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from forewarn_collector.tasks.errors import LedgerError
from forewarn_wire.clock import Clock

log = logging.getLogger(__name__)

_SECONDS = 1.0


class Ticker:
    """Ticks from `start` to `stop`; what fails is logged, and tried again a second later.

    `ticks` are called one after the other with the time (ms).
    """

    def __init__(self, clock: Clock, *ticks: Callable[[int], None]) -> None:
        self._ticks = ticks
        self._clock = clock
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tasks", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; returns when the tick that runs is done."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(_SECONDS):
            for tick in self._ticks:
                try:
                    tick(self._clock())
                except LedgerError as error:
                    log.warning("what is due for tasks waits for the ledger: %s", error)
                except Exception:
                    log.exception("what is due for tasks failed; it is tried again")
