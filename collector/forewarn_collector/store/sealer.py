"""Sealing: what the head has and the archive has not goes there, and then from the journal.

Each step stands for itself. Whatever ends the process in between, a sample is in the journal or in
the archive, or in both, where one of them counts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from forewarn_collector.store.allocator import give_back
from forewarn_collector.store.columns import Ints
from forewarn_collector.store.head import Head
from forewarn_collector.store.index import LabelIndex
from forewarn_collector.store.journal import Journal
from forewarn_collector.store.sealed import Archive, ChunkData, NewChunk
from forewarn_collector.store.series import HOST_LABEL
from forewarn_collector.store.spans import run_starts, spans
from forewarn_collector.store.unsealed import UnsealedPart, arranged

_LOOK_CHUNKS = 100_000
_RESTORE_SAMPLES = 500_000
_TICK = 10_000
"""How long (ms) there is between two samples, about: to read so many series at once."""

Alone = Callable[[Callable[[], Any]], Any]
"""Has the writer's thread call something between two commits, and waits for what it gives."""


class Sealer:
    """Used by one thread at a time. Failures of the disk are raised as StoreError."""

    def __init__(
        self,
        index: LabelIndex,
        head: Head,
        journal: Journal,
        archive: Archive,
        lock: threading.Lock,
        alone: Alone,
    ) -> None:
        self._index = index
        self._head = head
        self._journal = journal
        self._archive = archive
        self._lock = lock
        self._alone = alone

    def seal(self, now: int) -> int:
        """Seal all that is not, and let the head drop what it need not have at `now` (ms).

        Returns how many samples were sealed.
        """
        sealed = 0
        position, ids = self._alone(self._begin)
        try:
            for some in self._by_hosts(ids):
                with self._lock:
                    seen = self._head.sealing.look(some)
                unsealed = arranged(seen)
                for number in range(unsealed.parts):
                    with self._lock:
                        part = self._head.sealing.part(unsealed, number)
                    sealed += self._put(part)
            while (rest := self._rest()) is not None:
                sealed += self._put(rest)
        except BaseException:
            with self._lock:
                self._head.sealing.failed()
            raise
        with self._lock:
            self._head.sealing.done()
        while self._alone(lambda: self._journal.drop_until(position)):
            pass
        while self._alone(self._journal.give_back):
            pass
        self.drop(now)
        give_back()
        return sealed

    def drop(self, now: int) -> int:
        """Have the head drop what is sealed and older than its window at `now` (ms): how many."""
        return int(self._alone(lambda: self._locked(lambda: self._head.drop_sealed(now))))

    def keep(self, windows: Mapping[str, int]) -> None:
        """How far back (ms) the head keeps each metric at least, and under "" all of them."""

        def keep() -> None:
            numbers = {self._index.metric_id(name): age for name, age in windows.items() if name}
            self._locked(lambda: self._head.keep(numbers, windows.get("", 0)))

        self._alone(keep)

    def restore(self, now: int) -> int:
        """Have the head take back what its windows reach at `now` (ms) and it has not: how many."""
        restored = 0
        with self._lock:
            refs = self._index.refs()
            kept = self._head.kept(refs)
            lacking = self._head.floors(self._head.slots(refs)) > now - kept
        refs, kept = refs[lacking], kept[lacking]
        order = np.argsort(kept, kind="stable")
        for run in np.split(order, run_starts(kept[order])[1:]) if len(order) else ():
            window = int(kept[run[0]])
            most = max(_RESTORE_SAMPLES * _TICK // window, 1)
            for first in range(0, len(run), most):
                restored += self._restore(refs[run[first : first + most]], now - window)
        return restored

    def _restore(self, refs: Ints, since: int) -> int:
        with self._lock:
            until = int(self._head.floors(self._head.slots(refs)).max()) - 1
        if until < since:
            return 0
        times, values, offsets = self._archive.select(refs, since, until)
        take = lambda: self._head.restore(refs, times, values, offsets, since)  # noqa: E731
        self._alone(lambda: self._locked(take))
        return len(times)

    def _begin(self) -> tuple[int, Ints]:
        # Between two commits: all that the journal has is in the head.
        position = self._journal.last_commit()
        with self._lock:
            return position, self._head.sealing.begin()

    def _by_hosts(self, ids: Ints) -> Iterator[Ints]:
        """About as many chunks at a time as are looked at at once, all of a host together."""
        times = len(ids) // _LOOK_CHUNKS + 1
        turns = np.empty(len(ids), dtype=np.int32)
        for first in range(0, len(ids), _LOOK_CHUNKS):
            part = slice(first, first + _LOOK_CHUNKS)
            with self._lock:
                turns[part] = self._head.sealing.hosts(ids[part]) % times
        for turn in range(times):
            yield ids[turns == turn]

    def _rest(self) -> UnsealedPart | None:
        with self._lock:
            return self._head.sealing.rest()

    def _put(self, part: UnsealedPart) -> int:
        if len(part.times):
            groups = self._archive.groups(part.refs, self._hosts)
            self._archive.put(_chunks(part, groups))
        return len(part.times)

    def _hosts(self, refs: Ints) -> list[str]:
        with self._lock:
            return self._index.values_of(HOST_LABEL, refs)

    def _locked(self, work: Callable[[], Any]) -> Any:
        with self._lock:
            return work()


def _chunks(part: UnsealedPart, groups: Ints) -> list[NewChunk]:
    order = np.lexsort((part.refs, groups))
    starts = run_starts(groups[order])
    found = []
    for members in np.split(order, starts[1:]):
        counts = part.offsets[members + 1] - part.offsets[members]
        cells = spans(part.offsets[members], counts)
        offsets = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(counts)))
        data = ChunkData(part.refs[members], offsets, part.times[cells], part.values[cells])
        found.append(NewChunk(int(groups[members[0]]), 0, data))
    return found
