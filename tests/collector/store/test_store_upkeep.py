"""Sealing, merging, retention and restarts in any order leave what a dictionary says there is."""

from __future__ import annotations

import random
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forewarn_collector.store import Caretaker, Store, StoreError
from forewarn_collector.store.compact import StoppedError
from forewarn_collector.store.sealed import Archive
from forewarn_wire import Labels
from support.stores import HOUR, START, Clock, batch, contents, matching, series

MINUTE = 60_000
DAY = 24 * HOUR
HOSTS = ("a", "b")
ALL = [series("load", instance=host, cpu=str(cpu)) for host in HOSTS for cpu in range(2)]
RETENTION = 30 * DAY


class Kept:
    """A store and what a dictionary of all samples says of it."""

    def __init__(self, folder: Path, max_bytes: int | None = None) -> None:
        self.clock = Clock(START)
        self.folder = folder
        self._max_bytes = max_bytes
        self.samples: dict[Labels, dict[int, float]] = {}
        self.open()

    def open(self) -> None:
        self.store = Store(
            self.folder, retention=RETENTION, clock=self.clock, max_bytes=self._max_bytes
        )
        self.store.open()

    def reopen(self) -> None:
        self.store.close()
        self.open()

    def write(self, rows: list[tuple[int, int, float]]) -> None:
        """Samples: which series, its time (ms), its value."""
        sent = [(ALL[which], time, value) for which, time, value in rows]
        if sent:
            self.store.append(batch(*sent)).result()
        for labels, time, value in sent:
            self.samples.setdefault(labels, {}).setdefault(time, value)

    def tick(self, minutes: int, hosts: int = 2) -> None:
        """One sample a minute of every series."""
        for _ in range(minutes):
            self.clock.now += MINUTE
            now = self.clock.now
            self.write([(which, now, now / 7e6 + which) for which in range(2 * hosts)])

    def live(self, minutes: int) -> None:
        """As `tick`, with a seal every five minutes."""
        for _ in range(minutes // 5):
            self.tick(5)
            self.store.seal()

    def compact(self) -> int:
        return sum(self.store.compact())

    def wanted(self, since: int = 0) -> dict[Labels, list[tuple[int, float]]]:
        return {
            labels: sorted((time, value) for time, value in times.items() if time >= since)
            for labels, times in self.samples.items()
        }

    def check(self, since: int = 0) -> None:
        there = contents(self.store, matching("load"), since)
        wanted = {labels: rows for labels, rows in self.wanted(since).items() if rows}
        assert {labels: rows for labels, rows in there.items() if rows} == wanted

    def levels(self) -> dict[int, int]:
        return {level.level: level.chunks for level in self.store.archive_stats().levels}


@contextmanager
def keeping(max_bytes: int | None = None) -> Iterator[Kept]:
    with tempfile.TemporaryDirectory() as folder:
        kept = Kept(Path(folder), max_bytes)
        try:
            yield kept
        finally:
            kept.store.close()


@pytest.fixture
def kept() -> Iterator[Kept]:
    with keeping() as found:
        yield found


_LATE = st.tuples(
    st.integers(0, len(ALL) - 1), st.integers(0, 3 * 24 * 60), st.sampled_from([0.0, 1.5, -2.0])
)
_STEPS = st.one_of(
    st.tuples(st.just("tick"), st.integers(1, 30)),
    st.tuples(st.just("late"), st.lists(_LATE, min_size=1, max_size=8)),
    st.tuples(st.just("pass"), st.integers(1, 40)),
    st.tuples(st.sampled_from(["seal", "seal", "compact", "retain", "reopen", "settle"])),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(_STEPS, max_size=25))
def test_upkeep_in_any_order_keeps_each_sample_once(steps: list[tuple[object, ...]]) -> None:
    with keeping() as kept:
        cutoff = 0
        for step in steps:
            match step:
                case ("tick", int(minutes)):
                    kept.tick(minutes)
                case ("late", list(rows)):
                    # Up to three days back, sometimes for a time that is there with another value.
                    kept.write([(w, kept.clock.now - m * MINUTE, v) for w, m, v in rows])
                case ("pass", int(hours)):
                    kept.clock.now += hours * HOUR
                case ("seal",):
                    kept.store.seal()
                case ("compact",):
                    kept.compact()
                case ("retain",):
                    cutoff = max(cutoff, kept.store.enforce_retention())
                case ("settle",):
                    kept.store.settle(lambda: False)
                case _:
                    kept.reopen()
        kept.check(cutoff)
        kept.compact()
        kept.check(cutoff)


def test_chunks_become_few_and_large(kept: Kept) -> None:
    kept.live(120)
    assert kept.levels() == {0: 2 * 24}
    kept.compact()
    # A chunk of each host for the two hours.
    assert kept.levels() == {1: 2}
    for _ in range(11):
        kept.live(120)
        kept.compact()
    kept.clock.now += 27 * HOUR
    kept.tick(5)
    kept.compact()
    # START is 15:06:40 UTC on a Sunday: its host's day is cut at midnight.
    assert kept.levels() == {2: 4}
    kept.check()
    kept.reopen()
    kept.check()


def test_of_two_values_for_a_time_the_first_stays_through_all_levels(kept: Kept) -> None:
    kept.live(120)
    first = START + MINUTE
    for value in (-1.0, -2.0):
        kept.write([(0, first, value)])
        kept.store.seal()
    kept.check()
    kept.compact()
    kept.check()
    kept.clock.now += 3 * DAY
    kept.compact()
    kept.compact()
    assert 0 not in kept.levels()
    kept.check()


def test_a_late_sample_of_any_age_is_there_once(kept: Kept) -> None:
    kept.live(60)
    kept.clock.now += 3 * DAY
    kept.tick(5)
    kept.store.seal()
    kept.compact()
    early = START - 20 * DAY
    kept.write([(0, early, 4.0), (1, START + 90 * MINUTE, 5.0)])
    kept.check()
    kept.store.seal()
    kept.reopen()
    kept.write([(0, early, 9.0)])
    kept.check()
    kept.compact()
    kept.check()


def test_retention_forgets_series_and_gives_the_room_back(kept: Kept) -> None:
    kept.live(60)
    for _ in range(3):
        kept.clock.now += 9 * DAY
        kept.tick(30, hosts=1)
        kept.store.seal()
    assert kept.store.stats().series == 4
    kept.clock.now += 4 * DAY
    kept.tick(1, hosts=1)
    # As after a restart, which knows of a group only where it ends.
    kept.reopen()
    kept.store.settle(lambda: False)
    cutoff = kept.store.enforce_retention()
    assert kept.store.stats().series == 2
    assert kept.store.dropped_chunks > 0
    assert kept.store.series([], 0, 1 << 60) == ALL[:2]
    kept.check(cutoff)
    kept.reopen()
    assert kept.store.stats().series == 2
    kept.check(cutoff)


def test_the_oldest_goes_where_history_takes_too_much_room() -> None:
    with keeping(max_bytes=20_000) as kept:
        for _ in range(20):
            kept.tick(30)
            kept.write([(0, kept.clock.now + k, k**0.5) for k in range(1, 1_000)])
            kept.clock.now += HOUR
            kept.store.seal()
            kept.compact()
        assert kept.store.archive_stats().bytes > 20_000
        cutoff = kept.store.enforce_retention()
        assert START < cutoff < kept.clock.now
        assert kept.store.archive_stats().bytes <= 20_000
        kept.check(cutoff)
        assert not contents(kept.store, matching("load"), 0, START + HOUR)[ALL[0]]


def test_what_came_at_once_of_many_days_goes_by_the_day_where_it_is_too_much() -> None:
    with keeping(max_bytes=60_000) as kept:
        ends = [START + day * 24 * HOUR for day in range(10)]
        dice = random.Random(1)
        kept.write([(0, end + k * 1_000, dice.random()) for end in ends for k in range(1_000)])
        kept.store.seal()
        assert kept.store.archive_stats().bytes > 60_000
        kept.store.enforce_retention()
        kept.check()
        kept.clock.now = ends[-1] + 4 * HOUR
        kept.tick(1)
        kept.compact()
        cutoff = kept.store.enforce_retention()
        assert ends[1] < cutoff < ends[-1]
        assert kept.store.archive_stats().bytes <= 60_000
        kept.check(cutoff)


def test_a_full_disk_at_a_seal_loses_nothing(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StoreError("cannot write to sealed.db: database or disk is full", retryable=True)

    kept.live(10)
    kept.tick(10)
    with monkeypatch.context() as patch:
        patch.setattr(Archive, "replace", full)
        with pytest.raises(StoreError, match="full"):
            kept.store.seal()
    kept.check()
    assert kept.store.unsealed == 40
    kept.tick(1)
    kept.reopen()
    kept.check()
    assert kept.store.seal() == 44
    assert kept.store.unsealed == 0
    kept.check()


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", ["replace", "drop", "forget"])
def test_a_crash_at_any_step_leaves_every_sample_once(
    name: str, count: int, before: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory as it is at one of the archive's writes is opened as if the power had gone."""
    kept = Kept(tmp_path / "live")
    real: Callable[..., object] = getattr(Archive, name)
    calls = 0
    copied: dict[Labels, list[tuple[int, float]]] | None = None

    def copying(*args: object, **named: object) -> object:
        nonlocal calls, copied
        result = None if before else real(*args, **named)
        calls += 1
        if calls == count:
            copied = kept.wanted()
            shutil.copytree(kept.folder, tmp_path / "copy")
        return real(*args, **named) if before else result

    monkeypatch.setattr(Archive, name, copying)
    try:
        kept.live(120)
        kept.compact()
        for _ in range(3):
            kept.clock.now += 10 * DAY
            kept.tick(5, hosts=1)
            kept.store.seal()
            kept.compact()
            kept.store.enforce_retention()
        cutoff = kept.store.cutoff
    finally:
        kept.store.close()
    if copied is None:
        assert name == "drop" or name == "forget"
        return
    after = Kept.__new__(Kept)
    after.folder, after.clock, after._max_bytes = tmp_path / "copy", kept.clock, None
    after.samples = {labels: dict(rows) for labels, rows in copied.items()}
    after.open()
    try:
        after.check(cutoff)
        after.store.seal()
        after.compact()
        after.store.enforce_retention()
        after.check(cutoff)
    finally:
        after.store.close()


def test_merging_stops_when_it_is_told_to_and_changes_nothing(kept: Kept) -> None:
    kept.live(120)
    with pytest.raises(StoppedError):
        list(kept.store.compact(lambda: True))
    assert kept.levels() == {0: 2 * 24}
    kept.check()


def test_a_damaged_chunk_is_not_merged(kept: Kept) -> None:
    kept.live(120)
    kept.store.close()
    archive = Archive(kept.folder / "sealed.db")
    try:
        victim = archive.chunks(level=0)[5].id
    finally:
        archive.close()
    with closing(sqlite3.connect(kept.folder / "sealed.db")) as vandal, vandal:
        vandal.execute("UPDATE chunks SET directory = x'00' WHERE id = ?", (victim,))
    kept.open()
    kept.compact()
    kept.compact()
    kept.clock.now += 3 * HOUR
    kept.tick(1)
    kept.compact()
    left = [chunk.id for chunk in kept.store._archive.chunks(level=0)]
    assert left == [victim]
    found = contents(kept.store, matching("load"))
    lost = sum(len(rows) for rows in kept.wanted().values()) - sum(map(len, found.values()))
    assert lost == 10  # of two series in five minutes


class Slow:
    """A store that is looked after, as far as the caretaker sees it."""

    def __init__(self) -> None:
        self.unsealed = 7
        self.calls: list[str] = []
        self.sealed = threading.Event()

    def seal(self) -> int:
        self.calls.append("seal")
        if self.calls.count("seal") > 1:
            self.sealed.set()
            return 7
        raise StoreError("disk full", retryable=True)

    def restore(self) -> int:
        self.calls.append("restore")
        return 0

    def settle(self, stopping: Callable[[], bool]) -> None:
        self.calls.append("settle")

    def compact(self, stopping: Callable[[], bool]) -> Iterator[int]:
        self.calls.append("compact")
        yield 3
        self.sealed.set()

    def enforce_retention(self) -> int:
        return 0


def test_what_fails_is_told_counted_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    store = Slow()
    caretaker = Caretaker(store)
    caretaker.start()
    assert store.sealed.wait(10)
    caretaker.stop()
    assert "disk full" in caplog.text
    stats = caretaker.tasks["seal"]
    assert (stats.failures, stats.runs, stats.amount) == (1, 1, 7)
    assert caretaker.tasks["compact"].amount == 3
    assert store.calls[:2] == ["restore", "settle"]
    assert store.calls[-1] == "seal"
