"""Increases to running totals: what delta senders report becomes the counter that rules read.

The total so far is the newest sample of the series, so that it is exactly as durable as that is,
takes no memory of its own, and a resend, whose time has passed, is known as one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.columns import NEVER, Floats, Ints
from forewarn_collector.store.spans import run_starts

GAP = 1_000
"""A pause (ms) before an increase began from which on its beginning becomes a sample as well."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Columns of what a series then stood at: sorted by series, then time.

    `taken: bool[increases]` says which increases are in them; others are older than what their
    series has, or there twice.
    """

    refs: Ints
    times: Ints
    values: Floats
    taken: NDArray[np.bool_]


def running_totals(
    refs: Ints,
    starts: Ints,
    times: Ints,
    increases: Floats,
    last_times: Ints,
    last_values: Floats,
) -> Totals:
    """Add each increase to what its series has: `last_times`, `last_values` are one per increase.

    `starts` is when an increase began (ms), NEVER where that is unknown. A series without a sample
    (`last_times` NEVER) begins at 0, and so does one whose last is a stale marker or no number.
    Where an increase begins after a pause the total gets a sample there too, the first one with 0:
    otherwise `increase()` would not see it.
    """
    order = np.lexsort((times, refs))
    refs, times = refs[order], times[order]
    kept = times > last_times[order]
    kept[1:] &= (refs[1:] != refs[:-1]) | (times[1:] != times[:-1])
    taken = np.zeros(len(order), dtype=np.bool_)
    taken[order[kept]] = True
    order, refs, times = order[kept], refs[kept], times[kept]
    if not len(refs):
        return Totals(refs, times, np.empty(0), taken)
    starts, values = starts[order], increases[order]

    first = run_starts(refs)
    before_times = np.concatenate(([NEVER], times[:-1]))
    before_times[first] = last_times[order[first]]
    bases = last_values[order[first]]
    bases = np.where(np.isfinite(bases) & (before_times[first] != NEVER), bases, 0.0)
    totals = values.copy()
    totals[first] += bases
    counts = np.diff(np.append(first, len(refs)))
    # Only where a sender catches up; a sum over all of them at once would not be exact.
    for run in np.flatnonzero(counts > 1).tolist():
        low = int(first[run])
        high = low + int(counts[run])
        totals[low:high] = np.cumsum(totals[low:high])
    before = np.concatenate(([0.0], totals[:-1]))
    before[first] = bases

    # NEVER is the smallest number there is: nothing may be taken from it.
    pauses = np.flatnonzero(
        (starts != NEVER)
        & (starts < times)
        & ((before_times == NEVER) | (starts - GAP > before_times))
    )
    places = np.concatenate((np.arange(len(refs)), pauses - 0.5)).argsort(kind="stable")
    return Totals(
        np.concatenate((refs, refs[pauses]))[places],
        np.concatenate((times, starts[pauses]))[places],
        np.concatenate((totals, before[pauses]))[places],
        taken,
    )
