"""The samples of counters about late events, so that rules see them as if they had come in time.

A counter has a sample every 15 seconds while the collector runs. Where it has none about a late
event, it gets what it would have had: one shortly before the event, one at its time, and some
minutes of the usual ones behind it, so that what the event caused is seen to end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from forewarn_collector.store.columns import NEVER, Floats, Ints
from forewarn_collector.store.events import COUNTER_LEAD
from forewarn_collector.store.head import LATEST
from forewarn_collector.store.reading import Columns
from forewarn_collector.store.spans import repeated
from forewarn_wire import Labels

_STEP = 15_000
"""How often (ms) a counter is sampled."""
_TAIL = 600_000
"""For how long (ms) after an event there are samples: a rule over a range of any length then has
some of a time when it no longer holds."""


@dataclass(frozen=True, slots=True)
class LateEvents:
    """Late events of counters: `counts[i]` of them at `times[i]` (ms), each time once a counter.

    `places[i]` is that of the counter's labels in `labels`.
    """

    labels: Sequence[Labels]
    places: Ints
    times: Ints
    counts: Ints


def late_among(events: Iterable[tuple[Labels, int]]) -> LateEvents:
    """Late events by the labels of their counter and their time (ms)."""
    found = Counter(events)
    places = {
        labels: place for place, labels in enumerate(dict.fromkeys(each for each, _ in found))
    }
    return LateEvents(
        list(places),
        np.array([places[labels] for labels, _ in found], dtype=np.int64),
        np.array([time for _, time in found], dtype=np.int64),
        np.array(list(found.values()), dtype=np.int64),
    )


def samples_about(
    refs: Ints,
    times: Ints,
    until: int,
    read: Callable[[Ints, int, int], Columns],
    newest: Callable[[Ints, int], tuple[Ints, Floats]],
) -> tuple[Ints, Ints, Floats]:
    """Refs, times and values of the samples to add for late events: a ref and a time (ms) each.

    Values are as stored, see `late_counts`. `read(refs, start, end)` gives stored samples of
    counters, `newest(refs, end)` the times and values of the last ones. None is made from `until`
    on.
    """
    chosen, begins = np.unique(refs, return_inverse=True)
    oldest = np.full(len(chosen), LATEST)
    np.minimum.at(oldest, begins, times)
    first, last = int(times.min()) - _STEP, min(int(times.max()) + _TAIL, until)
    columns = read(chosen, first, last)
    known = np.append(columns[0], LATEST)[np.minimum(columns[2][:-1], len(columns[0]))]
    bare = np.flatnonzero((np.diff(columns[2]) == 0) | (known > oldest - COUNTER_LEAD))
    bases = np.zeros(len(chosen))
    if len(bare):
        base_times, found = newest(chosen[bare], first - 1)
        bases[bare] = np.where(base_times == NEVER, 0.0, found)
    parts = list(_of_each(chosen, refs, times, until, columns, bases))
    counts = np.array([len(part) for part, _ in parts], dtype=np.int64)
    return (
        repeated(chosen, counts),
        np.concatenate([part for part, _ in parts]),
        np.concatenate([values for _, values in parts]),
    )


def _of_each(
    chosen: Ints, refs: Ints, times: Ints, until: int, columns: Columns, bases: Floats
) -> Iterator[tuple[Ints, Floats]]:
    """The times and values that each counter gets. Few counters have late events at once."""
    known_times, known_values, offsets = columns
    for row, ref in enumerate(chosen.tolist()):
        there = slice(int(offsets[row]), int(offsets[row + 1]))
        new = _lacking(np.unique(times[refs == ref]), known_times[there], until)
        values = np.concatenate((bases[row : row + 1], known_values[there]))
        yield new, values[np.searchsorted(known_times[there], new, side="right")]


def _lacking(events: Ints, known: Ints, until: int) -> Ints:
    """The times at which a counter with samples at `known` lacks one for these events."""
    sampled = np.union1d(events, known)
    places = np.searchsorted(sampled, events)
    before = np.concatenate(([NEVER], sampled))[places]
    after = np.append(sampled, until)[places + 1]
    leads = events[(before < events - _STEP) & (events >= COUNTER_LEAD)] - COUNTER_LEAD
    ends = np.minimum(after, events + _TAIL + 1)
    counts = np.maximum((ends - 1 - events) // _STEP, 0)
    starts = np.cumsum(counts) - counts
    within = np.arange(int(counts.sum()), dtype=np.int64) - repeated(starts, counts)
    tails = repeated(events, counts) + (within + 1) * _STEP
    return np.setdiff1d(np.concatenate((leads, events, tails)), known)
