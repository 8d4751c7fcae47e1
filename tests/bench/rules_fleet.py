"""A fleet of hosts that sample themselves: 20 series each, with gaps, restarts and ends.

The same seed gives the same values, so that two systems can be fed one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forewarn_wire import STALE_NAN, Labels, labels_from

TICK = 10_000
"""How often (ms) each host samples, at an instant of its own within the tick."""
SERIES = 20
SITES = 10
SERVICES = 20

_GIB = 1024**3
_BUCKETS = ("0.1", "0.5", "1", "5", "+Inf")
_SHAPES: tuple[tuple[str, dict[str, str]], ...] = (
    ("up", {}),
    ("node_load1", {}),
    ("node_load5", {}),
    ("node_memory_MemTotal_bytes", {}),
    ("node_memory_MemAvailable_bytes", {}),
    ("node_filesystem_size_bytes", {"device": "/dev/vda1", "fstype": "ext4", "mountpoint": "/"}),
    ("node_filesystem_avail_bytes", {"device": "/dev/vda1", "fstype": "ext4", "mountpoint": "/"}),
    ("node_cpu_seconds_total", {"cpu": "0", "mode": "idle"}),
    ("node_cpu_seconds_total", {"cpu": "0", "mode": "system"}),
    ("node_cpu_seconds_total", {"cpu": "0", "mode": "user"}),
    ("node_network_receive_bytes_total", {"device": "eth0"}),
    ("node_network_transmit_bytes_total", {"device": "eth0"}),
    ("node_boot_time_seconds", {}),
    ("node_disk_io_time_seconds_total", {"device": "vda"}),
    ("node_uname_info", {"sysname": "Linux", "machine": "x86_64"}),
    *(("http_request_duration_seconds_bucket", {"le": le}) for le in _BUCKETS),
)


@dataclass(frozen=True)
class Tick:
    """What all hosts sampled in one tick.

    `times: int64[hosts]` in ms, `values: float64[hosts, 20]`; where `sent: bool[hosts]` is false
    the host sampled nothing.
    """

    times: NDArray[np.int64]
    values: NDArray[np.float64]
    sent: NDArray[np.bool_]


class Fleet:
    """Hosts whose tick number 0 begins at `begin` (ms); `tick` gives one after the other."""

    def __init__(self, hosts: int, begin: int, seed: int = 1) -> None:
        self.hosts = hosts
        self.labels = [_labels(host) for host in range(hosts)]
        """`labels[host][k]` are those of `values[host, k]`."""
        self._begin = begin
        self._ticks = 0
        self._dice = dice = np.random.default_rng(seed)
        self.phases = np.sort(dice.integers(0, TICK - 100, hosts))
        """When within a tick (ms) each host samples; ascending, give or take the jitter."""
        self._busy = np.minimum(dice.lognormal(-1.6, 0.7, hosts), 0.97)
        self._load = self._busy * 4
        self._load5 = self._load.copy()
        self._memory = dice.choice([8, 16, 32, 64], hosts) * float(_GIB)
        self._free = dice.uniform(0.05, 0.8, hosts)
        self._disk = dice.choice([50, 100, 500], hosts) * float(_GIB)
        self._avail = dice.uniform(0.03, 0.9, hosts)
        # Three of a hundred disks fill within a day, the others go up and down.
        self._filling = np.where(dice.random(hosts) < 0.03, dice.uniform(1, 6, hosts) / 8640, 0)
        self._traffic = dice.lognormal(11, 1.5, hosts)
        self._requests = dice.lognormal(3, 1, hosts)
        self._slow = np.where(dice.random(hosts) < 0.05, 0.3, 0.01)
        self._down = dice.random(hosts) < 0.01
        self._boot = begin / 1000 - dice.integers(3_600, 5_000_000, hosts)
        # The counters as they stood when the fleet was first looked at.
        uptime = begin / 1000 - self._boot
        self._cpu = np.stack([1 - self._busy, self._busy * 0.3, self._busy * 0.7]) * uptime
        self._net = np.floor(np.stack([self._traffic, self._traffic * 0.6]) * uptime)
        self._io = self._busy * 0.5 * uptime
        self._counts = np.zeros((len(_BUCKETS), hosts))
        # What befalls hosts: a tick of a restart, the begin and length of an outage, an end.
        far = 1 << 40
        horizon = 900
        self._restarts = np.where(dice.random(hosts) < 0.04, dice.integers(0, horizon, hosts), far)
        self._outages = np.where(dice.random(hosts) < 0.06, dice.integers(0, horizon, hosts), far)
        self._outage_ticks = dice.integers(6, 60, hosts)
        self._ends = np.where(dice.random(hosts) < 0.02, dice.integers(100, horizon, hosts), far)
        self._marked = dice.random(hosts) < 0.5

    @property
    def end(self) -> int:
        """When (ms) the last tick that was given ends."""
        return self._begin + self._ticks * TICK

    def tick(self) -> Tick:
        """The next tick's samples."""
        k, dice, hosts = self._ticks, self._dice, self.hosts
        self._ticks += 1
        times = self._begin + k * TICK + self.phases + dice.integers(0, 20, hosts)
        values = self._look(k, times)
        ending = self._ends == k
        sent = (dice.random(hosts) >= 0.002) & (self._ends > k)
        sent &= ~((k >= self._outages) & (k < self._outages + self._outage_ticks))
        # A restart takes three ticks.
        sent &= ~((k >= self._restarts) & (k < self._restarts + 3))
        # Half of those that end say so, as a scraper does.
        values[ending & self._marked] = STALE_NAN
        return Tick(times, values, sent | (ending & self._marked))

    def _look(self, k: int, times: NDArray[np.int64]) -> NDArray[np.float64]:
        dice, hosts, seconds = self._dice, self.hosts, TICK / 1000
        self._begin_anew(self._restarts == k, times)
        busy = np.clip(self._busy + dice.normal(0, 0.05, hosts), 0.005, 0.995)
        self._cpu += np.stack([1 - busy, busy * 0.3, busy * 0.7]) * seconds
        self._load += 0.15 * (busy * 4 - self._load) + dice.normal(0, 0.05, hosts)
        self._load = np.abs(self._load)
        self._load5 += 0.03 * (self._load - self._load5)
        self._free = np.clip(self._free + dice.normal(0, 0.004, hosts), 0.02, 0.95)
        drift = dice.normal(0, 1e-5, hosts) - self._filling
        self._avail = np.clip(self._avail + drift, 0, 0.95)
        traffic = self._traffic * dice.lognormal(0, 0.3, hosts)
        self._net += np.floor(np.stack([traffic, traffic * 0.6]) * seconds)
        self._io += busy * 0.5 * seconds
        requests = dice.poisson(self._requests * seconds).astype(np.float64)
        shares = np.stack([0.9 - self._slow, 0.97 - self._slow, 0.98 - self._slow / 2])
        self._counts[:3] += np.floor(requests * np.maximum(shares, 0))
        self._counts[3] += np.floor(requests * 0.999)
        self._counts[4] += requests
        self._counts = np.maximum.accumulate(self._counts, axis=0)
        up = np.where(self._down & (dice.random(hosts) < 0.7), 0.0, 1.0)
        columns = (
            up,
            np.round(self._load, 2),
            np.round(self._load5, 2),
            self._memory,
            np.floor(self._memory * self._free / 4096) * 4096,
            self._disk,
            np.floor(self._disk * self._avail / 4096) * 4096,
            *np.round(self._cpu, 2),
            *self._net,
            np.floor(self._boot),
            np.round(self._io, 3),
            np.ones(hosts),
            *self._counts,
        )
        return np.stack(columns, axis=1)

    def _begin_anew(self, hosts: NDArray[np.bool_], times: NDArray[np.int64]) -> None:
        """These hosts boot now: their counters begin at nothing."""
        self._boot = np.where(hosts, times / 1000, self._boot)
        for counters in (self._cpu, self._net, self._io, self._counts):
            counters[..., hosts] = 0


def _labels(host: int) -> list[Labels]:
    found = []
    for name, own in _SHAPES:
        pairs = {
            "__name__": name,
            "instance": f"host-{host:05}:9100",
            "job": "node",
            "site": f"site-{host % SITES}",
            **own,
        }
        match name:
            case "node_uname_info":
                pairs["nodename"] = f"host-{host:05}"
            case "http_request_duration_seconds_bucket":
                pairs["service"] = f"service-{host // SITES % SERVICES}"
        found.append(labels_from(pairs))
    return found
