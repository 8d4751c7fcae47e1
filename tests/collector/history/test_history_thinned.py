"""Offline queries and backtests go by the rows of a data directory as its collector does."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from forewarn_collector.history import DirectoryFeed, DirectoryWindow
from forewarn_collector.promql import compile_query
from forewarn_collector.promql.query import Result
from forewarn_collector.rules.backtest.samples import Samples, Until
from forewarn_collector.store import Store, Thinning
from support.stores import HOUR, Clock, batch, matching, series
from support.year import DAY

START = 20_000 * DAY
END = START + 4 * DAY
QUERIES = ["x_total", "increase(x_total[6h])", "max_over_time(x_total[1h])", "sum(own)"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four days of a counter that starts anew every 500 minutes; the first two in rows."""
    folder = tmp_path_factory.mktemp("thinned")
    clock = Clock(START)
    thinning = Thinning(after=DAY, hourly_after=400 * DAY)
    with closing(Store(folder, retention=400 * DAY, clock=clock, thinning=thinning)) as store:
        store.open()
        for start in range(START, END, DAY):
            clock.now = start + DAY
            times = range(start + 60_000, start + DAY + 1, 60_000)
            samples = [
                (series(name, host="a"), time, float(time // 60_000 % 500))
                for time in times
                for name in ("x_total", "own")
            ]
            store.append(batch(*samples)).result()
            store.seal()
        while sum(store.compact()):
            pass
    return folder


def table(found: Result) -> list[object]:
    rows = found.rows()
    present, values = found.present[rows], found.values[rows]
    return [present.tolist(), values[present].tolist(), found.infos, found.warnings]


def test_a_directory_is_asked_as_its_collector_is(directory: Path) -> None:
    with (
        closing(Store(directory, retention=400 * DAY, clock=Clock(END))) as store,
        closing(DirectoryWindow(DirectoryFeed(directory), [matching("x_total")])) as window,
    ):
        store.open()
        # What a backtest reads, less what its rules record themselves.
        samples = Samples(store, {"own"}, set(), DAY)
        samples.begin(START, END)
        for text in QUERIES:
            query = compile_query(text)
            wanted = query.range(store, START, END, 7 * 60_000)
            assert table(query.range(window, START, END, 7 * 60_000)) == table(wanted), text
            found = query.range(Until(samples, END), START, END, 7 * 60_000)
            if text == "sum(own)":
                assert not found.present.any()
            else:
                assert table(found) == table(wanted), text
                assert len(wanted.infos) == 1
        # One a minute, and no restart within that hour.
        rises = compile_query("increase(x_total[1h])").instant(store, START + 2 * HOUR)
        assert rises.values[0, 0] == pytest.approx(60)
        assert np.isfinite(wanted.values).all()
