"""What a collector is doing, told in memory that outlives it.

The process that starts collectors maps a page of shared memory; each collector notes there as it
enters and leaves a phase. When it is killed the page stays as it was at that moment.
"""

from __future__ import annotations

import functools
import mmap
import os
import signal
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

NAMES = (
    "start",
    "journal commit",
    "event insert",
    "ledger write",
    "seal: put",
    "seal: drop from the journal",
    "seal: drop from memory",
    "compaction",
    "compaction of a day",
    "thinning",
    "retention: journal, series",
    "retention: chunks",
    "event upkeep",
)
ONCE = frozenset({"start", "compaction", "compaction of a day", "thinning", "retention: chunks"})
"""What few lives come to more than once."""
_ROW = struct.Struct("<qqq")
_USUAL = 2_000_000
"""What a phase is thought to take (ns) as long as none has ended."""


class Point(StrEnum):
    """Where in a phase a collector is to be killed."""

    ENTRY = "entry"
    WITHIN = "within"
    EXIT = "exit"


@dataclass(frozen=True, slots=True)
class Aim:
    """To be killed at the `nth` time that a phase is entered, `share` of what it usually takes
    after it began; or `after` seconds, whichever is first. 0 for `nth`: at that time alone."""

    phase: str
    nth: int
    point: Point
    share: float
    after: float


class Phases:
    """The page: of each phase how often it was entered, is being done, and what it has taken."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, _ROW.size * len(NAMES))
        self._lock = threading.Lock()
        self._aim: Aim | None = None

    def aim(self, aim: Aim | None) -> None:
        """In a collector: kill this process where the aim says so, but for what is within."""
        self._aim = aim

    def clear(self) -> None:
        """Before a collector starts: it is in no phase, and has entered none."""
        for place in range(len(NAMES)):
            self._set(place, 0, 0, self._row(place)[2])

    def now(self) -> list[str]:
        """The phases that are being done."""
        return [name for place, name in enumerate(NAMES) if self._row(place)[1] > 0]

    def entered(self, name: str) -> int:
        """How often a phase was entered."""
        return self._row(NAMES.index(name))[0]

    def usual(self, name: str) -> float:
        """About how many seconds a phase takes."""
        return self._row(NAMES.index(name))[2] / 1e9 or _USUAL / 1e9

    @contextmanager
    def within(self, name: str) -> Iterator[None]:
        """What is done within is that phase."""
        began = self._enter(name)
        try:
            yield
        finally:
            self._leave(name, began)

    def mark(self, owner: type, method: str, name: str) -> None:
        """Have a method note its phase; one that gives a context is the phase as long as it is."""
        original: Callable[..., Any] = getattr(owner, method)
        phases = self

        @functools.wraps(original)
        def call(*arguments: Any, **named: Any) -> Any:
            with phases.within(name):
                return original(*arguments, **named)

        @contextmanager
        def context(*arguments: Any, **named: Any) -> Iterator[Any]:
            with phases.within(name), original(*arguments, **named) as found:
                yield found

        # A function made by `contextmanager` wraps the generator it was made of.
        setattr(owner, method, context if hasattr(original, "__wrapped__") else call)

    def _enter(self, name: str) -> int:
        place = NAMES.index(name)
        with self._lock:
            entered, depth, usual = self._row(place)
            self._set(place, entered + 1, depth + 1, usual)
            self._kill_at(Point.ENTRY, name, entered + 1)
        return time.monotonic_ns()

    def _leave(self, name: str, began: int) -> None:
        place = NAMES.index(name)
        took = time.monotonic_ns() - began
        with self._lock:
            entered, depth, usual = self._row(place)
            self._kill_at(Point.EXIT, name, entered)
            self._set(place, entered, depth - 1, (3 * usual + took) // 4 if usual else took)

    def _kill_at(self, point: Point, name: str, entered: int) -> None:
        aim = self._aim
        if aim is not None and (aim.point, aim.phase) == (point, name) and entered >= aim.nth:
            os.kill(os.getpid(), signal.SIGKILL)

    def _row(self, place: int) -> tuple[int, int, int]:
        entered, depth, usual = _ROW.unpack_from(self._page, place * _ROW.size)
        return entered, depth, usual

    def _set(self, place: int, entered: int, depth: int, usual: int) -> None:
        _ROW.pack_into(self._page, place * _ROW.size, entered, depth, usual)
