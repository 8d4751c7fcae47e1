"""Thinned samples: each row says what a plain look at the samples of its bucket says."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forewarn_collector.store import Store, Thinning
from forewarn_collector.store.rows import Rows, coarser, encode_rows, read_rows, rows_of_samples
from forewarn_collector.store.sealed import Archive, NewChunk
from forewarn_collector.store.sealed.levels import ROWS_OF_1_HOUR, ROWS_OF_5_MINUTES
from forewarn_wire import STALE_NAN, is_stale
from support.stores import HOUR, Clock, batch, contents, matching, series

MINUTE = 60_000
DAY = 24 * HOUR
START = 20_000 * DAY
FIVE = 5 * MINUTE

_VALUES = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 2.0, 3.0, STALE_NAN, math.inf, math.nan]),
    st.floats(-1e6, 1e6),
)
_SERIES = st.dictionaries(st.integers(1, 3 * HOUR // 1000), _VALUES, max_size=60)


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def expected(samples: dict[int, float], length: int) -> dict[int, dict[str, float]]:
    """By PromQL's definitions of what functions over a range `(end - length, end]` give."""
    found: dict[int, list[tuple[int, float]]] = {}
    for time, value in sorted(samples.items()):
        found.setdefault(-(-time // length) * length, []).append((time, value))
    rows = {}
    for end, bucket in found.items():
        row = {"last": bucket[-1][1], "counts": 0.0}
        real = [(time, value) for time, value in bucket if not is_stale(value)]
        if real:
            values = [value for _, value in real]
            numbers = [value for value in values if not math.isnan(value)] or [math.nan]
            row |= {
                "final": values[-1],
                "first": values[0],
                "low": min(numbers),
                "high": max(numbers),
                "counts": float(len(values)),
                "began": real[0][0],
                "ended": real[-1][0],
                "total": sum(values),
                "resets": sum(a for a, b in pairwise(values) if b < a),
            }
        rows[end] = row
    return rows


def compare(rows: Rows, owner: int, wanted: dict[int, dict[str, float]]) -> None:
    mine = np.flatnonzero(rows.owners == owner)
    assert rows.times[mine].tolist() == sorted(wanted)
    for place in mine.tolist():
        for name, value in wanted[int(rows.times[place])].items():
            got = float(getattr(rows, name)[place])
            if name in ("total", "resets"):
                assert got == pytest.approx(value, rel=1e-9, abs=1e-6, nan_ok=True)
            elif name in ("last", "final", "first"):
                assert bits(got) == bits(value)
            else:
                assert got == value or (math.isnan(got) and math.isnan(value))


def rows_of(all_samples: list[dict[int, float]]) -> Rows:
    columns = [
        (owner, time, value)
        for owner, samples in enumerate(all_samples)
        for time, value in sorted(samples.items())
    ]
    owners = np.array([column[0] for column in columns], dtype=np.int64)
    times = np.array([column[1] for column in columns], dtype=np.int64)
    values = np.array([column[2] for column in columns], dtype=np.float64)
    return rows_of_samples(owners, times, values)


@settings(max_examples=100, deadline=None)
@given(st.lists(_SERIES, min_size=1, max_size=3))
def test_rows_say_what_their_samples_say_also_by_way_of_shorter_rows(
    seconds: list[dict[int, float]],
) -> None:
    samples = [{START + t * 1000: v for t, v in one.items()} for one in seconds]
    fine = coarser(rows_of(samples), FIVE)
    hours = coarser(fine, HOUR)
    for owner, one in enumerate(samples):
        compare(fine, owner, expected(one, FIVE))
        compare(hours, owner, expected(one, HOUR))


@settings(max_examples=40, deadline=None)
@given(st.lists(_SERIES, min_size=1, max_size=3))
def test_rows_come_back_from_the_archive(
    tmp_path_factory: pytest.TempPathFactory, seconds: list[dict[int, float]]
) -> None:
    samples = [{START + t * 1000: v for t, v in one.items()} for one in seconds]
    rows = coarser(rows_of(samples), FIVE)
    refs = np.array([3, 70, 71][: len(samples)], dtype=np.int64)
    archive = Archive(tmp_path_factory.mktemp("rows") / "sealed.db")
    try:
        (group,) = set(archive.groups(refs, lambda new: ["web1"] * len(new)).tolist())
        if len(rows.times):
            archive.put([NewChunk(group, ROWS_OF_5_MINUTES, encode_rows(rows, refs, FIVE))])
        found = read_rows(archive, refs, 0, 1 << 60, ROWS_OF_5_MINUTES)
        for owner, one in enumerate(samples):
            compare(found, owner, expected(one, FIVE))
        # As samples, the last one of each bucket is at its end.
        times, values, offsets = archive.select(refs, 0, 1 << 60)
        for owner, one in enumerate(samples):
            mine = slice(offsets[owner], offsets[owner + 1])
            wanted = {end: bits(row["last"]) for end, row in expected(one, FIVE).items()}
            got = zip(times[mine].tolist(), map(bits, values[mine].tolist()), strict=True)
            assert dict(got) == wanted
    finally:
        archive.close()


LOAD = [series("load", instance="a"), series("requests_total", instance="a")]


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    thinning = Thinning(after=2 * DAY, hourly_after=10 * DAY)
    found = Store(tmp_path, retention=400 * DAY, clock=clock, thinning=thinning)
    found.open()
    yield found
    found.close()


def written(store: Store, clock: Clock, days: int) -> dict[int, tuple[float, float]]:
    """A gauge and a counter that restarts now and then, one sample a minute."""
    generator = random.Random(5)
    count = 0.0
    sent = {}
    for _ in range(days * 6):
        rows = []
        for _ in range(240):
            clock.now += MINUTE
            count = 0.0 if generator.random() < 0.005 else count + generator.randrange(9)
            sent[clock.now] = (generator.randrange(100) / 10, count)
            rows += [(LOAD[k], clock.now, sent[clock.now][k]) for k in range(2)]
        store.append(batch(*rows)).result()
        store.seal()
    return sent


def test_samples_become_rows_of_minutes_and_then_of_hours(store: Store, clock: Clock) -> None:
    sent = written(store, clock, 4)
    sum(store.compact())
    sum(store.compact())
    levels = {level.level for level in store.archive_stats().levels}
    assert ROWS_OF_5_MINUTES in levels
    edge = START + 2 * DAY
    for k, labels in enumerate(LOAD):
        one = {time: pair[k] for time, pair in sent.items()}
        read = contents(store, matching(dict(labels)["__name__"]))[labels]
        rows = expected({t: v for t, v in one.items() if t <= edge}, FIVE)
        thinned = [(end, row["last"]) for end, row in sorted(rows.items())]
        assert read == thinned + [(t, v) for t, v in sorted(one.items()) if t > edge]
        ref = np.array([1 + k], dtype=np.int64)
        found = read_rows(store._archive, ref, 0, 1 << 60, ROWS_OF_5_MINUTES)
        compare(found, 0, rows)
    # What comes late to a bucket that has its row is not taken; to one without, it is.
    late = series("load", instance="a")
    store.append(batch((late, START + 30_000, 99.0), (late, START - DAY, 5.0))).result()
    store.seal()
    clock.now += 20 * DAY
    store.append(batch((late, clock.now, 1.0))).result()
    store.seal()
    for _ in range(4):
        sum(store.compact())
    levels = {level.level for level in store.archive_stats().levels}
    assert levels == {ROWS_OF_1_HOUR, 1}  # the last sample is of the newest day
    one = {time: pair[0] for time, pair in sent.items()} | {START - DAY: 5.0}
    found = read_rows(store._archive, np.array([1], dtype=np.int64), 0, 1 << 60, ROWS_OF_1_HOUR)
    compare(found, 0, expected(one, HOUR))
    assert contents(store, matching("load"))[late][0] == (START - DAY, 5.0)


def test_what_a_counter_rose_over_hours_is_what_its_samples_say(store: Store, clock: Clock) -> None:
    sent = written(store, clock, 3)
    clock.now += 20 * DAY
    store.append(batch((LOAD[0], clock.now, 1.0))).result()
    store.seal()
    for _ in range(3):
        sum(store.compact())
    ref = np.array([2], dtype=np.int64)
    rows = read_rows(store._archive, ref, START + HOUR, START + 2 * DAY, ROWS_OF_1_HOUR)
    values = [pair[1] for time, pair in sorted(sent.items()) if time <= START + 2 * DAY]
    rises = sum(b if b < a else b - a for a, b in pairwise(values))
    first, final = rows.first, rows.final
    joins = np.where(first[1:] < final[:-1], final[:-1], 0.0).sum()
    assert final[-1] - first[0] + rows.resets.sum() + joins == rises
