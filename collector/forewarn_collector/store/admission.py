"""What is new in a batch: found before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.chunks import NO_CHUNK, Chunks
from forewarn_collector.store.columns import Floats, Ints
from forewarn_collector.store.late import Late, locate
from forewarn_collector.store.series import Series


@dataclass(frozen=True, slots=True)
class Admission:
    """What is new in a batch: columns sorted by series, then time, each pair of them once.

    `kept[k]` is the place in the batch of sample `k`; `slots` are those of `refs`. `late` marks
    those that are not after all that their series has in the head. `conflicts` counts the
    duplicates whose value was another one. `single` says that no series has two samples.
    """

    kept: Ints
    refs: Ints
    slots: Ints
    times: Ints
    values: Floats
    late: NDArray[np.bool_] | None
    found: Late | None
    conflicts: int
    single: bool


def admit(series: Series, chunks: Chunks, refs: Ints, times: Ints, values: Floats) -> Admission:
    """Find what is new in a batch, changing nothing. All series must have been added."""
    order = np.arange(len(refs), dtype=np.int64)
    single = bool((refs[1:] > refs[:-1]).all())
    if not single and not _is_sorted(refs, times):
        order = np.argsort(refs, kind="stable")
        refs = refs[order]
        single = bool((refs[1:] > refs[:-1]).all())
        if not single:
            # Stable, so that of two samples of one time the first to come stays.
            within = np.lexsort((times[order], refs))
            order, refs = order[within], refs[within]
        times, values = times[order], values[order]
    slots = series.slots.of(refs)
    late = times <= series.last_times[slots]
    if single and not late.any():
        return Admission(order, refs, slots, times, values, None, None, 0, single)
    fresh = np.ones(len(refs), dtype=np.bool_)
    bits = values.view(np.int64)
    found: Late | None = None
    conflicts = 0
    if late.any():
        # Of a series without chunks nothing is known but its end: what is before it is taken.
        newest = series.newest[slots].astype(np.int64)
        ends = late & (newest == NO_CHUNK) & (times == series.last_times[slots])
        conflicts += int((series.last_values[slots[ends]].view(np.int64) != bits[ends]).sum())
        fresh &= ~ends
        late &= newest != NO_CHUNK
        found = locate(chunks, newest[late], times[late])
        known = found.cells >= 0
        stored = chunks.values[found.cells[known]].view(np.int64)
        conflicts += int((stored != bits[late][known]).sum())
        fresh[late] = ~known
    same = (refs[1:] == refs[:-1]) & (times[1:] == times[:-1])
    if same.any():
        again = np.concatenate(([False], same))
        leaders = np.maximum.accumulate(np.where(again, 0, np.arange(len(refs))))
        # What is stored already has been compared with that.
        conflicts += int((fresh & (bits != bits[leaders])).sum())
        fresh &= ~again
    if found is not None:
        found = found.where(fresh[late])
        late = late[fresh]
    if not fresh.all():
        order, refs, slots = order[fresh], refs[fresh], slots[fresh]
        times, values = times[fresh], values[fresh]
    some_late = late if found is not None else None
    return Admission(order, refs, slots, times, values, some_late, found, conflicts, single)


def _is_sorted(refs: Ints, times: Ints) -> bool:
    """Whether samples stand by series, then time, with no time twice."""
    same = refs[1:] == refs[:-1]
    return bool(((refs[1:] > refs[:-1]) | (same & (times[1:] > times[:-1]))).all())
