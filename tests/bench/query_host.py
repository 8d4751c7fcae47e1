"""Hosts for the benchmark of a dashboard: node_exporter's series, and values for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client.parser import text_string_to_metric_families

from forewarn_collector.promql import compile_query
from forewarn_collector.store import Matcher, MatchOp
from forewarn_collector.store.matching import predicate
from forewarn_wire import Labels, labels_from

EVERY = 15_000
"""How often (ms) a host is scraped."""
TARGET = {"instance": "127.0.0.1:9100", "job": "node"}
"""The labels that the dashboard's expressions ask for."""

_COUNTING = {"counter", "histogram", "summary", "unknown", "untyped"}
_SENSORS = [{"chip": "platform_coretemp_0", "sensor": f"temp{number}"} for number in (1, 2, 3)]
_CPUS = [{"cpu": str(number)} for number in (0, 1)]
# A machine for tests lacks sensors, systemd and others: what stands for them, by the name's start.
_LACKING: Mapping[str, Sequence[Mapping[str, str]]] = {
    "node_hwmon_chip_names": [{"chip": "platform_coretemp_0", "chip_name": "coretemp"}],
    "node_hwmon_": _SENSORS,
    "node_cooling_device_": [{"name": str(number), "type": "Processor"} for number in (0, 1)],
    "node_cpu_scaling_": _CPUS,
    "node_schedstat_": _CPUS,
    "node_softnet_": _CPUS,
    "node_network_up": [{"device": device} for device in ("eth0", "eth1")],
    "node_power_supply_online": [{"power_supply": "AC"}],
    "node_systemd_socket_": [{"name": f"{name}.socket"} for name in ("dbus", "docker", "syslog")],
}


@dataclass(frozen=True)
class Shape:
    """A series of a host: its labels without `instance` and `job`, and where its values begin."""

    labels: Mapping[str, str]
    counts: bool
    value: float


def shapes(exposition: str, expressions: Iterable[str]) -> list[Shape]:
    """The series of a scrape, and such as the expressions ask for and it has not."""
    found = []
    for family in text_string_to_metric_families(exposition):
        counts = family.type in _COUNTING
        for sample in family.samples:
            labels = {"__name__": sample.name, **sample.labels}
            found.append(Shape(labels, counts, sample.value))
    for expr in expressions:
        for selector in compile_query(expr).selectors:
            if not any(_meets(shape, selector.matchers) for shape in found):
                found += _lacking(selector.matchers)
    return found


def series(host: Sequence[Shape], **own: str) -> list[Labels]:
    """The label sets of a host of that name."""
    return [labels_from({**shape.labels, **own}) for shape in host]


def values(host: Sequence[Shape], ticks: int, dice: np.random.Generator) -> NDArray[np.float64]:
    """`float64[series, ticks]`: counters that grow and begin anew once, gauges that wander."""
    counts = np.array([shape.counts for shape in host])[:, np.newaxis]
    first = np.array([shape.value for shape in host])[:, np.newaxis]
    # Most counters of a host stand still, as most of its gauges do.
    moving = dice.random((len(host), 1)) < 0.6
    pace = np.maximum(np.abs(first) / 1e4, 0.05) * moving
    steps = dice.exponential(1.0, (len(host), ticks)) * pace
    counted = np.cumsum(steps, axis=1)
    restart = ticks * 2 // 3
    counted[:, restart:] -= counted[:, restart - 1 : restart]
    counted[:, :restart] += first
    wandering = first + np.cumsum(dice.normal(0, 1, (len(host), ticks)) * pace, axis=1)
    found: NDArray[np.float64] = np.where(counts, counted, np.abs(wandering))
    return found.round(2)


def _meets(shape: Shape, matchers: Sequence[Matcher]) -> bool:
    labels = {**shape.labels, **TARGET}
    return all(predicate(matcher)(labels.get(matcher.name, "")) for matcher in matchers)


def _lacking(matchers: Sequence[Matcher]) -> list[Shape]:
    asked: dict[str, Any] = {
        matcher.name: matcher.value
        for matcher in matchers
        if matcher.op is MatchOp.EQUAL and matcher.name not in TARGET
    }
    name = asked["__name__"]
    known = [more for start, more in _LACKING.items() if name.startswith(start)]
    counts = name.endswith("_total") or name.startswith("node_netstat_")
    return [Shape({**asked, **more}, counts, 40.0) for more in (known[0] if known else [{}])]
