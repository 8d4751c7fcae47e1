"""Runs the sources: a round at every interval, what the kernel tells in between, an orderly stop.

Rounds have a phase that is this host's own and stays, so that a fleet does not send all at once.
A source that fails costs its own readings only, and is reported as node_exporter reports one.
"""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Callable, Mapping, Sequence

from forewarn_agent.about import AboutAgent
from forewarn_agent.answers import compress
from forewarn_agent.loop import SelectorLoop
from forewarn_agent.sender import Sender, Target
from forewarn_agent.settings import AgentConfig
from forewarn_agent.sources import SOURCES, Reading, Series, Source, SourceContext, SourceKind
from forewarn_agent.spool import CHANGES, EVENTS, SAMPLES, Spool
from forewarn_agent.transport import parse_address
from forewarn_wire import STALE_NAN, Event
from forewarn_wire.clock import Clock
from forewarn_wire.otlp import encode_logs
from forewarn_wire.remote_write import encode_write_request

log = logging.getLogger(__name__)

EVENTS_IN_BODY = 200
LAST_SEND_SECONDS = 3.0


class AgentLoop(SelectorLoop):
    """The selector loop, with what a source may ask of the agent: see `sources.base.Loop`."""

    def __init__(self, clock: Clock, spool: Spool, wake: Callable[[], None]) -> None:
        super().__init__()
        self.clock = clock
        self._spool = spool
        self._wake = wake
        self._last_stamp = 0

    def spool_samples(self, kind: int, readings: Sequence[Reading], now: int) -> None:
        """Spool readings of one moment, and have them sent."""
        body = compress(encode_write_request(readings, now))
        self._spool.append(kind, now, len(readings), body)
        self._wake()

    def stamp(self) -> int:
        """The time now, never the same twice, so that no two values of a series share one."""
        now = self.clock()
        if 0 <= self._last_stamp - now < 1000:
            now = self._last_stamp + 1
        self._last_stamp = now
        return now

    def send_now(self, readings: Sequence[Reading]) -> None:
        """Spool samples that an event changed, and have them sent at once."""
        if readings:
            self.spool_samples(CHANGES, readings, self.stamp())

    def emit(self, events: Sequence[Event], marks: Mapping[str, str] | None = None) -> None:
        """Spool events, have them sent at once, and remember the marks with them."""
        for start in range(0, max(1, len(events)), EVENTS_IN_BODY):
            chunk = events[start : start + EVENTS_IN_BODY]
            # With the last ones: a crash in between repeats events, which their uid makes harmless.
            last = start + EVENTS_IN_BODY >= len(events)
            body = encode_logs(chunk) if chunk else b""
            self._spool.append(EVENTS, self.clock(), len(chunk), body, marks if last else None)
        if events:
            self._wake()

    def marks(self, prefix: str) -> dict[str, str]:
        """What was remembered under names that start with `prefix`."""
        return self._spool.marks(prefix)


class RunningSource:
    """A source, and what is remembered of it between rounds."""

    def __init__(self, source: Source, context: SourceContext, settings: object) -> None:
        self.source = source
        self.settings = settings
        self._started = False
        self._series: list[Series] = []
        self._trouble = ""
        labels = {"collector": source.name}
        self._success = context.series("node_scrape_collector_success", labels)
        self._duration = context.series("node_scrape_collector_duration_seconds", labels)

    def start(self, loop: AgentLoop) -> None:
        """Start it; one that this host cannot have stays and is reported as failing."""
        try:
            self.source.start(loop)
            self._started = True
        except Exception as error:  # noqa: BLE001 - a fault of one source must spare the others
            self._note(error)

    def stop(self) -> list[Series]:
        """Stop it; returns the series that end with it."""
        try:
            self.source.stop()
        except Exception:  # a fault of one source must spare the others
            log.exception("source %s did not stop in order", self.source.name)
        return [*self._series, self._success, self._duration]

    def collect(self, now: int) -> tuple[Sequence[Reading], list[Reading]]:
        """Its readings of a round (with the stale marker for series that ended), and about it."""
        began = time.perf_counter()
        readings: Sequence[Reading] = ()
        success = 0.0
        if self._started:
            try:
                readings = self._with_ended(self.source.collect(now))
                success = 1.0
                self._trouble = ""
            except Exception as error:  # noqa: BLE001 - a fault of one source must spare the others
                self._note(error)
        # Tens of microseconds: what lies below is the scheduler's, and was a tenth of all that the
        # collector keeps of a host.
        duration = round(time.perf_counter() - began, 5)
        return readings, [(self._duration, duration), (self._success, success)]

    def _with_ended(self, readings: Sequence[Reading]) -> Sequence[Reading]:
        series = [reading[0] for reading in readings]
        before, self._series = self._series, series
        if series == before:  # a list's comparison is by identity first: this is the usual case
            return readings
        here = {one.encoded for one in series}
        return [*readings, *((one, STALE_NAN) for one in before if one.encoded not in here)]

    def _note(self, error: Exception) -> None:
        if str(error) == self._trouble:
            return
        self._trouble = str(error)
        if isinstance(error, OSError):
            log.warning("source %s failed: %s", self.source.name, error)
        else:
            log.error("source %s failed", self.source.name, exc_info=error)


class Agent:
    """The whole agent: sources on a loop, a spool, and a sender."""

    def __init__(
        self,
        config: AgentConfig,
        clock: Clock,
        spool: Spool,
        kinds: Sequence[SourceKind] = SOURCES,
    ) -> None:
        self.config = config
        self.reload_successful = True
        self._clock = clock
        self._spool = spool
        self._kinds = kinds
        self._sender = Sender(spool, target_of(config), clock)
        self.loop = AgentLoop(clock, spool, self._sender.wake)
        self._context = context_of(config)
        self._sources: dict[str, RunningSource] = {}
        self._ended: list[Series] = []
        self._timer = self.loop.call_later(0, self._tick)

    def run(self) -> None:
        """Run until `stop`, then send what can be sent in a short time."""
        self.start_sources()
        self._sender.start()
        try:
            self.loop.run()
        finally:
            self.close()
            self._sender.stop(LAST_SEND_SECONDS)

    def collect_once(self) -> list[Reading]:
        """Start the sources, collect one round, and stop: nothing is spooled or sent."""
        self.start_sources()
        try:
            return self.collect(self._clock())
        finally:
            self.close()

    def close(self) -> None:
        """Stop the sources, and the loop for good."""
        for running in self._sources.values():
            running.stop()
        self.loop.close()

    def stop(self) -> None:
        """End `run`; from the loop's thread."""
        self.loop.stop()

    def reload(self, config: AgentConfig) -> None:
        """Go on with another configuration; sources whose part did not change are kept."""
        if config.spool != self.config.spool:
            log.warning("changes of the spool take effect when the agent is started anew")
        if target_of(config) != target_of(self.config) or config.token_file:
            self._sender.retarget(target_of(config))
        context = context_of(config)
        everything = _identity(context) != _identity(self._context)
        self.config, self._context = config, context
        self.start_sources(everything)
        self._schedule()

    def collect(self, now: int) -> list[Reading]:
        """One round of all sources: their readings, then those about the sources."""
        readings: list[Reading] = []
        about: list[Reading] = []
        for running in self._sources.values():
            found, of_source = running.collect(now)
            readings += found
            about += of_source
        readings += about
        if self._ended:
            here = {series.encoded for series, _ in readings}
            readings += [(one, STALE_NAN) for one in self._ended if one.encoded not in here]
            self._ended = []
        return readings

    def _tick(self) -> None:
        self._schedule()
        now = self.loop.stamp()
        self.loop.spool_samples(SAMPLES, self.collect(now), now)

    def _schedule(self) -> None:
        self._timer.cancel()
        wait = until_next_round(self._clock(), self._context.interval, self._context.instance)
        self._timer = self.loop.call_later(wait / 1000, self._tick)

    def start_sources(self, everything: bool = True) -> None:
        """Start what the configuration wants; `everything`: also what runs and did not change."""
        before = self._sources
        self._sources = {}
        about = AboutAgent(
            self._context,
            self._spool.stats,
            lambda: self._sender.stats,
            lambda: self.reload_successful,
        )
        wanted: list[tuple[str, object, Callable[[], Source]]] = [("agent", (), lambda: about)]
        for kind in self._kinds:
            settings = kind.settings(self.config)
            if settings is not None and kind.name not in self.config.disabled:
                wanted.append((kind.name, settings, _builder(kind, self._context, settings)))
        for name, settings, build in wanted:
            running = before.get(name)
            if running is not None and not everything and running.settings == settings:
                self._sources[name] = before.pop(name)
                continue
            if running is not None:
                self._ended += before.pop(name).stop()
            try:
                running = RunningSource(build(), self._context, settings)
            except Exception:  # a fault of one source must spare the others
                log.exception("source %s cannot be made", name)
                continue
            self._sources[name] = running
            running.start(self.loop)
        for running in before.values():
            self._ended += running.stop()


def _builder(kind: SourceKind, context: SourceContext, settings: object) -> Callable[[], Source]:
    return lambda: kind.build(context, settings)


def context_of(config: AgentConfig) -> SourceContext:
    """Whom the sources speak for."""
    return SourceContext(config.instance, config.interval, config.labels)


def _identity(context: SourceContext) -> tuple[object, ...]:
    return context.instance, context.interval, context.labels


def target_of(config: AgentConfig) -> Target:
    """Where the sender sends."""
    return Target(
        parse_address(config.collector),
        config.token,
        config.token_file,
        config.ca_file,
        config.timeout / 1000,
    )


def until_next_round(now: int, interval: int, instance: str) -> int:
    """Milliseconds until this host's next round: half an interval at least, one and a half at most.

    Rounds fall on the same phase of the interval on every day, whatever the clock did meanwhile.
    """
    phase = zlib.crc32(instance.encode()) % interval
    wait = interval - (now - phase) % interval
    return wait if wait >= interval / 2 else wait + interval
