"""Network traffic by device, from /proc/net/dev.

Names: node_exporter's collector `netdev`, which takes the same counters from netlink.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from forewarn_agent.settings import NetworkSettings
from forewarn_agent.sources.base import Loop, Reading, Series, SourceContext
from forewarn_agent.sources.procfs import KeptFile, Layout, Line, Plan, Value, read_text

_FIELDS = (
    *(
        f"receive_{field}_total"
        for field in (
            "bytes",
            "packets",
            "errs",
            "drop",
            "fifo",
            "frame",
            "compressed",
            "multicast",
        )
    ),
    *(
        f"transmit_{field}_total"
        for field in ("bytes", "packets", "errs", "drop", "fifo", "colls", "carrier", "compressed")
    ),
)
_HEADER_LINES = 2


class NetworkSource:
    """Bytes, packets, errors and drops of each network device."""

    name = "netdev"

    def __init__(
        self,
        context: SourceContext,
        settings: NetworkSettings,
        proc: str = "/proc",
        sys: str = "/sys",
    ) -> None:
        self._file = KeptFile(f"{proc}/net/dev")
        self._layout = Layout(self._plan, context)
        # An empty expression leaves out nothing, though it is found in every name.
        self._ignored = re.compile(settings.ignore_devices or "$^")
        self._sys = sys
        self._unhandled: list[tuple[str, Series]] = []

    def start(self, loop: Loop) -> None:
        """Read once, so that a host without /proc/net/dev says so."""
        self._file.read()

    def collect(self, now: int) -> list[Reading]:
        """The counters of every device that is not left out."""
        readings = self._layout.readings(self._file.read())
        for path, series in self._unhandled:
            try:
                readings.append((series, float(read_text(path))))
            except OSError:
                continue  # The device has just gone, or its kernel is older than 4.6.
        return readings

    def stop(self) -> None:
        """Close the file."""
        self._file.close()

    def _plan(self, lines: Sequence[Line], context: SourceContext) -> Plan:
        fixed: list[int] = []
        values: list[Value] = []
        self._unhandled = []
        for start, words in lines[_HEADER_LINES:]:
            device = words[0].decode().rstrip(":")
            fixed.append(start)
            if self._ignored.search(device):
                continue
            labels = {"device": device}
            for index, field in enumerate(_FIELDS, start + 1):
                values.append(Value(index, context.series(f"node_network_{field}", labels)))
            # The one counter of the kernel's that /proc/net/dev lacks.
            path = f"{self._sys}/class/net/{device}/statistics/rx_nohandler"
            unhandled = context.series("node_network_receive_nohandler_total", labels)
            self._unhandled.append((path, unhandled))
        return Plan(fixed, values)
