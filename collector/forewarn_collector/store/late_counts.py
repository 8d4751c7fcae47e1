"""Late events: what each adds to its counter from its own time on.

A counter's samples are of how many events had come by then, and none of them ever changes: they
may be sealed, and a resend must find them as they are. What a late event adds to all of them from
its time on is kept beside them, and every read adds it. So the counter rises at the event's time
and at no other, whatever order events come in.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.columns import Floats, Ints
from forewarn_collector.store.spans import repeated, run_starts, spans

LATE_TABLE = (
    "CREATE TABLE IF NOT EXISTS late_counts"
    " (ref INTEGER, time INTEGER, count INTEGER NOT NULL, PRIMARY KEY (ref, time)) WITHOUT ROWID"
)

_FOLD = """
SELECT ref, max(time), sum(count) FROM late_counts WHERE time < ? GROUP BY ref HAVING count(*) > 1
"""


def _no_refs() -> Ints:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class _Counts:
    """Of the counters that have any, by ascending ref: when the last was, and how many in all.

    `steps` has of each the times (ms, ascending) and how many there were up to each.
    """

    refs: Ints = field(default_factory=_no_refs)
    lasts: Ints = field(default_factory=_no_refs)
    totals: Floats = field(default_factory=lambda: np.zeros(0))
    steps: Mapping[int, tuple[Ints, Floats]] = field(default_factory=dict)


class LateCounts:
    """Changed by the writer's thread alone; read from any, each time as of one moment."""

    def __init__(self) -> None:
        self._counts = _Counts()

    def load(self, connection: sqlite3.Connection) -> None:
        """Take up what is on disk, in place of what is here."""
        rows = _rows(connection)
        parts = np.split(rows, run_starts(rows[:, 0])[1:]) if len(rows) else ()
        self._counts = _counts(
            {int(part[0, 0]): _steps(part[:, 1], part[:, 2].astype(np.float64)) for part in parts}
        )

    def accept(self, refs: Ints, times: Ints, counts: Ints) -> None:
        """Take over late events by counter and time (ms), now that they are durable."""
        before = self._counts
        steps = dict(before.steps)
        order = np.lexsort((times, refs))
        refs, times, counts = refs[order], times[order], counts[order]
        changed = refs[run_starts(refs)]
        for ref, members in zip(
            changed.tolist(), np.split(np.arange(len(refs)), run_starts(refs)[1:]), strict=True
        ):
            known_times, known_sums = steps.get(ref, (_no_refs(), np.zeros(0)))
            steps[ref] = _steps(
                np.concatenate((known_times, times[members])),
                np.concatenate((np.diff(known_sums, prepend=0.0), counts[members])),
            )
        every = np.union1d(before.refs, changed)
        lasts, totals = np.zeros_like(every), np.zeros(len(every))
        kept, new = np.searchsorted(every, before.refs), np.searchsorted(every, changed)
        lasts[kept], totals[kept] = before.lasts, before.totals
        lasts[new] = [steps[ref][0][-1] for ref in changed.tolist()]
        totals[new] = [steps[ref][1][-1] for ref in changed.tolist()]
        self._counts = _Counts(every, lasts, totals, steps)

    def drop(self, refs: Collection[int], cutoff: int) -> None:
        """Forget counters, and of the others each time before `cutoff` (ms) but the last."""
        gone = set(refs)
        kept = {ref: step for ref, step in self._counts.steps.items() if ref not in gone}
        if len(kept) < len(self._counts.steps) or any(
            _aged(each, cutoff) for each in kept.values()
        ):
            self._counts = _counts({ref: _folded(step, cutoff) for ref, step in kept.items()})

    def raised(self, refs: Ints, times: Ints, values: Floats) -> Floats:
        """Samples' values with what late events add: one ref, time and value each."""
        counts = self._counts
        if not len(counts.refs):
            return values
        places = np.minimum(np.searchsorted(counts.refs, refs), len(counts.refs) - 1)
        known = np.flatnonzero(counts.refs[places] == refs)
        if not len(known):
            return values
        places = places[known]
        values = values.copy()
        after = times[known] >= counts.lasts[places]
        values[known[after]] += counts.totals[places[after]]
        # Only where the past is read does each counter take a step of its own.
        early = known[~after]
        for ref in np.unique(refs[early]).tolist():
            cells = early[refs[early] == ref]
            values[cells] += _up_to(counts.steps[ref], times[cells])
        return values

    def raised_columns(self, refs: Ints, columns: tuple[Ints, Floats, Ints]) -> Floats:
        """The same for columns of times, values and offsets, series by series."""
        times, values, offsets = columns
        rows = np.flatnonzero(np.isin(refs, self._counts.refs))
        if not len(rows):
            return values
        sizes = np.diff(offsets)[rows]
        cells = spans(offsets[rows], sizes)
        values = values.copy()
        values[cells] = self.raised(repeated(refs[rows], sizes), times[cells], values[cells])
        return values


def save_late(connection: sqlite3.Connection, refs: Ints, times: Ints, counts: Ints) -> None:
    """Within a transaction: note late events by counter and time."""
    connection.executemany(
        "INSERT INTO late_counts (ref, time, count) VALUES (?, ?, ?)"
        " ON CONFLICT (ref, time) DO UPDATE SET count = count + excluded.count",
        zip(refs.tolist(), times.tolist(), counts.tolist(), strict=True),
    )


def drop_late(connection: sqlite3.Connection, refs: Collection[int], cutoff: int) -> None:
    """Within a transaction: what `LateCounts.drop` does."""
    connection.executemany("DELETE FROM late_counts WHERE ref = ?", ((ref,) for ref in refs))
    folded = connection.execute(_FOLD, (cutoff,)).fetchall()
    connection.executemany(
        "DELETE FROM late_counts WHERE ref = ? AND time < ?",
        ((ref, cutoff) for ref, _, _ in folded),
    )
    connection.executemany("INSERT INTO late_counts (ref, time, count) VALUES (?, ?, ?)", folded)


def _rows(connection: sqlite3.Connection) -> NDArray[np.int64]:
    # On a damaged page any column may be of any type.
    whole = " AND ".join(f"typeof({name}) = 'integer'" for name in ("ref", "time", "count"))
    rows = connection.execute(
        f"SELECT ref, time, count FROM late_counts WHERE {whole} ORDER BY ref, time"  # noqa: S608
    ).fetchall()
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


def _counts(steps: Mapping[int, tuple[Ints, Floats]]) -> _Counts:
    steps = dict(sorted(steps.items()))
    return _Counts(
        np.array(list(steps), dtype=np.int64),
        np.array([times[-1] for times, _ in steps.values()], dtype=np.int64),
        np.array([sums[-1] for _, sums in steps.values()], dtype=np.float64),
        steps,
    )


def _steps(times: Ints, counts: Floats) -> tuple[Ints, Floats]:
    order = np.argsort(times, kind="stable")
    times, sums = times[order], np.cumsum(counts[order])
    last = np.append(times[1:] != times[:-1], True)
    return times[last], sums[last]


def _aged(steps: tuple[Ints, Floats], cutoff: int) -> bool:
    times, _ = steps
    return len(times) > 1 and bool(times[1] < cutoff)


def _folded(steps: tuple[Ints, Floats], cutoff: int) -> tuple[Ints, Floats]:
    times, sums = steps
    first = max(int(np.searchsorted(times, cutoff)) - 1, 0)
    return times[first:].copy(), sums[first:].copy()


def _up_to(steps: tuple[Ints, Floats], times: Ints) -> Floats:
    step_times, sums = steps
    return np.concatenate(([0.0], sums))[np.searchsorted(step_times, times, side="right")]
