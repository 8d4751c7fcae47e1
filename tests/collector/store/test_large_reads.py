"""Large reads are done in slices, and give what one read would give."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forewarn_collector.promql.uniques import unique_columns
from forewarn_collector.store import Batch, Matcher, MatchOp, Store, reading, spans
from forewarn_collector.store.errors import TooManySamplesError
from support.stores import HOUR, START, Clock, batch, matching, series

SERIES, SAMPLES = 40, 300


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data", retention=24 * HOUR, clock=Clock(START + HOUR))
    opened.open()
    labels = [series("load", host=str(row), site=str(row % 3)) for row in range(SERIES)]
    rows = np.repeat(np.arange(SERIES), SAMPLES)
    times = np.tile(START + np.arange(SAMPLES) * 1_000, SERIES)
    opened.append(Batch(labels, rows, times, rows * 1_000.0 + times % 997)).result()
    opened.append(batch((series("other", host="x"), START, 1.0))).result()
    yield opened
    opened.close()


def test_a_read_in_slices_is_the_read_as_a_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, end = START + 5_500, START + 250_000
    whole = store.select(matching("load"), start, end)
    monkeypatch.setattr(reading, "_SLICE_SERIES", 7)
    for most in (100_000, 700, 245, 1):
        monkeypatch.setattr(reading, "SLICE_SAMPLES", most)
        sliced = store.select(matching("load"), start, end)
        assert sliced.labels is whole.labels
        for name in ("times", "values", "offsets"):
            assert np.array_equal(getattr(sliced, name), getattr(whole, name))
    assert np.diff(whole.offsets).tolist() == [245] * SERIES


def test_more_samples_than_memory_is_allowed_for_are_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_SAMPLES", SERIES * SAMPLES)
    monkeypatch.setattr(reading, "_SLICE_SERIES", 7)
    assert len(store.select(matching("load"), 0, START + HOUR).times) == SERIES * SAMPLES
    monkeypatch.setattr(reading, "MOST_SAMPLES", SERIES * SAMPLES - 1)
    with pytest.raises(TooManySamplesError, match="would load too many samples into memory"):
        store.select(matching("load"), 0, START + HOUR)


def test_labels_are_found_in_slices(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_SLICE_LABELS", 3)
    monkeypatch.setattr(reading, "_SLICE_SERIES", 7)
    some = [[Matcher("site", MatchOp.EQUAL, "1")]]
    assert store.label_values("host", some, 0, START) == sorted(map(str, range(1, SERIES, 3)))
    assert store.label_names(some, 0, START) == ["__name__", "host", "site"]
    assert store.label_names([matching("other")], 0, START) == ["__name__", "host"]
    assert store.label_names([matching("none")], 0, START) == []
    found = store.series([matching("load"), matching("other")], 0, START)
    assert len(found) == SERIES + 1
    assert found == sorted(found)


def test_the_cardinality_counts_series_by_metric_label_and_pair(store: Store) -> None:
    found = store.cardinality(limit=2)
    assert (found.series, found.earliest, found.latest) == (41, START, START + 299_000)
    # 2 metrics, 41 hosts, 3 sites.
    assert found.pairs == 46
    assert found.series_by_metric == [("load", 40), ("other", 1)]
    assert found.values_by_label == [("host", 41), ("site", 3)]
    # "load" 40 times and "other" once; hosts are 10 of one letter, 30 of two, and x.
    assert found.bytes_by_label == [("__name__", 165), ("host", 71)]
    assert found.series_by_pair == [("__name__=load", 40), ("site=0", 14)]


def test_reads_let_the_writer_in_between_slices(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_SLICE_SERIES", 1)
    taken = 0
    lock = threading.Lock()

    class Counted:
        def __enter__(self) -> None:
            nonlocal taken
            taken += 1
            lock.acquire()

        def __exit__(self, *error: object) -> None:
            lock.release()

    head, refs = store._head, np.arange(1, SERIES + 1)
    reading.read_samples(head, Counted(), refs, 0, START + HOUR)  # type: ignore[arg-type]
    assert taken == SERIES


@given(st.lists(st.integers(0, 9)), st.integers(1, 5))
def test_repeated_is_numpys_repeat(counts: list[int], most: int) -> None:
    items = np.arange(len(counts)) * 1.5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spans, "_SLICE", most)
        found = spans.repeated(items, np.array(counts, dtype=np.int64))
    assert np.array_equal(found, np.repeat(items, np.array(counts, dtype=np.int64)))


@given(st.lists(st.booleans()))
def test_a_running_count_is_of_those_before(flags: list[bool]) -> None:
    found = spans.running_count(np.array(flags, dtype=np.bool_))
    assert found.tolist() == [sum(flags[:place]) for place in range(len(flags) + 1)]


@given(st.lists(st.tuples(st.integers(-2, 2), st.integers(-2, 2)), min_size=1))
def test_distinct_columns_are_numpys(pairs: list[tuple[int, int]]) -> None:
    table = np.array(pairs, dtype=np.int64).T
    expected, which = np.unique(table, axis=1, return_inverse=True)
    found, places = unique_columns(table)
    assert np.array_equal(found, expected)
    assert np.array_equal(places, which.ravel())
