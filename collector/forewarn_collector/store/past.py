"""All samples of a data directory for reading only, of journal and archive as one.

Also while a collector writes, seals and merges: what is on its way is read from both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from forewarn_collector.store.columns import NEVER, Figure, Floats, Ints, RunColumns
from forewarn_collector.store.errors import StoreError
from forewarn_collector.store.history import History
from forewarn_collector.store.pacing import even_cuts
from forewarn_collector.store.reading import Columns
from forewarn_collector.store.runs import read_runs
from forewarn_collector.store.sealed import ARCHIVE_FILE, Archive
from forewarn_collector.store.spans import repeated
from forewarn_wire import Labels

_SLICE_SAMPLES = 1_000_000
"""About as many are read at once: some tens of megabytes."""


class Past:
    """What a data directory held when it was opened. Every failure is raised as StoreError.

    `series` are all with their refs, ascending. What retention drops meanwhile is left out.
    """

    def __init__(self, directory: Path) -> None:
        self._history = History(directory)
        self._archive: Archive | None = None
        try:
            # A directory of before there was an archive has none.
            if (directory / ARCHIVE_FILE).exists():
                self._archive = Archive(directory / ARCHIVE_FILE, read_only=True)
        except BaseException:
            self._history.close()
            raise

    @property
    def series(self) -> list[tuple[int, Labels]]:
        """All series with their refs, ascending."""
        return self._history.series

    @property
    def damaged(self) -> int:
        """How many series, commits and parts of chunks could not be read until now."""
        sealed = len(self._archive.damaged()) if self._archive is not None else 0
        return self._history.damaged + sealed

    def close(self) -> None:
        """Close the files."""
        self._history.close()
        if self._archive is not None:
            self._archive.close()

    def extent(self, start: int, end: int) -> tuple[int, int] | None:
        """The first and last time (ms) of samples about `start` to `end`; None without any.

        It is that of commits and chunks, which may have samples on both sides and none within.
        """
        pieces = self._pieces(start, end)
        if not len(pieces):
            return None
        return max(int(pieces[:, 0].min()), start), min(int(pieces[:, 1].max()), end)

    def samples(self, refs: Ints, start: int, end: int) -> Iterator[tuple[Ints, Ints, Floats]]:
        """Refs, times and values with `start <= time <= end` of these series, in slices of time.

        A slice is later than all before it, and within it the samples are by ref and time, each
        once. `refs` ascend.
        """
        pieces = self._pieces(start, end)
        if not len(pieces) or not len(refs):
            return
        first, last = max(int(pieces[:, 0].min()), start), min(int(pieces[:, 1].max()), end)
        for low, high in _slices(pieces, first, last):
            # The journal first: what is sealed in between is found in the archive.
            parts = self._journaled(refs, low, high)
            if self._archive is not None:
                self._archive.refresh()
                times, values, offsets = self._archive.select(refs, low, high)
                parts.insert(0, (repeated(refs, np.diff(offsets)), times, values))
            refs_found, times, values = _merged(parts)
            if len(refs_found):
                yield refs_found, times, self._history.late_counts.raised(refs_found, times, values)

    def thinned_until(self) -> int:
        """No sample later than this (ms) is thinned; NEVER where none is."""
        return NEVER if self._archive is None else self._archive.thinned_until()

    def runs(
        self,
        samples: Callable[[Ints, int, int], Columns],
        refs: Ints,
        start: int,
        end: int,
        figures: Figure,
    ) -> tuple[Ints, Floats, Ints, RunColumns]:
        """As `read_runs`, with the rows that are here; only where there are some."""
        if self._archive is None:
            raise StoreError("nothing is thinned here", retryable=False)
        late_counts = self._history.late_counts
        return read_runs(samples, self._archive, late_counts, refs, start, end, figures)

    def _journaled(self, refs: Ints, start: int, end: int) -> list[tuple[Ints, Ints, Floats]]:
        wanted = np.zeros(int(refs[-1]) + 1, dtype=np.bool_)
        wanted[refs] = True
        parts = []
        for owners, times, values in self._history.samples(start, end):
            # A commit may be damaged within, or name series that came after the opening.
            kept = (times >= start) & (times <= end) & (owners >= 0) & (owners < len(wanted))
            kept[kept] = wanted[owners[kept]]
            parts.append((owners[kept], times[kept], values[kept]))
        return parts

    def _pieces(self, start: int, end: int) -> Ints:
        # First and last time and samples of every commit and chunk about that time.
        pieces = self._history.extents()
        if self._archive is not None:
            chunks = [(each.earliest, each.latest, each.samples) for each in self._archive.chunks()]
            sealed = np.array(chunks, dtype=np.int64).reshape(-1, 3)
            pieces = np.concatenate((pieces, sealed))
        return pieces[(pieces[:, 1] >= start) & (pieces[:, 0] <= end)]


def _slices(pieces: Ints, start: int, end: int) -> Iterator[tuple[int, int]]:
    cuts = even_cuts(pieces, start, end, _SLICE_SAMPLES)
    for low, after in zip([start, *cuts.tolist()], [*cuts.tolist(), end + 1], strict=True):
        yield low, after - 1


def _merged(parts: list[tuple[Ints, Ints, Floats]]) -> tuple[Ints, Ints, Floats]:
    nothing = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))
    refs, times, values = (np.concatenate(columns) for columns in zip(nothing, *parts, strict=True))
    # Of doubles the sealed one holds, then the one that came first: the sort is stable.
    order = np.lexsort((times, refs))
    refs, times, values = refs[order], times[order], values[order]
    first = np.ones(len(refs), dtype=np.bool_)
    first[1:] = (refs[1:] != refs[:-1]) | (times[1:] != times[:-1])
    return refs[first], times[first], values[first]
