"""What each network device is and whether it is up, from /sys/class/net.

Names: node_exporter's collector `netclass`. What changes with the link is read every round, what
only an administrator changes once a minute: reading all of it always would cost more than all
other sources together.
"""

from __future__ import annotations

import os

from forewarn_agent.sources.base import Loop, Reading, Series, SourceContext
from forewarn_agent.sources.procfs import read_text

_LINK = {
    "carrier": "carrier",
    "carrier_changes": "carrier_changes_total",
    "carrier_down_count": "carrier_down_changes_total",
    "carrier_up_count": "carrier_up_changes_total",
    "dormant": "dormant",
    "flags": "flags",
}
_SETUP = {
    "addr_assign_type": "address_assign_type",
    "dev_id": "device_id",
    "ifindex": "iface_id",
    "iflink": "iface_link",
    "link_mode": "iface_link_mode",
    "mtu": "mtu_bytes",
    "name_assign_type": "name_assign_type",
    "netdev_group": "net_dev_group",
    "tx_queue_len": "transmit_queue_length",
    "type": "protocol_type",
}
_INFO = ("address", "broadcast", "duplex", "ifalias")
_SETUP_EVERY = 60_000
_MEGABIT = 1_000_000 / 8


class NetclassSource:
    """State, addresses and properties of each network device."""

    name = "netclass"

    def __init__(self, context: SourceContext, sys: str = "/sys") -> None:
        self._context = context
        self._folder = f"{sys}/class/net"
        self._devices: dict[str, _Device] = {}
        self._listed: list[str] = []
        self._setup_read = -_SETUP_EVERY

    def start(self, loop: Loop) -> None:
        """Look once, so that a host without /sys/class/net says so."""
        os.listdir(self._folder)

    def collect(self, now: int) -> list[Reading]:
        """The readings of all devices, by name."""
        listed = sorted(os.listdir(self._folder))
        if listed != self._listed or not 0 <= now - self._setup_read < _SETUP_EVERY:
            # A file such as bonding_masters is no device; a device may have gone already.
            names = [name for name in listed if os.path.isdir(f"{self._folder}/{name}")]
            known = self._devices
            self._devices = {
                name: known.get(name) or _Device(self._context, self._folder, name)
                for name in names
            }
            for device in self._devices.values():
                device.read_setup()
            self._listed = listed
            self._setup_read = now
        readings: list[Reading] = []
        for device in self._devices.values():
            readings += device.readings()
        return readings

    def stop(self) -> None:
        """Nothing is kept open."""


class _Device:
    def __init__(self, context: SourceContext, folder: str, name: str) -> None:
        self._context = context
        self._path = f"{folder}/{name}"
        self._labels = {"device": name}
        self._info_labels: dict[str, str] = {}
        self._setup: list[Reading] = []
        self._up = self._series("up")
        self._speed = self._series("speed_bytes")
        self._link = [(attribute, self._series(metric)) for attribute, metric in _LINK.items()]
        self._fixed = [(attribute, self._series(metric)) for attribute, metric in _SETUP.items()]
        self._infos: dict[str, Series] = {}

    def _series(self, metric: str) -> Series:
        return self._context.series(f"node_network_{metric}", self._labels)

    def read_setup(self) -> None:
        info = {name: self._text(name) or "" for name in _INFO}
        if info != self._info_labels:
            self._info_labels = info
            self._infos = {}
        self._setup = self._numbers(self._fixed)
        speed = self._text("speed")
        if speed is not None:
            # The kernel's -1 (unknown) is passed on, as node_exporter does.
            self._setup.append((self._speed, int(speed) * _MEGABIT))

    def readings(self) -> list[Reading]:
        state = self._text("operstate")
        if state is None:
            return []
        if state not in self._infos:
            labels = {**self._labels, **self._info_labels, "operstate": state}
            self._infos[state] = self._context.series("node_network_info", labels)
        up = (self._up, 1.0 if state == "up" else 0.0)
        return [up, (self._infos[state], 1.0), *self._numbers(self._link), *self._setup]

    def _numbers(self, wanted: list[tuple[str, Series]]) -> list[Reading]:
        readings = []
        for attribute, series in wanted:
            text = self._text(attribute)
            if text:
                readings.append((series, float(int(text, 0))))
        return readings

    def _text(self, attribute: str) -> str | None:
        try:
            return read_text(f"{self._path}/{attribute}")
        except OSError:
            # Many attributes cannot be read while a device is down, or not for its kind.
            return None
