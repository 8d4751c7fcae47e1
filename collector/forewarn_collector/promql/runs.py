"""Windows over thinned time: which runs of samples are in them, and what they last from and to.

Source of the rules: `docs/adr/017-thinning.md`.
"""

from __future__ import annotations

import numpy as np

from forewarn_collector.promql.values import Bools, WindowRuns, Windows
from forewarn_collector.store.columns import Ints, RunColumns, SeriesColumns


def run_at(places: Ints, offsets: Ints, began: Ints, instants: Ints) -> tuple[Bools, Ints]:
    """Whether the run at each of `places`, which ends later than the instant, began until then.

    `places: int64[series, steps]`, `offsets: int64[series + 1]`, `began: int64[runs]` (ms). Also
    the places, made safe: any at all where there is no run of the series.
    """
    inside: Bools = places < offsets[1:, np.newaxis]
    safe = np.where(inside, places, 0)
    inside &= began[safe] <= instants
    return inside, safe


def windows_of_runs(
    columns: SeriesColumns, runs: RunColumns, starts: Ints, ends: Ints, opens: Ints, closes: Ints
) -> Windows:
    """Windows of whole runs: those that end within one, or else one that it lies within.

    `starts` and `ends: int64[series, steps]` are of the runs that end in each window.
    """
    times = columns.times
    if not len(times):
        nothing = np.zeros(starts.shape, dtype=np.int64)
        edges = WindowRuns(runs, nothing + opens, nothing + closes, nothing > 0)
    else:
        late, _ = run_at(ends, columns.offsets, runs.began, closes)
        ends = ends + (late & (starts == ends))
        filled = ends > starts
        first, last = np.where(filled, starts, 0), np.where(filled, ends - 1, 0)
        early = filled & (runs.began[first] <= opens)
        # A run of n values lasts n times what is between two of them.
        spaces = np.maximum(runs.counts[first] - 1, 1)
        before = ((times[first] - runs.began[first]) / spaces).astype(np.int64)
        edges = WindowRuns(
            runs,
            np.where(early, runs.began[first] - before, opens),
            np.where(late, times[last], closes),
            early | late,
        )
    return Windows(
        columns.labels,
        times,
        columns.values,
        starts,
        ends,
        opens,
        closes,
        whole=False,
        runs=edges,
    )
