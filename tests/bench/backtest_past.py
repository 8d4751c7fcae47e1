"""A week of hosts for the benchmark of backtests: node_exporter's own series, carried on.

Counters go on at a rate of their own, gauges swing about what they were, and each host has half an
hour a day in which its gauges are a twentieth. The same samples go into a data directory, a commit
for each host and scrape as from an agent, and into VictoriaMetrics.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from forewarn_collector.store import Floats, Ints
from forewarn_collector.store.journal import Journal
from forewarn_wire import Labels, labels_from
from support.servers import call

STEP = 15_000
DAY = 86_400_000
STEPS = DAY // STEP
_LINE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
_PAIR = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_QUIET, _FAULTY = 1.0, 0.05


@dataclass(frozen=True)
class Template:
    """One series of a scrape: its labels but the host's, whether it counts, its value."""

    labels: Labels
    counts: bool
    value: float


@dataclass(frozen=True)
class Day:
    """One host's day: `times: int64[steps]`, `values: float64[series, steps]`."""

    host: int
    times: Ints
    values: Floats


def templates(scrape: str, wanted: AbstractSet[str]) -> list[Template]:
    """The series of a scrape that any rule reads, and `up`."""
    counters = set(re.findall(r"^# TYPE (\S+) counter$", scrape, re.MULTILINE))
    found = [Template((("__name__", "up"),), counts=False, value=1.0)]
    for line in scrape.splitlines():
        match = _LINE.match(line)
        if match is None or match[1] not in wanted:
            continue
        labels = labels_from({"__name__": match[1], **dict(_PAIR.findall(match[2] or ""))})
        found.append(Template(labels, match[1] in counters, float(match[3])))
    return found


class Fleet:
    """Hosts that all have the same series; day by day, from `start` (ms)."""

    def __init__(self, series: Sequence[Template], hosts: int, days: int, start: int) -> None:
        self.hosts, self.days, self.start = hosts, days, start
        self.end = start + days * DAY - 1
        self._series = series
        self._counters = np.array([each.counts for each in series])
        self._base = np.array([each.value for each in series])

    @property
    def samples(self) -> int:
        """How many there are in all."""
        return self.hosts * self.days * STEPS * len(self._series)

    @property
    def series(self) -> int:
        """How many series there are in all."""
        return self.hosts * len(self._series)

    def labels(self, host: int) -> list[Labels]:
        """The series of one host."""
        own = {"instance": f"host{host}:9100", "job": "node"}
        return [labels_from({**dict(each.labels), **own}) for each in self._series]

    def day(self, host: int, number: int) -> Day:
        """The samples of one host's day; hosts are scraped one after another."""
        chance = np.random.default_rng(zlib.crc32(f"{host} {number}".encode()))
        phase = host * STEP // self.hosts
        times = self.start + number * DAY + phase + np.arange(STEPS, dtype=np.int64) * STEP
        since = (times - self.start) / 1000
        rates = np.abs(np.sin(np.arange(len(self._series)) + host)) * 2
        counted = self._base[:, None] + np.floor(rates[:, None] * since)
        swing = 1 + 0.1 * np.sin(since / 3600)[None, :] + 0.01 * chance.standard_normal(STEPS)
        fault = np.full(STEPS, _QUIET)
        begins = int(chance.integers(STEPS - 120))
        fault[begins : begins + 120] = _FAULTY
        gauges = np.where(self._base[:, None] == 1, 1.0, self._base[:, None] * swing * fault)
        values = np.where(self._counters[:, None], counted, gauges)
        return Day(host, times, values)

    def each_day(self) -> Iterator[Day]:
        """All days of all hosts, in the order of time."""
        for number in range(self.days):
            for host in range(self.hosts):
                yield self.day(host, number)


def fill_directory(folder: Path, fleet: Fleet) -> None:
    """A data directory as a collector has it that takes a write of each host every 15 seconds."""
    folder.mkdir(parents=True)
    journal = Journal(folder / "store.db")
    width = fleet.series // fleet.hosts
    try:
        with journal.transaction():
            for host in range(fleet.hosts):
                first = 1 + host * width
                journal.add_series(enumerate(fleet.labels(host), first))
        for number in range(fleet.days):
            days = [fleet.day(host, number) for host in range(fleet.hosts)]
            with journal.transaction():
                for step in range(STEPS):
                    for day in days:
                        refs = np.arange(1 + day.host * width, 1 + (day.host + 1) * width)
                        time = int(day.times[step])
                        times = np.full(width, time, dtype=np.int64)
                        values = np.ascontiguousarray(day.values[:, step])
                        journal.add_samples(refs, times, values, time)
    finally:
        journal.close()


def fill_victoria(url: str, fleet: Fleet) -> None:
    """The same samples into VictoriaMetrics, by its JSON lines."""
    for day in fleet.each_day():
        lines = b"\n".join(
            orjson.dumps(
                {"metric": dict(labels), "values": values, "timestamps": day.times},
                option=orjson.OPT_SERIALIZE_NUMPY,
            )
            for labels, values in zip(fleet.labels(day.host), day.values, strict=True)
        )
        answer = call(f"{url}/api/v1/import", lines, timeout=120)
        assert answer.status == 204, answer.body
    call(f"{url}/internal/force_flush", timeout=120)
