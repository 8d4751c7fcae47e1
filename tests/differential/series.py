"""Random series for the differential test: what real data is made of, and what breaks evaluators.

A series is drawn as a short pattern (a few values repeated, resets, gaps, special values), not
sample by sample, so that Hypothesis can shrink it and a dataset costs few draws.

No sample lies on a whole second, while all times of queries do: a range that is closed in
Prometheus 2 and left-open in Prometheus 3 then has the same samples.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from forewarn_wire import Labels, labels_from
from forewarn_wire.signals import STALE_NAN_BITS
from support.prompb import WriteRequest
from support.writing import snappy

SPAN = 1800
"""Seconds that a dataset is long."""

STALE: float = struct.unpack("<d", STALE_NAN_BITS.to_bytes(8, "little"))[0]

_INSTANCES = ("a", "b", "c", "d")
_BOUNDS = ("0.1", "0.5", "1", "2.5", "+Inf")
GAUGES = ("g", "other", "g_copy")
COUNTERS = ("c_total", "errors_total")
HISTOGRAM = "lat_bucket"
INFO = "build_info"
METRICS = (*GAUGES, *COUNTERS, HISTOGRAM, INFO)


@dataclass(frozen=True, slots=True)
class Series:
    """One series; its samples are `(ms after the dataset's start, value)`, in order."""

    labels: Labels
    samples: tuple[tuple[int, float], ...]

    def __str__(self) -> str:
        pairs = ",".join(f"{name}={value!r}" for name, value in self.labels if name != "__name__")
        samples = " ".join(f"{time / 1000:g}s:{_shown(value)}" for time, value in self.samples)
        return f"{dict(self.labels)['__name__']}{{{pairs}}} {samples}"


@dataclass(frozen=True, slots=True)
class Dataset:
    """Series that lie within `SPAN` seconds of a start."""

    series: tuple[Series, ...]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """How Hypothesis prints it: not at all, since the report of a failure does."""
        printer.text("...")

    def body(self, start: int) -> bytes:
        """A remote-write body of all samples, with the dataset's start at `start` (ms)."""
        request = WriteRequest()
        for series in self.series:
            entry = request.timeseries.add()
            for name, value in series.labels:
                entry.labels.add(name=name, value=value)
            for time, number in series.samples:
                entry.samples.add(value=number, timestamp=start + time)
        return snappy(request.SerializeToString())


def _shown(value: float) -> str:
    if math.isnan(value):
        return "stale" if struct.pack("<d", value) == struct.pack("<d", STALE) else "NaN"
    return repr(value)


_PLAIN = (1.0, 0.0, 2.0, 3.0, -1.0, 5.0, 0.25, 10.0, -7.75, 42.0, 100.0, 1024.5, 60.0)
# Their squares are finite, since what an overflow leaves of a deviation is no one's specification;
# and there is no -1e140, since Prometheus 2 loses all else where it meets 1e140 in a sum.
_WILD = (1e140, 1e-300, 5e-324, 1e16, 0.1, 1 / 3, -1e-9, 9007199254740993.0, math.pi)
_SPECIAL = (STALE, math.nan, math.inf, -math.inf, -0.0, 0.0, 1e18)
_STEPS = (1.0, 0.0, 2.0, 0.5, 10.0, 7.0, 300.0)

_interval = st.sampled_from((30, 15, 60, 47))
_phase = st.integers(1, 999)
_plain_values = st.lists(st.sampled_from(_PLAIN), min_size=1, max_size=6)
_wild_values = st.lists(
    st.one_of(st.sampled_from(_WILD), st.floats(-1e140, 1e140)), min_size=1, max_size=5
)
_increases = st.lists(st.sampled_from(_STEPS), min_size=1, max_size=5)
_position = st.integers(0, 60)
_resets = st.lists(_position, max_size=3)
_gaps = st.lists(st.tuples(_position, st.integers(1, 25)), max_size=2)
_marks = st.lists(st.tuples(_position, st.sampled_from(_SPECIAL)), max_size=3)
_begin = st.sampled_from((0,) * 9 + (45, 300, 900))
_count = st.sampled_from((200,) * 16 + (40, 12, 2, 1))
_drift = st.sampled_from((0.0, 0.0, 0.5, -2.0, 16.0))
_percent = st.integers(0, 99)


def _times(draw: DrawFn) -> list[int]:
    """Instants in ms, none of them a whole second; every other pattern is irregular."""
    interval, phase, begin, count = draw(_interval), draw(_phase), draw(_begin), draw(_count)
    wobble = 211 if draw(_percent) >= 50 else 0
    places = range(min(count, (SPAN - begin) // interval))
    times = [
        (begin + place * interval) * 1000 + 1 + (phase + place * wobble) % 999 for place in places
    ]
    for first, length in draw(_gaps):
        del times[first : first + length]
    return times or [begin * 1000 + phase]


def _with_marks(draw: DrawFn, values: list[float]) -> list[float]:
    for place, mark in draw(_marks):
        if place < len(values):
            values[place] = mark
    return values


def _gauge(draw: DrawFn, labels: Labels, wild: bool) -> Series:
    times = _times(draw)
    pattern, drift = draw(_wild_values if wild else _plain_values), draw(_drift)
    values = [pattern[place % len(pattern)] + drift * place for place in range(len(times))]
    return Series(labels, tuple(zip(times, _with_marks(draw, values), strict=True)))


def _counter_values(draw: DrawFn, count: int) -> list[float]:
    increases, resets = draw(_increases), set(draw(_resets))
    value, values = draw(st.sampled_from((0.0, 1000.0))), []
    for place in range(count):
        value = 0.0 if place in resets else value + increases[place % len(increases)]
        values.append(value)
    return values


def _counter(draw: DrawFn, labels: Labels) -> Series:
    times = _times(draw)
    values = _counter_values(draw, len(times))
    return Series(labels, tuple(zip(times, _with_marks(draw, values), strict=True)))


def _histogram(draw: DrawFn, pairs: dict[str, str]) -> list[Series]:
    """Buckets that all have the same instants, as one scrape gives them; now and then one lacks."""
    times = _times(draw)
    totals = [0.0] * len(times)
    found = []
    for bound in _BOUNDS:
        increases = _counter_values(draw, len(times))
        totals = [total + more for total, more in zip(totals, increases, strict=True)]
        if draw(_percent) < 95:
            labels = labels_from({"__name__": HISTOGRAM, "le": bound, **pairs})
            found.append(Series(labels, tuple(zip(times, totals, strict=True))))
    return found


def _label_sets(draw: DrawFn, most: int) -> list[dict[str, str]]:
    """Different label sets; `instance` is common, the others are shared by some or missing."""
    instances = draw(st.lists(st.sampled_from(_INSTANCES), min_size=1, max_size=most, unique=True))
    job = draw(st.sampled_from(("api", "", "api", "db")))
    found = []
    for instance in instances:
        pairs = {"instance": instance, "job": job}
        if draw(_percent) >= 85:
            pairs["job"] = draw(st.sampled_from(("api", "db", 'wéb "1"', "")))
        modes = draw(st.sampled_from((("",), ("user", "idle"), ("user",), ("",))))
        found += [{**pairs, "mode": mode} for mode in modes]
    return found


@st.composite
def datasets(draw: DrawFn) -> Dataset:
    """Every metric has at least one series, so that most expressions find something."""
    wild = draw(_percent) >= 85
    found: list[Series] = []
    for name in GAUGES:
        for pairs in _label_sets(draw, 3):
            found.append(_gauge(draw, labels_from({"__name__": name, **pairs}), wild))
    for name in COUNTERS:
        for pairs in _label_sets(draw, 3):
            found.append(_counter(draw, labels_from({"__name__": name, **pairs})))
    for instance in draw(st.sampled_from((("a",), ("a", "b")))):
        found += _histogram(draw, {"instance": instance, "job": "api"})
    for instance in _INSTANCES:
        version = draw(st.sampled_from(("1.0", "2.0")))
        pairs = {"__name__": INFO, "instance": instance, "version": version}
        times = range(500, SPAN * 1000, 60_000)
        found.append(Series(labels_from(pairs), tuple((time, 1.0) for time in times)))
    return Dataset(tuple(found))
