"""What the agent sends about itself, as one more source.

`forewarn_agent_interval_seconds` is the series by which the collector knows that an agent is
there and how often it reports.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from forewarn_agent import __version__
from forewarn_agent.sender import SenderStats
from forewarn_agent.sources import Loop, Reading, SourceContext
from forewarn_agent.spool import SpoolStats

_KINDS = ("samples", "events")


class AboutAgent:
    """`forewarn_agent_*`, and `process_*` of the agent's own process."""

    name = "agent"

    def __init__(
        self,
        context: SourceContext,
        spool: Callable[[], SpoolStats],
        sender: Callable[[], SenderStats],
        reload_successful: Callable[[], bool],
    ) -> None:
        self._spool = spool
        self._sender = sender
        self._reload_successful = reload_successful
        series = context.series
        self._constant: list[Reading] = [
            (series("forewarn_agent_interval_seconds"), context.interval / 1000),
            (series("forewarn_agent_info", {"version": __version__}), 1.0),
        ]
        self._reload = series("forewarn_agent_config_last_reload_successful")
        self._entries = series("forewarn_agent_spool_entries")
        self._bytes = series("forewarn_agent_spool_bytes")
        self._dropped = [series("forewarn_agent_spool_dropped_total", {"kind": k}) for k in _KINDS]
        self._rejected = [series("forewarn_agent_rejected_total", {"kind": k}) for k in _KINDS]
        self._damaged = series("forewarn_agent_spool_damaged_total")
        self._requests = series("forewarn_agent_requests_total")
        self._failures = series("forewarn_agent_request_failures_total")
        self._sent = series("forewarn_agent_sent_bytes_total")
        self._offset = series("forewarn_agent_clock_offset_seconds")
        self._cpu = series("process_cpu_seconds_total")
        self._resident = series("process_resident_memory_bytes")
        self._page = os.sysconf("SC_PAGE_SIZE")

    def start(self, loop: Loop) -> None:
        """Nothing to take."""

    def stop(self) -> None:
        """Nothing to give back."""

    def collect(self, now: int) -> Sequence[Reading]:
        """The readings of one round."""
        spool, sender = self._spool(), self._sender()
        times = os.times()
        readings = [
            *self._constant,
            (self._reload, float(self._reload_successful())),
            (self._entries, float(spool.entries)),
            (self._bytes, float(spool.bytes)),
            *((s, float(spool.dropped[k])) for s, k in zip(self._dropped, _KINDS, strict=True)),
            *((s, float(spool.rejected[k])) for s, k in zip(self._rejected, _KINDS, strict=True)),
            (self._damaged, float(spool.damaged)),
            (self._requests, float(sender.requests)),
            (self._failures, float(sender.failures)),
            (self._sent, float(sender.bytes)),
            # Both are in ticks of 1/100 s; their sum as a float need not be.
            (self._cpu, round(times.user + times.system, 2)),
        ]
        resident = self._resident_bytes()
        if resident:
            readings.append((self._resident, float(resident)))
        if sender.clock_offset is not None:
            # Rounded to what it can measure: the answer's Date has whole seconds.
            readings.append((self._offset, round(sender.clock_offset, 1)))
        return readings

    def _resident_bytes(self) -> int:
        try:
            with open("/proc/self/statm", "rb") as file:
                return int(file.read().split()[1]) * self._page
        except OSError:
            return 0  # no /proc on this system: the series is left out
