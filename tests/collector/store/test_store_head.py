"""The head against a plain dictionary: whatever comes, in whatever order, is kept and found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forewarn_collector.store.head import Head

Rows = list[tuple[int, int, float]]


def take(head: Head, rows: Rows) -> tuple[int, int]:
    """Admit and apply; how many were new, and how many conflicts."""
    refs = np.array([row[0] for row in rows], dtype=np.int64)
    times = np.array([row[1] for row in rows], dtype=np.int64)
    values = np.array([row[2] for row in rows], dtype=np.float64)
    admission = head.admit(refs, times, values)
    head.apply(admission)
    return len(admission.refs), admission.conflicts


def read(head: Head, refs: list[int], start: int, end: int) -> dict[int, list[tuple[int, float]]]:
    times, values, offsets = head.select(np.array(refs, dtype=np.int64), start, end)
    assert offsets[0] == 0
    assert offsets[-1] == len(times) == len(values)
    return {
        ref: list(
            zip(
                times[offsets[i] : offsets[i + 1]].tolist(),
                values[offsets[i] : offsets[i + 1]].tolist(),
                strict=True,
            )
        )
        for i, ref in enumerate(refs)
    }


def head_with(series: int) -> Head:
    head = Head()
    refs = np.arange(series, dtype=np.int64)
    head.add_series(refs, refs % 3)
    return head


class Model:
    """The same with dictionaries."""

    def __init__(self, series: int) -> None:
        self.samples: list[dict[int, float]] = [{} for _ in range(series)]

    def take(self, rows: Rows) -> tuple[int, int]:
        added = conflicts = 0
        for ref, time, value in rows:
            if time in self.samples[ref]:
                conflicts += self.samples[ref][time] != value
            else:
                self.samples[ref][time] = value
                added += 1
        return added, conflicts

    def read(self, start: int, end: int) -> dict[int, list[tuple[int, float]]]:
        return {
            ref: sorted(item for item in samples.items() if start <= item[0] <= end)
            for ref, samples in enumerate(self.samples)
        }


SERIES = 5
row = st.tuples(st.integers(0, SERIES - 1), st.integers(0, 400), st.sampled_from([0.0, 1.0, 2.5]))
run = st.builds(
    lambda ref, start, step, count: [(ref, start + step * k, float(k)) for k in range(count)],
    st.integers(0, SERIES - 1),
    st.integers(0, 300),
    st.integers(1, 3),
    st.integers(1, 200),
)
tick = st.builds(
    lambda time, value: [(ref, time, value) for ref in range(SERIES)],
    st.integers(0, 400),
    st.sampled_from([3.0, 4.0]),
)
batch = st.one_of(st.lists(row, max_size=40), run, tick)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(batch, max_size=14), st.integers(-5, 410), st.integers(-5, 410), st.integers(0, 300)
)
def test_any_order_of_samples_gives_what_a_dictionary_would(
    batches: list[Rows], start: int, end: int, cutoff: int
) -> None:
    head, model = head_with(SERIES), Model(SERIES)
    everything = list(range(SERIES))
    for rows in batches:
        assert take(head, rows) == model.take(rows)
    assert read(head, everything, -10, 1000) == model.read(-10, 1000)
    assert read(head, everything, start, end) == model.read(start, end)
    assert head.samples == sum(len(samples) for samples in model.samples)

    # Retention drops whole chunks: never a sample that is young enough, and all of a series
    # whose last sample is too old.
    gone = set(head.drop_before(cutoff).tolist())
    assert gone == {ref for ref, item in enumerate(model.samples) if item and max(item) < cutoff}
    assert read(head, everything, cutoff, 1000) == model.read(cutoff, 1000)
    # And what was dropped may come again.
    for rows in batches:
        take(head, rows)
    assert read(head, everything, -10, 1000) == model.read(-10, 1000)


def test_a_long_history_survives_the_closing_of_gaps_left_by_retention() -> None:
    head = head_with(100)
    refs = np.arange(100, dtype=np.int64)
    for k in range(3000):
        admission = head.admit(refs, np.full(100, k * 10, dtype=np.int64), refs * 0.5 + k)
        head.apply(admission)
    before = head.nbytes
    assert len(head.drop_before(20_000)) == 0
    assert head.nbytes < before / 2
    times, values, offsets = head.select(refs, 20_000, 30_000)
    assert np.diff(offsets).tolist() == [1000] * 100
    assert times.reshape(100, 1000)[7].tolist() == list(range(20_000, 30_000, 10))
    assert values.reshape(100, 1000)[7].tolist() == [3.5 + k for k in range(2000, 3000)]
    for k in range(3000, 3200):
        head.apply(head.admit(refs, np.full(100, k * 10, dtype=np.int64), refs * 0.5 + k))
    times, values, offsets = head.select(refs, 29_990, 32_000)
    assert np.diff(offsets).tolist() == [201] * 100
    assert values.reshape(100, 201)[99, -1] == 99 * 0.5 + 3199


def test_one_late_sample_a_tick_does_not_disturb_its_neighbours() -> None:
    head = head_with(2)
    for k in range(1000):
        take(head, [(0, k * 10, float(k)), (1, k * 10, float(-k))])
        take(head, [(0, k * 10 - 5, 0.5)])
    found = read(head, [0, 1], 0, 10**9)
    assert [time for time, _ in found[0]] == [k * 5 for k in range(1999)]
    assert found[1] == [(k * 10, float(-k)) for k in range(1000)]


@pytest.mark.parametrize("time", [0, -1, 2**63 - 1, -(2**63) + 1])
def test_any_time_that_an_int64_holds_is_kept(time: int) -> None:
    head = head_with(1)
    assert take(head, [(0, time, 1.0)]) == (1, 0)
    assert take(head, [(0, 5, 2.0)]) == (1, 0)
    assert take(head, [(0, time, 1.0)]) == (0, 0)
    found = read(head, [0], -(2**63), 2**63 - 2)
    assert sorted({time, 5} - {2**63 - 1}) == [at for at, _ in found[0]]


def test_an_empty_head_answers_with_empty_columns() -> None:
    head = head_with(3)
    assert read(head, [], 0, 10) == {}
    assert read(head, [0, 2], 0, 10) == {0: [], 2: []}
