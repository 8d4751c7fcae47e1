"""A long range query is read part by part; the answer is that of the whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from forewarn_collector.promql import compile_query, parts
from forewarn_collector.store import Store, Thinning
from support.stores import HOUR, Clock, batch, series
from support.year import DAY

MINUTE = 60_000
START = 20_000 * DAY
END = START + 4 * DAY


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Four days, the first two in rows; a series comes on the third, and another one goes."""
    clock = Clock(START)
    thinning = Thinning(after=DAY, hourly_after=400 * DAY)
    found = Store(
        tmp_path_factory.mktemp("parts"), retention=400 * DAY, clock=clock, thinning=thinning
    )
    found.open()
    random = np.random.default_rng(3)
    for start in range(START, END, DAY):
        samples = []
        for time in range(start + MINUTE, start + DAY + 1, MINUTE):
            clock.now = time
            samples.append((series("x_total", host="a"), time, float(random.integers(99))))
            if time > START + 2 * DAY:
                samples.append((series("x_total", host="c"), time, 1.0))
            else:
                samples.append((series("x_total", host="b"), time, 2.0))
        found.append(batch(*samples)).result()
        found.seal()
    while sum(found.compact()):
        pass
    yield found
    found.close()


@pytest.mark.parametrize(
    "query",
    [
        "x_total",
        "timestamp(x_total)",
        "sum(x_total offset 1h)",
        "rate(x_total[1h])",
        "max_over_time(x_total[7h] offset -1h)",
        "max_over_time(x_total[2h:10m])",
        "predict_linear(x_total[3h], 3600)",
        "last_over_time(x_total[2h] @ end())",
        "increase(x_total[3d])",
    ],
)
def test_parts_of_a_long_time_give_what_the_whole_gives(
    store: Store, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = compile_query(query)
    wanted = compiled.range(store, START, END, 10 * MINUTE)
    monkeypatch.setattr(parts, "PART_SAMPLES", 500)
    found = compiled.range(store, START, END, 10 * MINUTE)
    assert (found.infos, found.warnings) == (wanted.infos, wanted.warnings)
    for row in wanted.rows().tolist():
        (same,) = [at for at, labels in enumerate(found.labels) if labels == wanted.labels[row]]
        there = wanted.present[row]
        assert found.present[same].tolist() == there.tolist()
        assert found.values[same][there] == pytest.approx(wanted.values[row][there], rel=1e-9)
    assert len(found.rows()) == len(wanted.rows())


def test_a_long_time_is_read_in_parts_and_a_range_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_SAMPLES", 500)
    read = []
    plain, runs = store.select, store.select_runs
    monkeypatch.setattr(
        store, "select", lambda *given: read.append(given[1:3]) or plain(*given), raising=True
    )
    monkeypatch.setattr(
        store, "select_runs", lambda *given: read.append(given[1:3]) or runs(*given)
    )
    compile_query("x_total").range(store, START, END, 10 * MINUTE)
    # Two days of two series in rows of five minutes and two in minutes: 7,000 or so.
    assert 8 <= len(read) <= 20
    assert max(end - start for start, end in read) < 2 * DAY
    read.clear()
    compile_query("increase(x_total[30h])").range(store, START, END, HOUR)
    # No part is shorter than what is read for its first step.
    assert [end - start >= 60 * HOUR for start, end in read] == [True] * len(read)
    assert len(read) <= 3
