"""Samples that are not after all that their series has: found in its chunks, merged into them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.chunks import LARGEST_CHUNK, NO_CHUNK, SMALLEST_CHUNK, Chunks
from forewarn_collector.store.columns import Floats, Ints
from forewarn_collector.store.spans import run_starts, strided_spans


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


def locate(chunks: Chunks, newest: Ints, refs: Ints, times: Ints) -> Late:
    """Find where samples belong, of series that have samples: all lists are walked at once."""
    targets = newest[refs]
    successors = np.full(len(refs), NO_CHUNK, dtype=np.int64)
    while True:
        older = chunks.prev[targets]
        step = (chunks.first[targets] > times) & (older != NO_CHUNK)
        if not step.any():
            break
        successors = np.where(step, targets, successors)
        targets = np.where(step, older, targets)
    places = np.minimum(chunks.before(targets, times), chunks.fill[targets] - 1)
    cells = chunks.base[targets] + places * chunks.stride[targets]
    return Late(targets, successors, np.where(chunks.cells.times[cells] == times, cells, -1))


def merge(chunks: Chunks, newest: Ints, late: Late, times: Ints, values: Floats) -> None:
    """Rewrite each target chunk with its late samples, as several where it grows too long.

    Samples are sorted by series and time, so those of one target are neighbours; none of them has
    a cell already. `newest[ref]` is updated where the newest chunk was rewritten.
    """
    if not len(times):
        return
    firsts = run_starts(late.targets)
    targets, successors = late.targets[firsts], late.successors[firsts]
    times, values, sizes = _contents(chunks, targets, firsts, times, values)

    groups = np.arange(len(targets), dtype=np.int64)
    pieces = -(-sizes // LARGEST_CHUNK)
    of_piece = np.repeat(groups, pieces)
    heads = np.cumsum(pieces) - pieces
    ordinal = np.arange(len(of_piece), dtype=np.int64) - np.repeat(heads, pieces)
    share, rest = np.divmod(sizes, pieces)
    lengths = share[of_piece] + (ordinal < rest[of_piece])

    owners = chunks.owner[targets][of_piece]
    ids = chunks.open(owners, np.arange(len(owners)), _rooms(lengths), np.full_like(owners, -1))
    starts = np.cumsum(lengths) - lengths
    cells = strided_spans(chunks.base[ids], chunks.stride[ids], lengths)
    chunks.cells.times[cells] = times
    chunks.cells.values[cells] = values
    chunks.fill[ids] = lengths
    chunks.first[ids] = times[starts]
    chunks.last[ids] = times[starts + lengths - 1]

    inner = np.flatnonzero(ordinal)
    chunks.prev[ids[inner]] = ids[inner - 1]
    tails = ids[heads + pieces - 1]
    replaced = _Replaced(targets, tails)
    chunks.prev[ids[heads]] = replaced.now(chunks.prev[targets])
    last = successors == NO_CHUNK
    newest[chunks.owner[targets[last]]] = tails[last]
    # A successor that was itself rewritten has got its link above, through its own target.
    linked = ~last & (replaced.now(successors) == successors)
    chunks.prev[successors[linked]] = tails[linked]
    chunks.link(np.concatenate((ids, successors[linked])))
    chunks.release(targets)


class _Replaced:
    """Which chunk now stands at the end of what a rewritten chunk held."""

    def __init__(self, old: Ints, new: Ints) -> None:
        order = np.argsort(old)
        self._old, self._new = old[order], new[order]

    def now(self, ids: Ints) -> Ints:
        places = np.minimum(np.searchsorted(self._old, ids), len(self._old) - 1)
        return np.asarray(np.where(self._old[places] == ids, self._new[places], ids))


def _contents(
    chunks: Chunks, targets: Ints, firsts: Ints, times: Ints, values: Floats
) -> tuple[Ints, Floats, Ints]:
    """Old and late samples of each target in order of time, and how many each has."""
    groups = np.arange(len(targets), dtype=np.int64)
    late = np.diff(np.append(firsts, len(times)))
    fill = chunks.fill[targets]
    cells = strided_spans(chunks.base[targets], chunks.stride[targets], fill)
    all_times = np.concatenate((chunks.cells.times[cells], times))
    all_values = np.concatenate((chunks.cells.values[cells], values))
    all_groups = np.concatenate((np.repeat(groups, fill), np.repeat(groups, late)))
    order = np.lexsort((all_times, all_groups))
    return all_times[order], all_values[order], fill + late


def _rooms(lengths: Ints) -> Ints:
    """The room for each chunk: the power of two that holds it."""
    powers = 1 << np.ceil(np.log2(np.maximum(lengths, SMALLEST_CHUNK))).astype(np.int64)
    rooms: Ints = np.minimum(powers, LARGEST_CHUNK)
    return rooms
