"""Import: lines of samples into a data directory, each (series, time) once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store import Batch, Ints, Store
from forewarn_collector.store.errors import TooManySamplesError
from forewarn_collector.store.spans import repeated
from forewarn_collector.transfer.lines import LineError, read_lines

_SEAL_EVERY = 4_000_000
"""Samples that wait in memory and in the journal at most."""


@dataclass(slots=True)
class Imported:
    """Samples that were new, those that were there already, and lines that were refused."""

    added: int = 0
    duplicates: int = 0
    refused: int = 0


def import_lines(
    store: Store,
    lines: Iterable[bytes],
    refused: Callable[[LineError], None],
    progress: Callable[[Imported], None],
) -> Imported:
    """Store what the lines say, and seal it. Raises StoreError, and what `refused` raises."""
    done = Imported()
    unsealed = 0

    def note(error: LineError) -> None:
        done.refused += 1
        refused(error)

    for batch in read_lines(lines, note):
        added = _append(store, batch)
        done.added += added
        done.duplicates += len(batch.times) - added
        unsealed += added
        if unsealed >= _SEAL_EVERY:
            store.seal()
            unsealed = 0
        progress(done)
    if unsealed:
        store.seal()
    return done


def _append(store: Store, batch: Batch) -> int:
    """Append what the store has not, and say how many."""
    try:
        fresh = _fresh(store, batch)
    except TooManySamplesError:
        # The batch reaches over more than may be read at once.
        middle = len(batch.times) // 2
        if not middle:
            raise
        return sum(
            _append(store, _part(batch, rows))
            for rows in (np.arange(middle), np.arange(middle, len(batch.times)))
        )
    rows = np.flatnonzero(fresh)
    return store.append(_part(batch, rows), own=True).result().added if len(rows) else 0


def _fresh(store: Store, batch: Batch) -> NDArray[np.bool_]:
    """Which samples have a series and time that neither the store nor one before has."""
    known = store.read(batch.labels, int(batch.times.min()), int(batch.times.max()))
    numbers = {labels: number for number, labels in enumerate(batch.labels)}
    there = np.array([numbers[labels] for labels in known.labels], dtype=np.int64)
    rows = np.concatenate((repeated(there, np.diff(known.offsets)), batch.rows))
    times = np.concatenate((known.times, batch.times))
    order = np.lexsort((times, rows))
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (np.diff(rows[order]) != 0) | (np.diff(times[order]) != 0)
    fresh = np.empty(len(order), dtype=np.bool_)
    fresh[order] = first
    return fresh[len(known.times) :]


def _part(batch: Batch, rows: Ints) -> Batch:
    return Batch(batch.labels, batch.rows[rows], batch.times[rows], batch.values[rows])
