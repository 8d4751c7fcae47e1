"""The thread that looks after what was written: it seals, merges, and drops what is too old.

Whatever fails is logged with its reason, counted, and tried again; nothing is lost meanwhile, since
the journal keeps what is not sealed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from forewarn_collector.store.compact import StoppedError
from forewarn_collector.store.errors import StoreError

log = logging.getLogger(__name__)

SEAL_SECONDS = 300.0
MOST_UNSEALED = 5_000_000
"""Samples after which a seal does not wait: some 50 MB of journal, two seconds of a restart."""
RETENTION_SECONDS = 60.0
_COMPACT_SECONDS = 60.0
_RETRY_SECONDS = 30.0
_TICK_SECONDS = 1.0
_LAST_SEAL = 2_000_000
"""So many samples are sealed at a stop: about a second. More are left to the journal."""
_LONGEST_PAUSE = 1.0


class Tended(Protocol):
    """What is looked after. `Store` is one."""

    @property
    def unsealed(self) -> int:
        """About how many samples are in the journal only."""

    def seal(self) -> int:
        """Seal what is not; how many samples."""

    def restore(self) -> int:
        """Take back into memory what rules read; how many samples."""

    def settle(self, stopping: Callable[[], bool]) -> None:
        """Find out where series end, of which a restart has told only about."""

    def compact(self, stopping: Callable[[], bool]) -> Iterator[int]:
        """Merge chunks step by step; of each how many."""

    def enforce_retention(self) -> int:
        """Drop what is too old."""


@dataclass(slots=True)
class TaskStats:
    """What became of one kind of work; when it was tried and done last, by `time.monotonic`."""

    runs: int = 0
    failures: int = 0
    seconds: float = 0.0
    amount: int = 0
    last_tried: float = field(default_factory=time.monotonic)
    last_done: float = field(default_factory=time.monotonic)


class Caretaker:
    """Start it once its store is open, stop it before that closes."""

    def __init__(self, store: Tended) -> None:
        self._store = store
        self._stop = threading.Event()
        self._again = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-caretaker", daemon=True)
        self.tasks = {name: TaskStats() for name in ("seal", "restore", "compact", "retention")}

    def start(self) -> None:
        """Begin; the first seal takes what the journal had at the start."""
        self._thread.start()

    def stop(self) -> None:
        """End within about a second, and seal what is little."""
        self._stop.set()
        self._again.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self._store.unsealed <= _LAST_SEAL:
            self._do("seal", self._store.seal)

    def rules_changed(self) -> None:
        """Have memory take back what the rules read now."""
        self._again.set()

    def _run(self) -> None:
        due = dict.fromkeys(("seal", "compact"), time.monotonic())
        due["retention"] = time.monotonic() + RETENTION_SECONDS
        self._again.set()
        settled = False
        while not self._stop.is_set():
            if self._again.is_set():
                self._again.clear()
                self._do("restore", self._store.restore)
            if not settled:
                settled = self._do("restore", self._settle)
            now = time.monotonic()
            if now >= due["seal"] or self._full():
                due["seal"] = self._next("seal", self._store.seal, SEAL_SECONDS)
            if now >= due["retention"]:
                work = self._store.enforce_retention
                due["retention"] = self._next("retention", work, RETENTION_SECONDS)
            if now >= due["compact"]:
                due["compact"] = self._next("compact", self._compact, _COMPACT_SECONDS)
            self._again.wait(_TICK_SECONDS)

    def _full(self) -> bool:
        stats = self.tasks["seal"]
        waited = time.monotonic() - stats.last_tried > _RETRY_SECONDS
        return waited and self._store.unsealed > MOST_UNSEALED

    def _next(self, task: str, work: Callable[[], int | None], seconds: float) -> float:
        """Do it, and tell when it is due again."""
        wait = seconds if self._do(task, work) else min(seconds, _RETRY_SECONDS)
        return time.monotonic() + wait

    def _do(self, task: str, work: Callable[[], int | None]) -> bool:
        stats = self.tasks[task]
        began = time.monotonic()
        try:
            amount = work() or 0
        except StoppedError:
            return False
        except StoreError as error:
            log.error("%s of samples failed, it is tried again: %s", task, error)
            amount = None
        except Exception:
            log.exception("%s of samples failed, it is tried again", task)
            amount = None
        stats.seconds += time.monotonic() - began
        stats.last_tried = time.monotonic()
        if amount is None:
            stats.failures += 1
            return False
        stats.runs += 1
        stats.last_done = stats.last_tried
        if task != "retention":
            stats.amount += amount
            if amount:
                log.debug("%s: %d in %.2f s", task, amount, time.monotonic() - began)
        return True

    def _settle(self) -> None:
        self._store.settle(self._stop.is_set)

    def _compact(self) -> int:
        merged = 0
        began = time.monotonic()
        for count in self._store.compact(self._stop.is_set):
            merged += count
            # As much time for others as this took.
            self._stop.wait(min(time.monotonic() - began, _LONGEST_PAUSE))
            if self._stop.is_set() or self._full():
                break
            began = time.monotonic()
        return merged
