"""The clock of tasks: a thread that has what is due done every second."""

from __future__ import annotations

import logging
import threading

from forewarn_collector.tasks.errors import LedgerError
from forewarn_collector.tasks.keeper import TaskKeeper
from forewarn_wire.clock import Clock

log = logging.getLogger(__name__)

_SECONDS = 1.0


class Ticker:
    """Ticks from `start` to `stop`; what fails is logged, and tried again a second later."""

    def __init__(self, keeper: TaskKeeper, clock: Clock) -> None:
        self._keeper = keeper
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
            try:
                self._keeper.tick(self._clock())
            except LedgerError as error:
                log.warning("what is due for tasks waits for the ledger: %s", error)
            except Exception:
                log.exception("what is due for tasks failed; it is tried again")
