"""Increases: totals that last, whatever is sent again; values by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forewarn_collector.store import NEVER, Appended, Increases, Store
from forewarn_collector.store.increases import running_totals
from forewarn_wire import STALE_NAN, Labels, is_stale
from support.stores import START, batch, contents, matching, series

Reopen = Callable[..., Store]
A, B = series("orders_total", shop="a"), series("orders_total", shop="b")
SECOND = 1_000


def grow(*increases: tuple[Labels, int, int, float]) -> Increases:
    """Increases of (labels, start, time, value)."""
    return Increases(
        batch(*((labels, time, value) for labels, _, time, value in increases)),
        np.array([start for _, start, _, _ in increases], dtype=np.int64),
    )


def orders(store: Store) -> dict[Labels, list[tuple[int, float]]]:
    return contents(store, matching("orders_total"))


def test_increases_add_up_from_a_0_where_the_first_began(store: Store) -> None:
    minute = 60 * SECOND
    for turn, value in enumerate((5.0, 3.0, 0.5)):
        begin = START + turn * minute
        done = store.append_increases(grow((A, begin, begin + minute, value)))
        assert done.result(10) == Appended(1, 0)
    assert orders(store) == {
        A: [
            (START, 0.0),
            (START + minute, 5.0),
            (START + 2 * minute, 8.0),
            (START + 3 * minute, 8.5),
        ]
    }


def test_what_is_sent_again_adds_nothing_not_even_after_a_restart(reopen: Reopen) -> None:
    store = reopen()
    sent = grow((A, START, START + SECOND, 5.0), (B, START, START + SECOND, 1.0))
    assert store.append_increases(sent).result(10) == Appended(2, 0)
    assert store.append_increases(sent).result(10) == Appended(0, 2)
    store = reopen()
    assert store.append_increases(sent).result(10) == Appended(0, 2)
    more = grow((A, START + SECOND, START + 2 * SECOND, 2.0))
    assert store.append_increases(more).result(10) == Appended(1, 0)
    assert orders(store)[A][-1] == (START + 2 * SECOND, 7.0)


def test_writes_that_share_a_commit_add_up_as_if_alone(store: Store) -> None:
    futures = [
        store.append_increases(grow((A, START + i * SECOND, START + (i + 1) * SECOND, 1.0)))
        for i in range(200)
    ]
    plain = store.append(batch((B, START, 4.0)))
    assert [future.result(10) for future in futures] == [Appended(1, 0)] * 200
    assert plain.result(10) == Appended(1, 0)
    assert orders(store)[A] == [(START + i * SECOND, float(i)) for i in range(201)]
    assert orders(store)[B] == [(START, 4.0)]


def test_the_total_gets_a_sample_where_an_increase_begins_after_a_pause(store: Store) -> None:
    hour = 3_600 * SECOND
    store.append_increases(grow((A, START, START + SECOND, 5.0))).result(10)
    store.append_increases(grow((A, START + hour, START + hour + SECOND, 2.0))).result(10)
    assert orders(store)[A][2:] == [(START + hour, 5.0), (START + hour + SECOND, 7.0)]


def test_without_a_start_there_is_no_sample_before_the_first(store: Store) -> None:
    store.append_increases(grow((A, NEVER, START, 5.0))).result(10)
    assert orders(store)[A] == [(START, 5.0)]


def test_after_a_stale_marker_the_total_begins_anew(store: Store) -> None:
    store.append_increases(grow((A, START, START + SECOND, 5.0))).result(10)
    store.append(batch((A, START + 2 * SECOND, STALE_NAN))).result(10)
    at = START + 3 * SECOND
    store.append_increases(grow((A, at - SECOND, at, 2.0))).result(10)
    assert is_stale(orders(store)[A][2][1])
    assert orders(store)[A][3:] == [(at, 2.0)]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_an_increase_that_is_no_number_spoils_nothing_after_it(store: Store, bad: float) -> None:
    store.append_increases(grow((A, NEVER, START, bad))).result(10)
    store.append_increases(grow((A, NEVER, START + 1, 2.0))).result(10)
    assert orders(store)[A][1:] == [(START + 1, 2.0)]


def test_new_increases_are_announced_to_rules(store: Store) -> None:
    arrivals = store.arrivals()
    store.append_increases(grow((A, START, START + SECOND, 5.0))).result(10)
    arrival = arrivals.get(timeout=5)
    assert store.labels_of(arrival.refs) == [A]
    assert (arrival.earliest, arrival.latest) == (START, START + SECOND)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 30), st.integers(0, 50)), min_size=1))
def test_totals_are_those_of_one_addition_after_the_other(
    given_increases: list[tuple[int, int, int]],
) -> None:
    """Against the definition: each increase in order of time, the first of each time only."""
    refs, times, values = (np.array(column) for column in zip(*given_increases, strict=True))
    last_times = np.where(refs == 1, 10, NEVER)
    last_values = np.where(refs == 1, 100.0, 0.0)
    starts = np.full(len(refs), NEVER)
    found = running_totals(refs, starts, times, values.astype(float), last_times, last_values)
    expected: list[tuple[int, int, float]] = []
    for ref in range(4):
        total, last = (100.0, 10) if ref == 1 else (0.0, -1)
        order = sorted(
            (item for item in enumerate(given_increases) if item[1][0] == ref),
            key=lambda item: (item[1][1], item[0]),
        )
        for _, (_, time, value) in order:
            if time > last:
                total, last = total + value, time
                expected.append((ref, time, total))
    got = zip(found.refs.tolist(), found.times.tolist(), found.values.tolist(), strict=True)
    assert list(got) == expected
    assert int(found.taken.sum()) == len(expected)


def test_a_total_goes_on_where_it_was_sealed_before_a_restart(reopen: Reopen) -> None:
    store = reopen()
    assert store.append_increases(grow((A, START, START + SECOND, 5.0))).result(10).added == 1
    store.seal()
    store = reopen()
    again = grow((A, START, START + SECOND, 5.0), (A, START + SECOND, START + 2 * SECOND, 2.0))
    assert store.append_increases(again).result(10) == Appended(1, 1)
    assert orders(store)[A][-1] == (START + 2 * SECOND, 7.0)
