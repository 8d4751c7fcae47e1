"""The least a host without /proc can say: CPU, load, memory and boot time, through psutil.

The names are those of Linux, so that the same rules hold; node_exporter's own for other systems
differ where it reads other counters.
"""

from __future__ import annotations

import psutil

from forewarn_agent.sources.base import Loop, Reading, SourceContext


class PortableSource:
    """CPU seconds, load averages, memory, swap and boot time, from psutil."""

    name = "portable"

    def __init__(self, context: SourceContext) -> None:
        self._context = context
        modes = psutil.cpu_times()._fields
        self._modes = [mode for mode in modes if mode not in {"guest", "guest_nice"}]
        self._cpus = [
            [
                context.series("node_cpu_seconds_total", {"cpu": str(cpu), "mode": mode})
                for mode in self._modes
            ]
            for cpu in range(psutil.cpu_count() or 1)
        ]
        self._loads = [context.series(f"node_load{minutes}") for minutes in (1, 5, 15)]
        self._memory = [
            context.series(f"node_memory_{name}_bytes")
            for name in ("MemTotal", "MemAvailable", "MemFree", "SwapTotal", "SwapFree")
        ]
        self._boot = context.series("node_boot_time_seconds")

    def start(self, loop: Loop) -> None:
        """Nothing to take."""

    def collect(self, now: int) -> list[Reading]:
        """The readings of one round."""
        readings: list[Reading] = [(self._boot, float(psutil.boot_time()))]
        for series, times in zip(self._cpus, psutil.cpu_times(percpu=True), strict=False):
            readings += [
                (one, float(getattr(times, mode)))
                for one, mode in zip(series, self._modes, strict=True)
            ]
        readings += zip(self._loads, psutil.getloadavg(), strict=True)
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        values = (memory.total, memory.available, memory.free, swap.total, swap.free)
        readings += zip(self._memory, map(float, values), strict=True)
        return readings

    def stop(self) -> None:
        """Nothing is kept open."""
