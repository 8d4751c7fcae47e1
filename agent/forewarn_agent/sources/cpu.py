"""CPU time by mode and the kernel's counters, from /proc/stat.

Names and values: node_exporter's collectors `cpu` and `stat`. Source of the format: proc(5).
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from forewarn_agent.sources.base import Loop, Reading, SourceContext
from forewarn_agent.sources.procfs import KeptFile, Layout, Line, Plan, Value

_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_GUEST_MODES = ("user", "nice")
_COUNTERS = {
    b"intr": "node_intr_total",
    b"ctxt": "node_context_switches_total",
    b"btime": "node_boot_time_seconds",
    b"processes": "node_forks_total",
    b"procs_running": "node_procs_running",
    b"procs_blocked": "node_procs_blocked",
}
# A CPU that was offline starts again from zero: then a counter that fell has really been reset.
_RESET_SECONDS = 3.0


def plan_stat(lines: Sequence[Line], context: SourceContext) -> Plan:
    """The plan of /proc/stat: `cpuN` lines, then one line for each counter."""
    ticks = float(os.sysconf("SC_CLK_TCK"))
    fixed: list[int] = []
    values: list[Value] = []
    for start, words in lines:
        word = words[0]
        if word in _COUNTERS:
            fixed.append(start)
            values.append(Value(start + 1, context.series(_COUNTERS[word])))
        elif word.startswith(b"cpu") and word != b"cpu":
            fixed.append(start)
            cpu = word[3:].decode()
            count = len(words) - 1
            times = zip(_MODES, range(start + 1, start + 1 + count), strict=False)
            guests = zip(_GUEST_MODES, range(start + 9, start + 1 + count), strict=False)
            for metric, found in (
                ("node_cpu_seconds_total", times),
                ("node_cpu_guest_seconds_total", guests),
            ):
                for mode, index in found:
                    series = context.series(metric, {"cpu": cpu, "mode": mode})
                    values.append(Value(index, series, ticks))
    return Plan(fixed, values)


class CpuSource:
    """CPU seconds, interrupts, context switches, forks, boot time, processes that run or wait."""

    name = "cpu"

    def __init__(self, context: SourceContext, proc: str = "/proc") -> None:
        self._file = KeptFile(f"{proc}/stat")
        self._layout = Layout(plan_stat, context)
        self._last: list[float] = []
        self._gauges: frozenset[int] = frozenset()

    def start(self, loop: Loop) -> None:
        """Read once, so that a host without /proc/stat says so."""
        self._file.read()

    def collect(self, now: int) -> list[Reading]:
        """The readings of one round."""
        known = self._layout.series
        values = self._layout.values(self._file.read())
        series = self._layout.series
        if series is not known:
            gauges = {"node_boot_time_seconds", "node_procs_running", "node_procs_blocked"}
            self._gauges = frozenset(
                index for index, one in enumerate(series) if dict(one.labels)["__name__"] in gauges
            )
            self._last = values
        self._last = _without_slips(self._last, values, self._gauges)
        return list(zip(series, self._last, strict=True))

    def stop(self) -> None:
        """Close the file."""
        self._file.close()


def _without_slips(last: list[float], values: list[float], gauges: frozenset[int]) -> list[float]:
    # The kernel's idle and iowait times now and then slip back by some ticks (proc(5)); a
    # counter that falls is a reset to rate(), which would count all of it again.
    if not any(map(float.__lt__, values, last)):
        return values
    return [
        before if now < before < now + _RESET_SECONDS and index not in gauges else now
        for index, (before, now) in enumerate(zip(last, values, strict=True))
    ]
