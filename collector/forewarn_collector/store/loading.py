"""From the files to memory at a start: label sets first, then what the archive has not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.coded import joined
from forewarn_collector.store.columns import Floats, Ints
from forewarn_collector.store.head import Head
from forewarn_collector.store.index import LabelIndex
from forewarn_collector.store.journal import Journal
from forewarn_collector.store.series import numbers_of

# Commits are replayed in groups, since the head takes in a few large batches faster.
_REPLAY_SAMPLES = 1_000_000
_ROWS = 200
"""Rows of label sets that are taken in at once."""

Commit = tuple[Ints, Ints, Floats]


def load_series(journal: Journal, index: LabelIndex, head: Head) -> Ints:
    """Take in all label sets: the refs, ascending."""
    index.expect(journal.count_series())
    rows = journal.load_series()
    while part := list(islice(rows, _ROWS)):
        refs = np.concatenate([each.refs for each in part])
        sets = joined([each.sets for each in part])
        index.add_coded(refs, sets)
        head.add_series(refs, *numbers_of(sets, index.metric_id))
    return index.refs()


def replay(journal: Journal, head: Head, refs: Ints) -> int:
    """Bring the samples of these series in the journal's commits to the head: how many it has."""
    known = np.zeros(journal.last_ref() + 1, dtype=np.bool_)
    known[refs] = True
    waiting: list[Commit] = []
    samples = replayed = 0
    for commit in journal.replay():
        waiting.append(commit)
        samples += len(commit[0])
        if samples >= _REPLAY_SAMPLES:
            _take(waiting, head, known)
            replayed += samples
            waiting, samples = [], 0
    if waiting:
        _take(waiting, head, known)
    return replayed + samples


def _take(commits: Sequence[Commit], head: Head, known: NDArray[np.bool_]) -> None:
    refs, times, values = (np.concatenate(columns) for columns in zip(*commits, strict=True))
    # Samples of a series that retention dropped may share a row with younger ones.
    kept = (refs >= 0) & (refs < len(known))
    kept[kept] = known[refs[kept]]
    head.apply(head.admit(refs[kept], times[kept], values[kept]))
