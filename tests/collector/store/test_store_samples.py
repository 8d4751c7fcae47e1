"""Samples through the whole store: written, read, resent, reopened, grown old."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from forewarn_collector.store import Appended, Batch, Matcher, MatchOp, Store, StoreError
from forewarn_wire import STALE_NAN_BITS, Labels
from support.stores import HOUR, START, Clock, batch, contents, matching, series

Reopen = Callable[[], Store]
CPU = series("cpu", instance="a")
DISK = series("disk", instance="a")


def test_a_sample_is_visible_once_its_write_is_acknowledged(store: Store) -> None:
    assert store.append(batch((CPU, START, 1.5))).result(10) == Appended(1, 0)
    assert contents(store, matching("cpu")) == {CPU: [(START, 1.5)]}
    assert contents(store, matching("cpu"), START + 1) == {CPU: []}
    assert contents(store, matching("disk")) == {}


def test_a_resent_batch_adds_no_samples(reopen: Reopen) -> None:
    store = reopen()
    sent = batch(*((CPU, START + k, float(k)) for k in range(50)), (DISK, START, 0.0))
    assert store.append(sent).result(10) == Appended(51, 0)
    size = store.stats().disk_bytes
    assert store.append(sent).result(10) == Appended(0, 51)
    assert store.stats().disk_bytes == size
    assert (store.stats().duplicates, store.stats().conflicts) == (51, 0)
    assert len(contents(reopen(), matching("cpu"))[CPU]) == 50


def test_the_first_value_of_a_time_stays_and_the_conflict_is_counted(reopen: Reopen) -> None:
    store = reopen()
    first = batch((CPU, START, 1.0), (CPU, START, 2.0))
    assert store.append(first).result(10) == Appended(1, 1)
    assert store.append(batch((CPU, START, 3.0))).result(10) == Appended(0, 1)
    assert store.stats().conflicts == 2
    assert contents(reopen(), matching("cpu")) == {CPU: [(START, 1.0)]}


def test_late_and_early_samples_are_put_in_their_place(reopen: Reopen) -> None:
    store = reopen()
    for time in (START, START - HOUR, 0, START + 10, START - 5, START + 5):
        assert store.append(batch((CPU, time, float(time)))).result(10) == Appended(1, 0)
    expected = [
        (t, float(t)) for t in sorted((0, START - HOUR, START - 5, START, START + 5, START + 10))
    ]
    assert contents(store, matching("cpu"))[CPU] == expected
    assert contents(reopen(), matching("cpu"))[CPU] == expected


def test_every_bit_of_a_value_survives_the_head_and_the_journal(reopen: Reopen) -> None:
    bits = np.array(
        [
            STALE_NAN_BITS,
            0x7FF8000000000001,  # the usual NaN of Prometheus
            0xFFF8DEADBEEF0001,  # a negative NaN with a payload
            0x7FF0000000000001,  # a signalling NaN
            0x7FF0000000000000,  # +Inf
            0xFFF0000000000000,  # -Inf
            0x8000000000000000,  # -0.0
            0x0000000000000001,  # the smallest subnormal
            0,
        ],
        dtype=np.uint64,
    )
    count = len(bits)
    sent = Batch(
        [CPU],
        np.zeros(count, dtype=np.int64),
        START + np.arange(count, dtype=np.int64),
        bits.view(np.float64),
    )
    store = reopen()
    # In the second batch the same values arrive late, out of order.
    late = Batch(sent.labels, sent.rows, sent.times[::-1] - 100, sent.values[::-1].copy())
    for item in (sent, late):
        assert store.append(item).result(10).added == count
        assert store.append(item).result(10).duplicates == count
    assert store.stats().conflicts == 0
    for opened in (store, reopen()):
        found = opened.select(matching("cpu"), 0, START + HOUR)
        assert found.values.view(np.uint64).tolist() == bits.tolist() * 2


def test_writes_from_many_threads_are_committed_together_and_each_gets_its_own_count(
    store: Store,
) -> None:
    futures: list[Future[Appended]] = []
    for k in range(300):
        labels = series("cpu", instance=str(k % 30))
        futures.append(store.append(batch((labels, START + k // 60, float(k)))))
    outcomes = [future.result(10) for future in futures]
    # Each (series, time) is sent twice.
    assert sum(item.added for item in outcomes) == 150
    assert [item.added for item in outcomes[:60]] == [1] * 30 + [0] * 30
    assert store.stats().commits < 300


def test_readers_see_whole_commits_while_writers_write(store: Store) -> None:
    everything = [series("cpu", instance=str(k)) for k in range(50)]
    done = threading.Event()
    wrong: list[object] = []

    def read() -> None:
        while not done.is_set():
            found = store.select(matching("cpu"), 0, 1 << 60)
            counts = set(np.diff(found.offsets).tolist())
            # Each batch has one sample of every series, so all have as many.
            if len(counts) > 1 or len(found.times) != len(found.values):
                wrong.append(counts)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for k in range(300):
        store.append(batch(*((labels, START + k * 10, float(k)) for labels in everything)))
    last = batch(*((labels, START - 5, 0.0) for labels in everything))
    assert store.append(last).result(20).added == 50
    done.set()
    for reader in readers:
        reader.join(10)
    assert wrong == []
    assert len(store.select(matching("cpu"), 0, 1 << 60).times) == 301 * 50


def test_one_bad_batch_does_not_fail_those_that_wait_with_it(store: Store) -> None:
    bad = Batch([CPU], np.array([7]), np.array([START]), np.array([1.0]))
    futures = [
        store.append(item)
        for item in [batch((CPU, START + k, 1.0)) for k in range(20)]
        + [bad]
        + [batch((DISK, START + k, 1.0)) for k in range(20)]
    ]
    with pytest.raises(IndexError):
        futures.pop(20).result(10)
    assert [future.result(10).added for future in futures] == [1] * 40


def test_labels_without_a_sample_make_no_series(reopen: Reopen) -> None:
    store = reopen()
    sent = Batch([DISK, CPU], np.array([1]), np.array([START]), np.array([1.0]))
    assert store.append(sent).result(10) == Appended(1, 0)
    assert store.stats().series == 1
    assert store.append(batch((DISK, START, 4.0))).result(10) == Appended(1, 0)
    assert contents(reopen(), matching("disk")) == {DISK: [(START, 4.0)]}


def test_each_write_that_adds_something_is_announced_once(store: Store) -> None:
    arrivals = store.arrivals()
    sent = batch((CPU, START - 5, 1.0), (DISK, START, 1.0), (CPU, START - 4, 1.0))
    store.append(sent).result(10)
    store.append(sent).result(10)
    store.append(batch((CPU, START + 7, 1.0))).result(10)
    first, second = arrivals.get(timeout=5), arrivals.get(timeout=5)
    assert sorted(store.labels_of(first.refs)) == [CPU, DISK]
    assert (first.earliest, first.latest) == (START - 5, START)
    assert store.labels_of(second.refs) == [CPU]
    assert (second.earliest, second.latest) == (START + 7, START + 7)
    assert arrivals.empty()


def test_series_and_their_labels_are_found_by_matchers_and_time(store: Store) -> None:
    other = series("cpu", instance="b", mode="idle")
    store.append(batch((CPU, START, 1.0), (DISK, START, 1.0), (other, START - HOUR, 1.0))).result(
        10
    )
    everything = [CPU, other, DISK]
    assert store.series([], 0, START) == sorted(everything)
    assert store.series([matching("cpu"), matching("disk")], 0, START) == sorted(everything)
    assert store.series([matching("cpu")], START, START) == [CPU]
    assert store.label_names([], 0, START) == ["__name__", "instance", "mode"]
    assert store.label_names([], START, START) == ["__name__", "instance"]
    assert store.label_values("instance", [], 0, START) == ["a", "b"]
    assert store.label_values("instance", [matching("disk")], 0, START) == ["a"]
    assert store.label_values("nowhere", [], 0, START) == []


def test_retention_counts_from_the_newest_sample_where_the_clock_is_ahead(
    reopen: Reopen, clock: Clock
) -> None:
    store = reopen()
    store.append(batch((CPU, START - 30 * HOUR, 1.0), (CPU, START - 25 * HOUR, 2.0))).result(10)
    clock.now = START + 10_000 * HOUR
    store.enforce_retention()
    assert len(contents(store, matching("cpu"))[CPU]) == 2


def test_the_collectors_own_samples_do_not_age_what_senders_sent(
    reopen: Reopen, clock: Clock
) -> None:
    store = reopen()
    store.append(batch((CPU, 0, 1.0))).result(10)
    store.append(batch((DISK, START, 1.0)), own=True).result(10)
    store.enforce_retention()
    assert len(contents(store, matching("cpu"))[CPU]) == 1
    store = reopen()
    store.enforce_retention()
    assert len(contents(store, matching("cpu"))[CPU]) == 1


def test_one_sample_from_the_future_does_not_hand_retention_to_the_clock(
    store: Store, clock: Clock
) -> None:
    store.append(batch((CPU, START, 1.0), (DISK, START + 10_000 * HOUR, 2.0))).result(10)
    clock.now = START + 5_000 * HOUR
    assert store.enforce_retention() <= START
    assert len(contents(store, matching("cpu"))[CPU]) == 1


def test_one_sample_from_the_future_does_not_empty_the_store(store: Store) -> None:
    store.append(batch((CPU, START, 1.0), (CPU, START + 10_000 * HOUR, 2.0))).result(10)
    store.enforce_retention()
    assert len(contents(store, matching("cpu"))[CPU]) == 2


def test_what_is_older_than_the_retention_is_dropped_from_memory_and_disk(
    reopen: Reopen, tmp_path: Path
) -> None:
    store = reopen()
    store.append(batch((CPU, START - 30 * HOUR, 1.0), (DISK, START - 30 * HOUR, 1.0))).result(10)
    store.append(batch((DISK, START, 2.0))).result(10)
    store.enforce_retention()
    assert store.stats().series == 1
    assert contents(store, matching("cpu")) == {}
    assert store.label_values("__name__", [], 0, START) == ["disk"]
    with sqlite3.connect(tmp_path / "data" / "store.db") as reader:
        assert reader.execute("SELECT count(*) FROM journal").fetchone() == (1,)
        assert reader.execute("SELECT sum(series) FROM label_sets").fetchone() == (1,)
    reader.close()
    # The series may come again, and gets its old samples back from nowhere.
    store.append(batch((CPU, START + 1, 3.0))).result(10)
    store = reopen()
    assert contents(store, matching("cpu")) == {CPU: [(START + 1, 3.0)]}


def test_samples_of_a_dropped_series_never_come_back_as_another_ones(reopen: Reopen) -> None:
    # One commit holds an old sample of a series that is dropped, and a young one of another: the
    # row stays on disk, and with it the dropped series' number.
    store = reopen()
    store.append(batch((DISK, START, 2.0), (CPU, START - 30 * HOUR, 1.0))).result(10)
    store.enforce_retention()
    store = reopen()
    newcomer = series("memory")
    store.append(batch((newcomer, START, 5.0))).result(10)
    store = reopen()
    assert contents(store, matching("memory")) == {newcomer: [(START, 5.0)]}
    assert contents(store, matching("cpu")) == {}


def test_a_bad_regex_is_the_askers_error(store: Store) -> None:
    with pytest.raises(ValueError, match="bad regex"):
        store.select([Matcher("instance", MatchOp.REGEX, "*")], 0, START)


def test_a_second_collector_on_the_same_directory_is_refused(
    store: Store, tmp_path: Path, clock: Clock
) -> None:
    with pytest.raises(StoreError, match="in use by another collector"):
        Store(tmp_path / "data", retention=HOUR, clock=clock).open()
    assert store.append(batch((CPU, START, 1.0))).result(10).added == 1


def test_a_closed_store_refuses_writes_and_finishes_those_it_has(
    tmp_path: Path, clock: Clock
) -> None:
    store = Store(tmp_path / "data", retention=24 * HOUR, clock=clock)
    store.open()
    futures = [store.append(batch((CPU, START + k, 1.0))) for k in range(50)]
    store.close()
    assert all(future.result(0).added == 1 for future in futures)
    with pytest.raises(StoreError, match="closed"):
        store.append(batch((CPU, START, 1.0)))


def test_the_files_are_their_owners_only(reopen: Reopen, tmp_path: Path) -> None:
    reopen().append(batch((CPU, START, 1.0))).result(10)
    for file in (tmp_path / "data").iterdir():
        assert file.stat().st_mode & 0o077 == 0, file.name


def test_batches_made_on_the_writers_thread_are_stored_and_each_failure_is_its_own(
    store: Store,
) -> None:
    threads: list[str] = []
    heard = threading.Event()

    def make(*samples: tuple[Labels, int, float]) -> Batch:
        threads.append(threading.current_thread().name)
        return batch(*samples)

    def fail() -> Batch:
        raise ValueError("not a body")

    def make_too_much() -> Batch:
        # Its rows name a label set that is not there.
        return Batch([CPU], np.array([1]), np.array([START]), np.array([0.0]))

    makes = [
        partial(make, (CPU, START, 1.0)),
        fail,
        partial(make, (DISK, START, 2.0)),
        make_too_much,
        make,
    ]
    first, bad, second, worse, none = store.append_made(makes, heard.set)
    assert heard.wait(10)
    assert [first.result(), second.result(), none.result()] == [
        Appended(1, 0),
        Appended(1, 0),
        Appended(0, 0),
    ]
    assert isinstance(bad.exception(), ValueError)
    assert isinstance(worse.exception(), IndexError)
    assert set(threads) == {"store-writer"}
    assert contents(store, matching("cpu")) == {CPU: [(START, 1.0)]}
    assert contents(store, matching("disk")) == {DISK: [(START, 2.0)]}
