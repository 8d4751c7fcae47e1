"""What a source is, and what it may ask of the agent that runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from forewarn_wire import Event, Labels, labels_from
from forewarn_wire.clock import Clock
from forewarn_wire.remote_write import Reading, Series

__all__ = ["Handle", "Loop", "Reading", "Series", "Source", "SourceContext"]


class Handle(Protocol):
    """A timer that can be called off."""

    def cancel(self) -> None:
        """Forget the call; harmless when it has been made or cancelled already."""


class Loop(Protocol):
    """The agent's one selector loop. All methods but one belong to its own thread."""

    @property
    def clock(self) -> Clock:
        """Returns the time now, milliseconds since epoch."""

    def watch(self, fd: int, ready: Callable[[], None]) -> None:
        """Call `ready` whenever the descriptor is readable, until `unwatch`."""

    def unwatch(self, fd: int) -> None:
        """Stop watching; call it before the descriptor is closed. Unknown ones are ignored."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Handle:
        """Call once after a while, by the monotonic clock."""

    def call_soon_threadsafe(self, callback: Callable[[], None]) -> None:
        """Call on the loop's thread as soon as possible; may be called from any thread."""

    def send_now(self, readings: Sequence[Reading]) -> None:
        """Spool samples that an event changed, at the time now, and have them sent at once.

        A series sent so is still returned by `collect` every round.
        """

    def emit(self, events: Sequence[Event], marks: Mapping[str, str] | None = None) -> None:
        """Spool events and have them sent at once.

        `marks` are remembered in the same transaction (empty text: forgotten), so that a source
        which was killed goes on exactly after the last event that it emitted.
        """

    def marks(self, prefix: str) -> dict[str, str]:
        """What was remembered under names that start with `prefix`, also before a restart."""


class Source(Protocol):
    """Produces one family of signals. What it raises is counted; the other sources go on."""

    @property
    def name(self) -> str:
        """Its name in the configuration and in `node_scrape_collector_success{collector}`."""

    def start(self, loop: Loop) -> None:
        """Take what is needed for a run; raises OSError when this host cannot have the source."""

    def collect(self, now: int) -> Sequence[Reading]:
        """The readings of one round, at `now`: kept `Series` objects in a stable order."""

    def stop(self) -> None:
        """Give everything back: descriptors, watches, timers, threads."""


class SourceContext:
    """What every source is told at its making: whom it speaks for."""

    __slots__ = ("instance", "interval", "labels")

    def __init__(self, instance: str, interval: int = 10_000, labels: Labels = ()) -> None:
        self.instance = instance
        self.interval = interval
        """Milliseconds between two rounds."""
        self.labels = labels
        """Labels that the configuration adds to everything this agent sends."""

    def label_set(self, job: str, labels: Mapping[str, str] | None = None) -> Labels:
        """Labels with the job, the instance and the configured ones; a source's own win."""
        whole = {**dict(self.labels), "job": job, "instance": self.instance, **(labels or {})}
        return labels_from(whole)

    def series(
        self, name: str, labels: Mapping[str, str] | None = None, *, job: str = "node"
    ) -> Series:
        """A series of a metric; make it once and keep it."""
        return Series(self.label_set(job, {"__name__": name, **(labels or {})}))
