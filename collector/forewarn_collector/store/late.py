"""Samples that are not after all that their series has: found in its chunks, merged into them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.cells import ROWS
from forewarn_collector.store.chunks import NO_CHUNK, Chunks
from forewarn_collector.store.columns import Floats, Ints
from forewarn_collector.store.spans import run_starts, spans

Open = Callable[[Ints, Ints, Ints], Ints]
"""Makes chunks for owners (slots), given the first and last times that each will have."""


@dataclass(frozen=True, slots=True)
class Late:
    """Where late samples belong, one element of each column per sample.

    `targets`: the chunk that the sample falls into or after (the series' oldest chunk if it is
    before that one); `successors`: the chunk after the target, or NO_CHUNK; `cells`: the cell that
    holds a sample of that very time already, or -1.
    """

    targets: Ints
    successors: Ints
    cells: Ints

    def where(self, mask: NDArray[np.bool_]) -> Late:
        """Those under the mask."""
        return Late(self.targets[mask], self.successors[mask], self.cells[mask])


def locate(chunks: Chunks, newest: Ints, times: Ints) -> Late:
    """Find where samples belong, given the newest chunks of their series: all lists are walked at
    once."""
    targets = newest.copy()
    walking = np.flatnonzero(chunks.first(targets) > times)
    while len(walking):
        older = chunks.prev[targets[walking]].astype(np.int64)
        walking, older = walking[older != NO_CHUNK], older[older != NO_CHUNK]
        targets[walking] = older
        walking = walking[chunks.first(older) > times[walking]]
    places = np.minimum(chunks.before(targets, times), chunks.fill[targets] - 1)
    same = chunks.tiles.times[chunks.moments(targets) + places] == times
    cells = np.where(same, targets * ROWS + places, -1)
    return Late(targets, chunks.next[targets].astype(np.int64), cells)


def merge(
    chunks: Chunks, newest: NDArray[np.int32], late: Late, times: Ints, values: Floats, make: Open
) -> None:
    """Rewrite each target chunk with its late samples, as several where it grows too long.

    Samples are sorted by series and time, so those of one target are neighbours; none of them has
    a cell already. `newest[slot]` is updated where the newest chunk was rewritten.
    """
    if not len(times):
        return
    firsts = run_starts(late.targets)
    targets, successors = late.targets[firsts], late.successors[firsts]
    # A backlog grows at its end: full chunks stay behind. Elsewhere both halves have room.
    behind = times[np.append(firsts[1:], len(times)) - 1] > chunks.last(targets)
    times, values, sizes = _contents(chunks, targets, firsts, times, values)
    slots = chunks.owner[targets].astype(np.int64)
    ids, owners = write(chunks, slots, times, values, sizes, behind, make)
    heads = run_starts(owners)
    tails = np.append(heads[1:], len(ids)) - 1
    replaced = _Replaced(targets, ids[tails])
    chunks.prev[ids[heads]] = replaced.now(chunks.prev[targets])
    last = successors == NO_CHUNK
    newest[chunks.owner[targets[last]]] = ids[tails[last]]
    # A successor that was itself rewritten has got its link above, through its own target.
    linked = ~last & (replaced.now(successors) == successors)
    chunks.prev[successors[linked]] = ids[tails[linked]]
    chunks.link(np.concatenate((ids, successors[linked])))
    chunks.release(targets)


def write(
    chunks: Chunks,
    slots: Ints,
    times: Ints,
    values: Floats,
    sizes: Ints,
    full: NDArray[np.bool_],
    make: Open,
) -> tuple[Ints, Ints]:
    """Put runs of samples (`sizes[i]` of `slots[i]`) into new chunks: these, and whose run each is.

    All but the last chunk of a run are `full`, or all have about as many. They point to each other,
    the first one to none.
    """
    pieces = -(-sizes // ROWS)
    owners = np.repeat(np.arange(len(sizes), dtype=np.int64), pieces)
    heads = np.cumsum(pieces) - pieces
    ordinal = np.arange(len(owners), dtype=np.int64) - heads[owners]
    share, rest = np.divmod(sizes, np.maximum(pieces, 1))
    lengths = share[owners] + (ordinal < rest[owners])
    filled = np.minimum(sizes[owners] - ordinal * ROWS, ROWS)
    lengths = np.where(full[owners], filled, lengths)
    starts = np.cumsum(lengths) - lengths
    ids = make(slots[owners], times[starts], times[starts + lengths - 1])
    taken = chunks.extend(ids, starts, lengths, times, values)
    # As a rule runs that begin and end together have all times in common.
    others = np.flatnonzero(taken < lengths)
    if len(others):
        chunks.apart(ids[others])
        chunks.extend(ids[others], starts[others], lengths[others], times, values)
    inner = np.flatnonzero(ordinal)
    chunks.prev[ids[inner]] = ids[inner - 1]
    chunks.link(ids[inner])
    return ids, owners


class _Replaced:
    """Which chunk now stands at the end of what a rewritten chunk held."""

    def __init__(self, old: Ints, new: Ints) -> None:
        order = np.argsort(old)
        self._old, self._new = old[order], new[order]

    def now(self, ids: Ints | NDArray[np.int32]) -> Ints:
        places = np.minimum(np.searchsorted(self._old, ids), len(self._old) - 1)
        return np.asarray(np.where(self._old[places] == ids, self._new[places], ids))


def _contents(
    chunks: Chunks, targets: Ints, firsts: Ints, times: Ints, values: Floats
) -> tuple[Ints, Floats, Ints]:
    """Old and late samples of each target in order of time, and how many each has."""
    groups = np.arange(len(targets), dtype=np.int64)
    late = np.diff(np.append(firsts, len(times)))
    fill = chunks.fill[targets].astype(np.int64)
    old_times = chunks.tiles.times[spans(chunks.moments(targets), fill)]
    all_times = np.concatenate((old_times, times))
    all_values = np.concatenate((chunks.values[spans(targets * ROWS, fill)], values))
    all_groups = np.concatenate((np.repeat(groups, fill), np.repeat(groups, late)))
    order = np.lexsort((all_times, all_groups))
    return all_times[order], all_values[order], fill + late
