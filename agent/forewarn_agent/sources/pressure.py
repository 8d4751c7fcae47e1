"""Pressure stall information: how long tasks waited for CPU, memory and I/O.

Names: node_exporter's collector `pressure`. Source: Linux `Documentation/accounting/psi.rst`:
`some avg10=0.00 avg60=0.00 avg300=0.00 total=12` (microseconds), then the same for `full`.
"""

from __future__ import annotations

import re

from forewarn_agent.sources.base import Loop, Reading, SourceContext
from forewarn_agent.sources.procfs import KeptFile

_TOTAL = re.compile(rb"total=(\d+)")
# For the CPU of a whole host, `full` is undefined (psi.rst).
_KINDS = {"cpu": ("waiting",), "io": ("waiting", "stalled"), "memory": ("waiting", "stalled")}


class PressureSource:
    """Seconds for which some tasks waited, and for which all of them stalled."""

    name = "pressure"

    def __init__(self, context: SourceContext, proc: str = "/proc") -> None:
        self._files = [
            (
                KeptFile(f"{proc}/pressure/{resource}"),
                [
                    context.series(f"node_pressure_{resource}_{kind}_seconds_total")
                    for kind in kinds
                ],
            )
            for resource, kinds in _KINDS.items()
        ]

    def start(self, loop: Loop) -> None:
        """Read once. Raises OSError where the kernel was built or booted without PSI."""
        for file, _ in self._files:
            file.read()

    def collect(self, now: int) -> list[Reading]:
        """The totals, in seconds."""
        readings: list[Reading] = []
        for file, series in self._files:
            totals = _TOTAL.findall(file.read())
            readings += [
                (one, int(total) / 1e6) for one, total in zip(series, totals, strict=False)
            ]
        return readings

    def stop(self) -> None:
        """Close the files."""
        for file, _ in self._files:
            file.close()
