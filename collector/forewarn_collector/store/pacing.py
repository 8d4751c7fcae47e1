"""Where to cut a span of time so that each part has about as many samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.columns import Ints


def even_cuts(pieces: NDArray[np.float64] | Ints, start: int, end: int, most: int) -> Ints:
    """The times within `start` to `end` (ms) at which a part of about `most` samples is over.

    `pieces: [n, 3]` are the first and last time of chunks, and how many samples each has; these
    are taken to be spread evenly over it.
    """
    if not len(pieces):
        return np.zeros(0, dtype=np.int64)
    begins, ends = pieces[:, 0] - start, pieces[:, 1] + 1 - start
    density = pieces[:, 2] / (ends - begins)
    edges = np.concatenate((begins, ends))
    order = np.argsort(edges)
    edges = edges[order]
    slopes = np.cumsum(np.concatenate((density, -density))[order])
    counts = np.concatenate(([0.0], np.cumsum(slopes[:-1] * np.diff(edges))))
    marks = np.arange(most, counts[-1], most)
    cuts: Ints = np.unique(np.interp(marks, counts, edges).astype(np.int64)) + start
    return cuts[(cuts > start) & (cuts <= end)]
