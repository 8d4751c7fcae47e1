"""What a counter or gauge moves by over a range, told from the samples in it.

Source: prometheus/prometheus `promql/functions.go`, `extrapolatedRate`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forewarn_collector.store.columns import Floats, Ints


@dataclass(frozen=True, slots=True)
class Edges:
    """The first and last sample of windows, and how many samples each has.

    All of one shape, but for `opens` and `closes`, the bounds of the windows, which may be of any
    that numpy spreads to it. Times in ms.
    """

    counts: Ints
    first_times: Ints
    first_values: Floats
    last_times: Ints
    last_values: Floats
    opens: Ints
    closes: Ints


def extrapolated(edges: Edges, lost: Floats | None, *, is_rate: bool) -> Floats:
    """By how much each window's series moves over the whole range, or how fast (per second).

    `lost` is what counters had reached at their resets; None for gauges. Windows of fewer than two
    samples give anything at all.
    """
    first_values = edges.first_values
    moved = edges.last_values - first_values
    if lost is not None:
        moved = moved + lost
    sampled = (edges.last_times - edges.first_times) / 1000
    spacing = sampled / np.maximum(edges.counts - 1, 1)
    to_start = (edges.first_times - edges.opens) / 1000
    to_end = (edges.closes - edges.last_times) / 1000
    # A gap up to a tenth longer than the usual one is taken to hold no more samples, and the
    # slope goes on to the range's boundary; else for half the usual spacing.
    threshold = spacing * 1.1
    half = spacing / 2
    to_start = np.where(to_start >= threshold, half, to_start)
    if lost is not None:
        # A counter was never below zero.
        to_zero = np.where(
            (moved > 0) & (first_values >= 0), sampled * (first_values / moved), to_start
        )
        to_start = np.where(to_zero < to_start, to_zero, to_start)
    to_end = np.where(to_end >= threshold, half, to_end)
    factor = (sampled + to_start + to_end) / sampled
    if is_rate:
        factor /= (edges.closes - edges.opens) / 1000
    answer: Floats = moved * factor
    return answer
